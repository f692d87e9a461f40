"""Version numbers as coreos/go-semver reads them."""

import re

from nodes.ignition.source.scalars import INT_MAX, INT_MIN

_IDENTIFIER = re.compile(r"[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*\Z")
_NUMBER = re.compile(r"[-+]?[0-9]{1,40}\Z")


def normalized(version: str) -> str | None:
    """The version as it is compared; None when it is none. `01.2.3` is `1.2.3`."""
    version, plus, metadata = version.partition("+")
    version, dash, pre_release = version.partition("-")
    parts = version.split(".", 2)
    if len(parts) != 3:
        return None
    if (pre_release and not _IDENTIFIER.match(pre_release)) or (metadata and not _IDENTIFIER.match(metadata)):
        return None
    numbers = [int(part) for part in parts if _NUMBER.match(part)]
    if len(numbers) != 3 or not all(INT_MIN <= number <= INT_MAX for number in numbers):
        return None
    text = ".".join(map(str, numbers))
    return text + (dash + pre_release if pre_release else "") + (plus + metadata if metadata else "")
