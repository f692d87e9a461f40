"""What the answers of a host may ask of the fleet around it."""

from pathlib import Path
from typing import Protocol

from simfleet.model import Host
from simfleet.releases import Catalog


class World(Protocol):
    """The fleet as one host's answers see it."""

    catalog: Catalog
    born_dir: Path
    transaction_s: float

    def now(self) -> float:
        """The time in seconds since 1970."""
        ...

    def newest(self, host: Host) -> str:
        """The newest version of the host's stream."""
        ...

    def beside(self, host: Host) -> list[Host]:
        """The hosts of its pool, itself among them."""
        ...

    def changed(self, host: Host) -> None:
        """Note that the state of a host must be saved."""
        ...

    def reboot(self, host: Host) -> None:
        """Let the host go down and come back."""
        ...
