"""What should be on a machine against what was seen there."""

from __future__ import annotations

import difflib
from collections import Counter
from dataclasses import dataclass

from nodes.drift import people, storage
from nodes.drift.expected import UNIT_FOLDER, Argument, Expected, Place
from nodes.drift.inspection import differs
from nodes.drift.model import Difference, Node, Seen, Sort, Unlooked, What
from nodes.drift.osmade import is_same_hostname, reason_of
from nodes.hosts.drivers.podman_commands import DROPIN
from nodes.ignition.sections.model import Unit
from nodes.ignition.sections.secrets import secret_in

MOST_DIFF_LINES = 160
LONGEST_LINE = 400
#: What systemd says of units for which there is nothing to switch.
_NOTHING_TO_ENABLE = frozenset({"static", "generated", "indirect", "alias", "transient", "linked", "linked-runtime"})
_ENABLED = frozenset({"enabled", "enabled-runtime"})
#: Where people write drop-ins, and where `systemctl set-property` does.
_ADMIN_FOLDERS = (f"{UNIT_FOLDER}/", f"{UNIT_FOLDER}.control/")


@dataclass(frozen=True)
class Comparison:
    """All differences, and what was not looked at."""

    differences: tuple[Difference, ...]
    unlooked: tuple[Unlooked, ...]

    @property
    def counts(self) -> dict[str, int]:
        counted = Counter(one.sort.value for one in self.differences)
        return {sort.value: counted[sort.value] for sort in Sort}

    @property
    def verdict(self) -> str:
        """clean, drifted, or needs_replacement. What the OS made itself counts for nothing."""
        counts = self.counts
        if counts[Sort.REPLACEMENT]:
            return "needs_replacement"
        return "drifted" if counts[Sort.IN_PLACE] else "clean"


def compare(wanted: Expected, seen: Seen, arguments: list[str] | None = None) -> Comparison:
    """The differences, those that need most first. `arguments` are those of the kernel that runs; None: not known."""
    found: list[Difference] = []
    unlooked = list(wanted.unlooked)
    for place in wanted.places:
        why = seen.unread.get(place.path)
        if why:
            unlooked.append(Unlooked(place.section, place.subject, why))
        found += _place(place, seen, is_known=why is None)
    found += [one for unit in wanted.units for one in _unit(unit, seen)]
    found += _added_drop_ins(wanted, seen)
    found += people.differences(wanted, seen, unlooked)
    found += _kernel(wanted.arguments, arguments, unlooked)
    found += storage.differences(wanted, seen, unlooked)
    order = list(Sort)
    found.sort(key=lambda one: (-order.index(one.sort) if one.sort is not Sort.OS else 1, one.section, one.subject))
    return Comparison(tuple(found), tuple(unlooked))


def _place(place: Place, seen: Seen, *, is_known: bool) -> list[Difference]:
    node = seen.nodes.get(place.path)
    if node is None:
        return [_of(place, What.MISSING)] if is_known else []
    if node.kind != place.kind:
        return [_of(place, What.KIND, place.kind, node.kind)]
    found = _permissions(place, node)
    if place.kind == "link":
        target = seen.targets.get(place.path, "")
        if place.target is not None and target != place.target:
            shown = ("", "") if place.is_secret else (place.target, target)
            found.append(_of(place, What.TARGET, *shown))
    elif is_known and differs(place, seen):
        if is_same_hostname(place.path, place.body, seen.bodies.get(place.path)):
            found.append(_of(place, What.CONTENTS, reason="same_hostname"))
        else:
            found.append(_of(place, What.CONTENTS, diff=_diff(place, seen)))
    elif is_known and place.lines:
        body = seen.bodies.get(place.path)
        gone = [part for part in place.lines if body is not None and part not in body]
        found += [_of(place, What.LINES, diff=_gone_lines(place, part)) for part in gone]
    return found


def _of(
    place: Place,
    what: What,
    expected: str = "",
    found: str = "",
    diff: tuple[tuple[str, str], ...] = (),
    reason: str = "",
) -> Difference:
    reason = reason or reason_of(place.path, what)
    sort = Sort.OS if reason else Sort.IN_PLACE
    return Difference(place.section, place.subject, what, sort, expected, found, reason, place.is_secret, diff)


