"""The filters of nodes."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet, TextField
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast

from fleetui.core import clock
from fleetui.core.filters import AgeFilter, FilterSet, FlagFilter, InstantFilter, ListFilter, TextFilter
from nodes.axes.values import Health, Lifecycle, Reachability, UpdateState
from nodes.facts import narrow
from nodes.facts.fields import AddressFilter, FactFilter, KernelFilter, MacFilter, NumberFilter
from nodes.facts.query import parse
from nodes.filters.common import values
from nodes.models import HostKey, IgnitionVersion, Node
from nodes.models.node import IgnitionState
from nodes.services.support import unsupported

_LABEL = re.compile(r"([^:=]*)([:=]?)(.*)", re.DOTALL)


def _reason(rows: QuerySet[Any], codes: list[str]) -> QuerySet[Any]:
    return rows.filter(Q(reachability_reason__in=codes) | Q(health_reason__in=codes) | Q(update_state_reason__in=codes))


def _versions(rows: QuerySet[Any], versions: list[str]) -> QuerySet[Any]:
    """`unknown` stands for the version that nobody has read yet."""
    return rows.filter(booted_version__in=["" if version == "unknown" else version for version in versions])


def _labels(rows: Any, labels: list[str]) -> Any:
    """All of the labels: key:value, or key=value as forms and files write it; `key` alone asks for any value.

    No key holds a colon or an equals sign, so the first of them ends it. Keys never become lookup names.
    """
    for number, label in enumerate(labels):
        key, sign, value = _LABEL.match(label).groups()  # type: ignore[union-attr]
        name = f"_label_{number}"
        rows = rows.alias(**{name: Cast(KeyTextTransform(key, "labels"), TextField())})
        rows = rows.filter(**({name: value} if sign else {f"{name}__isnull": False}))
        rows = rows.labelled(f"{key}:{value}")
    return rows


def _attention(rows: Any, wanted: bool) -> Any:  # noqa: FBT001  (a filter's value)
    needing = rows.needing_attention()
    return needing if wanted else rows.exclude(pk__in=needing.order_by().values("pk"))


def _unread(rows: QuerySet[Any], wanted: bool) -> QuerySet[Any]:  # noqa: FBT001
    return rows.filter(unread_sections__gt=0) if wanted else rows.filter(unread_sections=0)


def _unsupported(rows: QuerySet[Any], wanted: bool) -> QuerySet[Any]:  # noqa: FBT001
    return unsupported(rows, clock.now(), wanted=wanted)


def _in_pool(rows: QuerySet[Any], wanted: bool) -> QuerySet[Any]:  # noqa: FBT001
    return rows.filter(pool__isnull=not wanted)


def _key_waits(rows: QuerySet[Any], wanted: bool) -> QuerySet[Any]:  # noqa: FBT001
    offered = Exists(HostKey.objects.filter(node=OuterRef("pk"), state="offered"))
    return rows.filter(offered if wanted else ~offered)


def _facts_older(rows: QuerySet[Any], age: timedelta) -> QuerySet[Any]:
    return rows.filter(Q(facts_at=None) | Q(facts_at__lt=clock.now() - age))


def _unseen_for(rows: QuerySet[Any], age: timedelta) -> QuerySet[Any]:
    return rows.filter(Q(last_seen_at=None) | Q(last_seen_at__lt=clock.now() - age))


def _booted_before(rows: QuerySet[Any], moment: datetime) -> QuerySet[Any]:
    return rows.filter(booted_at__lt=moment)


def _booted_after(rows: QuerySet[Any], moment: datetime) -> QuerySet[Any]:
    return rows.filter(booted_at__gte=moment)


def _credential(rows: QuerySet[Any], names: list[str]) -> QuerySet[Any]:
    """The credential that is used: the node's own, else its pool's."""
    return rows.filter(Q(credential__name__in=names) | Q(credential=None, pool__credential__name__in=names))


def _jump_host(rows: QuerySet[Any], names: list[str]) -> QuerySet[Any]:
    """The jump host on the way: the node's own, else its pool's."""
    return rows.filter(Q(jump_host__name__in=names) | Q(jump_host=None, pool__jump_host__name__in=names))


def _search(rows: Any, text: str) -> Any:
    return rows.search(text)


def _term(path: str) -> Callable[[QuerySet[Any], list[str]], QuerySet[Any]]:
    return lambda rows, values: narrow.term(rows, path, values)


def _at_least(path: str) -> Callable[[QuerySet[Any], int], QuerySet[Any]]:
    return lambda rows, number: narrow.at_least(rows, path, number)


def _kernel_older(rows: QuerySet[Any], release: str) -> QuerySet[Any]:
    return narrow.by_kernel(rows, "lt", release)


def _kernel_newer(rows: QuerySet[Any], release: str) -> QuerySet[Any]:
    return narrow.by_kernel(rows, "gt", release)


def _facts(rows: QuerySet[Any], questions: list[str]) -> QuerySet[Any]:
    for question in questions:
        rows = narrow.asked(rows, parse(question))
    return rows


def _by_version(column: str) -> Callable[[QuerySet[Any], list[str]], QuerySet[Any]]:
    """By the name of a config, or of one version as name/number; `none` for nodes without one."""

    def narrowed(rows: QuerySet[Any], values: list[str]) -> QuerySet[Any]:
        # The ids of versions first: with a join the database would walk through every node.
        wanted, found = Q(), Q()
        for value in values:
            name, slash, number = value.partition("/")
            if value == "none":
                wanted |= Q(**{f"{column}__isnull": True})
            elif not slash:
                found |= Q(config__name=name)
            elif number.isdecimal() and len(number) < 9:
                found |= Q(config__name=name, number=int(number))
        if found:
            wanted |= Q(**{f"{column}__in": list(IgnitionVersion.objects.filter(found).values_list("pk", flat=True))})
        return rows.filter(wanted) if wanted else rows.none()

    return narrowed


class NodeFilter(FilterSet):
    """Filters of nodes. Several values of one filter are joined with "or", filters with "and"."""

    q = TextFilter(
        _search, help_text="Words that name, address, pool, labels or OS hold; of a checksum 7 characters or more."
    )
    pool = ListFilter("pool__name", help_text="Names of pools.")
    has_pool = FlagFilter(_in_pool, help_text="Whether the node is in a pool.")
    cluster = ListFilter("pool__cluster__name", help_text="Names of clusters.")
    os = ListFilter("os_family", help_text="OS families, such as fcos.")
    version = ListFilter(narrow=_versions, help_text="Versions that are booted.")
    stream = ListFilter("os_stream", help_text="Update streams.")
    arch = ListFilter("arch", help_text="Architectures.")
    reachability = ListFilter("reachability", allowed=values(Reachability), help_text="Whether FleetUI can talk to it.")
    health = ListFilter("health", allowed=values(Health), help_text="Whether it works as it should.")
    update_state = ListFilter(
        "update_state", allowed=values(UpdateState), help_text="Where it stands between its OS and the newest."
    )
    reason = ListFilter(narrow=_reason, help_text="Reason codes of any of the three.")
    lifecycle = ListFilter("lifecycle", allowed=values(Lifecycle), help_text="What people decided about it.")
    label = ListFilter(
        narrow=_labels,
        commas=False,
        help_text="A label as key:value, or a key alone; repeat it for more, all must match.",
    )
    credential = ListFilter(narrow=_credential, help_text="Names of credentials in use.")
    jump_host = ListFilter(narrow=_jump_host, help_text="Names of jump hosts that nodes are reached through.")
    ignition = ListFilter(
        narrow=_by_version("applied_version"),
        help_text="Ignition configs or versions they were provisioned with, such as edge or edge/3; none: not known.",
    )
    intended_ignition = ListFilter(
        narrow=_by_version("pool__intended_version"),
        help_text="Ignition configs or versions that their pool intends, such as edge or edge/3; none: nothing chosen.",
    )
    ignition_state = ListFilter(
        "ignition_state",
        allowed=values(IgnitionState),
        help_text="Where they stand between what they were born with, what their pool intends, and what is on them.",
    )
    needs_attention = FlagFilter(_attention, help_text="Whether it needs attention.")
    host_key_waits = FlagFilter(_key_waits, help_text="Whether it offers a host key that waits to be accepted.")
    has_unread = FlagFilter(_unread, help_text="Whether part of what it printed could not be read.")
    unsupported = FlagFilter(_unsupported, help_text="Whether it runs what is no longer supported.")
    facts_older_than = AgeFilter(_facts_older, help_text="Facts older than this, such as 12h.")
    unseen_for = AgeFilter(_unseen_for, help_text="No contact for this long, such as 1h.")
    booted_before = InstantFilter(_booted_before, help_text="Booted before this moment.")
    booted_after = InstantFilter(_booted_after, help_text="Booted at or after this moment.")

    nic_driver = ListFilter(narrow=_term("network.interfaces.driver"), help_text="Drivers of network interfaces.")
    mac = MacFilter(narrow=_term("network.interfaces.mac"), help_text="MAC addresses of network interfaces.")
    ip = AddressFilter(
        narrow=_term("network.interfaces.addresses.address"), help_text="IP addresses of its interfaces."
    )
    model = ListFilter(narrow=_term("hardware.model"), commas=False, help_text="A hardware model; repeat it for more.")
    package = ListFilter(narrow=_term("deployments.layered"), help_text="Packages that are layered.")
    kernel_argument = ListFilter(
        narrow=_term("boot.arguments"), commas=False, help_text="A kernel argument as booted; repeat it for more."
    )
    failed_unit = ListFilter(narrow=_term("health.failed_units.name"), help_text="Names of units that failed.")
    cpus_min = NumberFilter(_at_least("hardware.cpus"), help_text="At least so many CPUs.")
    memory_min = NumberFilter(
        _at_least("hardware.memory_total_bytes"), help_text="At least so much memory, such as 64GiB."
    )
    kernel_older = KernelFilter(_kernel_older, help_text="A kernel older than this release, such as 6.11.")
    kernel_newer = KernelFilter(_kernel_newer, help_text="A kernel newer than this release, such as 6.11.5-300.")
    fact = FactFilter(
        _facts,
        help_text="A question by path: PATH=VALUE, !=, ~ (contains), <, <=, >, >=, or PATH exists, PATH absent; "
        "repeat it for more, all must hold.",
    )

    class Meta:
        model = Node
        fields: list[str] = []
