"""Keys of Butane and keys of Ignition."""

import re
from functools import cache

from nodes.ignition.paths import Key, Path

_CAPITAL = re.compile("(MiB|[A-Z])")


@cache
def camel(key: str) -> str:
    """`size_mib` to `sizeMiB`."""
    if key.endswith("_mib"):
        key = key.removesuffix("_mib") + "MiB"
    head, *rest = key.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def snake_path(path: Path) -> Path:
    """The path of the source that a path of the result would have without sugar."""
    return tuple(
        _CAPITAL.sub(r"_\1", step).lower() if isinstance(step, str) and not isinstance(step, Key) else step
        for step in path
    )
