"""One difference between what two configs do."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from nodes.ignition.paths import Path
from nodes.ignition.said import Param, Said, said

Item = TypeVar("Item")


class Weight(StrEnum):
    """Disruptive: data is lost or people are locked out. Notable: the machine behaves differently."""

    DISRUPTIVE = "disruptive"
    NOTABLE = "notable"
    PLAIN = "plain"


WEIGHTS = tuple(Weight)


@dataclass(frozen=True)
class Effect:
    """What the second config does otherwise. `before` and `after` are paths in the two documents."""

    weight: Weight
    section: str
    what: Said
    before: Path | None = None
    after: Path | None = None


class Effects:
    """Collects the effects of one section."""

    def __init__(self, section: str) -> None:
        self._section = section
        self.found: list[Effect] = []

    def add(
        self, weight: Weight, code: str, before: Path | None = None, after: Path | None = None, **params: Param | None
    ) -> None:
        self.found.append(Effect(weight, self._section, said(code, **params), before, after))


def paired(
    before: Sequence[Item], after: Sequence[Item], key: Callable[[Item], str]
) -> Iterator[tuple[Item | None, Item | None]]:
    """Items of the same name: those of the first config in its order, then the new ones."""
    old = {key(item): item for item in before}
    new = {key(item): item for item in after}
    for name, item in old.items():
        yield item, new.get(name)
    for name, item in new.items():
        if name not in old:
            yield None, item
