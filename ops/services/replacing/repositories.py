"""The Git repository that a provisioner takes its directory out of: checked, kept, opened, and forgotten."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from django.conf import settings as installation
from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.audit.log import Entry, append
from fleetui.core.errors import InvalidInput, NotFound, SealBroken
from fleetui.core.words import any_of
from nodes.git.address import Address, parse
from nodes.git.errors import GitProblem
from nodes.git.history import CommitInfo
from nodes.git.mirror import SHA
from nodes.git.refs import Ref
from nodes.services import changes
from nodes.services.git import access
from nodes.services.git.secrets import rotated
from nodes.services.git.signers import keys_of
from nodes.services.git.sources import SOURCE_FIELDS, fill_source, ref_name, refused, still_shown
from nodes.services.git.vouching import vouch
from ops.models import Operation, Provisioner, ProvisionerSource, Replacement
from ops.replacement import NotReady
from ops.replacement.repository import FETCH_OF_LEASE, FETCH_S, LOCK_OF_LEASE, LOCK_S, Repository
from ops.replacement.repository import refused as not_usable

PERMISSION: Final = "settings.write"
_OWN: Final = ("ref_kind", "ref")
FIELDS: Final = (*SOURCE_FIELDS, *_OWN)
#: What an answer has besides; who sends it back as it was read changes nothing by it.
_READ_ONLY: Final = ("public_key", "has_secret")
_BEFORE: Final = {"branch": "refs/heads/", "tag": "refs/tags/"}


def source_of(provisioner: Provisioner) -> ProvisionerSource | None:
    found: ProvisionerSource | None = getattr(provisioner, "source", None)
    return found


def chosen(provisioner: Provisioner) -> dict[str, str]:
    """What a plan is made for: the repository, what of it, and the directory there; nothing without one."""
    source = source_of(provisioner)
    if source is None:
        return {}
    directory = provisioner.settings["directory"]
    return {"url": source.url, "ref_kind": source.ref_kind, "ref": source.ref, "directory": directory}


def works_from(operation: Operation) -> dict[str, Any]:
    """The commit that its machine is made from: of the plan, and before there is one what the first look has found."""
    found: Mapping[str, Any] = (
        Replacement.objects.filter(operation=operation).values_list("source", flat=True).first() or {}
    )
    return dict(found or operation.memory.get("source") or {})


def told(source: ProvisionerSource) -> dict[str, Any]:
    """As the API shows it. Never a secret, only whether there is one."""
    found: dict[str, Any] = {name: getattr(source, name) for name in FIELDS}
    return found | {"public_key": source.public_key, "has_secret": bool(source.sealed_secret)}


def audited(source: ProvisionerSource) -> dict[str, Any]:
    """As the audit log says it: of long keys which they are, and a hash that tells one copy from another."""
    keys = source.allowed_keys
    return told(source) | {
        "allowed_keys": [key.fingerprint for key in keys_of(source)],
        "allowed_keys_sha256": hashlib.sha256(keys.encode()).hexdigest() if keys else "",
    }


def filled(provisioner: Provisioner, name: str, given: Any, secret: str) -> ProvisionerSource:
    """The row as it would be with these values, which is not stored. What is left out is as in a new one."""
    if not isinstance(given, Mapping):
        mend = _("Give an object with url, and ref_kind and ref.")
        raise InvalidInput(_("This is no Git repository."), field="git", value=str(given)[:100], mend=mend)
    if unknown := sorted(set(given) - {*FIELDS, *_READ_ONLY, "new_key"}):
        mend = _("Use %(known)s.") % {"known": any_of((*FIELDS, "new_key"))}
        message = _("A repository has no such setting.")
        raise InvalidInput(message, field=str(unknown[0])[:40], value=None, mend=mend)
    old = source_of(provisioner)
    row = old or ProvisionerSource(provisioner=provisioner)
    blank = ProvisionerSource()
    # A host key that is not named stays, as a secret does.
    values = {one: getattr(blank, one) for one in FIELDS if one != "host_key" or old is None}
    for one in FIELDS:
        if one in given:
            if not isinstance(given[one], type(getattr(blank, one))):
                raise refused(row, one, str(given[one])[:100], _("Give it as the answer of the API has it."))
            values[one] = given[one]
    _permit(access.address_of(values["url"].strip()), values["url"])
    fill_source(
        row,
        {**values, "secret": secret, "new_key": given.get("new_key") is True},
        is_new=old is None,
        key_comment=f"fleetui {name}",
    )
    row.ref_kind, row.ref = values["ref_kind"], values["ref"].strip()
    _check_ref(row)
    changes.checked(row, exclude={field.name for field in ProvisionerSource._meta.fields} - set(FIELDS))
    return row


def store(row: ProvisionerSource | None, provisioner: Provisioner) -> None:
    """Within a transaction; without a row there is none from now on."""
    if row is None:
        ProvisionerSource.objects.filter(provisioner=provisioner).delete()
        provisioner._state.fields_cache.pop("source", None)
        return
    row.provisioner = provisioner
    row.save(force_insert=row._state.adding)
    provisioner._state.fields_cache["source"] = row


def _check_ref(row: ProvisionerSource) -> None:
    if row.ref_kind not in ProvisionerSource.REF_KINDS:
        raise refused(row, "ref_kind", row.ref_kind, _("Use %(known)s.") % {"known": any_of(row.REF_KINDS)})
    if row.ref_kind == "commit":
        row.ref = row.ref.lower()
        if not SHA.match(row.ref):
            raise refused(row, "ref", row.ref[:100], _("Give the whole id of the commit: 40 characters."))
        return
    mend = _("Give the name of a branch, such as main, or of a tag, such as v1.2.")
    row.ref = ref_name(row, "ref", _BEFORE[row.ref_kind], mend)


def _permit(address: Address, url: str) -> None:
    """Who may push to a repository runs programs on the machine of the workers: which these are is decided there."""
    if is_permitted(address):
        return
    known = installation.PROVISIONERS_GIT
    raise InvalidInput(
        _("Provisioners may not take directories out of this repository."),
        field="url",
        value=url[:300],
        mend=_("Use one that FLEETUI_PROVISIONERS_GIT names: %(known)s.") % {"known": ", ".join(known)}
        if known
        else _("Have the operator name it in FLEETUI_PROVISIONERS_GIT, where the workers and the web process run."),
    )


def is_permitted(address: Address) -> bool:
    """Whether it is one that the operator names, or lies below one that ends with a slash."""
    for one in installation.PROVISIONERS_GIT:
        try:
            # A server alone is no address of a repository.
            known = parse(f"{one}x" if one.endswith("/") else one, access.allowed())
        except GitProblem:
            continue
        if address == known:
            return True
        above = known.path[:-1] if one.endswith("/") else ""
        is_same_server = replace(address, path="") == replace(known, path="")
        rest = address.path[len(above) :] if above and address.path.startswith(above) else ""
        if is_same_server and rest and not any(sign in rest for sign in ("..", "//", "%", "\\")):
            return True
    return False


def opened(provisioner: Provisioner) -> Repository | None:
    """What its directory is taken out of; raises NotReady where that may not be used, or not any more."""
    source = source_of(provisioner)
    if source is None:
        return None
    try:
        address = parse(source.url, access.allowed())
        if not is_permitted(address):
            raise NotReady("git_not_permitted", url=source.url)
        sign_in = access.sign_in_of(source)
    except GitProblem as problem:
        raise not_usable(problem) from problem
    except SealBroken as error:
        raise NotReady("secret_sealed", name=provisioner.name, said=error.message) from error
    lock_s, fetch_s = waits_s()
    return Repository(
        source.url,
        address,
        Ref(source.ref_kind, source.ref),  # type: ignore[arg-type]
        provisioner.settings["directory"],
        sign_in,
        replace(access.limits(), seconds=fetch_s),
        _mirror(source),
        partial(_signer, source),
        lock_s,
    )


def waits_s() -> tuple[float, float]:
    """So long a look waits for others who work on the copy, and for the server: less than a lease together."""
    lease_s = installation.OPERATION_LEASE_S
    return min(LOCK_S, LOCK_OF_LEASE * lease_s), min(FETCH_S, FETCH_OF_LEASE * lease_s)


def _signer(source: ProvisionerSource, commit: CommitInfo) -> str:
    found = vouch(source, commit)
    if not found.is_good:
        raise GitProblem("unsigned", "", sha=commit.sha[:10], why=found.why_not)
    return found.signer


def _mirrors() -> Path:
    return Path(installation.DATA_DIR) / "git-provisioners"


def _mirror(source: ProvisionerSource) -> Path:
    """Of this address alone: a commit of another repository is not one of this."""
    return _mirrors() / f"{source.pk}-{hashlib.sha256(source.url.encode()).hexdigest()[:12]}"


def forget_others() -> None:
    """Throw mirrors away whose rows are gone, or lead elsewhere by now."""
    folder = _mirrors()
    if not folder.is_dir():
        return
    known = {_mirror(one).name for one in ProvisionerSource.objects.only("pk", "url")}
    for one in folder.iterdir():
        if one.name.removesuffix(".lock") not in known:
            shutil.rmtree(one, ignore_errors=True) if one.is_dir() else one.unlink(missing_ok=True)


def trust_host_key(*, provisioner: Provisioner, fingerprint: str, actor: Principal) -> None:
    """Pin the key that the server shows, if it is still the one of this fingerprint. It is asked: no transaction is open."""
    require(actor, PERMISSION)
    source = source_of(provisioner)
    if source is None:
        raise NotFound(_("This provisioner takes its directory out of no repository."), mend=_("Read it again."))
    seen = still_shown(source, fingerprint)
    with transaction.atomic():
        before = {"host_key": source.host_key}
        ProvisionerSource.objects.filter(pk=source.pk, url=source.url).update(host_key=seen.line)
        Provisioner.objects.filter(pk=provisioner.pk).update(revision=F("revision") + 1)
        subject = f"provisioner:{provisioner.name}"
        append([Entry(str(actor), "provisioners.trust", subject, before=before, after={"host_key": seen.line})])


def rotate_seals() -> int:
    """Seal every secret again with the newest key; returns how many changed."""
    return rotated(ProvisionerSource, ("secret",))
