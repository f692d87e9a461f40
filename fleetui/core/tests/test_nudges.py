"""The web process sends its nudges to the broker of the settings, from every thread."""

from __future__ import annotations

import subprocess
import sys

TOLD = """
import threading
import fleetui.wsgi
from nodes.tasks import apply_import

def tell():
    print(apply_import.app.main, apply_import.app.conf.broker_url)

thread = threading.Thread(target=tell)
thread.start()
thread.join()
"""


def test_the_web_process_knows_the_broker() -> None:
    done = subprocess.run(
        [sys.executable, "-c", TOLD],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "CELERY_BROKER_URL": "redis://broker.example/3",
            "PATH": "/bin",
        },
    )
    assert done.stdout.split() == ["fleetui", "redis://broker.example/3"]
