"""What the Health page says of the work on streams: whether somebody takes it, once there is any."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext as _

from fleetui.core.vital_signs import start_again
from fleetui.core.vitals import Glance, Line
from ops.models import BackupPolicy


def streams(glance: Glance) -> Iterator[Line]:
    """A worker for streams matters to whoever has backups made."""
    if not BackupPolicy.objects.exclude(kind="reported").exists():
        return
    title = _("Streams")
    if any("stream" in worker.queues for worker in glance.signs.of("worker")):
        yield Line("streams", "processes", "ok", title, _("A worker takes the queue stream."))
        return
    text = _("No worker takes the queue stream: backups wait.")
    yield Line("streams", "processes", "bad", title, text, start_again("worker -Q stream"))
