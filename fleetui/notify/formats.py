"""What each kind of receiver gets. Pure: events in, bodies out. The payload of version 1 only ever gains fields."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fleetui.audit.chain import iso
from fleetui.notify.events import SEVERITIES

VERSION = 1
#: Lines of a message for people; the payload holds all.
LINES_SHOWN = 10
#: An alert that nobody takes back ends by itself.
ALERT_LASTS = timedelta(hours=24)
#: Nobody has to silence what somebody tried.
TEST_LASTS = timedelta(minutes=5)
MARKS = {"info": "ℹ️", "warning": "⚠️", "critical": "🔴"}
#: Alerts are of the thing that is wrong: what says that it is well again ends them.
_RESOLVES = {
    "node.recovered": "node.unreachable",
    "node.healthy": "node.degraded",
    "node.in_step": "node.drifted",
    "backup.recovered": "backup.overdue",
    "backup.proven": "backup.unproven",
    "runbook.in_time": "runbook.overdue",
    "fleetui.healthy": "fleetui.unhealthy",
}
#: How severe an alert that is ended was, where it does not say so itself and was no warning.
_WAS = {"backup.recovered": "critical"}


@dataclass(frozen=True)
class Item:
    """One event of a message."""

    text: str
    path: str
    subject: str
    pool: str | None
    details: Mapping[str, Any]
    severity: str
    at: datetime


@dataclass(frozen=True)
class Message:
    """Events of one kind that go out together; `base` is where our pages are."""

    id: uuid.UUID
    event: str
    items: Sequence[Item]
    base: str = ""

    @property
    def severity(self) -> str:
        return max((one.severity for one in self.items), key=SEVERITIES.index)

    @property
    def title(self) -> str:
        if len(self.items) == 1:
            return self.items[0].text
        return f"{len(self.items)} × {self.event}: {self.items[0].text}"

    def url(self, item: Item) -> str:
        return f"{self.base}{item.path}" if self.base and item.path else ""


def payload(message: Message) -> dict[str, Any]:
    """The documented one."""
    return {
        "version": VERSION,
        "id": str(message.id),
        "event": message.event,
        "severity": message.severity,
        "title": message.title,
        "count": len(message.items),
        "items": [
            {
                "at": iso(one.at),
                "severity": one.severity,
                "text": one.text,
                "subject": one.subject,
                "pool": one.pool,
                "url": message.url(one) or None,
                "details": dict(one.details),
            }
            for one in message.items
        ],
    }


def slack(message: Message) -> dict[str, Any]:
    """Blocks of an incoming webhook; `text` is what notifications show. Plain text, so that nothing in it is a mention."""
    head = f"{MARKS[message.severity]} {message.title}"
    blocks: list[dict[str, Any]] = [{"type": "section", "text": {"type": "plain_text", "text": head[:3000]}}]
    if len(message.items) > 1:
        lines = "\n".join(f"• {one}" for one in _lines(message))
        blocks.append({"type": "section", "text": {"type": "plain_text", "text": lines[:3000]}})
    if url := message.url(message.items[0]):
        button = {"type": "button", "text": {"type": "plain_text", "text": "Open in FleetUI"}, "url": url[:3000]}
        blocks.append({"type": "actions", "elements": [button]})
    return {"text": _escaped(head)[:3000], "blocks": blocks}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def teams(message: Message) -> dict[str, Any]:
    """An adaptive card for the Workflows trigger "When a Teams webhook request is received"."""
    colours = {"info": "Default", "warning": "Warning", "critical": "Attention"}
    title = {
        "type": "TextBlock",
        "text": _plain(f"{MARKS[message.severity]} {message.title}"),
        "weight": "Bolder",
        "color": colours[message.severity],
        "wrap": True,
    }
    body: list[dict[str, Any]] = [title]
    if len(message.items) > 1:
        body += [
            {"type": "TextBlock", "text": _plain(one), "wrap": True, "spacing": "Small"} for one in _lines(message)
        ]
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    if url := message.url(message.items[0]):
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open in FleetUI", "url": url}]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _plain(text: str) -> str:
    """Cards read a part of Markdown."""
    for mark in "\\`*_[]":
        text = text.replace(mark, f"\\{mark}")
    return text[:1000]


def _lines(message: Message) -> list[str]:
    lines = [one.text for one in message.items[:LINES_SHOWN]]
    rest = len(message.items) - LINES_SHOWN
    return [*lines, f"and {rest} more"] if rest > 0 else lines


def alerts(message: Message) -> list[dict[str, Any]]:
    """Of Alertmanager's API v2: one per item. The labels say which one it is; what says that it is well again ends it."""
    found = []
    name = _RESOLVES.get(message.event, message.event)
    for one in message.items:
        labels = {"alertname": f"FleetUI {name}", "subject": one.subject or message.event, "pool": one.pool or ""}
        # The same as that of the alert that it ends: labels are what an alert is known by.
        was = str(one.details.get("was") or _WAS.get(message.event, "warning"))
        labels["severity"] = was if message.event in _RESOLVES else one.severity
        alert: dict[str, Any] = {
            "labels": {key: value for key, value in labels.items() if value},
            "annotations": {"summary": one.text},
            "startsAt": iso(one.at),
            "endsAt": iso(one.at + (TEST_LASTS if message.event == "test" else ALERT_LASTS)),
        }
        if message.event in _RESOLVES:
            alert["endsAt"] = alert["startsAt"]
            # It began before; Alertmanager keeps the earlier start of the same labels.
            alert["startsAt"] = iso(one.at - timedelta(seconds=1))
        if url := message.url(one):
            alert["generatorURL"] = url
        found.append(alert)
    return found


def mail_text(message: Message) -> tuple[str, str]:
    """Subject (one line) and body."""
    lines = [f"{one.text}\n  {message.url(one)}".rstrip() for one in message.items]
    subject = f"[FleetUI {message.severity}] {message.title}"
    return " ".join(subject.split())[:200], "\n".join([*lines, "", "--", f"{message.event} {message.id}"])
