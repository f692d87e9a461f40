"""Looks as rows: a source for each node in use and each endpoint, due by the clock or when somebody asks, leased while at work."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import uniform
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, Subquery, Value, When
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict
from fleetui.core.text import clean
from fleetui.notify.sender import our_address
from nodes.certificates import Certificate as X509
from nodes.certificates import Finding, Found, Level, Unread, Use, read_all
from nodes.models import NEVER, Certificate, CertificateSource, Cluster, Node

#: Longer than a look may take: a worker that dies gives its sources back by this.
LEASE = timedelta(seconds=120)
#: Where it failed it is tried again by itself, however long the interval.
AGAIN_AFTER = timedelta(minutes=15)
#: Part of the interval by which due times are spread.
SPREAD = 0.1
ROWS_AT_ONCE = 1000
MOST_IN_A_CHAIN = 10
_IN_USE = ("active", "maintenance")
_ORDER = (Level.BAD, Level.WARN, Level.INFO)


@dataclass(frozen=True)
class Failure:
    """Why a source could not be read: the kind of a HostError or EndpointError, or not_understood."""

    kind: str
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Read:
    """What a look found, and what is wrong with each. `as_root` None: that is no question of an endpoint."""

    found: Sequence[tuple[Found, Sequence[Finding]]]
    unread: Sequence[Unread] = ()
    as_root: bool | None = None


def prepare(now: datetime) -> int:
    """Give nodes in use their rows, begin anew where the machine is another one, and keep the row of our own address."""
    made = 0
    missing = Node.objects.filter(certificate_source=None, lifecycle__in=_IN_USE).order_by("pk")
    while some := list(missing.values_list("pk", "generation")[:ROWS_AT_ONCE]):
        rows = [CertificateSource(kind="host", node_id=pk, generation=number, due_at=now) for pk, number in some]
        CertificateSource.objects.bulk_create(rows, batch_size=100, ignore_conflicts=True)
        made += len(some)
    other = ~Q(node__generation=F("generation"))
    stale = CertificateSource.objects.filter(other, kind="host").order_by("pk")
    while ids := list(stale.values_list("pk", flat=True)[:ROWS_AT_ONCE]):
        _begin_anew(ids, now)
        made += len(ids)
    return made + _own(now)


def _begin_anew(ids: Sequence[uuid.UUID], now: datetime) -> None:
    """What was found was on another machine."""
    with transaction.atomic():
        Certificate.objects.filter(source__in=ids).delete()
        node = Node.objects.filter(certificate_source=OuterRef("pk"))
        CertificateSource.objects.filter(pk__in=ids).update(
            generation=Subquery(node.values("generation")[:1]),
            checked_at=None,
            as_root=None,
            unread=[],
            failed_at=None,
            error_kind="",
            error_params={},
            due_at=now,
            lease=None,
            lease_until=None,
        )


def _own(now: datetime) -> int:
    """The address under which people reach FleetUI, where it is one with TLS."""
    found = urlsplit(our_address())
    host, port = (found.hostname or "", found.port or 443) if found.scheme == "https" else ("", 0)
    rows = CertificateSource.objects.filter(kind="own")
    rows.exclude(host=host, port=port).delete()
    if (
        not host
        or CertificateSource.objects.filter(kind__in=CertificateSource.SERVED)
        .filter(host=host, port=port, server_name="")
        .exists()
    ):
        return 0
    CertificateSource.objects.bulk_create(
        [CertificateSource(kind="own", host=host, port=port, due_at=now)], ignore_conflicts=True
    )
    return 1


def request_look(*, source: CertificateSource, actor: Principal, now: datetime) -> None:
    """Read the source as soon as a worker is free."""
    node = source.node
    require(actor, "nodes.poll", node if node is not None else source)
    if node is not None and node.lifecycle == "retired":
        raise Conflict(_("%(name)s is retired.") % {"name": node.name}, mend=_("Take it back into service first."))
    if node is not None and node.reachability != "reachable":
        raise Conflict(
            _("%(name)s does not answer, so its certificates cannot be read.") % {"name": node.name},
            mend=_("Mend that first: they are read by themselves when it answers."),
        )
    with transaction.atomic():
        CertificateSource.objects.filter(pk=source.pk).update(due_at=now, requested_at=now)
        append([Entry(str(actor), "certificates.read", subject_of(source))])


def subject_of(source: CertificateSource) -> str:
    """As the audit log calls it."""
    return f"{'node' if source.node is not None else 'endpoint'}:{source.title}"


def source_of(node: Node, now: datetime) -> CertificateSource:
    """The row of a node; made where the sweep was not there yet."""
    row = CertificateSource(kind="host", node=node, generation=node.generation, due_at=now)
    if not CertificateSource.objects.filter(node=node).exists():
        CertificateSource.objects.bulk_create([row], ignore_conflicts=True)
    found: CertificateSource = CertificateSource.objects.select_related("node__pool").get(node=node)
    return found


def wanted(now: datetime) -> QuerySet[CertificateSource]:
    """What is due; without an interval only what somebody asked for."""
    due: QuerySet[CertificateSource] = CertificateSource.objects.due(now)
    return due if settings.CERTIFICATES_INTERVAL_S else due.filter(requested_at__isnull=False)


def is_due(now: datetime) -> bool:
    """Whether a look waits for a worker."""
    return wanted(now).exists()


def claim(now: datetime) -> tuple[uuid.UUID, list[uuid.UUID]]:
    """Lease due sources, so many that no more are under way than the settings allow; what somebody waits for goes first."""
    lease = uuid.uuid4()
    leased = CertificateSource.objects.filter(lease_until__gt=now)
    room = settings.CERTIFICATES_THREADS - leased.count()
    if room <= 0:
        return lease, []
    asked = wanted(now).filter(requested_at__isnull=False).order_by("requested_at")
    ids = list(asked.values_list("pk", flat=True)[:room])
    if len(ids) < room:
        others = wanted(now).exclude(pk__in=ids).order_by("due_at")
        ids += others.values_list("pk", flat=True)[: room - len(ids)]
    free = Q(lease_until=None) | Q(lease_until__lte=now)
    # Another worker may have read the same rows: each goes to the one whose update finds it free.
    CertificateSource.objects.filter(free, pk__in=ids).update(lease=lease, lease_until=now + LEASE)
    if (beyond := leased.count() - settings.CERTIFICATES_THREADS) > 0:
        mine = CertificateSource.objects.filter(pk__in=ids, lease=lease).order_by("-due_at")
        too_many = list(mine.values_list("pk", flat=True))[:beyond]
        CertificateSource.objects.filter(pk__in=too_many, lease=lease).update(lease=None, lease_until=None)
    return lease, list(CertificateSource.objects.filter(pk__in=ids, lease=lease).values_list("pk", flat=True))


def next_due(now: datetime, *, failed: bool) -> datetime:
    interval_s = float(settings.CERTIFICATES_INTERVAL_S)
    if failed and (not interval_s or interval_s > AGAIN_AFTER.total_seconds()):
        interval_s = AGAIN_AFTER.total_seconds()
    return now + timedelta(seconds=(interval_s or 86_400) * uniform(1 - SPREAD, 1 + SPREAD))  # noqa: S311  (no secret)


def store(
    *, source: CertificateSource, lease: uuid.UUID, result: Read | Failure, asked_at: datetime | None, now: datetime
) -> bool:
    """Write what was found, if the lease still holds and the node is still what it was. Whoever asked after `asked_at`
    waits for another look: this one may have read before what they changed."""
    failed = isinstance(result, Failure)
    is_answered = Q(requested_at=None) if asked_at is None else Q(requested_at=None) | Q(requested_at=asked_at)
    columns: dict[str, Any] = {
        "lease": None,
        "lease_until": None,
        "requested_at": Case(When(is_answered, then=None), default=F("requested_at")),
        "due_at": Case(When(is_answered, then=Value(next_due(now, failed=failed))), default=F("due_at")),
    }
    if isinstance(result, Failure):
        params = {name: clean(str(value))[:500] for name, value in result.params.items()}
        columns |= {"failed_at": now, "error_kind": result.kind[:30], "error_params": params}
    else:
        unread = [Unread(clean(one.place), one.why).as_json() for one in result.unread[:100]]
        columns |= {"checked_at": now, "as_root": result.as_root, "unread": unread}
        columns |= {"failed_at": None, "error_kind": "", "error_params": {}}
    mine = CertificateSource.objects.filter(pk=source.pk, lease=lease, generation=source.generation)
    if source.node is not None:
        # A node that was edited since may be another host.
        same = Node.objects.filter(pk=source.node.pk, revision=source.node.revision, generation=source.generation)
        mine = mine.filter(Exists(same))
    with transaction.atomic():
        if not mine.update(**columns):
            return False
        if isinstance(result, Read):
            _replace(source, result, now)
    return True


def store_of_cluster(cluster: Cluster, signed: Iterable[tuple[str, bytes]], now: datetime) -> None:
    """What cert-manager got signed in a cluster, by the place of each Certificate. Within the transaction of whoever looked."""
    found: list[Found] = []
    for place, pem in signed:
        chain = [one for one in read_all(pem) if isinstance(one, X509)]
        found += [Found(place, position, Use.CERT_MANAGER, one) for position, one in enumerate(chain[:MOST_IN_A_CHAIN])]
    source: CertificateSource | None = CertificateSource.objects.filter(cluster=cluster).first()
    if source is None:
        if not found:
            return
        source = CertificateSource.objects.create(kind="cluster", cluster=cluster, due_at=NEVER, created_at=now)
    CertificateSource.objects.filter(pk=source.pk).update(checked_at=now)
    _replace(source, Read([(one, ()) for one in found]), now)


def _replace(source: CertificateSource, result: Read, now: datetime) -> None:
    """Write what differs: what stays as it was keeps its row and since when it is there."""
    known = {(row.place, row.position, row.fingerprint): row for row in source.certificates.all()}
    fresh, changed = [], []
    for found, findings in result.found:
        row = _row(source, found, findings, now)
        before = known.pop((row.place, row.position, row.fingerprint), None)
        if before is None:
            fresh.append(row)
        elif (before.findings, before.use) != (row.findings, row.use):
            before.findings, before.level, before.search, before.use = row.findings, row.level, row.search, row.use
            changed.append(before)
    gone = [row.pk for row in known.values()]
    for start in range(0, len(gone), 500):
        Certificate.objects.filter(pk__in=gone[start : start + 500]).delete()
    Certificate.objects.bulk_update(changed, ["findings", "level", "search", "use"], batch_size=50)
    Certificate.objects.bulk_create(fresh, batch_size=40)


def _row(source: CertificateSource, found: Found, findings: Sequence[Finding], now: datetime) -> Certificate:
    read = found.certificate
    level = next((one.value for one in _ORDER if any(finding.level is one for finding in findings)), "")
    words = (read.subject, *read.names, found.place, read.issuer, *(f"finding:{finding.code}" for finding in findings))
    return Certificate(
        source=source,
        place=clean(found.place)[:500],
        position=found.position,
        use=found.use.value,
        form=read.form.value,
        subject=clean(read.subject)[:500],
        issuer=clean(read.issuer)[:500],
        serial=read.serial[:100],
        names=[clean(name) for name in read.names],
        not_before=read.not_before,
        not_after=min(read.not_after or NEVER, NEVER),
        key_type=read.key_type,
        key_bits=read.key_bits,
        is_ca=read.is_ca,
        fingerprint=read.fingerprint,
        der=read.blob if read.is_ca else None,
        findings=[finding.as_json() for finding in findings],
        level=level,
        search=f" {clean(' '.join(words)).lower()} "[:4000],
        since=now,
    )
