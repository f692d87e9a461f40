"""What differs between two documents of facts, section by section. Pure.

Lists are compared as sets: packages, kernel arguments, mounts and interfaces have no order that matters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

#: By what the members of a list are told apart, the first that they have.
_KEYS: Final = ("name", "mount", "destination", "address", "path", "section", "user", "names", "id")
#: What differs between any two hosts, or with every boot: told, but apart.
EXPECTED: Final = frozenset(
    {
        "agent.node_uuid", "agent.status_text", "boot.boot_count", "boot.boot_id", "boot.booted_at", "containers.runtimes.containers.id",
        "containers.runtimes.containers.started_at", "deployments.id", "network.hostname", "network.interfaces.addresses",
        "network.interfaces.mac", "network.routes", "network.routes.gateway", "os.machine_id", "sessions", "sessions.since",
    }
)  # fmt: skip
#: Sections in the order in which they tell most.
SECTIONS: Final = (
    "os", "deployments", "boot", "update", "agent", "health", "hardware", "network", "storage", "containers", "kubernetes",
    "ignition",
    "security", "time", "sessions", "unread",
)  # fmt: skip
_MOST_VALUES = 500


@dataclass(frozen=True)
class Difference:
    """One value that differs (`left`, `right`; None where it is not there), or for lists what only one of them has.

    `where` names the members on the way, such as an interface; `path` is the path of facts.
    """

    path: str
    where: tuple[str, ...] = ()
    left: Any = None
    right: Any = None
    is_set: bool = False
    only_left: tuple[str, ...] = ()
    only_right: tuple[str, ...] = ()
    in_both: int = 0

    @property
    def is_expected(self) -> bool:
        return self.path in EXPECTED

    @property
    def label(self) -> str:
        """The path below its section, with the members in it."""
        return " · ".join([*self.where, self.path.partition(".")[2] or self.path])


@dataclass
class Section:
    """`same` holds (path, value) of what is alike."""

    name: str
    differences: list[Difference] = field(default_factory=list)
    expected: list[Difference] = field(default_factory=list)
    same: list[tuple[str, Any]] = field(default_factory=list)

    @property
    def is_same(self) -> bool:
        return not self.differences and not self.expected


def compare(left: Mapping[str, Any], right: Mapping[str, Any]) -> list[Section]:
    """Every section that either has; those that differ first."""
    names = [name for name in SECTIONS if name in left or name in right]
    names += sorted((set(left) | set(right)) - set(SECTIONS))
    found = []
    for name in names:
        section = Section(name)
        for one in _walk(name, (), left.get(name), right.get(name)):
            if isinstance(one, Difference):
                (section.expected if one.is_expected else section.differences).append(one)
            elif one[1] not in (None, "", [], {}):
                section.same.append(one)
        found.append(section)
    return sorted(found, key=lambda section: (not section.differences, section.is_same))


Step = Iterator[Difference | tuple[str, Any]]


def _walk(path: str, where: tuple[str, ...], left: Any, right: Any) -> Step:
    # Where one host says nothing at all, an empty list or tree is all there is to compare with.
    if isinstance(left, Mapping) or isinstance(right, Mapping):
        yield from _trees(path, where, left, right)
    elif isinstance(left, list) or isinstance(right, list):
        yield from _lists(path, where, left, right)
    elif _same(left, right):
        yield " · ".join([*where, path.partition(".")[2] or path]), left
    else:
        yield Difference(path, where, left, right)


def _same(left: Any, right: Any) -> bool:
    return bool((left in (None, "") and right in (None, "")) or (type(left) is type(right) and left == right))


def _trees(path: str, where: tuple[str, ...], left: Any, right: Any) -> Step:
    one = left if isinstance(left, Mapping) else {}
    other = right if isinstance(right, Mapping) else {}
    for name in dict.fromkeys([*one, *other]):
        yield from _walk(f"{path}.{name}", where, one.get(name), other.get(name))


def _lists(path: str, where: tuple[str, ...], left: Any, right: Any) -> Step:
    one = _members(path, left)
    other = _members(path, right)
    only_left, only_right = [key for key in one if key not in other], [key for key in other if key not in one]
    both = [key for key in one if key in other]
    if only_left or only_right:
        yield Difference(
            path,
            where,
            is_set=True,
            only_left=tuple(only_left[:_MOST_VALUES]),
            only_right=tuple(only_right[:_MOST_VALUES]),
            in_both=len(both),
        )
    plain = [key for key in both if not isinstance(one[key], Mapping)]
    if plain:
        yield " · ".join([*where, path.partition(".")[2] or path]), plain
    for key in both:
        if isinstance(one[key], Mapping):
            yield from _walk(path, (*where, key), one[key], other[key])


def _members(path: str, values: Any) -> dict[str, Any]:
    """The members of a list by what they are told apart by; equal keys are numbered."""
    found: dict[str, Any] = {}
    for value in values if isinstance(values, list) else []:
        key = _key(path, value)
        place, unique = 2, key
        while unique in found:
            unique, place = f"{key} #{place}", place + 1
        found[unique] = value
    return found


def _key(path: str, value: Any) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    if path == "deployments":
        roles = [name for name in ("booted", "staged", "rollback") if value.get(name)]
        return roles[0] if roles else f"{value.get('index', '')}"
    given = next((value[name] for name in _KEYS if value.get(name)), "")
    return str(given[0] if isinstance(given, list) else given)
