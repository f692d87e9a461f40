"""/metrics: what Prometheus scrapes, read from the database at the scrape, over what the token may see."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Iterator
from datetime import datetime
from time import perf_counter

from django.db import connection
from django.db.models import Count, Max, Min, Q, Value
from django.db.models.functions import Coalesce
from django.http import HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from rest_framework.request import Request

import fleetui
from fleetui.access.api.networks import SCRAPED_BY
from fleetui.access.principals import Principal
from fleetui.audit.models import AuditHead
from fleetui.audit.tasks import ANCHOR_JOB
from fleetui.audit.verify import VERIFY_JOB
from fleetui.core import clock, heartbeats
from fleetui.core.api.actions import Action
from fleetui.core.api.views import ApiView
from fleetui.core.remembered import remembered
from fleetui.core.vital_signs import queues
from nodes.models import Certificate, HostKey, Sample
from nodes.models.history import RESOLUTIONS_S
from nodes.services.backlog import backlog
from nodes.services.census import Census, census
from nodes.services.polling.durations import LIMITS_S, poll_durations

#: Two Prometheus servers that scrape at once cost one read.
CACHED_S = 5
#: Machines with processes of FleetUI that have disk series of their own.
MOST_HOSTS = 50
#: Pools that have series of their certificates: those whose certificates end first.
MOST_POOLS = 100


def gauge(name: str, text: str, labels: Iterable[str] = ()) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"fleetui_{name}", text, labels=list(labels))


def single(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"fleetui_{name}", text, value=value)


class FleetCollector(Collector):
    """Counts of the nodes that the principal may see; no label grows with the fleet."""

    def __init__(self, principal: Principal, now: datetime) -> None:
        self._principal, self._now = principal, now

    def collect(self) -> Iterator[Metric]:
        counted = census(self._principal, self._now)
        yield from self._states(counted)
        yield from self._pools(counted)
        versions = gauge("version_nodes", "Nodes in service by booted version.", ("os", "stream", "version"))
        for (family, stream, version), nodes in sorted(counted.versions.items()):
            versions.add_metric([family, stream, version], nodes)
        yield versions
        ignition = gauge("ignition_nodes", "Nodes in service by Ignition state.", ("state",))
        for state, nodes in counted.ignition.items():
            ignition.add_metric([state], nodes)
        yield ignition
        failing = gauge("nodes_failing", "Nodes whose last poll failed, by the kind of failure.", ("kind",))
        for kind, nodes in sorted(counted.failing.items()):
            failing.add_metric([kind], nodes)
        yield failing
        yield single("unread_nodes", "Nodes with a part of their facts that was not read.", counted.unread_nodes)
        yield single("unread_sections", "Parts of facts that were not read.", counted.unread_sections)
        yield single("polls_due", "Nodes that wait for a poll.", counted.polls_due)
        yield single("polls_running", "Nodes that are polled now.", counted.polls_running)
        oldest = counted.oldest_due_at
        lag_s = (self._now - oldest).total_seconds() if oldest else 0.0
        yield single("poll_lag_seconds", "How long the oldest due poll has waited.", lag_s)
        keys = HostKey.objects.visible_to(self._principal).filter(state="offered").exclude(node__lifecycle="retired")
        yield single("host_keys_waiting", "Host keys that wait for a person.", keys.count())

        yield from self._certificates()

    def _certificates(self) -> Iterator[Metric]:
        """Pools whose certificates end first; what belongs to no pool is under the empty name."""
        ends = gauge(
            "certificate_earliest_end_seconds", "When the first certificate ends, in Unix time, by pool.", ("pool",)
        )
        expired = gauge("certificates_expired", "Certificates that have expired, by pool.", ("pool",))
        rows = (
            Certificate.objects.visible_to(self._principal)
            .order_by()
            .annotate(pool=Coalesce("source__node__pool__name", "source__pool__name", Value("")))
            .values("pool")
            .annotate(
                ends=Min("not_after"),
                expired=Count("fingerprint", distinct=True, filter=Q(not_after__lte=self._now)),
            )
            .order_by("ends")
        )
        for row in rows[:MOST_POOLS]:
            ends.add_metric([row["pool"]], row["ends"].timestamp())
            expired.add_metric([row["pool"]], row["expired"])
        yield ends
        yield expired

    def _states(self, counted: Census) -> Iterator[Metric]:
        nodes = gauge("nodes", "Nodes in service by axis and value.", ("axis", "value"))
        for (axis, value), number in counted.axes.items():
            nodes.add_metric([axis, value], number)
        yield nodes
        lifecycle = gauge("lifecycle_nodes", "Nodes by lifecycle.", ("lifecycle",))
        for value, number in counted.lifecycle.items():
            lifecycle.add_metric([value], number)
        yield lifecycle
        yield single("nodes_needing_attention", "Active nodes that need attention.", counted.attention)

    def _pools(self, counted: Census) -> Iterator[Metric]:
        """The largest pools; the others together as "other", nodes without a pool as the empty name."""
        nodes = gauge("pool_nodes", "Nodes in service by pool.", ("pool", "cluster"))
        attention = gauge("pool_nodes_needing_attention", "Active nodes that need attention, by pool.", ("pool",))
        for (pool, cluster), number in sorted(counted.pools.items()):
            nodes.add_metric([pool, cluster], number)
            attention.add_metric([pool], counted.pool_attention[pool, cluster])
        yield nodes
        yield attention
        axes = gauge("pool_axis_nodes", "Nodes in service by pool, axis and value.", ("pool", "axis", "value"))
        for ((pool, _cluster), axis, value), number in sorted(counted.pool_axes.items()):
            axes.add_metric([pool, axis, value], number)
        yield axes


class InstallationCollector(Collector):
    """FleetUI itself: processes, queues, durations, disk, audit. For those who may read its health."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def collect(self) -> Iterator[Metric]:
        signs = heartbeats.look()
        build = gauge("build_info", "The running version; always 1.", ("version", "python", "database"))
        build.add_metric([fleetui.__version__, platform.python_version(), connection.vendor], 1)
        yield build
        yield from self._processes(signs)
        yield from self._work()
        yield from self._audit(signs)
        newest = Sample.objects.filter(resolution_s=RESOLUTIONS_S[0]).aggregate(at=Max("at"))["at"]
        if newest:
            age_s = (self._now - newest).total_seconds()
            yield single("sample_age_seconds", "Age of the newest sample of the charts.", age_s)

    def _processes(self, signs: heartbeats.Signs) -> Iterator[Metric]:
        workers = signs.of("worker")
        by_queue = gauge("workers", "Running workers by the queue that they take.", ("queue",))
        for queue in sorted({*queues(), *(queue for sign in workers for queue in sign.queues)}):
            by_queue.add_metric([queue], sum(queue in sign.queues for sign in workers))
        yield by_queue
        beats = signs.of("beat")
        yield single("beats", "Running schedulers.", len(beats))
        alive = [*workers, *beats]
        skews = [signs.skew_s or 0.0, *(float(sign.document.get("skew_s", 0.0)) for sign in alive)]
        text = "The largest difference between the clock of a process and the database's."
        yield single("clock_skew_seconds", text, max(abs(skew) for skew in skews))
        disks = {sign.hostname: sign.document for sign in alive if "disk_free_bytes" in sign.document}
        free = gauge("disk_free_bytes", "Free space of the data folder.", ("host",))
        size = gauge("disk_size_bytes", "Size of the disk of the data folder.", ("host",))
        for host, document in sorted(disks.items())[:MOST_HOSTS]:
            free.add_metric([host], document["disk_free_bytes"])
            size.add_metric([host], document["disk_total_bytes"])
        yield free
        yield size

    def _work(self) -> Iterator[Metric]:
        waiting = gauge("queue_waiting", "Due rows that nobody works on, by kind of work.", ("kind",))
        age = gauge("queue_age_seconds", "How long the oldest due row has waited, by kind of work.", ("kind",))
        for one in backlog(self._now):
            waiting.add_metric([one.kind], one.count)
            age.add_metric([one.kind], one.age_s(self._now))
        yield waiting
        yield age
        durations = HistogramMetricFamily(
            "fleetui_poll_duration_seconds", "How long polls took, by result.", labels=["result"]
        )
        for result, found in sorted(poll_durations().items()):
            buckets = [(f"{limit:g}", float(count)) for limit, count in zip(LIMITS_S, found.buckets, strict=True)]
            durations.add_metric([result], [*buckets, ("+Inf", float(found.count))], found.total_s)
        yield durations

    def _audit(self, signs: heartbeats.Signs) -> Iterator[Metric]:
        head = AuditHead.objects.filter(id=1).values_list("seq", flat=True).first() or 0
        yield CounterMetricFamily("fleetui_audit_events", "Events in the audit log.", value=head)
        if anchor := signs.job(ANCHOR_JOB):
            yield single("audit_anchored_seq", "The event up to which the log is anchored.", anchor.document["seq"])
            yield single("audit_anchor_age_seconds", "Since when the log was not anchored.", anchor.age_s)
        if proof := signs.job(VERIFY_JOB):
            yield single("audit_verify_age_seconds", "Since the audit log was proved last.", proof.age_s)
            good = float(bool(proof.document.get("good")))
            yield single("audit_intact", "1 when the last proof found the audit log intact.", good)


