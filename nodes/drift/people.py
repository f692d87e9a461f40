"""Users, groups and authorized keys of a machine against those of its config."""

from __future__ import annotations

from collections.abc import Iterator

from nodes.drift.expected import Expected
from nodes.drift.model import Difference, Seen, Sort, Unlooked, What
from nodes.ignition.sections.model import Group, User
from nodes.ignition.sshkeys import SshKey, read_key

_SECTION = "users"
MOST_KEYS = 500


def differences(wanted: Expected, seen: Seen, unlooked: list[Unlooked]) -> Iterator[Difference]:
    for group in wanted.groups:
        yield from _group(group, seen)
    for user in wanted.users:
        yield from _user(user, seen, unlooked)


def _of(subject: str, what: What, expected: object = "", found: object = "", sort: Sort = Sort.IN_PLACE) -> Difference:
    reason = "platform_keys" if sort is Sort.OS else ""
    return Difference(_SECTION, subject, what, sort, str(expected), str(found), reason)


def _group(group: Group, seen: Seen) -> Iterator[Difference]:
    there = seen.groups.get(group.name)
    if group.is_removed:
        if there is not None:
            yield _of(group.name, What.PRESENT)
    elif there is None:
        yield _of(group.name, What.MISSING)
    elif group.gid is not None and there.gid != group.gid:
        yield _of(group.name, What.NUMBER, group.gid, there.gid)


def _user(user: User, seen: Seen, unlooked: list[Unlooked]) -> Iterator[Difference]:
    account = seen.accounts.get(user.name)
    if user.is_removed:
        if account is not None:
            yield _of(user.name, What.PRESENT)
        return
    if account is None:
        yield _of(user.name, What.MISSING)
        return
    if user.uid is not None and account.uid != user.uid:
        yield _of(user.name, What.NUMBER, user.uid, account.uid)
    if user.home and account.home.rstrip("/") != user.home.rstrip("/"):
        yield _of(user.name, What.HOME, user.home, account.home)
    if user.shell and account.shell != user.shell:
        yield _of(user.name, What.SHELL, user.shell, account.shell)
    for name in user.groups:
        if name not in seen.groups or user.name not in seen.groups[name].members:
            yield _of(user.name, What.MEMBERSHIP, name)
    yield from _keys(user, seen.keys.get(account.home, {}), seen.platform_keys, unlooked)


def _keys(
    user: User, files: dict[str, list[str]], platform: frozenset[str], unlooked: list[Unlooked]
) -> Iterator[Difference]:
    wanted = {one.key.fingerprint: one.key for one in user.keys if one.key.fingerprint}
    unlooked += [Unlooked(_SECTION, user.name, "unreadable_key") for one in user.keys if not one.key.fingerprint]
    there: dict[str, list[SshKey]] = {}
    of_platform: set[str] = set()
    for name, lines in files.items():
        for line in lines[:MOST_KEYS]:
            key = read_key(line)
            if key is None or not key.fingerprint:
                continue
            if name in platform:
                of_platform.add(key.fingerprint)
            there.setdefault(key.fingerprint, []).append(key)
    for fingerprint, key in wanted.items():
        seen = there.get(fingerprint)
        if seen is None:
            yield _of(user.name, What.KEY_MISSING, shown(key))
        elif other := next((one for one in seen if one.options != key.options), None):
            yield _of(user.name, What.KEY_OPTIONS, _options(key), _options(other))
    for fingerprint, seen in there.items():
        if fingerprint not in wanted:
            sort = Sort.OS if fingerprint in of_platform else Sort.IN_PLACE
            yield _of(user.name, What.KEY_ADDED, "", shown(seen[0]), sort)


def shown(key: SshKey) -> str:
    """Type, fingerprint and comment of a key, as a line."""
    comment = "".join(character if character.isprintable() else " " for character in key.comment)[:100]
    return f"{key.type} {key.fingerprint} {comment}".strip()


def _options(key: SshKey) -> str:
    return f"{key.fingerprint} {key.options[:100]}".strip()
