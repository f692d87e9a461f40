"""The version of the Ignition spec that rules look at."""

from dataclasses import dataclass

VERSIONS = ("3.0.0", "3.1.0", "3.2.0", "3.3.0", "3.4.0", "3.5.0", "3.6.0", "3.7.0-experimental")


@dataclass(frozen=True)
class Spec:
    """`3.minor`."""

    version: str

    @property
    def minor(self) -> int:
        return VERSIONS.index(self.version)
