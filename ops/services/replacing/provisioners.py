"""Provisioners: set, given to pools, deleted; and opened for use."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings as installation
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.audit.log import Entry, append
from fleetui.core import clock
from fleetui.core.crypto import seal, sealed_with_newest, unseal
from fleetui.core.errors import Conflict, InvalidInput, NotFound, SealBroken, StaleEdit
from fleetui.core.words import any_of
from nodes.models import Pool
from ops.models import Operation, PoolProvisioner, Replacement
from ops.models import Provisioner as ProvisionerRow
from ops.replacement import Jobs, NotReady, Provisioner
from ops.replacement.hook import Hook
from ops.replacement.in_place import Machine
from ops.replacement.manual import Manual
from ops.replacement.terraform import NODE, PROGRAMS, Terraform
from ops.replacement.webhook import Webhook
from ops.services.replacing import in_place, repositories
from ops.states import STARTED
from ops.wording.replacement import not_ready

PERMISSION = "settings.write"
SETTINGS: Final[dict[str, tuple[str, ...]]] = {
    "manual": ("instructions",),
    "hook": ("command", "limit_s"),
    "webhook": ("url", "limit_s"),
    "terraform": ("program", "directory", "address", "limit_s"),
    "in_place": in_place.SETTINGS,
}
DEFAULT_LIMIT_S: Final = {"hook": 900, "webhook": 3600, "terraform": 3600, "in_place": 1800}
#: Beside these, the repository that a directory is taken out of; without it that is a folder of the machine itself.
GIT: Final = "git"
LEAST_SECRET, MOST_SECRET = 16, 500
LEAST_LIMIT_S, MOST_LIMIT_S = 10, 24 * 3600
MOST_WORDS, MOST_WORD_CHARS = 40, 1000
MOST_TEXT = 4000
MOST_ADDRESS = 300
_HERE: Final = ("127.0.0.1", "localhost", "::1")
#: What this process was given for itself, and no command of others may read.
_OURS = re.compile(r"FLEETUI_|DJANGO_|DATABASE_URL$|CELERY_BROKER_URL$|CACHE_URL$|PYTHON")


class CannotBeAsked(InvalidInput):
    """`fingerprint`: a host key that the server of its repository shows, and that nobody has trusted."""

    def __init__(self, message: str, name: str, mend: str, fingerprint: str = "") -> None:
        super().__init__(message, field="settings", value=name, mend=mend)
        self.fingerprint = fingerprint


def provisioners_of(principal: Principal) -> QuerySet[ProvisionerRow]:
    """All of them, for admins of everything: they name commands of this machine."""
    require(principal, PERMISSION)
    return ProvisionerRow.objects.select_related("source")


def provisioner_at(principal: Principal, provisioner_id: uuid.UUID) -> ProvisionerRow:
    found = provisioners_of(principal).filter(pk=provisioner_id).first()
    if found is None:
        raise NotFound(_("There is no such provisioner."), mend=_("Read the list of provisioners."))
    return found


def passed_on() -> dict[str, str]:
    """The environment that commands get: this process' own, without what is meant for FleetUI alone."""
    return {name: value for name, value in os.environ.items() if not _OURS.match(name)}


def jobs() -> Jobs:
    """The commands of this data folder."""
    return Jobs(Path(installation.DATA_DIR) / "replacements", passed_on())


def opened(row: ProvisionerRow, machine: Machine | None = None) -> Provisioner:
    """What carries it out; nothing is asked of it yet. Raises NotReady. `machine` is the host itself, where one is at hand."""
    given = row.settings
    if row.kind == "manual":
        return Manual()
    if row.kind == "in_place":
        return in_place.opened(given, machine)
    if row.kind == "webhook":
        try:
            secret = unseal(row.sealed_secret, place=row.seal_place)
        except SealBroken as error:
            raise NotReady("secret_sealed", name=row.name, said=error.message) from error
        return Webhook(given["url"], secret, given["limit_s"], clock.now)
    folder = Path(installation.PROVISIONERS_DIR) if installation.PROVISIONERS_DIR else None
    if row.kind == "terraform":
        words = given["program"], given["directory"], given["address"], given["limit_s"]
        return Terraform(*words, folder, jobs(), repositories.opened(row))
    return Hook(tuple(given["command"]), given["limit_s"], folder, jobs())


