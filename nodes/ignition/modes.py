"""File modes that were written in decimal by mistake."""

_OCTAL_DIGITS = 4


def decimal_mode_problem(mode: int, *, is_directory: bool) -> str | None:
    """A warning when the mode is odd, and its decimal digits read as octal are usual."""
    corrected = _read_as_octal(mode)
    if corrected is None or _is_typical(mode, is_directory) or not _is_typical(corrected, is_directory):
        return None
    return "unreasonable mode would be reasonable if specified in octal; remember to add a leading zero"


def _read_as_octal(mode: int) -> int | None:
    digits = str(mode)
    if not 0 <= mode <= 7777 or len(digits) > _OCTAL_DIGITS or any(digit in "89" for digit in digits):
        return None
    return int(digits, 8)


def _is_typical(mode: int, is_directory: bool) -> bool:  # noqa: FBT001
    if mode == 0:  # root ignores mode bits
        return True
    read = write = execute = False
    for shift in (0, 3, 6):  # others, group, user
        may_read, may_write, may_execute = (bool(mode >> shift & bit) for bit in (4, 2, 1))
        # The closer class has all rights of the farther one.
        if (read and not may_read) or (write and not may_write) or (execute and not may_execute):
            return False
        if may_execute and read and not execute:
            return False
        if (may_write or may_execute) and not may_read:
            return False
        read, write, execute = read or may_read, write or may_write, execute or may_execute
    if not read:
        return False
    if is_directory:
        return execute and not mode & 0o4000 and (not mode & 0o3000 or write)
    if mode & 0o6000 and (not execute or mode & 2):
        return False
    return not mode & 0o1000
