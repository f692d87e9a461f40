"""The outbox is emptied again and again; a message of the broker says nothing."""

from __future__ import annotations

from celery import shared_task

from fleetui.core import clock
from fleetui.notify.sender import send_due


@shared_task(name="fleetui.notify.tasks.send", ignore_result=True)
def send() -> None:
    send_due(clock.now())
