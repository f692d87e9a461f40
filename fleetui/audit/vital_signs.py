"""Whether the audit log is anchored, and what its last proof said."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from fleetui.audit.models import AuditHead, AuditPush
from fleetui.audit.sinks import sinks
from fleetui.audit.tasks import ANCHOR_JOB
from fleetui.audit.verify import VERIFY_JOB
from fleetui.core.ages import lasting
from fleetui.core.vitals import Glance, Line

#: The job runs every minute.
ANCHOR_OLD_S = 300.0


def anchor_is_old(glance: Glance) -> Iterator[Line]:
    """Only where the processes that anchor run: without them the banner about them says it all."""
    sign = glance.signs.job(ANCHOR_JOB)
    workers = [worker for worker in glance.signs.of("worker") if "ops" in worker.queues]
    if not workers or not glance.signs.of("beat"):
        return
    age_s = sign.age_s if sign else max((glance.now - worker.started_at).total_seconds() for worker in workers)
    if age_s <= ANCHOR_OLD_S:
        return
    told = {"time": lasting(sign.seen_at, glance.now)} if sign else {}
    text = (
        _("The audit log has not been anchored for %(time)s: cutting off its end could not be proved.") % told
        if sign
        else _("The audit log has never been anchored: cutting off its end could not be proved.")
    )
    mend = _(
        "Look for `anchor` in the log of the worker that takes the queue ops: perhaps its data folder is read-only or full."
    )
    yield Line("audit:anchor", "trust", "bad", _("Audit anchor"), text, mend)


def broken(glance: Glance) -> Iterator[Line]:
    """A proof that failed stays on every page until one succeeds."""
    sign = glance.signs.job(VERIFY_JOB)
    if sign and not sign.document.get("good", True):
        text = _("The audit log is not intact: the proof of %(time)s ago found it changed.")
        mend = _("Run `manage.py audit verify` on the server: it names the events. Compare with a backup.")
        yield Line(
            "audit:verify", "trust", "bad", _("Audit proof"), text % {"time": lasting(sign.seen_at, glance.now)}, mend
        )


def anchored(glance: Glance) -> Iterator[Line]:
    """How far the log is anchored, and when it was proved last."""
    head = AuditHead.objects.filter(id=1).values_list("seq", flat=True).first() or 0
    sign = glance.signs.job(ANCHOR_JOB)
    if sign and sign.age_s <= ANCHOR_OLD_S:
        text = _("Anchored up to event %(seq)s of %(head)s.") % {"seq": sign.document.get("seq", 0), "head": head}
        yield Line("audit:anchor", "trust", "ok", _("Audit anchor"), text, at=sign.seen_at)
    proof = glance.signs.job(VERIFY_JOB)
    if proof is None:
        text = _("It was never proved here that the audit log is intact.")
        yield Line("audit:verify", "trust", "info", _("Audit proof"), text, _("Run `manage.py audit verify`."))
    elif proof.document.get("good"):
        events = int(proof.document.get("events", 0))
        text = ngettext(
            "Proved intact: %(n)s event, its hash matched.", "Proved intact: %(n)s events, every hash matched.", events
        ) % {"n": f"{events:,}"}
        yield Line("audit:verify", "trust", "ok", _("Audit proof"), text, at=proof.seen_at)


def sent_on(glance: Glance) -> Iterator[Line]:
    """How far the receivers of audit events are behind, and why."""
    wanted = [sink.name for sink in sinks()]
    if not wanted:
        return
    head = AuditHead.objects.filter(id=1).values_list("seq", flat=True).first() or 0
    known = {row.sink: row for row in AuditPush.objects.filter(sink__in=wanted)}
    for name in wanted:
        row, title = known.get(name), _("Audit events to %(name)s") % {"name": name}
        behind = head - (row.seq if row else 0)
        told: dict[str, object] = {"n": f"{behind:,}", "seq": row.seq if row else 0}
        if row is not None and row.failing_since:
            text = ngettext(
                "%(n)s event waits; it has failed for %(time)s: %(why)s",
                "%(n)s events wait; it has failed for %(time)s: %(why)s",
                behind,
            )
            told |= {"time": lasting(row.failing_since, glance.now), "why": row.last_error}
            mend = _(
                "Look at the receiver, and at FLEETUI_AUDIT_WEBHOOK_URL or FLEETUI_AUDIT_SYSLOG. Nothing is lost meanwhile."
            )
            yield Line(f"audit:send:{name}", "trust", "warn", title, text % told, mend, at=row.sent_at)
        else:
            text = _("Sent up to event %(seq)s; %(n)s wait.")
            yield Line(f"audit:send:{name}", "trust", "ok", title, text % told, at=row.sent_at if row else None)
