"""What a batch of contacts writes: little when nothing changed, everything in one short transaction when something did."""

from __future__ import annotations

import hashlib
import uuid
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.db import transaction

from fleetui.audit.chain import canonical
from fleetui.notify.outbox import Told, tell
from nodes.axes import Contact, Reachability, StoredAxis, carry, compute
from nodes.facts.keeping import with_kept
from nodes.hosts.errors import BadHostCertificate
from nodes.hosts.look import Look
from nodes.models import Deployment, Facts, HostKey, Measurement, Node, TimelineEvent
from nodes.services.containers import replace_containers
from nodes.services.differences import events
from nodes.services.generations import RAISED, forget_replaced, others_behind
from nodes.services.host_keys import offer
from nodes.services.ignition.marker import take_markers
from nodes.services.polling.certificates import SeenCertificates
from nodes.services.polling.columns import (
    deployment_row,
    fact_columns,
    machine_id_of,
    measurement_row,
    set_axis,
    stored_axis,
)
from nodes.services.polling.contact import Outcome
from nodes.services.polling.due import JITTER, back_off_s, each_jittered, interval_s, jittered
from nodes.services.polling.durations import count_durations
from nodes.services.polling.telling import told_of
from nodes.services.provisioning.arrive import arrived, is_awaited, on_their_way, proven
from nodes.services.releases import view_of
from nodes.services.search import search_text
from nodes.services.silence import count_silence
from nodes.services.terms import replace_terms

AXES = ("reachability", "health", "update_state")
MEASURE_EVERY = timedelta(minutes=5)
MAX_RAW_BYTES = 1024 * 1024

_AXIS_COLUMNS = [f"{axis}{part}" for axis in AXES for part in ("", "_reason", "_params", "_since")]
_POLL_COLUMNS = ["poll_due_at", "poll_lease", "poll_lease_until", "poll_requested_at", "last_seen_at"]
_ERROR_COLUMNS = ["last_error_kind", "last_error_params", "failing_since", "failures", "silent_s", "silent_at"]
#: What is read of a node before it is known whether anything changed.
_COMPARED = [
    *(
        "name",
        "address",
        "labels",
        "lifecycle",
        "pool",
        "revision",
        "generation",
        "machine_id",
        "os_family",
        "os_stream",
    ),
    *(*_POLL_COLUMNS, *_ERROR_COLUMNS, *_AXIS_COLUMNS),
    *("facts__hash", "facts__generation", "measurement__at"),
]
_FACT_COLUMNS = [
    "os_family",
    "os_name",
    "os_variant",
    "os_version",
    "os_stream",
    "arch",
    "kernel",
    "kernel_order",
    "booted_version",
    "booted",
    "staged",
    "rollback",
    "boot_id",
    "booted_at",
    "facts",
    "facts_at",
    "unread_sections",
    "machine_id",
    "search_text",
]


def store(outcomes: Sequence[Outcome], *, lease: uuid.UUID, now: datetime) -> int:
    """Write what a batch found and give its nodes back; returns how many. Nodes whose lease was lost meanwhile are left alone."""
    found = {outcome.node_id: outcome for outcome in outcomes}
    read = {outcome.node_id: _Read.of(look) for outcome in outcomes if (look := outcome.look)}
    with transaction.atomic():
        held = Node.objects.select_for_update(of=("self",)).filter(poll_lease=lease, pk__in=list(found))
        # Facts and measurement are there to be compared; what is large is wanted only where something changed.
        known = held.select_related("facts", "measurement").prefetch_related("pool__cluster")
        nodes = list(known.only(*_COMPARED).order_by("pk"))
        batch = _Batch(now)
        batch.recall([node for node in nodes if not _same(node, read.get(node.pk))])
        batch.raised = others_behind((node, one.machine_id) for node in nodes if (one := read.get(node.pk)))
        read = {pk: batch.kept(node, one) for node in nodes if (one := read.get(pk := node.pk)) is not None}
        batch.certificates.recall([node.pk for node in nodes if found[node.pk].certificate is not None])
        for node in nodes:
            if (seen := found[node.pk].seen_key) is not None and is_awaited(node, seen):
                batch.stale.append(node.pk)
                continue
            batch.take(node, found[node.pk], read.get(node.pk))
        batch.write()
        count_durations(found[node.pk] for node in nodes)
    for node in nodes:
        outcome = found[node.pk]
        # A node that was edited meanwhile: the key is perhaps that of the host before.
        if (seen := outcome.seen_key) is not None and outcome.revision in (None, node.revision):
            if arrived(node=node, key=seen, now=now):
                _tell_of_return(node, now)
            else:
                offer(node=node, key=seen, now=now)
    return len(nodes)


