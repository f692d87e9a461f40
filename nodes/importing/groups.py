"""Groups of an Ansible inventory, and what they say of each host.

Variables go by Ansible's own order: the group that lies deeper wins, then `ansible_group_priority`, then the later name;
a host's own variables win over all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nodes.importing.ranges import RANGE_MEND, WrongRange, hosts_of
from nodes.importing.rows import (
    MAX_GROUPS,
    MAX_ROWS,
    N_,
    SPLIT,
    TOO_MANY_HOSTS,
    Inventory,
    Note,
    Problem,
    Refused,
    Row,
)

#: Of two names for one thing Ansible takes the older one.
_ADDRESS, _PORT = ("ansible_ssh_host", "ansible_host"), ("ansible_ssh_port", "ansible_port")
_USER = ("ansible_ssh_user", "ansible_user")
_OVER_SSH = (
    "ssh",
    "smart",
    "paramiko",
    "paramiko_ssh",
    "ssh.paramiko",
    "ansible.builtin.ssh",
    "ansible.builtin.paramiko_ssh",
)
_LEFT_OUT = {"all", "ungrouped"}
SEVERAL_GROUPS = N_("%(count)s hosts are in several groups at once, for example %(name)s: see which pool each gets.")
ONE_IN_SEVERAL_GROUPS = N_("%(name)s is in several groups at once: see which pool it gets.")
USERS = N_("The inventory names users (%(users)s). Users come from credentials: choose one that fits.")


@dataclass
class Group:
    """What a group holds by name."""

    hosts: dict[str, None] = field(default_factory=dict)
    children: dict[str, None] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)


@dataclass
class Groups:
    """An inventory while it is read."""

    groups: dict[str, Group] = field(default_factory=dict)
    hosts: dict[str, dict[str, Any]] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    wrong: list[Row] = field(default_factory=list)

    def group(self, name: str) -> Group:
        if name not in self.groups and len(self.groups) >= MAX_GROUPS:
            raise Refused(N_("The inventory has more than %(limit)s groups."), SPLIT, limit=MAX_GROUPS)
        return self.groups.setdefault(name, Group())

    def host(self, name: str, group: str, variables: Mapping[str, Any], place: str) -> None:
        if name not in self.hosts and len(self.hosts) >= MAX_ROWS:
            raise Refused(TOO_MANY_HOSTS, SPLIT, limit=MAX_ROWS)
        self.hosts.setdefault(name, {}).update(variables)
        self.places.setdefault(name, place)
        if group:
            self.group(group).hosts[name] = None

    def pattern(self, pattern: object, group: str, variables: Mapping[str, Any], place: str) -> None:
        """The hosts that a pattern stands for; one that cannot be read is a row that says so."""
        if not isinstance(pattern, str):
            # YAML reads yes, null, 012 and 1.50 as something else than what was written.
            self.refuse(str(pattern), place, N_("YAML does not read this name as text: put it between quotes."))
            return
        try:
            names, port = hosts_of(pattern)
        except WrongRange:
            self.refuse(pattern, place, RANGE_MEND)
            return
        given = {"ansible_port": port, **variables} if port else variables
        for name in names:
            self.host(name, group, given, place)

    def refuse(self, name: str, place: str, mend: str) -> None:
        self.wrong.append(Row(place, name[:300], problems=[Problem("name", name[:100], mend)]))

    def inventory(self) -> Inventory:
        """The rows, in the order in which the hosts were first named."""
        tree = _Tree(self)
        inventory = Inventory()
        users: dict[str, None] = {}
        for name, own in self.hosts.items():
            direct = tree.direct(name)
            row = Row(self.places[name], name, address=name, groups=tree.named(direct))
            variables = {**tree.variables(direct), **own}
            _connect(row, variables)
            if user := next((variables[key] for key in _USER if variables.get(key)), None):
                users.setdefault(str(user)[:32])
            inventory.add(row)
        for row in self.wrong:
            inventory.add(row)
        named = {name: sum(group not in _LEFT_OUT for group in tree.direct(name)) for name in self.hosts}
        if several := [name for name, count in named.items() if count > 1]:
            message = SEVERAL_GROUPS if len(several) > 1 else ONE_IN_SEVERAL_GROUPS
            inventory.notes.append(Note(message, {"count": f"{len(several):,}", "name": several[0][:60]}))
        if users:
            inventory.notes.append(Note(USERS, {"users": ", ".join(list(users)[:5])}))
        return inventory


class _Tree:
    """Which groups a host is in, by name and above; the same groups are worked out once."""

    def __init__(self, found: Groups) -> None:
        found.group("all")
        self.groups = found.groups
        self._of: dict[str, list[str]] = {}
        self._up: dict[str, list[str]] = {}
        for name, group in found.groups.items():
            for host in group.hosts:
                self._of.setdefault(host, []).append(name)
            for child in group.children:
                self._up.setdefault(child, []).append(name)
        self._depths = _depths(found.groups)
        self._chains: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._merged: dict[tuple[str, ...], dict[str, Any]] = {}

    def direct(self, host: str) -> tuple[str, ...]:
        return tuple(self._of.get(host, ()))

    def named(self, direct: tuple[str, ...]) -> tuple[str, ...]:
        """The groups of a host, the nearest first, without those that every host is in."""
        if direct not in self._chains:
            chain = dict.fromkeys(direct)
            level = list(direct)
            while level:
                level = list(dict.fromkeys(up for name in level for up in self._up.get(name, ()) if up not in chain))
                chain.update(dict.fromkeys(level))
            self._chains[direct] = tuple(name for name in chain if name not in _LEFT_OUT)
        return self._chains[direct]

    def variables(self, direct: tuple[str, ...]) -> dict[str, Any]:
        """What the groups say together; the later one in Ansible's order wins."""
        if direct not in self._merged:
            names = {"all", *self.named(direct), *(_LEFT_OUT & set(direct))}
            merged: dict[str, Any] = {}
            for name in sorted(names, key=lambda name: (self._depths[name], self._priority(name), name)):
                merged.update(self.groups[name].variables if name in self.groups else {})
            self._merged[direct] = merged
        return self._merged[direct]

    def _priority(self, name: str) -> int:
        given = self.groups[name].variables.get("ansible_group_priority", 1) if name in self.groups else 1
        text = str(given).strip()
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 1


