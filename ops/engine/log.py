"""The log of an operation: own sequence numbers, streams apart, secrets masked, bounded with a notice."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F

from fleetui.core import clock
from fleetui.core.text import clean
from ops.models import Attachment, LogLine, Operation

MAX_LOG_BYTES = 4 * 1024 * 1024
MAX_PIECE_CHARS = 16_384
MAX_ATTACHMENT_BYTES = 512 * 1024
_MASK = "********"
_SECRETS = (
    re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"),
    re.compile(r"\bfleetui_[A-Za-z0-9_]{8,}"),
    # Also as keys of JSON, where a quote stands between name and colon, and with what follows in AWS_SECRET_ACCESS_KEY.
    re.compile(
        r"(?i)((?:password|passwd|passphrase|secret|token|(?:api|(?:secret[_-]?)?access|private)[_-]?key)[\"']?\s*[=:]\s*)"
        r"(\"(?:[^\"\\]|\\.)*\"|'[^']*'|\S+)"
    ),
    # A scheme of bounded length: a long word would be read to its end from each of its letters.
    re.compile(r"(?i)([a-z][a-z0-9+.-]{0,30}://[^/\s:@]+:)[^@\s/]+(@)"),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    # As options of command lines, whose value is a word of its own.
    re.compile(
        r"(?i)((?<!\S)--?(?:[a-z]{1,20}-){0,3}(?:password|passwd|passphrase|secret|token|api-key|access-key|private-key)\s+)"
        r"(\"(?:[^\"\\]|\\.)*\"|'[^']*'|[^\s-]\S*)"
    ),
    re.compile(r"(\bcurl\b[^\n]{0,500}?\s(?:-[a-zA-Z]*u|--user|--proxy-user)[\s=]*['\"]?[^\s:'\"]{1,100}:)([^\s'\"]+)"),
)


def masked(text: str) -> str:
    """The text without what looks like a secret: credentials of headers and addresses, tokens, private keys."""
    text = _SECRETS[0].sub(lambda found: f"{found[1]} {_MASK}", text)
    text = _SECRETS[1].sub(_MASK, text)
    text = _SECRETS[2].sub(lambda found: f"{found[1]}{_MASK}", text)
    text = _SECRETS[3].sub(lambda found: f"{found[1]}{_MASK}{found[2]}", text)
    text = _SECRETS[4].sub(_MASK, text)
    for option in _SECRETS[5:]:
        text = option.sub(lambda found: f"{found[1]}{_MASK}", text)
    return text


def write(
    operation: uuid.UUID, lease: uuid.UUID, step: str, lines: list[tuple[str, str, dict[str, Any]]], at: datetime
) -> None:
    """Append (stream, text, params) while the lease is held: what a worker says who lost it comes after the end.

    The numbers come from the operation's row, so that two writers never share one, and none is left out.
    """
    given = [(stream, piece, params) for stream, text, params in lines for piece in _pieces(text)]
    if not given:
        return
    size = sum(_size(*one) for one in given)
    with transaction.atomic(savepoint=False):
        row = Operation.objects.filter(pk=operation, lease_id=lease)
        if not row.update(log_seq=F("log_seq") + len(given), log_bytes=F("log_bytes") + size):
            return
        seq, total = row.values_list("log_seq", "log_bytes").get()
        kept = given if total <= MAX_LOG_BYTES else _that_fit(given, total - size)
        if kept is not given:
            forgotten = size if total - size > MAX_LOG_BYTES else 0
            seq += len(kept) - len(given)
            row.update(log_seq=seq, log_bytes=total - forgotten)
        LogLine.objects.bulk_create(
            LogLine(
                operation_id=operation,
                seq=seq - len(kept) + 1 + place,
                at=at,
                step=step,
                stream=stream,
                text=text,
                params=params,
            )
            for place, (stream, text, params) in enumerate(kept)
        )


def _size(stream: str, text: str, _params: dict[str, Any]) -> int:
    """What counts towards the limit: what hosts print. What FleetUI itself says is short, and is always kept."""
    return 0 if stream == "note" else len(text.encode())


def _that_fit(given: list[tuple[str, str, dict[str, Any]]], before: int) -> list[tuple[str, str, dict[str, Any]]]:
    """The lines for which there is room, and one notice in the place of the first for which there is none."""
    kept, is_told = [], before > MAX_LOG_BYTES
    for one in given:
        before += _size(*one)
        if one[0] == "note" or before <= MAX_LOG_BYTES:
            kept.append(one)
        elif not is_told:
            kept.append(("note", "log_full", {"limit_bytes": MAX_LOG_BYTES}))
            is_told = True
    return kept


def _pieces(text: str) -> list[str]:
    whole = masked(clean(text))
    return [whole[start : start + MAX_PIECE_CHARS] for start in range(0, len(whole), MAX_PIECE_CHARS)]


class StepLog:
    """The log of one step at work; each line is there at once, so that a reader sees it while the step goes on."""

    def __init__(self, operation: uuid.UUID, lease: uuid.UUID, step: str) -> None:
        self._operation, self._lease, self._step = operation, lease, step

    def note(self, code: str, **params: Any) -> None:
        write(self._operation, self._lease, self._step, [("note", code, _plain(params))], clock.now())

    def output(self, stream: str, text: str) -> None:
        write(self._operation, self._lease, self._step, [(stream, text, {})], clock.now())

    def attach(self, kind: str, title: str, text: str, document: Mapping[str, Any] | None = None) -> None:
        """Masked, and cut at its beginning: what happened last is what a person looks for. A repeat replaces it."""
        whole = masked(clean(text))
        kept = whole.encode()[-MAX_ATTACHMENT_BYTES:].decode("utf-8", "ignore")
        told = {"at": clock.now(), "text": kept, "document": _plain(dict(document or {}))}
        told |= {"size_bytes": len(text.encode()), "is_cut": len(kept) < len(whole)}
        with transaction.atomic():
            row = Operation.objects.filter(pk=self._operation, lease_id=self._lease)
            # The row is held meanwhile; who has lost the lease keeps nothing.
            if row.update(lease_id=self._lease):
                Attachment.objects.update_or_create(
                    operation_id=self._operation, kind=kind, title=title[:200], defaults=told
                )


def _plain(value: Any) -> Any:
    """Parameters as JSON holds them; what a host said is masked like output."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return masked(clean(value)) if isinstance(value, str) else value
