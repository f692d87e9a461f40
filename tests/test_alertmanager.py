"""A real Alertmanager takes what a channel sends: an alert that fires, and is ended by what says that it is well again."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from fleetui.access.principals import SYSTEM
from fleetui.core import clock
from fleetui.notify.channels import channel_at, set_channel
from fleetui.notify.events import GATHER_S
from fleetui.notify.outbox import Told, tell
from fleetui.notify.sender import send_due
from fleetui.notify.trying import try_channel
from tests.conftest import missing
from tests.services import free_port

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]


def read(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.loads(answer.read())


def until(found: Callable[[], Any]) -> Any:
    end = time.monotonic() + 60
    while True:
        try:
            if result := found():
                return result
        except OSError:
            pass
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[str]:
    program = shutil.which("prometheus-alertmanager")
    if not program:
        missing("Alertmanager is not installed. Install it: apt-get install prometheus-alertmanager")
    config = tmp_path / "config.yml"
    config.write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    address = f"127.0.0.1:{free_port()}"
    arguments = [
        f"--config.file={config}",
        f"--storage.path={tmp_path}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    ]
    log = (tmp_path / "log").open("wb")
    with log, subprocess.Popen([str(program), *arguments], stdout=log, stderr=log) as process:
        try:
            until(lambda: read(f"http://{address}/api/v2/status"))
            yield f"http://{address}"
        finally:
            process.terminate()


def test_an_alert_fires_and_ends(alertmanager: str) -> None:
    channel = set_channel(
        name="alerts",
        kind="alertmanager",
        settings={"url": alertmanager},
        secrets={},
        actor=SYSTEM,
        now=clock.now(),
    )
    taken, said = try_channel(channel=channel_at(SYSTEM, channel.pk), actor=SYSTEM, now=clock.now())
    assert (taken, said) == (True, "200")

    def happens(event: str, severity: str, nodes: list[str]) -> None:
        told = [Told(event, severity, f"{one}: {event}", subject=f"node:{one}", pool="web") for one in nodes]
        with transaction.atomic():
            tell(told, now=clock.now())
        assert send_due(clock.now() + timedelta(seconds=GATHER_S + 1)) == len(nodes)

    def firing() -> set[str]:
        labels = [one["labels"] for one in read(f"{alertmanager}/api/v2/alerts?active=true")]
        return {one["subject"] for one in labels if one["alertname"] == "FleetUI node.unreachable"}

    happens("node.unreachable", "warning", ["web-1", "web-2"])
    until(lambda: firing() == {"node:web-1", "node:web-2"})
    happens("node.recovered", "info", ["web-1"])
    until(lambda: firing() == {"node:web-2"})