def _tell_of_return(node: Node, now: datetime) -> None:
    """A node that was told to be lost is back with its next machine, about which nothing was told yet."""
    back = StoredAxis(Reachability.REACHABLE.value, "", {}, now)
    if (told := told_of(node, "reachability", node.reachability, back)) is not None:
        with transaction.atomic():
            tell([told], now=now)


@dataclass(frozen=True)
class _Read:
    """What a look read, as it is stored; made before the transaction, since it takes longer than that."""

    facts: dict[str, Any]
    hash: str
    measured: dict[str, Any]
    family: str
    raw: bytes

    @property
    def machine_id(self) -> str:
        return machine_id_of(self.facts)

    @classmethod
    def of(cls, look: Look) -> _Read:
        facts = look.facts.as_json()
        return cls(facts, facts_hash(facts), look.measurement.as_json(), look.family, look.raw)


def _is_told(node: Node, before: Mapping[str, Any] | None, params: Mapping[str, Any]) -> bool:
    """Whether a staged deployment stands in the timeline since the last boot. Asked where the look before could not
    read the deployments: then the facts alone do not say whether it was staged already."""
    if before is None or before["deployments"]:
        return False
    kinds = ("staged", "upgraded", "rolled_back", "rebooted")
    rows = TimelineEvent.objects.filter(node=node, generation=node.generation, kind__in=kinds)
    newest = rows.order_by("-at", "-pk").values("kind", "params").first()
    return newest == {"kind": "staged", "params": params}


def _same(node: Node, read: _Read | None) -> bool:
    return read is not None and node.facts is not None and node.facts.hash == read.hash


def facts_hash(document: Mapping[str, Any]) -> str:
    """The same facts give the same hash, whatever order a host printed them in."""
    try:
        text = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        text = canonical(document).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()


