"""The filters of nodes and of what belongs to them: one class for page and API."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet, TextField
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast

from fleetui.core import clock
from fleetui.core.filters import (
    AgeFilter,
    FilterSet,
    FlagFilter,
    InstantFilter,
    ListFilter,
    TextFilter,
    WholeNumberFilter,
)
from nodes.axes.values import Health, Lifecycle, Reachability, UpdateState
from nodes.certificates import Level, Use
from nodes.facts import narrow
from nodes.facts.fields import AddressFilter, FactFilter, KernelFilter, MacFilter, NumberFilter
from nodes.facts.query import parse
from nodes.models import (
    Certificate,
    Cluster,
    ContainerOnNode,
    Credential,
    HostKey,
    IgnitionConfig,
    IgnitionVersion,
    JumpHost,
    Node,
    Pool,
    Release,
    TimelineEvent,
)
from nodes.models.ignition import ReviewState
from nodes.models.node import IgnitionState
from nodes.services.support import unsupported
from nodes.wording import errors_saying, timeline_kinds, timeline_kinds_saying

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


def _values(enum: Any) -> list[str]:
    return [member.value for member in enum]


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
    reachability = ListFilter(
        "reachability", allowed=_values(Reachability), help_text="Whether FleetUI can talk to it."
    )
    health = ListFilter("health", allowed=_values(Health), help_text="Whether it works as it should.")
    update_state = ListFilter(
        "update_state", allowed=_values(UpdateState), help_text="Where it stands between its OS and the newest."
    )
    reason = ListFilter(narrow=_reason, help_text="Reason codes of any of the three.")
    lifecycle = ListFilter("lifecycle", allowed=_values(Lifecycle), help_text="What people decided about it.")
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
        allowed=_values(IgnitionState),
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


def _named(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    return rows.filter(name__icontains=text)


class PoolFilter(FilterSet):
    q = TextFilter(_named, help_text="Part of the name.")
    cluster = ListFilter("cluster__name", help_text="Names of clusters.")

    class Meta:
        model = Pool
        fields: list[str] = []


class ClusterFilter(FilterSet):
    q = TextFilter(_named, help_text="Part of the name.")

    class Meta:
        model = Cluster
        fields: list[str] = []


class JumpHostFilter(FilterSet):
    q = TextFilter(_named, help_text="Part of the name.")

    class Meta:
        model = JumpHost
        fields: list[str] = []


class IgnitionConfigFilter(FilterSet):
    q = TextFilter(_named, help_text="Part of the name.")
    pool = ListFilter("pools__name", help_text="Names of pools that they are for.")

    class Meta:
        model = IgnitionConfig
        fields: list[str] = []


class IgnitionVersionFilter(FilterSet):
    config = ListFilter("config__name", help_text="Names of configs.")
    state = ListFilter("state", allowed=_values(ReviewState), help_text="Where they stand in review.")
    commit = ListFilter("commit_id", help_text="Commits that they come from, whole.")

    class Meta:
        model = IgnitionVersion
        fields: list[str] = []


class CredentialFilter(FilterSet):
    q = TextFilter(_named, help_text="Part of the name.")

    class Meta:
        model = Credential
        fields: list[str] = []


class HostKeyFilter(FilterSet):
    node = ListFilter("node__name", help_text="Names of nodes.")
    state = ListFilter(
        "state", allowed=HostKey.STATES, help_text="Whether it waits for a decision, is trusted, or is history."
    )
    fingerprint = ListFilter("fingerprint", help_text="Fingerprints, as SHA256:...")

    class Meta:
        model = HostKey
        fields: list[str] = []


def _barrier(rows: QuerySet[Any], wanted: bool) -> QuerySet[Any]:  # noqa: FBT001
    return rows.filter(is_barrier=wanted)


def _deadend(rows: QuerySet[Any], wanted: bool) -> QuerySet[Any]:  # noqa: FBT001
    return rows.filter(is_deadend=wanted)


class ReleaseFilter(FilterSet):
    os = ListFilter("stream__os_family", help_text="OS families.")
    stream = ListFilter("stream__name", help_text="Streams.")
    version = ListFilter("version", help_text="Versions.")
    is_barrier = FlagFilter(_barrier, help_text="Whether every update must pass through it.")
    is_deadend = FlagFilter(_deadend, help_text="Whether no update leads on from it.")

    class Meta:
        model = Release
        fields: list[str] = []


def _since(rows: QuerySet[Any], moment: datetime) -> QuerySet[Any]:
    return rows.filter(at__gte=moment)


def _until(rows: QuerySet[Any], moment: datetime) -> QuerySet[Any]:
    return rows.filter(at__lt=moment)


def _actor(rows: QuerySet[Any], names: list[str]) -> QuerySet[Any]:
    """`fleetui` stands for what polls found by themselves: such events have no actor."""
    return rows.filter(actor__in=["" if name == "fleetui" else name for name in names])


def _generation(rows: QuerySet[Any], number: int) -> QuerySet[Any]:
    return rows.filter(generation=number)


def _in_timeline(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    """Each word stands in the sentence, or is part of who did it or of the node's name. Rows hold the parts of sentences."""
    for word in text.split():
        said = Q(kind__in=timeline_kinds_saying(word)) | Q(params__reason__in=errors_saying(word))
        named = Q(actor__icontains=word) | Q(kind__icontains=word) | Q(node__name__icontains=word)
        by_polls = Q(actor="") if word.casefold() == "fleetui" else Q()
        rows = rows.filter(said | named | Q(params__icontains=word) | by_polls)
    return rows


