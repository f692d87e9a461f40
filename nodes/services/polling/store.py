"""What a batch of contacts writes: little when nothing changed, everything in one short transaction when something did."""

from __future__ import annotations

import hashlib
import random
import uuid
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from fleetui.audit.chain import canonical
from nodes.axes import Contact, StoredAxis, carry, compute
from nodes.models import Deployment, Facts, Measurement, Node, TimelineEvent
from nodes.services.differences import events
from nodes.services.host_keys import offer
from nodes.services.polling.contact import Outcome
from nodes.services.releases import view_of
from nodes.services.search import search_text

AXES = ("reachability", "health", "update_state")
MEASURE_EVERY = timedelta(minutes=5)
LONGEST_BACK_OFF_S = 600
JITTER = 0.1
MAX_RAW_BYTES = 1024 * 1024

_AXIS_COLUMNS = [f"{axis}{part}" for axis in AXES for part in ("", "_reason", "_params", "_since")]
_ERROR_COLUMNS = ["last_error_kind", "last_error_params", "failing_since", "failures"]
_FACT_COLUMNS = [
    "os_family",
    "os_name",
    "os_variant",
    "os_version",
    "os_stream",
    "arch",
    "kernel",
    "booted_version",
    "booted",
    "staged",
    "rollback",
    "boot_id",
    "booted_at",
    "facts",
    "facts_at",
    "unread_sections",
    "search_text",
]


def store(outcomes: Sequence[Outcome], *, lease: uuid.UUID, now: datetime) -> int:
    """Write what a batch found and give its nodes back; returns how many. Nodes whose lease was lost meanwhile are left alone."""
    found = {outcome.node_id: outcome for outcome in outcomes}
    with transaction.atomic():
        held = Node.objects.select_for_update(of=("self",)).filter(poll_lease=lease, pk__in=list(found))
        nodes = list(held.select_related("pool__cluster", "facts", "measurement").defer("facts__raw").order_by("pk"))
        batch = _Batch(now)
        for node in nodes:
            batch.take(node, found[node.pk])
        batch.write()
    for node in nodes:
        if (seen := found[node.pk].seen_key) is not None:
            offer(node=node, key=seen, now=now)
    return len(nodes)


