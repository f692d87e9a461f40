"""One look at a host over an open connection: the probe of the right driver, in one exec."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

from nodes.hosts import drivers
from nodes.hosts.facts import Facts, Measurement
from nodes.hosts.probe import ProbeOutput, SectionOutput, build_script, read_frames
from nodes.hosts.ssh import Connection, Deadline

#: The driver whose probe is sent when nobody said what the host is: its sections are the widest.
FIRST_GUESS = "fcos"
#: Stands in a prepared script where the nonce of a poll belongs.
_NO_NONCE = "fleetuiNonce" * 3
MAX_OUTPUT_BYTES = 16 * 1024 * 1024
LONGEST_PROBE_S = 20


@dataclass(frozen=True)
class Look:
    """What one look read. `family` is the driver's that read it; `raw` is what the host printed, byte for byte."""

    family: str
    facts: Facts
    measurement: Measurement
    raw: bytes


def look(connection: Connection, *, family: str = "", given: bool = False, now: datetime, deadline: Deadline) -> Look:
    """Probe the host. `family` is what it is thought to be; unless it was `given` by a person, os-release has the last word."""
    guess = family if family in drivers.families() else FIRST_GUESS
    output, raw = _probe(connection, guess, deadline)
    found = family if given else drivers.detect_output(output).family
    if _script(found) != _script(guess):
        output, raw = _probe(connection, found, deadline)
    reading = drivers.get(found).parse(output, now)
    return Look(found, reading.facts, reading.measurement, raw)


@lru_cache(maxsize=256)
def _script(family: str, budget_s: int = LONGEST_PROBE_S) -> bytes:
    """The probe of a family with a place for the nonce."""
    return build_script(drivers.get(family).probe(), _NO_NONCE, budget_s)


def _probe(connection: Connection, family: str, deadline: Deadline) -> tuple[ProbeOutput, bytes]:
    nonce = secrets.token_hex(16)
    # The host ends by itself before our deadline does, so that one stuck service does not cost all facts.
    budget_s = int(min(LONGEST_PROBE_S, deadline.remaining_s * 0.8))
    script = _script(family, max(budget_s, 1)).replace(_NO_NONCE.encode(), nonce.encode())
    result = connection.run(["sh", "-s"], stdin=script, deadline=deadline, max_bytes=MAX_OUTPUT_BYTES)
    return _bounded(read_frames(result.stdout, nonce), family), result.stdout


def _bounded(output: ProbeOutput, family: str) -> ProbeOutput:
    """The limits of the script hold here too: a host that makes its own frames does not fill our memory."""
    limits = _limits(family)
    kept: dict[str, SectionOutput] = {}
    for name, found in output.sections.items():
        limit = limits.get(name, 0)
        if len(found.stdout_raw) > limit:
            kept[name] = replace(found, stdout_raw=found.stdout_raw[:limit], cut=True)
    return replace(output, sections={**output.sections, **kept}) if kept else output


@lru_cache(maxsize=256)
def _limits(family: str) -> Mapping[str, int]:
    return {section.name: section.max_bytes for section in drivers.get(family).probe()}
