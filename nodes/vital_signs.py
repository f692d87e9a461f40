"""What the Health page says of the work on nodes: how old the oldest due row of each kind is, and clocks of hosts."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from fleetui.core.ages import lasting
from fleetui.core.vitals import Glance, Line
from nodes.models import HostKey, Node
from nodes.services.backlog import Waiting, backlog

#: Seconds after which work of a kind waits too long. Polls are claimed every 2 s, operations every second, imports every 30 s.
LATE_S = {
    "polls": 60.0,
    "operations": 60.0,
    "imports": 120.0,
    "trials": 120.0,
    "drift": 7200.0,
    "certificates": 7200.0,
}
STANDS_STILL_S = 180.0


def queues(glance: Glance) -> Iterator[Line]:
    """One line for each kind of work."""
    titles = {
        "polls": _("Polls"),
        "imports": _("Imports"),
        "trials": _("Trials of credentials"),
        "drift": _("Comparisons with Ignition"),
        "certificates": _("Looks at certificates"),
        "operations": _("Operations"),
    }
    for waiting in backlog(glance.now):
        yield _line(waiting, titles[waiting.kind], glance)


def _line(waiting: Waiting, title: str, glance: Glance) -> Line:
    key, age_s = f"queue:{waiting.kind}", waiting.age_s(glance.now)
    if waiting.oldest_due_at is None:
        return Line(key, "work", "ok", title, _("Nothing waits."))
    told = {"n": waiting.count, "time": lasting(waiting.oldest_due_at, glance.now)}
    text = ngettext("%(n)d waits, for %(time)s.", "%(n)d wait, the oldest for %(time)s.", waiting.count) % told
    if age_s <= LATE_S[waiting.kind]:
        return Line(key, "work", "ok", title, text, at=waiting.oldest_due_at)
    mend = _("Start more workers for polls (with up: FLEETUI_POLL_WORKERS), or lengthen the interval.")
    if waiting.kind != "polls":
        mend = _("Look at the log of the workers that take the queue ops.")
    level = "bad" if age_s > STANDS_STILL_S else "warn"
    return Line(key, "work", level, title, text, mend, waiting.oldest_due_at)


def decisions(glance: Glance) -> Iterator[Line]:
    """Host keys that wait for a person: until then their nodes are not polled."""
    count = HostKey.objects.filter(state="offered", node__lifecycle__in=["active", "maintenance"]).count()
    if count:
        text = ngettext("%(n)d host key waits for a person.", "%(n)d host keys wait for a person.", count)
        mend = _("Compare the fingerprints and accept or refuse them on the pages of the nodes.")
        yield Line("host_keys", "work", "info", _("Host keys"), text % {"n": count}, mend)


def host_clocks(glance: Glance) -> Iterator[Line]:
    """Clocks of hosts that are not synchronised, as polls read them."""
    count = Node.objects.counted().filter(health_reason="clock_not_synchronized").count()
    if count:
        text = ngettext(
            "The clock of %(n)d node is not synchronised.", "The clocks of %(n)d nodes are not synchronised.", count
        )
        mend = _("See the list of nodes with the filter reason=clock_not_synchronized.")
        yield Line("clock:nodes", "work", "warn", _("Clocks of nodes"), text % {"n": count}, mend)
