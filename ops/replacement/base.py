"""What is asked of a provisioner: delete one machine and make another in its place, in steps that may be repeated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

#: works: it is at it. asks: a person has to do something. replaced: the new machine was made. failed: this try is over.
State: TypeAlias = Literal["works", "asks", "replaced", "failed"]
SAID_CHARS = 400


class NotReady(Exception):
    """It cannot be asked at all; nothing was done. `code` has its words in ops.wording.replacement."""

    def __init__(self, code: str, **params: Any) -> None:
        super().__init__(code)
        self.code, self.params = code, params


class Broken(Exception):
    """What it answers cannot be used."""

    def __init__(self, code: str, said: str = "") -> None:
        super().__init__(code)
        self.code, self.said = code, said[:SAID_CHARS]


def below(folder: Path | None, name: str) -> Path:
    """What is called so in the folder of the installation; raises NotReady when there is none, or it leads out of it."""
    if folder is None:
        raise NotReady("no_folder")
    found = (folder / name).resolve()
    if not found.is_relative_to(folder.resolve()):
        raise NotReady("outside_folder", path=name, folder=str(folder))
    return found


@dataclass(frozen=True)
class Order:
    """One machine to be replaced. The id is the same however often it is asked for. `url` leads to secrets.

    `confirmed` is what people said: ready, deleted, created. `callback` is where a service tells how far it is, and
    `told` what it told last: number, body.
    """

    id: str
    node: str
    address: str
    port: int
    pool: str
    cluster: str
    #: Of the machine that is to come.
    generation: int
    url: str
    sha512: str
    host_key: str
    confirmed: frozenset[str] = frozenset()
    callback: str = ""
    told: Mapping[str, Any] = field(default_factory=dict)
    #: What the provisioner decided to work from.
    source: Mapping[str, Any] = field(default_factory=dict)
    #: Something has to go before the machine is deleted, and does so as soon as everything else is ready.
    leaves_first: bool = False

    def as_json(self) -> dict[str, Any]:
        """What a hook gets."""
        asked: dict[str, Any] = {
            "version": 1,
            "action": "replace",
            "id": self.id,
            "node": {
                "name": self.node,
                "address": self.address,
                "port": self.port,
                "pool": self.pool,
                "cluster": self.cluster,
                "generation": self.generation,
            },
            "ignition": {"url": self.url, "sha512": self.sha512},
            "host_key_fingerprint": self.host_key,
        }
        return asked | ({"callback_url": self.callback} if self.callback else {})


@dataclass(frozen=True)
class Progress:
    """What came of a look. `handle` is what the next look has to be given; `lines` go into the log of the operation.

    `code` with `params` is worded by FleetUI, `said` is what the provisioner itself says. `address`: where the new machine
    is, when it is another one. `begins`: from the next look on the old machine may be gone. `is_ready`: nothing stands against
    it any more, and it begins when somebody else does. `by_itself`: whether a try that
    failed may be followed by another one without a person; `untouched`: whether the old machine is known to be whole after all.
    """

    state: State
    code: str
    params: Mapping[str, Any] = field(default_factory=dict)
    said: str = ""
    handle: Mapping[str, Any] = field(default_factory=dict)
    lines: Sequence[str] = ()
    again_s: float = 3.0
    address: str = ""
    begins: bool = False
    is_ready: bool = False
    by_itself: bool = True
    untouched: bool = False


class Provisioner(Protocol):
    """A kind of it, with its settings. `attempt` and the order's id name what it starts: a second start changes nothing."""

    @property
    def at_once(self) -> bool:
        """Whether the machine may be gone as soon as it was started."""
        ...

    def ready(self) -> None:
        """Raises NotReady when it cannot be asked now."""
        ...

    def decide(self, decided: Mapping[str, Any]) -> Mapping[str, Any]:
        """What it is going to work from, such as the commit of its directory; what was decided before stays. May be nothing.

        Raises NotReady. An order has it as its `source`.
        """
        ...

    def commands(self, node: str, address: str) -> list[list[str]]:
        """What it runs on the machine of FleetUI, for the plan."""
        ...

    def start(self, order: Order, attempt: int) -> Mapping[str, Any]:
        """Begin; gives the handle."""
        ...

    def look(self, order: Order, handle: Mapping[str, Any]) -> Progress:
        """How far it is. It may begin the next part, once. Nothing is deleted by a look before one that says `begins`, unless
        it is `at_once`."""
        ...

    def forget(self, order: Order) -> None:
        """The replacement is over: nothing of it stays."""
        ...