class Metrics(ApiView):
    """The exposition format of Prometheus; a token with the scope `read` scrapes it, or an allowed network."""

    hidden = True
    authentication_classes = SCRAPED_BY
    actions = {"GET": Action("nodes.read", "metrics", "Metrics for Prometheus", {})}

    def get(self, request: Request) -> HttpResponse:
        principal: Principal = self.principal
        body = remembered(_cache_key(principal), CACHED_S, lambda: scrape(principal))
        return HttpResponse(body, content_type=CONTENT_TYPE_LATEST)


def scrape(principal: Principal) -> bytes:
    """All series that the principal may see."""
    began, now = perf_counter(), clock.now()
    registry = CollectorRegistry(auto_describe=False)
    registry.register(FleetCollector(principal, now))
    if principal.may("health.read"):
        registry.register(InstallationCollector(now))
    body = generate_latest(registry)
    took = CollectorRegistry()
    took.register(_Took(perf_counter() - began))
    return body + generate_latest(took)


class _Took(Collector):
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def collect(self) -> Iterator[Metric]:
        yield single("scrape_seconds", "How long reading all of this took.", self._seconds)


def _cache_key(principal: Principal) -> str:
    """The same for all who see the same."""
    where = principal.where("nodes.read")
    pools = ["*"] if where.everywhere else sorted(map(str, where.pools))
    text = " ".join([*pools, str(principal.may("health.read"))])
    return f"metrics:{hashlib.sha256(text.encode()).hexdigest()}"
