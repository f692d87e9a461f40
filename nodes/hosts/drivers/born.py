"""The note by which a host says with which version of a config it was born."""

from __future__ import annotations

import json
import re
from typing import Any

from nodes.hosts.drivers.documents import plain
from nodes.hosts.drivers.sections import MARKER_PATH
from nodes.hosts.facts import Ignition
from nodes.hosts.probe import SectionOutput

_PREFIX = f"{MARKER_PATH}:"
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOST = 500
_LARGEST = 2**31 - 1


def read_marker(section: SectionOutput) -> Ignition:
    """Lines `PATH:LINE` of the file among those of others; empty where there is none. Never raises."""
    lines = [line.removeprefix(_PREFIX) for line in section.stdout.splitlines() if line.startswith(_PREFIX)]
    text = "\n".join(lines).strip()
    if not text:
        return Ignition()
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    found = _marker(document) if isinstance(document, dict) else Ignition()
    return found if found.version_id else Ignition(verbatim=plain(text)[:_MOST])


def _marker(document: dict[str, Any]) -> Ignition:
    version = document.get("version")
    is_number = isinstance(version, int) and not isinstance(version, bool) and 0 < version <= _LARGEST
    return Ignition(
        config=plain(config)[:100] if isinstance(config := document.get("config"), str) else None,
        version=version if is_number else None,
        version_id=_word(document.get("version_id"), _UUID),
        source_sha256=_word(document.get("source_sha256"), _SHA256),
    )


def _word(value: Any, pattern: re.Pattern[str]) -> str | None:
    return value if isinstance(value, str) and pattern.fullmatch(value) else None