def facts_hash(document: Mapping[str, Any]) -> str:
    """The same facts give the same hash, whatever order a host printed them in."""
    return hashlib.sha256(canonical(document).encode()).hexdigest()


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

    def take(self, node: Node, outcome: Outcome) -> None:
        if outcome.look is not None:
            self._answered(node, outcome)
        else:
            self._failed(node, outcome)

    def _answered(self, node: Node, outcome: Outcome) -> None:
        look = outcome.look
        assert look is not None  # noqa: S101  (take() sorts)
        document, measured = look.facts.as_json(), look.measurement.as_json()
        fresh = facts_hash(document)
        was_failing = node.failures > 0
        node.failures, node.failing_since, node.last_error_kind, node.last_error_params = 0, None, "", {}
        node.last_seen_at = self.now
        changed = node.facts is None or node.facts.hash != fresh
        if changed:
            self._new_facts(node, document, fresh, look.family, look.raw)
        axes_moved = self._axes(node, document, measured)
        self._measure(node, measured, at_once=axes_moved)
        node.poll_due_at = self.now + timedelta(seconds=interval_s(node))
        if changed:
            self.changed.append(node)
        elif axes_moved or was_failing:
            self.moved.append(node)
        else:
            self.quiet[interval_s(node)].append(node.pk)

    def _failed(self, node: Node, outcome: Outcome) -> None:
        error = outcome.error
        assert error is not None  # noqa: S101
        node.failures += 1
        node.failing_since = node.failing_since or self.now
        node.last_error_kind, node.last_error_params = error.kind, error.params
        document = node.facts.document if node.facts else None
        measurement = getattr(node, "measurement", None)
        self._axes(node, document, measurement.document if measurement else None)
        node.poll_due_at = self.now + timedelta(seconds=_jittered(back_off_s(interval_s(node), node.failures)))
        self.moved.append(node)

    def _new_facts(self, node: Node, document: dict[str, Any], fresh: str, family: str, raw: bytes) -> None:
        before = node.facts.document if node.facts and node.facts.generation == node.generation else None
        for kind, params in events(before, document):
            self._event(node, kind, params)
        self.facts[node.pk] = Facts(
            node=node,
            generation=node.generation,
            read_at=self.now,
            hash=fresh,
            document=document,
            raw=zlib.compress(raw[:MAX_RAW_BYTES]),
        )
        columns = fact_columns(document, family)
        for name, value in columns.items():
            setattr(node, name, value)
        node.facts_at = self.now
        node.search_text = search_text(node)
        self.deployments += [deployment_row(node, one) for one in document["deployments"]]

    def _axes(self, node: Node, document: Mapping[str, Any] | None, measured: Mapping[str, Any] | None) -> bool:
        releases = view_of(node.os_family, node.os_stream, self.now)
        contact = Contact(
            last_ok_at=node.last_seen_at,
            last_error_kind=node.last_error_kind or None,
            failing_since=node.failing_since,
            failures=node.failures,
            ever_reached=node.last_seen_at is not None,
            error_params=node.last_error_params,
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
            set_axis(node, axis, new)
        return moved

    def _reachability_event(self, node: Node, before: str, new: StoredAxis) -> None:
        kinds = {
            "reachable": "became_reachable",
            "unreachable": "became_unreachable",
            "key_mismatch": "host_key_mismatch",
        }
        if new.value in kinds and not (before == "never_seen" and new.value == "reachable"):
            self._event(node, kinds[new.value], {"reason": new.reason, **new.params})

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
            node.poll_lease = node.poll_lease_until = node.poll_requested_at = None
        freed = ["poll_due_at", "poll_lease", "poll_lease_until", "poll_requested_at", "last_seen_at"]
        Node.objects.bulk_update(self.moved, [*freed, *_AXIS_COLUMNS, *_ERROR_COLUMNS], batch_size=40)
        Node.objects.bulk_update(self.changed, [*freed, *_AXIS_COLUMNS, *_ERROR_COLUMNS, *_FACT_COLUMNS], batch_size=20)
        Deployment.objects.filter(node__in=[node.pk for node in self.changed]).delete()
        Deployment.objects.bulk_create(self.deployments, batch_size=60)
        TimelineEvent.objects.bulk_create(self.timeline, batch_size=100)
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
        for seconds, ids in self.quiet.items():
            Node.objects.filter(pk__in=ids).update(
                last_seen_at=self.now,
                poll_due_at=self.now + timedelta(seconds=_jittered(seconds)),
                poll_lease=None,
                poll_lease_until=None,
                poll_requested_at=None,
            )


def interval_s(node: Node) -> int:
    """Seconds between polls of a node that answers."""
    return (node.pool.poll_interval_s if node.pool else None) or int(settings.POLL_INTERVAL_S)


def back_off_s(interval: int, failures: int) -> int:
    """Seconds until the next try after so many failures: the interval, doubled each time, at most 10 minutes or the interval."""
    return max(interval, min(interval * 2 ** min(failures - 1, 10), LONGEST_BACK_OFF_S))


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  (spreads load, guards nothing)


def stored_axis(node: Node, axis: str) -> StoredAxis:
    return StoredAxis(*(getattr(node, f"{axis}{part}") for part in ("", "_reason", "_params", "_since")))


def set_axis(node: Node, axis: str, value: StoredAxis) -> None:
    setattr(node, axis, value.value)
    setattr(node, f"{axis}_reason", value.reason)
    setattr(node, f"{axis}_params", value.params)
    setattr(node, f"{axis}_since", value.since)


def _slot(one: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if one is None:
        return None
    kept = ("version", "checksum", "origin", "image", "image_digest", "layered", "pinned")
    return {name: one[name] for name in kept}


def _first(document: Mapping[str, Any], flag: str) -> Mapping[str, Any] | None:
    return next((one for one in document["deployments"] if one[flag]), None)


def fact_columns(document: Mapping[str, Any], family: str) -> dict[str, Any]:
    """The facts that lists filter and sort by, as columns of Node, cut to what the columns hold."""
    os, boot, booted = document["os"], document["boot"], _first(document, "booted")
    version = ((booted or {}).get("version") or os.get("version") or "")[:100]
    booted_at = boot.get("booted_at")
    return {
        "os_family": (family or "")[:30],
        "os_name": (os.get("name") or "")[:100],
        "os_variant": (os.get("variant") or "")[:50],
        "os_version": (os.get("version") or "")[:100],
        "os_stream": (os.get("stream") or "")[:100],
        "arch": (os.get("arch") or "")[:20],
        "kernel": (boot.get("kernel") or "")[:150],
        "booted_version": version,
        "booted": _slot(booted),
        "staged": _slot(_first(document, "staged")),
        "rollback": _slot(_first(document, "rollback")),
        "boot_id": (boot.get("boot_id") or "")[:36],
        "booted_at": datetime.fromisoformat(booted_at) if booted_at else None,
        "unread_sections": len(document["unread"]),
    }


def deployment_row(node: Node, one: Mapping[str, Any]) -> Deployment:
    return Deployment(
        node=node,
        index=one["index"],
        version=(one["version"] or "")[:100],
        checksum=(one["checksum"] or "")[:128],
        origin=(one["origin"] or "")[:500],
        image=(one["image"] or "")[:500],
        image_digest=(one["image_digest"] or "")[:100],
        is_booted=one["booted"],
        is_staged=one["staged"],
        is_rollback=one["rollback"],
        is_pinned=one["pinned"],
        document=dict(one),
    )


def measurement_row(node: Node, measured: Mapping[str, Any], now: datetime) -> Measurement:
    full = [entry for entry in measured["filesystems"] if entry.get("used_percent") is not None]
    fullest = max(full, key=lambda entry: float(entry["used_percent"]), default=None)
    return Measurement(
        node=node,
        at=now,
        load_1=measured["load_1"],
        memory_total_bytes=measured["memory_total_bytes"],
        memory_available_bytes=measured["memory_available_bytes"],
        fullest_mount=(fullest["mount"] if fullest else "")[:200],
        fullest_percent=fullest["used_percent"] if fullest else None,
        document=dict(measured),
    )