def _depths(groups: Mapping[str, Group]) -> dict[str, int]:
    """The longest way down from `all` to each group, each looked at once; a ring of groups is entered anywhere."""
    above = Counter(child for group in groups.values() for child in group.children)
    depths = dict.fromkeys(groups, 1) | {"all": 0}
    left = dict.fromkeys(groups)
    ready = [*(name for name in groups if not above[name]), "all"]
    while left:
        name = ready.pop() if ready else next(iter(left))
        if name not in left:
            continue
        del left[name]
        for child in groups[name].children:
            above[child] -= 1
            if child in left:
                depths[child] = max(depths[child], depths[name] + 1)
                if not above[child]:
                    ready.append(child)
    return depths


def _connect(row: Row, variables: Mapping[str, Any]) -> None:
    if (address := _used(row, variables, "address", _ADDRESS)) is not None:
        row.address = address
    if (port := _used(row, variables, "port", _PORT)) is not None:
        row.set_port(port)
    connection = str(variables.get("ansible_connection") or "ssh")
    if connection not in _OVER_SSH:
        mend = N_("FleetUI reaches nodes over SSH: leave this host out.")
        row.problems.append(Problem("ansible_connection", connection[:60], mend))


def _used(row: Row, variables: Mapping[str, Any], name: str, keys: tuple[str, ...]) -> str | None:
    value = next((variables[key] for key in keys if variables.get(key) not in (None, "")), None)
    if value is None:
        return None
    text = str(value)
    if text == "{{ !vault }}" or "__ansible_vault" in text:
        mend = N_("It is encrypted with Ansible Vault, which is not opened: write it in plain text.")
        row.problems.append(Problem(name, "!vault", mend))
        return None
    if "{{" in text or "{%" in text:
        mend = N_("It is a template, which is not evaluated: import the output of ansible-inventory --list.")
        row.problems.append(Problem(name, text[:100], mend))
        return None
    return text
