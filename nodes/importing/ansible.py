"""Ansible inventories: INI, YAML, and the JSON of `ansible-inventory --list`.

Hosts, their groups and the connection variables are read; nothing is evaluated, so a value with `{{ }}` is a problem of
its row. Source: the inventory guide of the Ansible documentation.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from nodes.importing.rows import (
    CLOSE_IT,
    MAX_GROUPS,
    MAX_ROWS,
    N_,
    OPEN_QUOTE,
    SPLIT,
    TOO_MANY_HOSTS,
    Inventory,
    Problem,
    Refused,
    Row,
)

_SECTION = re.compile(r"\[([^\]:]+)(?::(children|vars))?\]\s*(?:[#;].*)?$")
_RANGE = re.compile(r"\[(?:(\d{1,9}):(\d{1,9})|([a-zA-Z]):([a-zA-Z]))(?::(\d{1,4}))?\]")
_ADDRESS, _PORT = ("ansible_host", "ansible_ssh_host"), ("ansible_port", "ansible_ssh_port")
_LEFT_OUT = {"all", "ungrouped"}
MAX_DEPTH = 40
USE_LIST = N_("Give the output of ansible-inventory --list.")
TOO_WIDE = N_("%(text)s stands for more than %(limit)s hosts.")
MAX_YAML_BYTES = 8 * 1024 * 1024


@dataclass
class _Group:
    hosts: dict[str, None] = field(default_factory=dict)
    children: dict[str, None] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)


@dataclass
class _Inventory:
    groups: dict[str, _Group] = field(default_factory=dict)
    hosts: dict[str, dict[str, Any]] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)

    def group(self, name: str) -> _Group:
        if name not in self.groups and len(self.groups) >= MAX_GROUPS:
            raise Refused(N_("The inventory has more than %(limit)s groups."), SPLIT, limit=MAX_GROUPS)
        return self.groups.setdefault(name, _Group())

    def host(self, name: str, variables: Mapping[str, Any], place: str) -> None:
        if name not in self.hosts and len(self.hosts) >= MAX_ROWS:
            raise Refused(TOO_MANY_HOSTS, SPLIT, limit=MAX_ROWS)
        self.hosts.setdefault(name, {}).update(variables)
        self.places.setdefault(name, place)


def read_ini(text: str) -> Inventory:
    found = _Inventory()
    section, kind = "ungrouped", ""
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        if line.startswith("["):
            heading = _SECTION.match(line)
            if heading is None:
                raise Refused(
                    N_("Line %(line)s is not a section: %(text)s"),
                    N_("Write [group] or [group:vars]."),
                    line=number,
                    text=line,
                )
            section, kind = heading[1].strip(), heading[2] or ""
            found.group(section)
        elif kind == "vars":
            key, _, value = line.partition("=")
            found.group(section).variables[key.strip()] = _bare(value)
        elif kind == "children":
            child = line.split()[0]
            found.group(child)
            found.group(section).children[child] = None
        else:
            _ini_host(found, section, line, number)
    return _rows(found)


def _bare(value: str) -> str:
    return value.strip().strip("\"'")


def _ini_host(found: _Inventory, section: str, line: str, number: int) -> None:
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        raise Refused(OPEN_QUOTE, CLOSE_IT, line=number) from None
    pairs = [word.partition("=") for word in words[1:]]
    if wrong := next((key for key, equals, _ in pairs if not equals), None):
        raise Refused(
            N_("Line %(line)s: %(text)s is not key=value."),
            N_("Put one host on a line, and key=value after it."),
            line=number,
            text=wrong,
        )
    variables: dict[str, Any] = {key: value for key, _, value in pairs}
    for name in expand(words[0]):
        host, port = _with_port(name)
        given = {"ansible_port": port, **variables} if port else variables
        found.host(host, given, f"line {number}")
        found.group(section).hosts[host] = None


def _with_port(name: str) -> tuple[str, str]:
    """`host:2222`; an IPv6 address keeps its colons."""
    host, colon, port = name.rpartition(":")
    return (host, port) if colon and port.isdigit() and ":" not in host else (name, "")


def expand(pattern: str) -> list[str]:
    """`web[01:03]` is web01, web02, web03; `[a:c]` counts letters; a third number is the step."""
    names = [""]
    position = 0
    for part in _RANGE.finditer(pattern):
        middle = list(_range(part))
        before = pattern[position : part.start()]
        if len(names) * len(middle) > MAX_ROWS:
            raise Refused(TOO_WIDE, N_("Use a smaller range."), text=pattern, limit=MAX_ROWS)
        names = [name + before + word for name in names for word in middle]
        position = part.end()
    return [name + pattern[position:] for name in names]


def _range(part: re.Match[str]) -> Iterator[str]:
    pattern = part[0]
    step = int(part[5] or 1) or 1
    if part[1] is not None:
        width, first, last = len(part[1]), int(part[1]), int(part[2])
        if last - first > MAX_ROWS * step:
            raise Refused(TOO_WIDE, N_("Use a smaller range."), text=pattern, limit=MAX_ROWS)
        return (str(number).zfill(width if part[1].startswith("0") else 0) for number in range(first, last + 1, step))
    return (chr(code) for code in range(ord(part[3]), ord(part[4]) + 1, step))


class _Loader(yaml.SafeLoader):
    """No aliases: a few lines of them unfold to gigabytes. Ansible's own tags are kept as text that is not evaluated."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise Refused(N_("The document uses a YAML alias."), N_("Write the values out: aliases are not read."))
        return super().compose_node(parent, index)


