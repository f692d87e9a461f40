"""What `rpm-ostree db diff` prints: packages that were upgraded, downgraded, removed and added. Pure.

The text form is read, not the JSON: every version prints it, and it tells an upgrade from a downgrade.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

CHANGES = ("upgraded", "downgraded", "removed", "added")
MOST_PACKAGES = 5000
_HEADS = {"Upgraded:": "upgraded", "Downgraded:": "downgraded", "Removed:": "removed", "Added:": "added"}
_CHANGED = re.compile(r"(?P<name>\S+) (?P<before>\S+) -> (?P<after>\S+)")
#: name-[epoch:]version-release.arch: version and release hold no dash.
_NEVRA = re.compile(r"(?P<name>\S+)-(?P<evr>[^-\s]+-[^-\s]+)\.(?P<arch>[a-z0-9_]+)")


@dataclass(frozen=True)
class PackageChange:
    """One package. `before` is empty for an added one, `after` for a removed one; both are [epoch:]version-release."""

    change: str
    name: str
    before: str = ""
    after: str = ""
    arch: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def parse_package_diff(text: str) -> list[PackageChange]:
    """In the order of the host. Lines that are not understood are left out; the text itself is kept beside it."""
    found: list[PackageChange] = []
    change = ""
    for line in text.splitlines():
        if not line.startswith(" "):
            change = _HEADS.get(line.strip(), "")
            continue
        if change and len(found) < MOST_PACKAGES and (one := _package(change, line.strip())) is not None:
            found.append(one)
    return found


def _package(change: str, line: str) -> PackageChange | None:
    if change in ("upgraded", "downgraded"):
        match = _CHANGED.fullmatch(line)
        return PackageChange(change, match["name"], match["before"], match["after"]) if match else None
    match = _NEVRA.fullmatch(line)
    if match is None:
        return None
    evr = {"before" if change == "removed" else "after": match["evr"]}
    return PackageChange(change, match["name"], arch=match["arch"], **evr)