class _Batch:
    """Sorts nodes into those that only answered, those that changed and those that failed; then writes each in one go."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.quiet: dict[int, list[uuid.UUID]] = defaultdict(list)
        self.moved: list[Node] = []
        self.changed: list[Node] = []
        self.facts: dict[uuid.UUID, Facts] = {}
        self.deployments: list[Deployment] = []
        self.timeline: list[TimelineEvent] = []
        self.measurements: list[Measurement] = []
        self.stale: list[uuid.UUID] = []
        self.recovered: list[uuid.UUID] = []
        self.uncertified: list[uuid.UUID] = []
        self.known: dict[int, dict[str, Any]] = {}
        self.measured: dict[uuid.UUID, dict[str, Any]] = {}
        self.certificates = SeenCertificates(now)
        self.coming: set[uuid.UUID] = set()
        self.raised: set[uuid.UUID] = set()
        self.told: list[Told] = []

    def recall(self, nodes: Sequence[Node]) -> None:
        """Load what was known before of those that changed or failed."""
        facts = Facts.objects.filter(pk__in=[node.facts_id for node in nodes if node.facts_id])
        self.known = dict(facts.order_by().values_list("pk", "document"))
        measured = Measurement.objects.filter(node__in=[node.pk for node in nodes])
        self.measured = dict(measured.values_list("node_id", "document"))
        if new := [node.pk for node in nodes if node.last_seen_at is None]:
            self.coming = on_their_way(new, self.now)

    def kept(self, node: Node, read: _Read) -> _Read:
        """What was read, with what a busy host did not say in time: an image is not gone because of that, nor a role."""
        kept = with_kept(self._before(node), read.facts, node.last_seen_at)
        return read if kept is None else replace(read, facts=kept, hash=facts_hash(kept))

    def _before(self, node: Node) -> dict[str, Any] | None:
        """The facts that are known of the same machine."""
        is_same_machine = node.facts is not None and node.facts.generation == node.generation
        return self.known.get(node.facts_id or 0) if is_same_machine and node.pk not in self.raised else None

    def take(self, node: Node, outcome: Outcome, read: _Read | None) -> None:
        """Sort one outcome in; `read` is None when the contact failed."""
        if outcome.revision is not None and outcome.revision != node.revision:
            # Edited meanwhile: what answered may have been another host. It is due still.
            self.stale.append(node.pk)
        elif read is not None:
            self._answered(node, outcome, read)
        else:
            self._failed(node, outcome)

    def _answered(self, node: Node, outcome: Outcome, read: _Read) -> None:
        if node.pk in self.raised:
            node.generation += 1
            self._event(node, "generation_raised", {"generation": node.generation})
        was_failing = node.failures > 0
        node.failures, node.failing_since, node.last_error_kind, node.last_error_params = 0, None, "", {}
        node.silent_s, node.silent_at = 0, None
        node.last_seen_at = self.now
        if was_failing:
            self.recovered.append(node.pk)
        if outcome.certificate is not None and self.certificates.take(node, outcome.certificate):
            authority = outcome.certificate.authority.fingerprint
            self._event(node, "host_certificate_trusted", {"key_id": outcome.certificate.key_id, "ca": authority})
        changed = not _same(node, read)
        if changed:
            self._new_facts(node, read)
        axes_moved = self._axes(node, read.facts, read.measured)
        self._measure(node, read.measured, at_once=axes_moved)
        asked_again = self._plan(node, outcome, interval_s(node))
        if changed:
            self.changed.append(node)
        elif axes_moved or was_failing or asked_again:
            self.moved.append(node)
        else:
            self.quiet[interval_s(node)].append(node.pk)

    def _failed(self, node: Node, outcome: Outcome) -> None:
        error = outcome.error
        assert error is not None  # noqa: S101
        longest = back_off_s(interval_s(node), node.failures) * (1 + JITTER)
        count_silence(node, error.kind, planned_s=longest, now=self.now)
        node.failures += 1
        node.failing_since = node.failing_since or self.now
        node.last_error_kind, node.last_error_params = error.kind, error.params
        if error.kind == BadHostCertificate.kind:
            self.uncertified.append(node.pk)
        self._axes(node, self.known.get(node.facts_id or 0), self.measured.get(node.pk))
        # A machine that boots is looked for at every interval: how long it takes says nothing of it.
        interval, is_coming = interval_s(node), node.pk in self.coming
        self._plan(node, outcome, interval if is_coming else back_off_s(interval, node.failures))
        self.moved.append(node)

    def _plan(self, node: Node, outcome: Outcome, seconds: float) -> bool:
        """Set when the node is due again. True when a person asked after the contact began: then it stays due at once."""
        asked, began = node.poll_requested_at, outcome.began_at
        if asked is not None and began is not None and asked > began:
            return True
        node.poll_due_at, node.poll_requested_at = self.now + timedelta(seconds=jittered(seconds)), None
        return False

    def _new_facts(self, node: Node, read: _Read) -> None:
        before = self._before(node)
        for kind, params in events(before, read.facts):
            if kind != "staged" or not _is_told(node, before, params):
                self._event(node, kind, params)
        self.facts[node.pk] = Facts(
            node=node,
            generation=node.generation,
            read_at=self.now,
            hash=read.hash,
            document=read.facts,
            raw=zlib.compress(read.raw[:MAX_RAW_BYTES]),
        )
        columns = fact_columns(read.facts, read.family)
        # A host that did not say its id this time is still the same machine.
        columns["machine_id"] = columns["machine_id"] or node.machine_id
        for name, value in columns.items():
            setattr(node, name, value)
        node.facts_at = self.now
        node.search_text = search_text(node)
        self.deployments += [deployment_row(node, one) for one in read.facts["deployments"]]

    def _axes(self, node: Node, document: Mapping[str, Any] | None, measured: Mapping[str, Any] | None) -> bool:
        releases = view_of(node.os_family, node.os_stream, self.now)
        contact = Contact(
            last_ok_at=node.last_seen_at,
            last_error_kind=node.last_error_kind or None,
            failing_since=node.failing_since,
            failures=node.failures,
            ever_reached=node.last_seen_at is not None,
            error_params=node.last_error_params,
            is_on_its_way=node.pk in self.coming,
        )
        axes = compute(document, measured, releases, contact, self.now)
        moved = False
        for axis in AXES:
            old = stored_axis(node, axis)
            new = carry(old, getattr(axes, axis), self.now)
            if new == old:
                continue
            moved = True
            if axis == "reachability" and new.value != old.value:
                self._reachability_event(node, old.value, new)
            if new.value != old.value and (told := told_of(node, axis, old.value, new)) is not None:
                self.told.append(told)
            set_axis(node, axis, new)
        return moved

    def _reachability_event(self, node: Node, before: str, new: StoredAxis) -> None:
        kinds = {
            "reachable": "became_reachable",
            "unreachable": "became_unreachable",
            "key_mismatch": "host_key_mismatch",
        }
        if new.value in kinds and not (before == "never_seen" and new.value == "reachable"):
            # Several kinds of errors have a reason of their own, which is another word.
            self._event(node, kinds[new.value], {"error": new.reason, "reason": new.reason, **new.params})

    def _measure(self, node: Node, measured: dict[str, Any], *, at_once: bool) -> None:
        old = getattr(node, "measurement", None)
        if old is None or at_once or self.now - old.at >= MEASURE_EVERY:
            self.measurements.append(measurement_row(node, measured, self.now))

    def _event(self, node: Node, kind: str, params: dict[str, Any]) -> None:
        self.timeline.append(
            TimelineEvent(node=node, at=self.now, kind=kind, params=params, generation=node.generation)
        )

    def write(self) -> None:
        for facts in Facts.objects.bulk_create(self.facts.values(), batch_size=100):
            self.facts[facts.node_id] = facts
        for node in self.changed:
            node.facts = self.facts[node.pk]
        for node in [*self.changed, *self.moved]:
            node.poll_lease = node.poll_lease_until = None
        freed = [*_POLL_COLUMNS, *_AXIS_COLUMNS, *_ERROR_COLUMNS]
        # Row by row: Django takes several times as long to put one statement of CASE ... WHEN together.
        for columns, nodes in ((freed, self.moved), (freed + _FACT_COLUMNS, self.changed)):
            for node in nodes:
                if node.pk in self.raised:
                    Node.objects.filter(pk=node.pk).update(generation=node.generation, **RAISED)
                Node.objects.filter(pk=node.pk).update(**{name: getattr(node, name) for name in columns})
        Deployment.objects.filter(node__in=[node.pk for node in self.changed]).delete()
        Deployment.objects.bulk_create(self.deployments, batch_size=60)
        if self.changed:
            replace_terms({pk: facts.document for pk, facts in self.facts.items()})
            replace_containers({pk: facts.document for pk, facts in self.facts.items()})
        TimelineEvent.objects.bulk_create(self.timeline, batch_size=100)
        tell(self.told, now=self.now)
        self.certificates.write()
        if self.changed:
            # A machine that was just provisioned has facts that were not there before.
            proven([node.pk for node in self.changed], self.now)
            forget_replaced(self.raised & {node.pk for node in self.changed}, self.now)
            take_markers({pk: facts.document["ignition"] for pk, facts in self.facts.items()}, self.now)
        Measurement.objects.bulk_create(
            self.measurements,
            batch_size=100,
            update_conflicts=True,
            unique_fields=["node"],
            update_fields=[
                "at",
                "load_1",
                "memory_total_bytes",
                "memory_available_bytes",
                "fullest_mount",
                "fullest_percent",
                "document",
            ],
        )
        Node.objects.filter(pk__in=self.stale).update(poll_lease=None, poll_lease_until=None)
        if over := [*self.recovered, *self.uncertified]:
            # The pinned key answered, so what another one offered meanwhile is not to be accepted any more; nor is the
            # plain key of a host whose certificate does not hold, which would be an easy way round that check.
            offers = HostKey.objects.filter(node__in=over, state="offered")
            offers.update(state="replaced", decided_at=self.now)
        for seconds, ids in self.quiet.items():
            Node.objects.filter(pk__in=ids).update(
                last_seen_at=self.now,
                poll_due_at=each_jittered(self.now, seconds),
                poll_lease=None,
                poll_lease_until=None,
                poll_requested_at=None,
            )
