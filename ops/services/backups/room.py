"""Where on this machine lies for a while what drills restore, and the copy of FleetUI's own database."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings


def scratch() -> Path:
    return Path(settings.DATA_DIR) / "scratch"