def _tagged(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> str:
    del loader, node
    return "{{ !" + tag + " }}"


_Loader.add_multi_constructor("!", _tagged)


def read_yaml(text: str) -> Inventory:
    if len(text) > MAX_YAML_BYTES:
        raise Refused(N_("The YAML document is larger than 8 MB."), USE_LIST)
    try:
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader without aliases
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = mark.line + 1 if mark else "?"
        raise Refused(
            N_("Line %(line)s is not YAML: %(error)s."),
            N_("Mend that line."),
            line=where,
            error=getattr(error, "problem", error),
        ) from None
    except (RecursionError, ValueError) as error:
        if isinstance(error, Refused):
            raise
        raise Refused(N_("The YAML document cannot be read."), USE_LIST) from None
    if not isinstance(document, Mapping):
        raise Refused(
            N_("The document is not an inventory."), N_("Its first lines name groups: all, then hosts or children.")
        )
    found = _Inventory()
    for name, group in document.items():
        _yaml_group(found, str(name), group, 0)
    return _rows(found)


def _yaml_group(found: _Inventory, name: str, value: Any, depth: int) -> None:
    group = found.group(name)
    if value is None:
        return
    if depth > MAX_DEPTH or not isinstance(value, Mapping):
        raise Refused(
            N_("The group %(group)s cannot be read."), N_("A group has hosts, children and vars."), group=name
        )
    group.variables.update(_mapping(value.get("vars"), name, "vars"))
    for host, variables in _mapping(value.get("hosts"), name, "hosts").items():
        for one in expand(str(host)):
            short, port = _with_port(one)
            given = _mapping(variables, name, str(host))
            found.host(short, {"ansible_port": port, **given} if port else given, f"group {name}")
            group.hosts[short] = None
    for child, below in _mapping(value.get("children"), name, "children").items():
        group.children[str(child)] = None
        _yaml_group(found, str(child), below, depth + 1)


def _mapping(value: Any, group: str, part: str) -> Mapping[Any, Any]:
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return value
    if isinstance(value, str) and part == "hosts":
        return {value: None}
    raise Refused(
        N_("%(part)s of the group %(group)s is not a mapping."),
        N_("Write each name with a colon."),
        part=part,
        group=group,
    )


def read_list(text: str) -> Inventory:
    """The JSON of `ansible-inventory --list`: groups with hosts and children, variables in `_meta.hostvars`."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise Refused(N_("The document is not JSON."), USE_LIST) from None
    meta = document.get("_meta") if isinstance(document, Mapping) else None
    if not isinstance(meta, Mapping):
        raise Refused(N_("The document has no _meta."), USE_LIST)
    found = _Inventory()
    for name, group in document.items():
        if name == "_meta":
            continue
        row = found.group(str(name))
        members = group if isinstance(group, list) else _list(group, "hosts")
        for host in members:
            found.host(str(host), {}, f"group {name}")
            row.hosts[str(host)] = None
        if isinstance(group, Mapping):
            row.children.update(dict.fromkeys(str(child) for child in _list(group, "children")))
            row.variables.update(_mapping(group.get("vars"), str(name), "vars"))
    for host, variables in _mapping(meta.get("hostvars"), "_meta", "hostvars").items():
        found.host(str(host), _mapping(variables, "_meta", str(host)), "hostvars")
    return _rows(found)


def _list(group: Any, part: str) -> list[Any]:
    value = group.get(part) if isinstance(group, Mapping) else None
    return value if isinstance(value, list) else []


def _rows(found: _Inventory) -> Inventory:
    parents = _parents(found)
    inventory = Inventory()
    for name, own in found.hosts.items():
        direct = (
            [group for group, row in found.groups.items() if name in row.hosts]
            if name not in parents.of
            else parents.of[name]
        )
        chain = parents.above(direct)
        variables: dict[str, Any] = {}
        for group in reversed(chain):
            variables.update(found.groups[group].variables)
        variables.update(own)
        groups = tuple(group for group in chain if group not in _LEFT_OUT)
        inventory.add(_row(name, found.places[name], variables, groups))
    return inventory


@dataclass
class _Parents:
    """Which groups a host is in by name, and what groups stand above a group: the nearest first."""

    of: dict[str, list[str]]
    up: dict[str, list[str]]
    known: dict[tuple[str, ...], list[str]] = field(default_factory=dict)

    def above(self, direct: list[str]) -> list[str]:
        key = tuple(direct)
        if key not in self.known:
            chain = dict.fromkeys(direct)
            level = list(direct)
            while level:
                level = [parent for group in level for parent in self.up.get(group, ()) if parent not in chain]
                chain.update(dict.fromkeys(level))
            named = [group for group in chain if group not in _LEFT_OUT]
            self.known[key] = [*named, *(group for group in ("ungrouped", "all") if group in chain or group == "all")]
        return self.known[key]


def _parents(found: _Inventory) -> _Parents:
    found.group("all")
    of: dict[str, list[str]] = {}
    up: dict[str, list[str]] = {}
    for name, group in found.groups.items():
        for host in group.hosts:
            of.setdefault(host, []).append(name)
        for child in group.children:
            up.setdefault(child, []).append(name)
    for host in found.hosts:
        of.setdefault(host, [])
    return _Parents(of, up)


def _row(name: str, place: str, variables: Mapping[str, Any], groups: tuple[str, ...]) -> Row:
    row = Row(place, name, address=name, groups=groups)
    if (address := _used(row, variables, "address", _ADDRESS)) is not None:
        row.address = address
    if (port := _used(row, variables, "port", _PORT)) is not None:
        row.set_port(port)
    if str(variables.get("ansible_connection", "ssh")) not in (
        "ssh",
        "smart",
        "paramiko",
        "paramiko_ssh",
        "ssh.paramiko",
    ):
        mend = N_("FleetUI reaches nodes over SSH: leave this host out.")
        row.problems.append(Problem("ansible_connection", str(variables["ansible_connection"])[:60], mend))
    return row


def _used(row: Row, variables: Mapping[str, Any], name: str, keys: tuple[str, ...]) -> str | None:
    value = next((variables[key] for key in keys if variables.get(key) not in (None, "")), None)
    if value is None:
        return None
    if "{{" in str(value) or "{%" in str(value):
        mend = N_("It is a template, which is not evaluated: import the output of ansible-inventory --list.")
        row.problems.append(Problem(name, str(value)[:100], mend))
        return None
    return str(value)
