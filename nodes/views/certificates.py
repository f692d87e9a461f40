"""The certificates of the fleet: by their end, by month, and of one node. Filters in the address, pages by keyset."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib import messages
from django.db.models import Count, F, Max, Min, Q, Window
from django.db.models.functions import RowNumber, TruncMonth
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from fleetui.access.guards import needs
from fleetui.access.principals import Principal
from fleetui.core import clock
from fleetui.core.errors import FleetError
from fleetui.core.filter_choices import chips, moment_word, turned
from fleetui.core.filters import split_values
from fleetui.core.templatetags.ui import changed_query
from nodes.certificates import days_left, time_finding
from nodes.filters import CERTIFICATE_STATES, CertificateFilter
from nodes.hosts.drivers.kubeadm_commands import CERTIFICATES, ROOT
from nodes.models import NEVER, Certificate, CertificateSource, Node, Pool
from nodes.services.certificates.looks import request_look, source_of
from nodes.tasks import nudge_certificates
from nodes.views.actions import say_problem
from nodes.views.paging import Order, page_of
from nodes.views.subject import node_for, principal_of
from nodes.wording.certificates import FINDINGS, USES, failure_words, finding_words, unread_word, use_word

PAGE_SIZE = 50
MOST_POOLS = 50
CHIPS = (
    "state",
    "within",
    "level",
    "finding",
    "use",
    "ca",
    "node",
    "pool",
    "endpoint",
    "fingerprint",
    "ends_from",
    "ends_until",
)
SOON = timedelta(days=30)
MONTHS = 12
SHOWN_A_MONTH = 5
#: What kubeadm calls a certificate, by its place.
_OF_KUBEADM = {f"{ROOT}/{one.path}": name for name, one in CERTIFICATES.items()}
_LIVE = "/etc/letsencrypt/live/"
_SPANS = ("7d", "14d", "30d", "60d")


@require_safe
@needs("nodes.read")
def certificate_list(request: HttpRequest) -> HttpResponse:
    """Every place of every certificate, the first to end first."""
    principal, now = principal_of(request), clock.now()
    found = CertificateFilter(request.GET, queryset=Certificate.objects.visible_to(principal).with_names())
    page = page_of(found.qs, Order("not_after", "pk"), PAGE_SIZE, request.GET)
    context = {
        "tabs": tabs(request),
        "rows": [shown(row, now) for row in page.rows],
        "newer_url": changed_query(request.GET, {"before": page.before}) if page.before else "",
        "older_url": changed_query(request.GET, {"after": page.after}) if page.after else "",
        "chips": chips(request.GET, CHIPS, field_word, value_word),
        "hidden": [(name, value) for name in CHIPS for value in request.GET.getlist(name) if value],
        "fields": _fields(principal, request.GET),
        "q": request.GET.get("q", ""),
        "problems": found.problems(),
        "is_filtered": any(request.GET.get(name) for name in (*CHIPS, "q")),
    }
    return render(request, "nodes/certificates.html", context)


def tabs(request: HttpRequest) -> list[dict[str, Any]]:
    known = (
        (reverse("nodes:certificates"), _("List")),
        (reverse("nodes:certificate_calendar"), _("Calendar")),
        (reverse("nodes:endpoints"), _("TLS endpoints")),
    )
    return [{"url": url, "label": label, "active": request.path == url} for url, label in known]


def shown(row: Certificate, now: datetime) -> dict[str, Any]:
    """How a certificate is shown: its end with a level, and what is wrong with it, the worst first."""
    of_time = time_finding(row.not_before, row.ends, now)
    findings = [of_time.as_json()] if of_time else []
    level, word = ends_words(row.not_after, now)
    return {
        "row": row,
        "use": use_word(row.use),
        "ends_level": level,
        "ends_word": word,
        "name": row.subject.removeprefix("CN=") or row.fingerprint[:12],
        "certbot_name": _certbot_name(row),
        "kubeadm_name": "" if row.is_ca else _OF_KUBEADM.get(row.place, ""),
        "names": ", ".join(row.names[:3]),
        "more_names": max(len(row.names) - 3, 0),
        "findings": [
            {"level": one["level"], "said": said, "mend": mend}
            for one in (*findings, *row.findings)
            for said, mend in [finding_words(one["code"], one["params"])]
            if one["code"] != "expired"
        ],
    }


def _certbot_name(row: Certificate) -> str:
    """What Certbot calls it: the name of its folder."""
    if row.position or not row.place.startswith(_LIVE):
        return ""
    return row.place.removeprefix(_LIVE).partition("/")[0]


def ends_words(not_after: datetime, now: datetime) -> tuple[str, str]:
    """The level of an end, and a word where it deserves one."""
    if not_after >= NEVER:
        return "none", _("never")
    if not_after <= now:
        return "bad", _("expired")
    if not_after - now > SOON:
        return "", ""
    days = days_left(not_after, now)
    return "warn", ngettext("%(n)d day left", "%(n)d days left", days) % {"n": days}


def of_node(node: Node, now: datetime) -> dict[str, Any]:
    """What the tab of a node shows. Two queries."""
    source: CertificateSource | None = CertificateSource.objects.filter(node=node).first()
    rows = list(source.certificates.all()) if source else []
    return {
        "certificate_source": source,
        "certificates": [shown(row, now) for row in rows],
        "certificates_failure": failure_of(source),
        "certificates_unread": [
            {"place": one["place"], "why": unread_word(one["why"])} for one in (source.unread if source else [])
        ],
    }


def failure_of(source: CertificateSource | None) -> dict[str, Any] | None:
    if source is None or source.failed_at is None:
        return None
    said, mend = failure_words(source.error_kind, source.error_params, is_endpoint=source.kind != "host")
    return {"said": said, "mend": mend, "at": source.failed_at}


@require_POST
@needs("nodes.poll")
def node_read(request: HttpRequest, name: str) -> HttpResponse:
    """Read the certificates of this node at once."""
    node, now = node_for(request, name, "nodes.poll"), clock.now()
    try:
        request_look(source=source_of(node, now), actor=principal_of(request), now=now)
    except FleetError as error:
        say_problem(request, error)
    else:
        nudge_certificates()
        messages.info(request, _("The certificates of %(name)s are read now.") % {"name": node.name})
    return redirect(f"{reverse('nodes:detail', args=[node.name])}?tab=certificates")


@require_safe
@needs("nodes.read")
def calendar(request: HttpRequest) -> HttpResponse:
    """What ends in which month, authorities included: each certificate once, wherever it lies. Three queries."""
    now = clock.now()
    visible = Certificate.objects.visible_to(principal_of(request)).filter(not_after__lt=NEVER).order_by()
    first = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    months = [_month(first, number) for number in range(MONTHS + 1)]
    per_month = (
        visible.annotate(month=TruncMonth("not_after", tzinfo=UTC))
        .values("month")
        .annotate(
            count=Count("fingerprint", distinct=True), cas=Count("fingerprint", distinct=True, filter=Q(is_ca=True))
        )
        .order_by("month")
    )
    counts = {row["month"]: row for row in per_month}
    first_of_each = (
        visible.filter(not_after__gte=first, not_after__lt=months[-1])
        .values("fingerprint")
        .annotate(
            ends=Min("not_after"),
            subject=Max("subject"),
            use=Max("use"),
            places=Count("pk"),
            cas=Count("pk", filter=Q(is_ca=True)),
        )
        .annotate(
            place=Window(
                RowNumber(), partition_by=TruncMonth("ends", tzinfo=UTC), order_by=[F("ends"), F("fingerprint")]
            )
        )
        .filter(place__lte=SHOWN_A_MONTH)
        .order_by("ends", "fingerprint")
    )
    by_month: dict[datetime, list[dict[str, Any]]] = {}
    for row in first_of_each:
        by_month.setdefault(_month(row["ends"].astimezone(UTC), 0), []).append(row)
    expired = visible.filter(not_after__lte=now).values("fingerprint").distinct().count()
    years: dict[int, dict[str, int]] = {}
    for month, row in counts.items():
        if month >= months[-1]:
            year = years.setdefault(month.year, {"count": 0, "cas": 0})
            year["count"] += row["count"]
            year["cas"] += row["cas"]
    context = {
        "tabs": tabs(request),
        "expired": expired,
        "expired_url": _list_url(state="expired"),
        "months": [_shown_month(month, counts.get(month), by_month.get(month, []), now) for month in months[:-1]],
        "years": [
            {
                "year": year,
                **found,
                "url": _list_url(
                    ends_from=max(f"{year}-01-01", f"{months[-1]:%Y-%m-%d}"), ends_until=f"{year + 1}-01-01"
                ),
            }
            for year, found in sorted(years.items())
            if year < NEVER.year - 1
        ],
        "is_empty": not counts,
    }
    return render(request, "nodes/certificate_calendar.html", context)


def _month(moment: datetime, later: int) -> datetime:
    """The first moment of the month that is so many months later."""
    years, month = divmod(moment.month - 1 + later, 12)
    return datetime(moment.year + years, month + 1, 1, tzinfo=UTC)


def _shown_month(
    month: datetime, counted: dict[str, Any] | None, rows: list[dict[str, Any]], now: datetime
) -> dict[str, Any]:
    """The first few of a month; the count and its link are of all."""
    ends = _month(month, 1)
    count = counted["count"] if counted else 0
    return {
        "month": month.date(),
        "count": count,
        "cas": counted["cas"] if counted else 0,
        "url": _list_url(ends_from=f"{month:%Y-%m-%d}", ends_until=f"{ends:%Y-%m-%d}"),
        "rows": [
            {
                "name": row["subject"].removeprefix("CN=") or row["fingerprint"][:12],
                "ends": row["ends"],
                "use": "" if row["cas"] else use_word(row["use"]),
                "places": row["places"],
                "is_ca": bool(row["cas"]),
                "level": ends_words(row["ends"], now)[0],
                "url": _list_url(fingerprint=row["fingerprint"]),
            }
            for row in rows
        ],
        "more": max(count - len(rows), 0),
    }


def _list_url(**query: str) -> str:
    return f"{reverse('nodes:certificates')}?{urlencode(query)}"


def field_word(name: str) -> str:
    words = {
        "state": _("State"),
        "within": _("Ends within"),
        "level": _("Findings"),
        "finding": _("Finding"),
        "use": _("Use"),
        "ca": _("CA"),
        "node": _("Node"),
        "pool": _("Pool"),
        "endpoint": _("Endpoint"),
        "fingerprint": _("Fingerprint"),
        "ends_from": _("Ends from"),
        "ends_until": _("Ends before"),
    }
    return words[name]


def value_word(name: str, value: str) -> str:
    words = {
        "state": {"expired": _("expired"), "not_yet_valid": _("not yet valid"), "valid": _("valid")},
        "level": {"bad": _("bad"), "warn": _("warning"), "info": _("note")},
        "ca": {"true": _("yes"), "false": _("no")},
    }
    if name == "use":
        return use_word(value)
    if name == "finding":
        return value.replace("_", " ") if value in FINDINGS else value
    if name == "fingerprint":
        return value[:12]
    if name.startswith("ends_"):
        return value if len(value) == 10 else moment_word(value)
    return words.get(name, {}).get(value, value)


def _fields(principal: Principal, query: QueryDict) -> list[dict[str, Any]]:
    pools = Pool.objects.visible_to(principal).order_by("name").values_list("name", flat=True)[:MOST_POOLS]
    values: dict[str, list[str]] = {
        "state": list(CERTIFICATE_STATES),
        "within": list(_SPANS),
        "level": ["bad", "warn", "info"],
        "ca": ["true", "false"],
        "use": [str(use.value) for use in USES],  # type: ignore[attr-defined]
        "pool": list(pools),
    }
    single = {"within", "ca"}
    return [
        {
            "label": field_word(name),
            "options": [
                {
                    "label": value_word(name, value),
                    "level": "",
                    "count": None,
                    "active": value in split_values(query.getlist(name)),
                    "url": changed_query(query, {name: None if query.get(name) == value else value})
                    if name in single
                    else turned(query, name, value),
                }
                for value in choices
            ],
        }
        for name, choices in values.items()
        if choices
    ]
