"""Ansible inventories as YAML: groups with hosts, children and vars. Aliases and merges are followed up to a size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from nodes.importing.groups import Groups
from nodes.importing.rows import N_, USE_LIST, Inventory, Refused

MAX_YAML_BYTES = 9 * 1024 * 1024
MAX_DEPTH = 40
#: A few lines of aliases can unfold to gigabytes: more values than these are refused before any is made.
MAX_VALUES = 2_000_000
MAX_NESTING = 200
_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
NOT_AN_INVENTORY = N_("The document is YAML, but no inventory of Ansible.")
_FIRST_LINES = N_("Its first lines name groups: all, then hosts or children.")


class _Loader(_Parser):  # type: ignore[misc]
    """Ansible's own tags are kept as text that is not evaluated."""


def _tagged(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> str:
    del loader, node
    return "{{ !" + tag + " }}"


_Loader.add_multi_constructor("!", _tagged)


def read_yaml(text: str) -> Inventory:
    if len(text) > MAX_YAML_BYTES:
        raise Refused(N_("The YAML document is larger than %(limit)s MB."), USE_LIST, limit=MAX_YAML_BYTES // 1024**2)
    try:
        _measure(text)
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader, and its size is known
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise Refused(
            N_("Line %(line)s is not YAML: %(error)s."),
            N_("Mend that line."),
            line=mark.line + 1 if mark else "?",
            error=getattr(error, "problem", error),
        ) from None
    except (RecursionError, ValueError) as error:
        if isinstance(error, Refused):
            raise
        raise Refused(N_("The YAML document cannot be read."), USE_LIST) from None
    if not isinstance(document, Mapping):
        raise Refused(NOT_AN_INVENTORY, _FIRST_LINES)
    if "plugin" in document and not isinstance(document["plugin"], Mapping):
        raise Refused(N_("The document configures an inventory plugin of Ansible; it names no hosts."), USE_LIST)
    return read_groups(document)


def _measure(text: str) -> None:
    """Refuse what is nested too deeply or unfolds too far, from the events of the parser alone."""
    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = []
    total = 0
    for event in yaml.parse(text, Loader=_Parser):
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise Refused(
                    N_("The alias *%(name)s stands for nothing, or for itself."),
                    N_("Write the values out."),
                    name=event.anchor,
                )
            total += sizes[event.anchor]
        elif isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, total))
            sizes.pop(str(event.anchor), None)
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            total += 1
            if anchor:
                sizes[anchor] = total - before
        elif isinstance(event, yaml.ScalarEvent):
            total += 1
            if event.anchor:
                sizes[event.anchor] = 1
        if total > MAX_VALUES:
            raise Refused(
                N_("The document holds more than %(limit)s values with its aliases."), USE_LIST, limit=MAX_VALUES
            )
        if len(open_nodes) > MAX_NESTING:
            raise Refused(N_("The YAML document is nested too deeply."), USE_LIST)


def read_groups(document: Mapping[Any, Any]) -> Inventory:
    """The groups of a document, which YAML or JSON wrote."""
    if not any(group is None or isinstance(group, Mapping) for group in document.values()):
        raise Refused(NOT_AN_INVENTORY, _FIRST_LINES)
    found = Groups()
    for name, group in document.items():
        _group(found, _name(name), group, 0)
    return found.inventory()


def _group(found: Groups, name: str, value: Any, depth: int) -> None:
    group = found.group(name)
    if value is None:
        return
    if depth > MAX_DEPTH or not isinstance(value, Mapping):
        raise Refused(
            N_("The group %(group)s cannot be read."), N_("A group has hosts, children and vars."), group=name
        )
    group.variables.update(mapping(value.get("vars"), name, "vars"))
    for pattern, variables in mapping(value.get("hosts"), name, "hosts").items():
        found.pattern(pattern, name, mapping(variables, name, str(pattern)), f"group {name}")
    for child, below in mapping(value.get("children"), name, "children").items():
        group.children[_name(child)] = None
        _group(found, _name(child), below, depth + 1)


def _name(name: Any) -> str:
    if isinstance(name, str):
        return name
    raise Refused(
        N_("YAML does not read the name of the group %(group)s as text."), N_("Put it between quotes."), group=name
    )


def mapping(value: Any, group: str, part: str) -> Mapping[Any, Any]:
    """A mapping, or nothing; one name alone stands for itself."""
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return value
    if isinstance(value, str) and part in ("hosts", "children"):
        return {value: None}
    raise Refused(
        N_("%(part)s of the group %(group)s is not a mapping."),
        N_("Write each name with a colon."),
        part=part,
        group=group,
    )
