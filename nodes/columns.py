"""The columns that lists of nodes can have: on the page, in files, and in saved views.

A column is named `pool`, `label:rack`, or by a path of facts such as `network.interfaces.driver`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from django.utils.translation import gettext as _

from nodes.facts.many import MAX_PATHS, values_of
from nodes.facts.query import NotAQuestion, known_path
from nodes.models import IgnitionVersion, Node
from nodes.querysets import NodeQuerySet

#: A table or file that is wider serves nobody.
MAX_COLUMNS = 24
DEFAULT = ("address", "pool", "version", "reachability", "health", "update_state", "facts_at", "last_seen")
LABEL = "label:"
_AXES = ("reachability", "health", "update_state")


@dataclass(frozen=True)
class Column:
    """`fields` are what it reads of a node, `drawn` what only a cell of the page needs beside them, `joins` what these
    need, `sort` its name as an order of the page."""

    name: str
    fields: tuple[str, ...] = ()
    read: Callable[[Node], Any] = lambda _node: None
    drawn: tuple[str, ...] = ()
    joins: tuple[str, ...] = ()
    sort: str = ""
    is_fact: bool = False


def _plain(name: str, field: str = "", sort: str = "") -> Column:
    return Column(name, (field or name,), attrgetter(field or name), sort=sort)


def _pool_of(node: Node) -> str:
    return node.pool.name if node.pool else ""


def _cluster_of(node: Node) -> str:
    return node.pool.cluster.name if node.pool and node.pool.cluster else ""


def _credential_of(node: Node) -> str:
    credential = node.effective_credential
    return credential.name if credential else ""


def _jump_host_of(node: Node) -> str:
    jump_host = node.effective_jump_host
    return jump_host.name if jump_host else ""


def _staged_of(node: Node) -> str:
    return str((node.staged or {}).get("version") or "")


def _named(version: IgnitionVersion | None) -> str:
    return f"{version.config.name}/{version.number}" if version else ""


_ALL = (
    _plain("address"),
    _plain("port"),
    Column("pool", ("pool__name",), _pool_of, joins=("pool",), sort="pool"),
    Column("cluster", ("pool__name", "pool__cluster__name"), _cluster_of, joins=("pool__cluster",)),
    Column(
        "credential",
        ("pool__name", "credential__name", "pool__credential__name"),
        _credential_of,
        joins=("credential", "pool__credential"),
    ),
    Column(
        "jump_host",
        ("pool__name", "jump_host__name", "pool__jump_host__name"),
        _jump_host_of,
        joins=("jump_host", "pool__jump_host"),
    ),
    _plain("labels"),
    _plain("lifecycle"),
    _plain("maintenance_until"),
    Column("os", ("os_name", "os_family"), lambda node: node.os_name or node.os_family),
    _plain("stream", "os_stream"),
    Column(
        "version",
        ("booted_version",),
        attrgetter("booted_version"),
        drawn=("os_name", "os_family", "os_stream"),
        sort="version",
    ),
    Column("staged_version", ("staged",), _staged_of),
    _plain("kernel"),
    _plain("arch"),
    *(
        Column(
            axis,
            (axis,),
            attrgetter(axis),
            drawn=(f"{axis}_reason", f"{axis}_params", f"{axis}_since"),
            sort=axis,
        )
        for axis in _AXES
    ),
    *(_plain(f"{axis}_reason") for axis in _AXES),
    *(_plain(f"{axis}_since") for axis in _AXES),
    Column(
        "applied_ignition",
        ("applied_version__number", "applied_version__config__name"),
        lambda node: _named(node.applied_version),
        joins=("applied_version__config",),
    ),
    Column(
        "intended_ignition",
        ("pool__name", "pool__intended_version__number", "pool__intended_version__config__name"),
        lambda node: _named(node.pool.intended_version if node.pool else None),
        joins=("pool__intended_version__config",),
    ),
    _plain("ignition_state"),
    _plain("ignition_state_since"),
    _plain("booted_at"),
    _plain("facts_at"),
    _plain("last_seen", "last_seen_at", sort="last_seen"),
    _plain("failing_since"),
    _plain("machine_id"),
    _plain("generation"),
    _plain("created_at"),
    _plain("enrolled_at"),
)
PLAIN = {column.name: column for column in _ALL}


class NotAColumn(ValueError):
    """What is wrong with the name of a column, and how to mend it."""

    def __init__(self, name: str, message: str, mend: str) -> None:
        super().__init__(message)
        self.name, self.message, self.mend = name, message, mend


def column(name: str) -> Column:
    """The column of this name; raises NotAColumn."""
    if name in PLAIN:
        return PLAIN[name]
    if name.startswith(LABEL) and 1 <= len(name) - len(LABEL) <= 63 and name.isprintable():
        key = name.removeprefix(LABEL)
        return Column(name, ("labels",), lambda node: node.labels.get(key, ""))
    if "." not in name:
        mend = _("Use %(names)s, label:KEY, or a path of facts.") % {"names": ", ".join(PLAIN)}
        raise NotAColumn(name, _("%(name)r is not a column.") % {"name": name[:100]}, mend)
    try:
        return Column(known_path(name), is_fact=True)
    except NotAQuestion as error:
        raise NotAColumn(name, error.message, error.mend) from error


def columns(names: Iterable[str]) -> tuple[list[Column], list[NotAColumn]]:
    """The columns, each once, in this order; and the names that are none. `name` is always there, so it is passed over."""
    found: list[Column] = []
    wrong: list[NotAColumn] = []
    facts = 0
    for name in dict.fromkeys(names):
        if name == "name":
            continue
        try:
            one = column(name)
        except NotAColumn as error:
            wrong.append(error)
            continue
        facts += one.is_fact
        if len(found) == MAX_COLUMNS or facts > MAX_PATHS:
            mend = _("Choose at most %(limit)s, of which %(facts)s are facts.")
            given = {"limit": MAX_COLUMNS, "facts": MAX_PATHS}
            wrong.append(NotAColumn(name, _("These are too many columns."), mend % given))
            break
        found.append(one)
    return found, wrong


#: What every row of the page needs: the name and its tag, and whether it is being polled.
_ALWAYS = ("name", "lifecycle", "address", "port", "poll_requested_at")


def reading(found: NodeQuerySet, wanted: Sequence[Column], *, is_file: bool = False) -> NodeQuerySet:
    """The nodes with only what these columns read: facts and deployments of a page of nodes would be megabytes."""
    joins = dict.fromkeys(join for one in wanted for join in one.joins)
    fields = dict.fromkeys(["name", *(name for one in wanted for name in one.fields)])
    if not is_file:
        fields |= dict.fromkeys([*_ALWAYS, *(name for one in wanted for name in one.drawn)])
    # A relation that is only half deferred is an error; without the join its id is not read either.
    keys = {"pool", "credential", "jump_host"} & {join.partition("__")[0] for join in joins}
    narrowed = found.select_related(*joins) if joins else found.select_related(None)
    return narrowed.only(*fields, *keys)


Facts = Mapping[uuid.UUID, Mapping[str, list[Any]]]


def facts_of(nodes: Sequence[Node], wanted: Sequence[Column]) -> Facts:
    """The facts that these columns show of these nodes."""
    paths = [one.name for one in wanted if one.is_fact]
    return values_of([node.pk for node in nodes], paths) if paths else {}


def value_of(one: Column, node: Node, facts: Facts) -> Any:
    return facts[node.pk][one.name] if one.is_fact else one.read(node)
