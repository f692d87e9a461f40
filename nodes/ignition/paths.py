"""Where something is in a document: the steps from its root."""

Step = str | int
Path = tuple[Step, ...]
ROOT: Path = ()


class Key(str):
    """The last step of a path that means a key itself, not the value below it."""

    __slots__ = ()


def path_text(path: Path) -> str:
    """`$.storage.files.0.mode`."""
    return ".".join(["$", *map(str, path)])