def set_provisioner(
    *,
    name: str,
    kind: str,
    settings: Mapping[str, Any],
    base_url: str,
    secret: str = "",
    pools: Collection[Pool] = (),
    provisioner: ProvisionerRow | None = None,
    expected_revision: int | None = None,
    actor: Principal,
    now: datetime,
) -> ProvisionerRow:
    """Add one, or (with `provisioner`) change it. `pools` are all of its pools; one that has another is refused.

    `secret` is that of a webhook, or of the sign-in to a repository; without it the one that is there is kept, as long as
    the address is.
    """
    require(actor, PERMISSION)
    name = name.strip()
    if not name or len(name) > 100 or not name.isprintable():
        mend = _("Give 1 to 100 characters.")
        raise InvalidInput(_("A provisioner needs a name."), field="name", value=name, mend=mend)
    if kind not in ProvisionerRow.KINDS or (provisioner is not None and kind != provisioner.kind):
        mend = _("Use %(known)s.") % {"known": any_of(ProvisionerRow.KINDS)}
        raise InvalidInput(_("This is no kind of provisioner."), field="kind", value=kind, mend=mend)
    row, shown = provisioner or ProvisionerRow(), _checked(kind, settings)
    before = told(provisioner) if provisioner else None
    given = settings.get(GIT) if kind == "terraform" else None
    source = repositories.filled(row, name, given, secret) if given is not None else None
    columns: dict[str, Any] = {
        "name": name,
        "kind": kind,
        "settings": shown,
        "sealed_secret": _sealed(row, kind, shown, secret),
        "base_url": _base_url(base_url),
        "set_by": str(actor),
        "set_at": now,
    }
    try:
        # No command is started here: whether this machine has it is asked before each replacement, where it runs.
        with transaction.atomic():
            found = _stored(row, columns, expected_revision)
            repositories.store(source, found)
            _give(found, pools)
            action = "provisioners.edit" if provisioner else "provisioners.add"
            append([_entry(action, found, actor, before=before, after=told(found))])
    except IntegrityError as error:
        raise Conflict(
            _("There is a provisioner %(name)s already.") % {"name": name},
            field="name",
            value=name,
            mend=_("Choose another name."),
        ) from error
    return found


def new_deploy_key(*, provisioner: ProvisionerRow, actor: Principal, now: datetime) -> None:
    """Another key for the server of its repository, which has to know it before the next operation."""
    given = settings_of(provisioner)
    if (git := given.get(GIT)) is None:
        raise NotFound(_("This provisioner takes its directory out of no repository."), mend=_("Read it again."))
    given[GIT] = {**git, "new_key": True}
    pools = [one.pool for one in PoolProvisioner.objects.filter(provisioner=provisioner).select_related("pool")]
    set_provisioner(
        name=provisioner.name,
        kind=provisioner.kind,
        settings=given,
        base_url=provisioner.base_url,
        pools=pools,
        provisioner=provisioner,
        actor=actor,
        now=now,
    )


def _stored(row: ProvisionerRow, columns: Mapping[str, Any], expected_revision: int | None) -> ProvisionerRow:
    if row._state.adding:
        return ProvisionerRow.objects.create(pk=row.pk, **columns)
    revision = row.revision if expected_revision is None else expected_revision
    mine = ProvisionerRow.objects.filter(pk=row.pk, revision=revision)
    if not mine.update(**columns, revision=F("revision") + 1):
        raise StaleEdit(_("Someone else changed this provisioner meanwhile."), mend=_("Read it again."))
    return ProvisionerRow.objects.get(pk=row.pk)


def _sealed(row: ProvisionerRow, kind: str, shown: Mapping[str, Any], secret: str) -> str:
    if kind != "webhook":
        return ""
    if not secret and row.sealed_secret and row.settings.get("url") == shown["url"]:
        return row.sealed_secret
    if not LEAST_SECRET <= len(secret) <= MOST_SECRET:
        mend = _("Give at least %(least)s characters; give it anew when the address changes.") % {"least": LEAST_SECRET}
        raise InvalidInput(_("The secret that signs is too short."), field="secret", value=None, mend=mend)
    return seal(secret, place=row.seal_place)


def _give(row: ProvisionerRow, pools: Collection[Pool]) -> None:
    wanted = {pool.pk for pool in pools}
    others = PoolProvisioner.objects.filter(pool__in=wanted).exclude(provisioner=row)
    taken = others.select_related("pool", "provisioner").first()
    if taken is not None:
        raise Conflict(
            _("%(pool)s has the provisioner %(name)s.") % {"pool": taken.pool.name, "name": taken.provisioner.name},
            field="pools",
            value=taken.pool.name,
            mend=_("Take the pool from that one first."),
        )
    mine = PoolProvisioner.objects.filter(provisioner=row)
    mine.exclude(pool__in=wanted).delete()
    there = set(mine.values_list("pool", flat=True))
    PoolProvisioner.objects.bulk_create(PoolProvisioner(pool_id=pk, provisioner=row) for pk in wanted - there)


