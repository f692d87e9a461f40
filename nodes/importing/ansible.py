"""Ansible inventories as INI, and as the JSON of `ansible-inventory --list`.

Hosts, their groups and the connection variables are read; nothing is evaluated, so a value with `{{ }}` is a problem of
its row. Source: the inventory guide of the Ansible documentation; compared with ansible-core 2.19.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from nodes.importing.groups import Groups
from nodes.importing.rows import CLOSE_IT, N_, OPEN_QUOTE, USE_LIST, Inventory, Refused
from nodes.importing.yaml_inventory import mapping, read_groups

_SECTION = re.compile(r"\[([^\]:]+)(?::(children|vars|hosts))?\]\s*(?:[#;].*)?$")
#: A value of a [group:vars] section that is quoted, or a number, may have a comment behind it; other text has none.
_QUOTED = re.compile(r"""(?P<quote>["'])(?P<text>(?:(?!(?P=quote))[^\\])*)(?P=quote)\s*(?:#.*)?""")
_NUMBER = re.compile(r"(?P<number>\d{1,9})\s*(?:#.*)?")


def read_ini(text: str) -> Inventory:
    found = Groups()
    section, kind = "ungrouped", "hosts"
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        heading = _SECTION.match(line)
        if heading is not None:
            section, kind = heading[1].strip(), heading[2] or "hosts"
            found.group(section)
        elif line.startswith("[") and ("]" not in line or line.endswith("]")):
            raise Refused(
                N_("Line %(line)s is not a section: %(text)s"),
                N_("Write [group] or [group:vars]."),
                line=number,
                text=line,
            )
        elif kind == "vars":
            key, _, value = line.partition("=")
            found.group(section).variables[key.strip()] = _value(value.strip())
        elif kind == "children":
            child = line.split()[0]
            found.group(child)
            found.group(section).children[child] = None
        else:
            _ini_host(found, section, line, number)
    return found.inventory()


def _value(text: str) -> str:
    if quoted := _QUOTED.fullmatch(text):
        return quoted["text"]
    numeric = _NUMBER.fullmatch(text)
    return numeric["number"] if numeric else text


def _ini_host(found: Groups, section: str, line: str, number: int) -> None:
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        raise Refused(OPEN_QUOTE, CLOSE_IT, line=number) from None
    if not words:
        return
    pairs = [word.partition("=") for word in words[1:]]
    if wrong := next((word for word, (_, equals, _) in zip(words[1:], pairs, strict=True) if not equals), None):
        raise Refused(
            N_("Line %(line)s: %(text)s is not key=value."),
            N_(
                "In an Ansible inventory a line holds one host, and key=value after it."
                " Choose the format if the document is something else."
            ),
            line=number,
            text=wrong,
        )
    variables: dict[str, Any] = {key: _value(value) for key, _, value in pairs}
    found.pattern(words[0], section, variables, f"line {number}")


def read_list(text: str) -> Inventory:
    """The JSON of `ansible-inventory --list`: groups with hosts and children, variables in `_meta.hostvars`.

    JSON in the form of a YAML inventory, which Ansible reads too, is told by the missing `_meta`.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise Refused(N_("The document is not JSON."), USE_LIST) from None
    meta = document.get("_meta") if isinstance(document, Mapping) else None
    if not isinstance(meta, Mapping):
        if isinstance(document, Mapping) and any(_is_group(group) for group in document.values()):
            return read_groups(document)
        raise Refused(N_("The document is JSON, but no inventory of Ansible: it has no _meta."), USE_LIST)
    found = Groups()
    for name, group in document.items():
        if name == "_meta":
            continue
        row = found.group(str(name))
        members = group if isinstance(group, list) else _list(group, "hosts")
        for host in members:
            found.host(str(host), str(name), {}, f"group {name}")
        if isinstance(group, Mapping):
            row.children.update(dict.fromkeys(str(child) for child in _list(group, "children")))
            row.variables.update(mapping(group.get("vars"), str(name), "vars"))
    for host, variables in mapping(meta.get("hostvars"), "_meta", "hostvars").items():
        found.host(str(host), "", mapping(variables, "_meta", str(host)), "hostvars")
    return found.inventory()


def _is_group(value: Any) -> bool:
    return isinstance(value, Mapping) and any(isinstance(value.get(part), Mapping) for part in ("hosts", "children"))


def _list(group: Any, part: str) -> list[Any]:
    value = group.get(part) if isinstance(group, Mapping) else None
    return value if isinstance(value, list) else []
