"""Kernel arguments: which may be changed from afar, and what a change makes of those that are there."""

import re
from collections import Counter
from collections.abc import Sequence

MOST = 20
LONGEST = 256
#: The kernel of x86 and arm64 cuts the line there, and what comes last names the deployment to boot.
LONGEST_LINE = 2048
#: Printable, without spaces, quotes and backslashes: nothing that a boot loader would read in another way.
_ARGUMENT = re.compile(r"[A-Za-z0-9_.][!#-&(-\[\]-~]{0,255}")
#: With these the host finds its root and its deployment, or comes up as another system than the one that we know.
_PROTECTED = frozenset(
    (
        *("root", "rootflags", "rootfstype", "ostree", "BOOT_IMAGE", "boot", "initrd", "ro", "rw"),
        *("init", "rdinit", "rd.break", "rd.emergency", "systemd.unit", "rd.systemd.unit"),
        *("single", "emergency", "rescue", "s", "S", "1", "2", "3", "4", "5"),
    )
)


def key_of(argument: str) -> str:
    return argument.partition("=")[0]


def refusal(argument: str) -> str:
    """Why an argument is neither added nor taken away, as a code; empty when it may be."""
    if not _ARGUMENT.fullmatch(argument):
        return "not_an_argument"
    return "argument_protected" if key_of(argument) in _PROTECTED else ""


def parse(text: str) -> tuple[str, ...]:
    """What `rpm-ostree kargs` prints: one line of arguments."""
    return tuple(next((line for line in text.splitlines() if line.strip()), "").split())


def changed(
    before: Sequence[str], append: Sequence[str] = (), delete: Sequence[str] = (), replace: Sequence[str] = ()
) -> tuple[str, ...]:
    """What the change makes of them. What cannot be done (see `missing`) is passed over."""
    after = [one for one in before if one not in delete]
    for new in replace:
        after = [new if key_of(one) == key_of(new) else one for one in after]
    return (*after, *(one for one in append if one not in after))


def missing(
    before: Sequence[str], delete: Sequence[str] = (), replace: Sequence[str] = ()
) -> tuple[list[str], list[str]]:
    """Arguments to delete that are not there, and keys to replace that are there not once but never or several times."""
    counts = Counter(map(key_of, before))
    return [one for one in delete if one not in before], [key_of(one) for one in replace if counts[key_of(one)] != 1]


def holds(
    now: Sequence[str], append: Sequence[str] = (), delete: Sequence[str] = (), replace: Sequence[str] = ()
) -> bool:
    """Whether the arguments are as the change wants them."""
    return all(one in now for one in (*append, *replace)) and not any(one in now for one in delete)