def delete_provisioner(*, provisioner: ProvisionerRow, actor: Principal) -> None:
    """Its pools have none then. Refused while it is at work."""
    require(actor, PERMISSION)
    with transaction.atomic():
        at_work = Replacement.objects.filter(provisioner=provisioner, operation__state__in=sorted(STARTED))
        if (busy := at_work.select_related("operation").first()) is not None:
            raise Conflict(
                _("It is replacing %(name)s.") % {"name": busy.operation.node_name},
                mend=_("Wait for the end of that operation, or cancel it."),
            )
        before = told(provisioner)
        if ProvisionerRow.objects.filter(pk=provisioner.pk).delete()[0]:
            append([_entry("provisioners.delete", provisioner, actor, before=before)])


def try_provisioner(*, provisioner: ProvisionerRow, actor: Principal) -> Mapping[str, Any]:
    """Whether it could be asked, from the process that is asked this, and what it would work from.

    Raises CannotBeAsked with what stands against it.
    """
    require(actor, PERMISSION)
    try:
        found = opened(provisioner)
        found.ready()
        return found.decide({})
    except NotReady as error:
        message, mend = not_ready(error.code, error.params)
        git = error.params.get("git")
        shown = str(git.get("fingerprint", "")) if isinstance(git, dict) and git.get("kind") == "host_key" else ""
        raise CannotBeAsked(message, provisioner.name, mend, shown) from error


def _checked(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    names = (*SETTINGS[kind], GIT) if kind == "terraform" else SETTINGS[kind]
    if unknown := sorted(set(given) - set(names)):
        mend = _("Use %(known)s.") % {"known": any_of(names)}
        message = _("A provisioner of this kind has no such setting.")
        raise InvalidInput(message, field=unknown[0], value=None, mend=mend)
    if kind == "manual":
        return {"instructions": _text(given, "instructions")}
    if kind == "webhook":
        return {"url": _url(given.get("url")), "limit_s": _limit(kind, given)}
    if kind == "in_place":
        return in_place.checked(given) | {"limit_s": _limit(kind, given)}
    if kind == "terraform":
        return {
            "program": _program(given.get("program")),
            "directory": _directory(given.get("directory"), is_in_git=given.get(GIT) is not None),
            "address": _address(given.get("address")),
            "limit_s": _limit(kind, given),
        }
    return {"command": _command(given.get("command")), "limit_s": _limit(kind, given)}


def _url(found: object) -> str:
    """What it gets leads to secrets: in clear to this machine itself only."""
    url = found.strip() if isinstance(found, str) else ""
    try:
        parts = urlsplit(url)
        is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _HERE)
        is_good = is_safe and bool(parts.hostname) and parts.username is None and (parts.port or 1) > 0
    except ValueError:
        is_good = False
    if not is_good or not url.isascii() or not url.isprintable() or " " in url or len(url) > MOST_WORD_CHARS:
        raise InvalidInput(
            _("This is no address of a webhook."),
            field="url",
            value=str(found or "")[:200],
            mend=_("Give one that begins with https://, without user and password in it."),
        )
    return url


def _text(given: Mapping[str, Any], name: str) -> str:
    found = given.get(name) or ""
    if not isinstance(found, str) or len(found) > MOST_TEXT:
        mend = _("Give at most %(limit)s characters.") % {"limit": MOST_TEXT}
        raise InvalidInput(_("This text cannot be used."), field=name, value=None, mend=mend)
    return found.strip()


def _command(found: object) -> list[str]:
    words = list(found) if isinstance(found, Sequence) and not isinstance(found, str) else []
    good = [word for word in words if isinstance(word, str) and word.isprintable() and len(word) <= MOST_WORD_CHARS]
    if not words or len(words) > MOST_WORDS or len(good) < len(words) or not words[0].strip():
        raise InvalidInput(
            _("This is no command."),
            field="command",
            value=str(found)[:200],
            mend=_("Give a list of words. The first is a file in the folder that FLEETUI_PROVISIONERS_DIR names."),
        )
    if words[0].startswith("/") or ".." in Path(words[0]).parts:
        raise InvalidInput(
            _("The command lies outside the folder of provisioners."),
            field="command",
            value=words[0],
            mend=_("Name it as it is called below the folder that FLEETUI_PROVISIONERS_DIR names."),
        )
    return good


def _program(found: object) -> str:
    found = found or PROGRAMS[0]
    if found not in PROGRAMS:
        mend = _("Use %(known)s.") % {"known": any_of(PROGRAMS)}
        raise InvalidInput(_("This program is not known."), field="program", value=str(found)[:40], mend=mend)
    return str(found)


