"""What every page must say when it is so: polls wait for too long, so what the pages show grows old."""

from __future__ import annotations

from datetime import timedelta

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from fleetui.core import clock
from fleetui.core.ages import lasting
from fleetui.core.frame import Banner
from fleetui.core.heartbeats import signs_of
from nodes.models import Certificate, Node
from nodes.services.certificates.alerts import EXPIRED_JOB
from nodes.services.enrolment import holds

#: A node that has been due for longer than this waits for a worker that is not there.
OVERDUE = timedelta(minutes=3)
#: The watch of certificates gives its sign twice a minute.
EXPIRED_SIGN_S = 180


def absence_is_held(request: HttpRequest) -> list[Banner]:
    """Pools whose absent nodes were not retired, because it may be the network that is away."""
    principal = request.principal  # type: ignore[attr-defined]
    where = principal.where("pools.read")
    found = []
    for hold in holds(clock.now()):
        if not where.covers(hold.pool_id):
            continue
        if hold.reason == "half":
            text = ngettext(
                "%(failing)s of %(nodes)s node of the pool %(pool)s does not answer, so none is retired for absence.",
                "%(failing)s of %(nodes)s nodes of the pool %(pool)s do not answer, so none is retired for absence.",
                hold.nodes,
            )
        else:
            text = _("No node at all answers, so none of the pool %(pool)s is retired for absence.")
        url = reverse("nodes:pool", args=[hold.pool])
        values = {"failing": hold.failing, "nodes": hold.nodes, "pool": hold.pool}
        found.append(Banner(level="warn", text=text % values, url=f"{url}#enrolment", action=_("See why")))
    return found


def certificates_expired(request: HttpRequest) -> list[Banner]:
    """Asked of the rows only while the watch says that some have expired, so that other pages cost nothing."""
    principal = request.principal  # type: ignore[attr-defined]
    if not principal.may_somewhere("nodes.read"):
        return []
    sign = signs_of(request).job(EXPIRED_JOB)
    if sign is None or sign.age_s > EXPIRED_SIGN_S:
        return []
    ended = Certificate.objects.visible_to(principal).filter(not_after__lte=clock.now())
    count = ended.order_by().values("fingerprint").distinct().count()
    if not count:
        return []
    text = ngettext("%(n)d certificate has expired.", "%(n)d certificates have expired.", count) % {"n": count}
    url = f"{reverse('nodes:certificates')}?state=expired"
    return [Banner(level="bad", text=text, url=url, action=_("See which"))]


def polling_stands_still(request: HttpRequest) -> list[Banner]:
    """One indexed look at the node that has been due the longest. Where no worker or beat runs, their banner says it."""
    signs = signs_of(request)
    if not signs.of("worker") or not signs.of("beat"):
        return []
    now = clock.now()
    oldest = Node.objects.due(now - OVERDUE).order_by("poll_due_at").values_list("poll_due_at", flat=True).first()
    if oldest is None:
        return []
    text = _("Nodes have been waiting for a poll for %(time)s: the workers cannot keep up.")
    may_open = request.principal.may("health.read")  # type: ignore[attr-defined]
    url, action = (reverse("health"), _("Health of FleetUI")) if may_open else ("", "")
    return [Banner(level="bad", text=text % {"time": lasting(oldest, now)}, url=url, action=action)]