class TimelineFilter(FilterSet):
    """Filters of what happened to one node."""

    q = TextFilter(
        _in_timeline, help_text="Words of the sentence, the kind, the actor or the name of the node; all of them."
    )
    kind = ListFilter("kind", allowed=timeline_kinds(), help_text="What happened.")
    actor = ListFilter(narrow=_actor, help_text="Who did it, such as user:anna; fleetui for what polls found.")
    since = InstantFilter(_since, help_text="At or after this moment.")
    until = InstantFilter(_until, help_text="Before this moment.")
    generation = WholeNumberFilter(_generation, help_text="The generation of the machine.")

    class Meta:
        model = TimelineEvent
        fields: list[str] = []


class FleetTimelineFilter(TimelineFilter):
    """Filters of what happened to all nodes."""

    node = ListFilter("node__name", help_text="Names of nodes.")
    pool = ListFilter("node__pool__name", help_text="Names of pools.")
    cluster = ListFilter("node__pool__cluster__name", help_text="Names of clusters.")


#: So many rows, names or nodes are looked up first: what is rare is then found without reading everything in order, and
#: what is not fills a page at once.
_FEW = 500


def _rare(wanted: Q) -> Q | None:
    """The containers by id, where there are few; None where there are many."""
    few = list(ContainerOnNode.objects.filter(wanted).order_by().values_list("pk", flat=True)[: _FEW + 1])
    return Q(pk__in=few) if len(few) <= _FEW else None


