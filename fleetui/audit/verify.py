"""Walk the chain and say what it proves."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _

from fleetui.audit.chain import TEXT_FIELDS, event_hash
from fleetui.audit.models import AuditEvent, AuditHead
from fleetui.audit.retention import checkpoint_before
from fleetui.audit.triggers import missing
from fleetui.core.heartbeats import mark

#: The name under which the last verdict is kept.
VERIFY_JOB = "audit-verify"


@dataclass(frozen=True)
class Verdict:
    """`good` is False when a row was changed, is missing, or the end was cut; `problems` says which, one sentence each.

    `begins_at` is the first event that is there; before it, `checkpoint` (an event of the chain) says what retention removed.
    """

    events: int
    anchored_seq: int
    problems: list[str] = field(default_factory=list)
    begins_at: int = 1
    checkpoint: int | None = None

    @property
    def good(self) -> bool:
        return not self.problems


def anchor_path() -> Path:
    return settings.DATA_DIR / "audit-anchor.jsonl"


def anchors(others: Iterable[str] = ()) -> dict[int, set[str]]:
    """seq -> hashes, as written outside the database every minute, and `others`: lines of anchors that were kept elsewhere.

    More than one hash for a number is kept: whoever cuts the log makes its numbers grow a second time.
    """
    try:
        lines = anchor_path().read_text().splitlines()
    except FileNotFoundError:
        lines = []
    found: dict[int, set[str]] = {}
    for line in (*lines, *others):
        try:
            row = json.loads(line)
            found.setdefault(int(row["seq"]), set()).add(str(row["hash"]))
        except (ValueError, KeyError, TypeError):
            continue  # a line cut by a power loss proves nothing, the others still do
    return found


def _head() -> tuple[int, str]:
    found = AuditHead.objects.filter(id=1).values_list("seq", "hash").first()
    return found or (0, "")


def verify(others: Iterable[str] = ()) -> Verdict:
    """Check every event against its hash and its neighbours, the head, the anchors (and `others`) and the triggers."""
    problems: list[str] = []
    outside = anchors(others)
    # Events are appended while we walk: the head of before must be met on the way, that of after not be passed.
    before, met = _head(), True
    previous, expected, count = "", 1, 0
    begins_at, checkpoint = 1, None
    for event in AuditEvent.objects.order_by("seq").iterator(chunk_size=2000):
        if count == 0 and event.seq > 1 and (found := checkpoint_before(event.seq)):
            begins_at, checkpoint = event.seq, found.seq
            previous, expected = found.last_hash, event.seq
            if outside.get(found.last, {found.last_hash}) != {found.last_hash}:
                said = _("Event %(seq)s, the last that retention removed, is not the one that was anchored.")
                problems.append(said % {"seq": found.last})
        if event.seq != expected:
            problems.append(_missing(expected, event.seq - 1))
            expected = event.seq
        row = {name: getattr(event, name) for name in ("at", *TEXT_FIELDS)}
        if event_hash(previous, row) != event.hash:
            said = _("Event %(seq)s does not match its hash: it, or the one before it, was changed.")
            problems.append(said % {"seq": event.seq})
        if outside.get(event.seq, {event.hash}) != {event.hash}:
            said = _("Event %(seq)s is not the one that was anchored outside the database.")
            problems.append(said % {"seq": event.seq})
        if event.seq == before[0]:
            met = event.hash == before[1]
        previous, expected, count = event.hash, expected + 1, count + 1
        if len(problems) >= 20:
            problems.append(_("More problems follow; the first 20 are shown."))
            break
    last = expected - 1
    after = _head()
    fits = after[1] == previous if after[0] == last else after[0] > last
    if len(problems) < 20 and not (met and before[0] <= last and fits):
        said = _("The log ends at event %(last)s, but its head says %(head)s: events were cut off or added.")
        problems.append(said % {"last": last, "head": before[0] if before[0] > last else after[0]})
    anchored = max(outside, default=0)
    if anchored > last:
        said = _("Event %(seq)s was anchored outside the database, but the log ends at %(last)s: it was cut.")
        problems.append(said % {"seq": anchored, "last": last})
    problems += [
        _("The trigger %(name)s is missing: rows could be changed.") % {"name": name}
        for name in sorted(missing())
        if settings.AUDIT_TRIGGERS
    ]
    return Verdict(events=count, anchored_seq=anchored, problems=problems, begins_at=begins_at, checkpoint=checkpoint)


def _missing(first: int, last: int) -> str:
    if first == last:
        return _("Event %(seq)s is missing.") % {"seq": first}
    return _("Events %(first)s to %(last)s are missing.") % {"first": first, "last": last}


def verify_and_note(others: Iterable[str] = ()) -> Verdict:
    """Verify, and keep when that was and what came out, for the Health page."""
    verdict = verify(others)
    mark(VERIFY_JOB, {"good": verdict.good, "events": verdict.events, "anchored_seq": verdict.anchored_seq})
    return verdict