def _directory(found: object, *, is_in_git: bool) -> str:
    found = found or ("." if is_in_git else "")
    good = isinstance(found, str) and found.strip() and found.isprintable() and len(found) <= MOST_WORD_CHARS
    parts = Path(str(found).strip()).parts
    if is_in_git and good and not str(found).strip().startswith("/") and ".." not in parts:
        return "/".join(parts) or "."
    if is_in_git:
        raise InvalidInput(
            _("This is no directory of a repository."),
            field="directory",
            value=str(found)[:200],
            mend=_(
                "Give its path from the top of the repository, such as production/workers; a dot is the top itself."
            ),
        )
    if not good or str(found).startswith("/") or ".." in parts:
        raise InvalidInput(
            _("This is no directory below the folder of provisioners."),
            field="directory",
            value=str(found or "")[:200],
            mend=_("Name it as it is called below the folder that FLEETUI_PROVISIONERS_DIR names."),
        )
    return str(found).strip()


def _address(found: object) -> str:
    address = found.strip() if isinstance(found, str) else ""
    if NODE not in address or not address.isprintable() or len(address) > MOST_ADDRESS or address.startswith("-"):
        raise InvalidInput(
            _("This is no address of a resource of each node."),
            field="address",
            value=str(found or "")[:200],
            mend=_('Give it with {node} for the name of the node, such as vm.worker["{node}"].'),
        )
    return address


def _limit(kind: str, given: Mapping[str, Any]) -> int:
    found = given.get("limit_s")
    found = DEFAULT_LIMIT_S[kind] if found is None else found
    if isinstance(found, bool) or not isinstance(found, int) or not LEAST_LIMIT_S <= found <= MOST_LIMIT_S:
        mend = _("Give %(least)s to %(most)s seconds.") % {"least": LEAST_LIMIT_S, "most": MOST_LIMIT_S}
        raise InvalidInput(_("This is no time limit."), field="limit_s", value=str(found)[:40], mend=mend)
    return found


def _base_url(text: str) -> str:
    found = str(text).strip().rstrip("/")
    try:
        parts = urlsplit(found)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and not parts.fragment
        is_good = is_good and parts.username is None and (parts.port or 1) > 0 and found.isprintable()
    except ValueError:
        is_good = False
    if not is_good or len(found) > 200:
        raise InvalidInput(
            _("This is no address of FleetUI."),
            field="base_url",
            value=str(text)[:200],
            mend=_("Give it as new machines reach it, such as https://fleet.example.org."),
        )
    return found


def settings_of(row: ProvisionerRow) -> dict[str, Any]:
    """As they are given: those of the kind, and the repository."""
    source = repositories.source_of(row)
    return {**row.settings, GIT: repositories.told(source)} if source else dict(row.settings)


def told(row: ProvisionerRow) -> dict[str, Any]:
    """What the audit log says of it."""
    pools = PoolProvisioner.objects.filter(provisioner=row).order_by("pool__name").values_list("pool__name", flat=True)
    source = repositories.source_of(row)
    return {
        "name": row.name,
        "kind": row.kind,
        "settings": {**row.settings, GIT: repositories.audited(source)} if source else row.settings,
        "base_url": row.base_url,
        "pools": list(pools),
    }


def _entry(
    action: str,
    row: ProvisionerRow,
    actor: Principal,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> Entry:
    return Entry(str(actor), action, f"provisioner:{row.name}", before=before, after=after)


def rotate_seals() -> int:
    """Seal every token of a replacement under way, and every secret, with the newest key; returns how many changed."""
    changed = repositories.rotate_seals()
    for one in ProvisionerRow.objects.exclude(sealed_secret=""):
        if not sealed_with_newest(one.sealed_secret):
            fresh = seal(unseal(one.sealed_secret, place=one.seal_place), place=one.seal_place)
            mine = ProvisionerRow.objects.filter(pk=one.pk, sealed_secret=one.sealed_secret)
            changed += mine.update(sealed_secret=fresh)
    for row in Replacement.objects.exclude(sealed_token=""):
        if not sealed_with_newest(row.sealed_token):
            fresh = seal(unseal(row.sealed_token, place=row.seal_place), place=row.seal_place)
            changed += Replacement.objects.filter(pk=row.pk, sealed_token=row.sealed_token).update(sealed_token=fresh)
    return changed


def under_way(operation: Operation) -> Replacement | None:
    """What the operation has made ready, if anything."""
    found: Replacement | None = (
        Replacement.objects.filter(operation=operation)
        .select_related("provisioner", "provisioning__version__config")
        .first()
    )
    return found