def _container_text(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    """A fleet has few names of containers, images and units, each many times: what holds the text is looked up among these."""
    holds, named = Q(), Q()
    for column in ("name", "repository", "unit"):
        holding = Q(**{f"{column}__icontains": text})
        values = ContainerOnNode.objects.filter(holding).order_by().values_list(column, flat=True).distinct()
        holds, named = holds | holding, named | Q(**{f"{column}__in": list(values[: _FEW + 1])})
    return rows.filter(_rare(named) or holds)


def _container_state(rows: QuerySet[Any], states: list[str]) -> QuerySet[Any]:
    wanted = Q(state__in=states)
    return rows.filter(_rare(wanted) or wanted)


def _container_pool(rows: QuerySet[Any], names: list[str]) -> QuerySet[Any]:
    nodes = Node.objects.filter(pool__name__in=names).order_by()
    few = list(nodes.values_list("pk", flat=True)[: _FEW + 1])
    if len(few) <= _FEW:
        return rows.filter(node__in=few)
    # Asked row by row, in the order of the list, which is full soon.
    return rows.filter(Exists(nodes.filter(pk=OuterRef("node_id"))))


class ContainerFilter(FilterSet):
    """Filters of containers. Several values of one filter are joined with "or", filters with "and"."""

    q = TextFilter(_container_text, help_text="Part of the name, the image or the unit.")
    repository = ListFilter("repository", help_text="Images without tag, such as quay.io/prometheus/node-exporter.")
    tag = ListFilter("tag", help_text="Tags of images.")
    digest = ListFilter("digest", help_text="Digests of images, whole.")
    state = ListFilter(
        narrow=_container_state, help_text="States, such as running; absent for a unit whose container is not there."
    )
    health = ListFilter("health", allowed=["healthy", "unhealthy", "starting"], help_text="What the health check says.")
    managed_by = ListFilter("managed_by", allowed=list(ContainerOnNode.MANAGERS), help_text="By whom it is run.")
    unit = ListFilter("unit", help_text="Systemd units.")
    runtime = ListFilter("runtime", help_text="podman, podman-user, docker or containerd.")
    node = ListFilter("node__name", help_text="Names of nodes.")
    pool = ListFilter(narrow=_container_pool, help_text="Names of pools.")

    class Meta:
        model = ContainerOnNode
        fields: list[str] = []


CERTIFICATE_STATES = ("expired", "not_yet_valid", "valid")


def _certificate_text(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    for word in text.lower().split()[:8]:
        rows = rows.filter(search__contains=word)
    return rows


def _certificate_state(rows: QuerySet[Any], states: list[str]) -> QuerySet[Any]:
    now = clock.now()
    expired, early = Q(not_after__lte=now), Q(not_before__gt=now)
    wanted = {"expired": expired, "not_yet_valid": early, "valid": ~expired & (Q(not_before=None) | ~early)}
    found = Q()
    for state in states:
        found |= wanted[state]
    return rows.filter(found)


def _certificate_within(rows: QuerySet[Any], age: timedelta) -> QuerySet[Any]:
    return rows.filter(not_after__lte=clock.now() + age)


def _certificate_finding(rows: QuerySet[Any], codes: list[str]) -> QuerySet[Any]:
    found = Q()
    for code in codes:
        found |= Q(search__contains=f" finding:{code} ")
    return rows.filter(found)


class CertificateFilter(FilterSet):
    """Filters of certificates. Several values of one filter are joined with "or", filters with "and"."""

    q = TextFilter(_certificate_text, help_text="Words of the subject, a name, the issuer or the path.")
    state = ListFilter(
        narrow=_certificate_state, allowed=list(CERTIFICATE_STATES), help_text="Whether it holds at this moment."
    )
    within = AgeFilter(_certificate_within, help_text="Those that end within this time, and those that have ended.")
    ends_from = InstantFilter(
        lambda rows, moment: rows.filter(not_after__gte=moment), help_text="Those that end then or later."
    )
    ends_until = InstantFilter(
        lambda rows, moment: rows.filter(not_after__lt=moment), help_text="Those that end before."
    )
    level = ListFilter(
        "level", allowed=[level.value for level in Level], help_text="How bad the worst is that is wrong with it."
    )
    finding = ListFilter(narrow=_certificate_finding, help_text="What is wrong with it, such as wrong_name.")
    use = ListFilter("use", allowed=[use.value for use in Use], help_text="What it is for.")
    ca = FlagFilter(lambda rows, flag: rows.filter(is_ca=flag), help_text="Whether it is an authority.")
    node = ListFilter("source__node__name", help_text="Names of nodes.")
    pool = ListFilter("source__node__pool__name", "source__pool__name", help_text="Names of pools.")
    endpoint = ListFilter("source__host", help_text="Hosts of endpoints.")
    fingerprint = ListFilter("fingerprint", help_text="SHA-256 fingerprints, hexadecimal.")

    class Meta:
        model = Certificate
        fields: list[str] = []