def _permissions(place: Place, node: Node) -> list[Difference]:
    found = []
    if place.mode is not None and place.kind != "link" and node.mode != place.mode:
        found.append(_of(place, What.MODE, f"{place.mode:04o}", f"{node.mode:04o}"))
    wanted = (place.owner, place.group)
    seen = (_name(place.owner, node.owner, node.uid), _name(place.group, node.group, node.gid))
    if any(one is not None and one != other for one, other in zip(wanted, seen, strict=True)):
        told = [one if one is not None else other for one, other in zip(wanted, seen, strict=True)]
        found.append(_of(place, What.OWNER, ":".join(told), ":".join(seen)))
    return found


def _name(wanted: str | None, name: str, number: int) -> str:
    """As the config says it: by number where it gives one, and where the host has no name for it."""
    return str(number) if (wanted or "").isdecimal() or name in ("", "UNKNOWN") else name


def _diff(place: Place, seen: Seen) -> tuple[tuple[str, str], ...]:
    """Changed lines with a few around them; nothing for what is no text, too long, or looks like a secret."""
    old, new = _lines(place.body), _lines(seen.bodies.get(place.path))
    if old is None or new is None:
        return ()
    if old[-1] == new[-1] == "":
        # Both end with a line end: what split leaves behind it is no line.
        del old[-1], new[-1]
    rows: list[tuple[str, str]] = []
    for line in list(difflib.unified_diff(old, new, n=2, lineterm=""))[2:]:
        kind = {"+": "added", "-": "removed", "@": "gap"}.get(line[:1], "same")
        if kind == "gap" and line.startswith(("@@ -1 ", "@@ -1,", "@@ -0,")):
            # Nothing was left out above it.
            continue
        rows.append((kind, "" if kind == "gap" else line[1 : LONGEST_LINE + 1]))
    return tuple(rows[: MOST_DIFF_LINES + 1])


def _gone_lines(place: Place, part: bytes) -> tuple[tuple[str, str], ...]:
    lines = _lines(part) if place.may_be_shown else None
    return tuple(("removed", line[:LONGEST_LINE]) for line in (lines or [])[:MOST_DIFF_LINES])


def _lines(body: bytes | None) -> list[str] | None:
    if body is None or b"\0" in body:
        return None
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    if secret_in(text) is not None:
        return None
    return ["".join(character if character.isprintable() else " " for character in line) for line in text.split("\n")]


def _unit(unit: Unit, seen: Seen) -> list[Difference]:
    there = seen.units.get(unit.name)
    # A unit whose file is gone is missing; that it is not enabled either is the same thing said again.
    has_lost_file = bool(unit.contents) and f"{UNIT_FOLDER}/{unit.name}" not in seen.nodes
    if there is None or unit.is_masked or has_lost_file:
        return []
    state = there.state
    if state.startswith("masked"):
        wanted = unit.state if unit.is_enabled is not None else "unmasked"
        is_wrong = unit.is_enabled is True or unit.is_masked is False
    elif unit.is_enabled is None:
        return []
    elif unit.is_enabled:
        wanted, is_wrong = "enabled", state not in _ENABLED | _NOTHING_TO_ENABLE
    else:
        wanted, is_wrong = "disabled", state in _ENABLED
    if not is_wrong:
        return []
    return [Difference("units", unit.name, What.ENABLEMENT, Sort.IN_PLACE, wanted, state)]


def _added_drop_ins(wanted: Expected, seen: Seen) -> list[Difference]:
    """What `systemctl edit` leaves beside a unit of the config. Those of the OS lie in /usr, and FleetUI's own are meant."""
    declared = {place.path for place in wanted.places}
    there = dict.fromkeys(
        path for unit in wanted.units if unit.name in seen.units for path in seen.units[unit.name].drop_ins
    )
    return [
        Difference("units", path, What.PRESENT, Sort.IN_PLACE)
        for path in there
        if path.startswith(_ADMIN_FOLDERS) and path not in declared and not path.endswith(f"/{DROPIN}")
    ]


def _kernel(wanted: tuple[Argument, ...], given: list[str] | None, unlooked: list[Unlooked]) -> list[Difference]:
    if given is None:
        unlooked += [Unlooked("kernel", one.subject, "arguments_unknown") for one in wanted]
        return []
    present = set(given)
    found = []
    for one in wanted:
        there = [word in present for word in one.words]
        if one.is_wanted and not all(there):
            found.append(Difference("kernel", one.subject, What.MISSING, Sort.IN_PLACE))
        elif not one.is_wanted and there and all(there):
            found.append(Difference("kernel", one.subject, What.PRESENT, Sort.IN_PLACE))
    return found
