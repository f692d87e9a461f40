"""Recent activity: every action of the audit log has words, and leads to what it was done to."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from fleetui.access.roles import PERMISSIONS
from fleetui.audit.models import AuditEvent
from fleetui.notify.events import EVENTS
from ops.activity import activity
from ops.wording.activity import ALONE, DEEDS, OWN_DEEDS, REFUSED

_ACTION = re.compile(r"[a-z][a-z-]+\.[a-z]+(_[a-z]+)*\Z")
#: Made of a kind of row, or of what was exported.
_KINDS = ("nodes", "pools", "clusters", "credentials", "jump-hosts", "ignition-configs")
_EXPORTED = ("nodes", "pools", "releases", "audit")
#: Slugs in the same files that are no actions.
_OTHERS = {"localhost.localdomain", "release.available", "params.container", "params.image"}


def _slugs() -> Iterator[str]:
    """Texts that look like actions, in every module that writes audit events."""
    for app in ("fleetui", "nodes", "ops"):
        for path in Path(settings.BASE_DIR, app).rglob("*.py"):
            text = path.read_text()
            if "tests" in path.parts or not re.search(r"\bEntry\(|_entry\(", text):
                continue
            for found in ast.walk(ast.parse(text)):
                if isinstance(found, ast.Constant) and isinstance(found.value, str) and _ACTION.match(found.value):
                    yield found.value


def event(action: str, subject: str, **over: str) -> AuditEvent:
    given = {"actor": "user:anna", **over}
    return AuditEvent(seq=1, action=action, subject=subject, **given)


def test_every_action_has_words() -> None:
    found = set(_slugs())
    assert {"nodes.merge", "operations.stop_all", "views.set_default", "installation.backup"} <= found
    made = {f"{kind}.{verb}" for kind in _KINDS for verb in ("add", "edit", "delete")}
    made |= {f"{what}.export" for what in _EXPORTED}
    signals = {name for name in found if name.startswith("audit.") and name not in DEEDS}
    wordless = (found | made) - set(DEEDS) - PERMISSIONS.keys() - EVENTS.keys() - signals - _OTHERS
    assert not wordless
    assert set(OWN_DEEDS) | set(REFUSED) | ALONE <= set(DEEDS)


def told(line: AuditEvent) -> str:
    shown = activity(line)
    return " ".join(str(part) for part in (shown["actor"], shown["text"], shown["subject"], shown["detail"]) if part)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (event("pools.switch_credential", "pool:web"), "anna switched the credential of the pool web"),
        (event("users.set_password", "user:anna"), "anna changed their password"),
        (event("users.set_password", "user:ben"), "anna set the password of ben"),
        (event("operations.stop_all", "operations", reason="storm"), "anna stopped all operations storm"),
        (event("nodes.enrol", "node:w", actor="enrolment:web/t1"), "web/t1 enrolled the node w"),
        (event("nodes.enrol", "node:w", outcome="refused"), "anna could not enrol the node w"),
        (event("something.new", "thing:x"), "anna something.new x"),
        (
            event("operations.request", "operation:1", after='{"kind":"reboot","node":"web-1"}'),
            "anna requested the operation Reboot · web-1",
        ),
        (
            event("operations.end", "operation:1", after='{"kind":"reboot","node":"web-1","state":"failed"}'),
            "anna ended the operation Reboot · web-1 Failed",
        ),
        (
            event("operations.approve", "request:1", after='{"kind":"upgrade","operations":3}'),
            "anna approved the request for Upgrade",
        ),
    ],
)
def test_what_was_done_reads_as_a_sentence(line: AuditEvent, words: str) -> None:
    assert told(line) == words


def test_it_leads_to_what_is_there() -> None:
    pk = "11111111-2222-3333-4444-555555555555"
    assert activity(event("clusters.edit", "cluster:prod"))["url"] == "/clusters/prod/"
    assert activity(event("jump-hosts.edit", "jump-host:bastion"))["url"] == "/credentials/jump-hosts/bastion/"
    assert activity(event("operations.end", f"operation:{pk}"))["url"] == f"/operations/{pk}/"
    assert activity(event("operations.end", "operation:not-an-id"))["url"] == ""
    assert activity(event("nodes.delete", "node:w"))["url"] == ""
    assert activity(event("nodes.enrol", "node:w", outcome="refused"))["url"] == ""
