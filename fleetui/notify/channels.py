"""Channels and their rules: set, deleted, tried. Admins of everything do; secrets are sealed and never shown again."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
from django.apps import apps
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.audit.log import Entry, append
from fleetui.core.crypto import seal, sealed_with_newest, unseal
from fleetui.core.errors import Conflict, InvalidInput, NotFound, StaleEdit
from fleetui.core.text import clean
from fleetui.core.words import any_of
from fleetui.notify.events import EVENTS, SEVERITIES
from fleetui.notify.models import Channel, Rule

PERMISSION = "settings.write"
#: kind -> what may be shown, and what is sealed. An address that lets whoever knows it post is a secret.
SETTINGS: Final[dict[str, tuple[str, ...]]] = {
    "webhook": ("url",),
    "slack": (),
    "teams": (),
    "email": ("host", "port", "security", "username", "sender", "recipients"),
    "alertmanager": ("url", "username"),
}
SECRETS: Final[dict[str, tuple[str, ...]]] = {
    "webhook": ("secret",),
    "slack": ("url",),
    "teams": ("url",),
    "email": ("password",),
    "alertmanager": ("password",),
}
SECURITY: Final = ("none", "starttls", "tls")
LEAST_SECRET = 16
_HERE: Final = ("127.0.0.1", "localhost", "::1")
MOST_RECIPIENTS = 20
#: Each event looks at each rule.
MOST_RULES = 50
_ADDRESS = re.compile(r"[^@\s,<>\"]{1,64}@[^@\s,<>\"]{1,255}")


def channels_of(principal: Principal) -> QuerySet[Channel]:
    """Every channel, with its rules. Where messages go is for admins of everything."""
    require(principal, PERMISSION)
    return Channel.objects.prefetch_related("rules__pool")


def channel_at(principal: Principal, channel_id: uuid.UUID) -> Channel:
    require(principal, PERMISSION)
    found = Channel.objects.filter(pk=channel_id).first()
    if found is None:
        raise NotFound(_("There is no such channel."), mend=_("Read the list of channels."))
    return found


def secrets_of(channel: Channel) -> dict[str, str]:
    """The sealed part in clear."""
    found: dict[str, str] = orjson.loads(unseal(channel.sealed, place=channel.seal_place)) if channel.sealed else {}
    return found


def set_channel(
    *,
    name: str,
    kind: str,
    settings: Mapping[str, Any],
    secrets: Mapping[str, str],
    rules: Sequence[Mapping[str, Any]] = ({},),
    is_on: bool = True,
    channel: Channel | None = None,
    expected_revision: int | None = None,
    actor: Principal,
    now: datetime,
) -> Channel:
    """Add a channel with its rules, or (with `channel`) change it. A secret that is left empty stays as it was.

    A secret does not follow to another address: whoever changes where it goes gives it anew.
    """
    require(actor, PERMISSION)
    name = name.strip()
    if not name or len(name) > 100:
        raise InvalidInput(_("A channel needs a name."), field="name", value=name, mend=_("Give 1 to 100 characters."))
    if channel is not None and kind != channel.kind:
        mend = _("Add another channel, and delete this one.")
        raise InvalidInput(_("The kind of a channel stays."), field="kind", value=kind, mend=mend)
    if kind not in Channel.KINDS:
        mend = _("Use %(known)s.") % {"known": any_of(Channel.KINDS)}
        raise InvalidInput(_("This is no kind of channel."), field="kind", value=kind, mend=mend)
    shown = _settings(kind, settings)
    row = channel or Channel(name=name, kind=kind)
    kept = secrets_of(row)
    if channel is not None and any(shown.get(one) != channel.settings.get(one) for one in ("url", "host", "port")):
        kept = {}
    sealed = {one: str(secrets.get(one) or kept.get(one, "")) for one in SECRETS[kind]}
    _check_secrets(kind, shown, sealed)
    columns: dict[str, Any] = {
        "name": name,
        "kind": kind,
        "settings": shown,
        "sealed": seal(orjson.dumps(sealed).decode(), place=row.seal_place),
        "is_on": is_on,
        "set_by": str(actor),
        "set_at": now,
    }
    before = _told(channel) if channel else None
    made = _rules(rules)
    try:
        with transaction.atomic():
            if channel is None:
                found = Channel.objects.create(pk=row.pk, **columns)
            else:
                revision = channel.revision if expected_revision is None else expected_revision
                mine = Channel.objects.filter(pk=channel.pk, revision=revision)
                if not mine.update(**columns, revision=F("revision") + 1):
                    raise StaleEdit(_("Someone else changed this channel meanwhile."), mend=_("Read it again."))
                found = Channel.objects.get(pk=channel.pk)
                found.rules.all().delete()
            Rule.objects.bulk_create(Rule(channel=found, **one) for one in made)
            action = "notifications.edit_channel" if channel else "notifications.add_channel"
            append([Entry(str(actor), action, f"channel:{name}", before=before, after=_told(found))])
    except IntegrityError as error:
        raise Conflict(
            _("There is a channel %(name)s already, or a pool of its rules is gone.") % {"name": name},
            field="name",
            value=name,
            mend=_("Choose another name, or look at the pools."),
        ) from error
    return found


def delete_channel(*, channel: Channel, actor: Principal) -> None:
    """With its rules and its history; what waits is not sent any more."""
    require(actor, PERMISSION)
    with transaction.atomic():
        # First whoever puts something into its outbox just now comes to an end: then all of it goes.
        Channel.objects.select_for_update().filter(pk=channel.pk).first()
        if Channel.objects.filter(pk=channel.pk).delete()[0]:
            append(
                [Entry(str(actor), "notifications.delete_channel", f"channel:{channel.name}", before=_told(channel))]
            )


def _settings(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {one: _clean(given.get(one)) for one in SETTINGS[kind]}
    if unknown := sorted(set(given) - set(found)):
        mend = _("Use %(known)s.") % {"known": ", ".join(found) or "-"}
        raise InvalidInput(_("A channel of this kind has no such setting."), field=unknown[0], value=None, mend=mend)
    if "url" in found:
        found["url"] = _url(str(found["url"] or ""))
    if kind == "email":
        found |= {
            "host": str(found["host"] or "").strip(),
            "port": _port(found["port"]),
            "security": str(found["security"] or "starttls"),
            "sender": _mail(str(found["sender"] or ""), "sender"),
            "recipients": [_mail(str(one), "recipients") for one in _several(found["recipients"])],
        }
        if not found["host"] or not 1 <= found["port"] <= 65_535:
            raise InvalidInput(
                _("The mail server is not named."), field="host", value=found["host"], mend=_("Give its name and port.")
            )
        if found["security"] not in SECURITY:
            mend = _("Use %(known)s.") % {"known": any_of(SECURITY)}
            raise InvalidInput(_("This is no way to connect."), field="security", value=found["security"], mend=mend)
        if not 1 <= len(found["recipients"]) <= MOST_RECIPIENTS:
            mend = _("Give 1 to %(most)s addresses.") % {"most": MOST_RECIPIENTS}
            raise InvalidInput(_("Nobody would get it."), field="recipients", value=None, mend=mend)
    if "username" in found:
        found["username"] = str(found["username"] or "")
    return found


def _clean(value: Any) -> Any:
    return clean(value) if isinstance(value, str) else value


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if value else []


def _port(value: Any) -> int:
    text = str(value or 587)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else 0


def _url(text: str) -> str:
    """Without a user in it: addresses are shown."""
    try:
        parts = urlsplit(text.strip())
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
        _port = parts.port
    except ValueError:
        is_good = False
    if not is_good or not text.strip().isascii() or any(one.isspace() for one in text.strip()):
        mend = _("Give one such as https://receiver.example/hook, without user and password in it.")
        raise InvalidInput(_("This is no address to send to."), field="url", value=None, mend=mend)
    return text.strip()


def _mail(text: str, field: str) -> str:
    if not _ADDRESS.fullmatch(text.strip()):
        mend = _("Give one such as ops@example.com.")
        raise InvalidInput(_("This is no mail address."), field=field, value=text[:100], mend=mend)
    return text.strip()


def _check_secrets(kind: str, shown: Mapping[str, Any], sealed: dict[str, str]) -> None:
    if kind in ("slack", "teams"):
        sealed["url"] = _url(sealed["url"])
        if urlsplit(sealed["url"]).scheme != "https" and not _is_here(sealed["url"]):
            mend = _("Give one that begins with https://.")
            raise InvalidInput(
                _("This address is a secret, and would travel in clear."), field="url", value=None, mend=mend
            )
    if kind == "webhook" and len(sealed["secret"]) < LEAST_SECRET:
        mend = _("Give at least %(least)s characters; give it anew when the address changes.") % {"least": LEAST_SECRET}
        raise InvalidInput(_("The secret that signs is too short."), field="secret", value=None, mend=mend)
    if kind in ("email", "alertmanager") and bool(shown["username"]) != bool(sealed["password"]):
        mend = _("Give both, or neither; give the password anew when the address changes.")
        raise InvalidInput(_("A user name needs a password."), field="password", value=None, mend=mend)
    if sealed.get("password") and _is_in_clear(kind, shown):
        mend = _("Choose TLS or STARTTLS.") if kind == "email" else _("Give one that begins with https://.")
        raise InvalidInput(
            _("The password would travel in clear."),
            field="security" if kind == "email" else "url",
            value=None,
            mend=mend,
        )


def _is_in_clear(kind: str, shown: Mapping[str, Any]) -> bool:
    """Over a network; not to this machine itself."""
    if kind == "email":
        return bool(shown["security"] == "none") and shown["host"] not in _HERE
    return urlsplit(shown["url"]).scheme != "https" and not _is_here(shown["url"])


def _is_here(url: str) -> bool:
    return urlsplit(url).hostname in _HERE


def _rules(given: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    if len(given) > MOST_RULES:
        mend = _("Give at most %(most)s; one rule takes several events.") % {"most": MOST_RULES}
        raise InvalidInput(_("A channel has too many rules."), field="rules", value=len(given), mend=mend)
    made = [_rule(one) for one in given]
    wanted = {str(one["pool_id"]) for one in made if one["pool_id"]}
    known = {
        str(pk) for pk in apps.get_model("nodes", "Pool").objects.filter(pk__in=wanted).values_list("pk", flat=True)
    }
    if gone := sorted(wanted - known):
        mend = _("Read the list of pools.")
        raise InvalidInput(_("There is no such pool."), field="rules", value=gone[0], mend=mend)
    return made


def _rule(given: Mapping[str, Any]) -> dict[str, Any]:
    events, severity = [str(one) for one in given.get("events") or []], str(given.get("severity") or "info")
    if unknown := sorted(set(events) - set(EVENTS)):
        mend = _("Use %(known)s.") % {"known": any_of(EVENTS)}
        raise InvalidInput(_("There is no such event."), field="rules", value=unknown[0], mend=mend)
    if severity not in SEVERITIES:
        mend = _("Use %(known)s.") % {"known": any_of(SEVERITIES)}
        raise InvalidInput(_("There is no such severity."), field="rules", value=severity, mend=mend)
    return {"events": events, "severity": severity, "pool_id": given.get("pool_id")}


def _told(channel: Channel) -> dict[str, Any]:
    """For the audit log: never a secret."""
    rules = [
        {"events": one.events, "severity": one.severity, "pool": str(one.pool_id) if one.pool_id else None}
        for one in channel.rules.all()
    ]
    return {"kind": channel.kind, "settings": channel.settings, "is_on": channel.is_on, "rules": rules}


def rotate_seals() -> int:
    """Seal every channel's secrets again with the newest encryption key; returns how many changed."""
    changed = 0
    for row in Channel.objects.exclude(sealed="").only("pk", "sealed"):
        if not sealed_with_newest(row.sealed):
            fresh = seal(unseal(row.sealed, place=row.seal_place), place=row.seal_place)
            changed += Channel.objects.filter(pk=row.pk, sealed=row.sealed).update(sealed=fresh)
    return changed
