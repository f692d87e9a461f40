"""A host asked for all that a config declares: few commands, names in one stream, contents only where they decide."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nodes.drift import questions
from nodes.drift.expected import Expected, Place
from nodes.drift.model import Answer, NotUnderstood, Question, Seen

#: Beyond these a part is not looked at, and it is said so.
MOST_PATHS = 4_000
MOST_HASHED_BYTES = 256 * 1024 * 1024
MOST_SHOWN_BYTES = 32 * 1024
MOST_SHOWN_FILES = 20
MOST_UNITS = 1_000

Ask = Callable[[Question], Answer]


def inspect(wanted: Expected, ask: Ask, *, platform_keys: frozenset[str] = frozenset()) -> Seen:
    """Ask a host. `platform_keys` are files of authorized keys that the OS itself writes.

    Raises NotUnderstood, and whatever `ask` raises.
    """
    seen = Seen(platform_keys=platform_keys)
    places = wanted.places[:MOST_PATHS]
    seen.unread.update({place.path: "too_many" for place in wanted.places[MOST_PATHS:]})
    _stat(seen, [place.path for place in places], ask)
    _hash(seen, places, ask)
    _targets(seen, places, ask)
    _read(seen, places, ask)
    _units(seen, [unit.name for unit in wanted.units][:MOST_UNITS], ask)
    _people(seen, wanted, ask)
    if wanted.wants_blocks:
        _blocks(seen, ask)
    return seen


def _stat(seen: Seen, paths: Sequence[str], ask: Ask) -> None:
    for part in questions.in_parts(paths):
        question = questions.stat_of(part)
        found, doubt = questions.read_stat(question, ask(question))
        asked = set(part)
        seen.nodes.update({path: node for path, node in found.items() if path in asked})
        if doubt:
            seen.unread.update({path: "not_readable" for path in part if path not in found})


def _hash(seen: Seen, places: Sequence[Place], ask: Ask) -> None:
    """Of files whose size is as it should be: another size is another content already."""
    left = MOST_HASHED_BYTES
    of: dict[str, list[str]] = {}
    for place in places:
        node = seen.nodes.get(place.path)
        if place.digest is None or node is None or node.kind != "file":
            continue
        if place.size_bytes is not None and node.size_bytes != place.size_bytes:
            continue
        if node.size_bytes > left:
            seen.unread[place.path] = "too_large"
            continue
        left -= node.size_bytes
        of.setdefault(place.digest[0], []).append(place.path)
    for algorithm, paths in of.items():
        for part in questions.in_parts(paths):
            question = questions.hash_of(algorithm, part)
            found = questions.read_hashes(question, ask(question))
            seen.hashes.update({path: found[path] for path in part if path in found})
            seen.unread.update({path: "not_readable" for path in part if path not in found})


def _targets(seen: Seen, places: Sequence[Place], ask: Ask) -> None:
    links = [one.path for one in places if one.kind == "link" and _kind(seen, one.path) == "link"]
    for part in questions.in_parts(links):
        question = questions.targets_of(part)
        seen.targets.update(questions.read_targets(question, ask(question), part))


def _kind(seen: Seen, path: str) -> str:
    node = seen.nodes.get(path)
    return node.kind if node else ""


def differs(place: Place, seen: Seen) -> bool:
    """Whether the whole contents of a file are known to be others."""
    node = seen.nodes.get(place.path)
    if place.digest is None or node is None or node.kind != "file" or place.path in seen.unread:
        return False
    if place.size_bytes is not None and node.size_bytes != place.size_bytes:
        return True
    return seen.hashes.get(place.path, "") != place.digest[1]


def _read(seen: Seen, places: Sequence[Place], ask: Ask) -> None:
    """Contents that are needed: to look for lines in, and to show what differs where everybody may read both."""
    wanted, shown = [], 0
    for place in places:
        node = seen.nodes.get(place.path)
        if node is None or node.kind != "file":
            continue
        if place.lines:
            if node.size_bytes > questions.MOST_BYTES_READ:
                seen.unread[place.path] = "too_large"
            else:
                wanted.append(place.path)
        elif (
            place.body is not None
            and differs(place, seen)
            and node.mode & 0o004
            and max(node.size_bytes, len(place.body)) <= MOST_SHOWN_BYTES
            and shown < MOST_SHOWN_FILES
        ):
            shown += 1
            wanted.append(place.path)
    for part in questions.in_parts(wanted):
        question = questions.bodies_of(part)
        found = questions.read_bodies(question, ask(question))
        seen.bodies.update({path: found[path] for path in part if path in found})


def _units(seen: Seen, names: Sequence[str], ask: Ask) -> None:
    for part in questions.in_parts(dict.fromkeys(names)):
        question = questions.units_of(part)
        seen.units.update(questions.read_units(question, ask(question), part))


def _people(seen: Seen, wanted: Expected, ask: Ask) -> None:
    users = dict.fromkeys(user.name for user in wanted.users)
    groups = dict.fromkeys([*(group.name for group in wanted.groups), *(g for u in wanted.users for g in u.groups)])
    for part in questions.in_parts(users):
        question = questions.accounts_of(part)
        seen.accounts.update(questions.read_accounts(question, ask(question)))
    for part in questions.in_parts(groups):
        question = questions.groups_of(part)
        seen.groups.update(questions.read_groups(question, ask(question)))
    homes = dict.fromkeys(
        seen.accounts[user.name].home for user in wanted.users if user.name in seen.accounts and not user.is_removed
    )
    for part in questions.in_parts(path for home in homes if home.startswith("/") for path in _key_places(home)):
        question = questions.bodies_of(part)
        for path, body in questions.read_bodies(question, ask(question)).items():
            _keep_keys(seen, path, body)


def _key_places(home: str) -> tuple[str, str]:
    return f"{home}/.ssh/authorized_keys", f"{home}/.ssh/authorized_keys.d"


def _keep_keys(seen: Seen, path: str, body: bytes) -> None:
    home, _slash, name = path.partition("/.ssh/")
    lines = body.decode("utf-8", "replace").splitlines()
    seen.keys.setdefault(home, {})[name.removeprefix("authorized_keys.d/")] = lines


def _blocks(seen: Seen, ask: Ask) -> None:
    question = questions.blocks()
    try:
        seen.blocks = questions.read_blocks(question, ask(question))
    except NotUnderstood:
        # Then disks are not looked at, which is said; files and units are worth knowing all the same.
        seen.blocks = None
