"""How each kind of channel is sent to: returns what the receiver said, or raises NotSent."""

from __future__ import annotations

import base64
import smtplib
import socket
import ssl
import time
from collections.abc import Mapping
from email.message import EmailMessage
from typing import Any

import orjson

from fleetui.core.posting import SHOWN_CHARS, TIMEOUT_S, NotSent, post, refuse_link_local, signature, why
from fleetui.core.time_limit import TimeLimit
from fleetui.notify import formats
from fleetui.notify.formats import Message

Settings = Mapping[str, Any]
#: Mail servers look at what they are given before they take it. Below the lease of a delivery.
LONGEST_MAIL_S = 60.0


def send(kind: str, settings: Settings, secrets: Mapping[str, str], message: Message) -> str:
    """One message to one channel. No transaction is open meanwhile."""
    if kind == "email":
        return _mail(settings, secrets.get("password", ""), message)
    headers = {"Content-Type": "application/json", "User-Agent": "FleetUI-notify"}
    url = str(settings.get("url") or secrets.get("url", ""))
    if kind == "webhook":
        body = orjson.dumps(formats.payload(message))
        headers["X-FleetUI-Event"] = message.event
        headers["X-FleetUI-Delivery"] = str(message.id)
        headers["X-FleetUI-Signature"] = signature(secrets["secret"], int(time.time()), body)
    elif kind == "slack":
        body = orjson.dumps(formats.slack(message))
    elif kind == "teams":
        body = orjson.dumps(formats.teams(message))
    else:
        body = orjson.dumps(formats.alerts(message))
        url = url.rstrip("/") + "/api/v2/alerts"
        if settings.get("username"):
            pair = f"{settings['username']}:{secrets.get('password', '')}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    answer = post(url, body, headers)
    return f"{answer.status} {answer.text}".strip()


def _mail(settings: Settings, password: str, message: Message) -> str:
    mail = EmailMessage()
    mail["Subject"], text = formats.mail_text(message)
    mail["From"], mail["To"] = settings["sender"], ", ".join(settings["recipients"])
    # The same at each attempt: a mail that comes twice can be told by it.
    mail["Message-ID"] = f"<{message.id}@{str(settings['sender']).rpartition('@')[2]}>"
    mail["Date"] = max(one.at for one in message.items)
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(text)
    host, port = str(settings["host"]), int(settings["port"])
    secured = ssl.create_default_context()
    at_once = secured if settings["security"] == "tls" else None
    with TimeLimit(LONGEST_MAIL_S) as limit:
        try:
            with _Server(host, port, tls=at_once, limit=limit) as server:
                if server.sock is not None:
                    refuse_link_local(server.sock.getpeername()[0])
                if settings["security"] == "starttls":
                    server.starttls(context=secured)
                    limit.watch(server.sock)
                if settings["username"]:
                    server.login(str(settings["username"]), password)
                refused = server.send_message(mail)
        except (OSError, ValueError, smtplib.SMTPException) as error:
            raise NotSent(why(error, limit) if limit.is_over else _why_mail(error)) from None
    if refused:
        return f"taken, but not for {', '.join(sorted(refused))}"[:SHOWN_CHARS]
    return "250 taken"


class _Server(smtplib.SMTP):
    """Its connection is watched before the server's first word; `tls` begins at once where it is given."""

    def __init__(self, host: str, port: int, *, tls: ssl.SSLContext | None, limit: TimeLimit) -> None:
        self._tls, self._limit = tls, limit
        super().__init__(host, port, timeout=TIMEOUT_S)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connection = self._limit.connect((host, port), timeout)
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_hostname=host)
            self._limit.watch(connection)
        return connection


def _why_mail(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "It takes none of the recipients."
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
        return f"It answered {error.smtp_code} {said}"[:SHOWN_CHARS]
    return why(error)
