"""Until when versions are supported: rules for a stream, a major version, both, or a whole family."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class SupportEnd:
    """From `ends_on` on there is no support for what it names; an empty text names every stream or major."""

    stream: str
    major: str
    ends_on: date
    os_family: str = ""

    def covers(self, os_family: str, stream: str, version: str) -> bool:
        return (
            self.os_family == os_family
            and self.stream in ("", stream)
            and (not self.major or major_of(version) == self.major)
        )


def major_of(version: str) -> str:
    """The first number of a version: 43 of 43.20260301.3.1."""
    return version.split(".", 1)[0]


def end_of(rules: Iterable[SupportEnd], os_family: str, stream: str, version: str) -> date | None:
    """The first day without support, when any rule names one; what ends first counts."""
    return min((rule.ends_on for rule in rules if version and rule.covers(os_family, stream, version)), default=None)
