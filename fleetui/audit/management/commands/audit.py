from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from fleetui.audit.models import AuditEvent, AuditPush
from fleetui.audit.push import event_json
from fleetui.audit.sinks import sinks
from fleetui.audit.verify import verify_and_note


class Command(BaseCommand):
    help = "The audit log: prove it, write it out as JSON lines, or send it to its receivers once more."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verify = verbs.add_parser("verify", help="walk the whole chain; exit 1 when it is broken")
        verify.add_argument(
            "--anchors",
            action="append",
            default=[],
            metavar="FILE",
            help="also compare with anchors that were kept elsewhere, such as at a backup target; as often as needed",
        )
        export = verbs.add_parser(
            "export", help="one event a line, oldest first; the seq of the last is where to go on"
        )
        export.add_argument("--after", type=int, default=0, metavar="SEQ", help="only events after this one")
        resend = verbs.add_parser("resend", help="let the receivers have everything after an event once more")
        resend.add_argument("--after", type=int, default=0, metavar="SEQ", help="the last event that they have")

    def handle(self, *args: Any, **options: Any) -> None:
        {"verify": self._verify, "export": self._export, "resend": self._resend}[options["verb"]](options)

    def _export(self, options: dict[str, Any]) -> None:
        for event in AuditEvent.objects.filter(seq__gt=options["after"]).order_by("seq").iterator(chunk_size=500):
            self.stdout.write(json.dumps(event_json(event), ensure_ascii=False))

    def _resend(self, options: dict[str, Any]) -> None:
        names = [sink.name for sink in sinks()]
        if not names:
            raise CommandError("No receiver is set: FLEETUI_AUDIT_WEBHOOK_URL or FLEETUI_AUDIT_SYSLOG.")
        # A sending that is under way loses its lease, so that it does not move the place back.
        count = AuditPush.objects.filter(sink__in=names).update(seq=options["after"], lease_id=None, lease_until=None)
        self.stdout.write(f"{count} receivers get everything after event {options['after']} within seconds.")

    def _verify(self, options: dict[str, Any]) -> None:
        verdict = verify_and_note(line for name in options["anchors"] for line in _kept_anchors(name))
        for problem in verdict.problems:
            self.stdout.write(problem)
        if not verdict.good:
            raise CommandError(
                f"The audit log is not intact: problems: {len(verdict.problems)} in {verdict.events} events."
            )
        proof = (
            f"Cutting off the end is provable up to event {verdict.anchored_seq}."
            if verdict.anchored_seq
            else "No anchor has been written yet: cutting off the end could not be proved."
        )
        self.stdout.write(f"The audit log is intact: {verdict.events} events, every hash matches. {proof}")
        if verdict.checkpoint:
            self.stdout.write(
                f"It begins at event {verdict.begins_at}: retention removed what was before, as event {verdict.checkpoint} says."
            )


def _kept_anchors(name: str) -> list[str]:
    """The lines of a file of anchors; one without any would prove nothing, and nobody would notice."""
    try:
        lines = [line for line in Path(name).read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{name} cannot be read: {error}") from error
    for line in lines:
        try:
            row = json.loads(line)
            int(row["seq"]), str(row["hash"])
        except (ValueError, KeyError, TypeError) as error:
            raise CommandError(f"{name} holds a line that is no anchor: {line[:80]}") from error
    if not lines:
        raise CommandError(f"{name} holds no anchor.")
    return lines
