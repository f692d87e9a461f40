"""Save a version: convert what was written, keep it with all that was found, and number it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict, StaleEdit
from fleetui.core.text import clean
from nodes.models import GitFollow, IgnitionConfig, IgnitionVersion
from nodes.services.ignition.check import check, checked_source
from nodes.services.ignition.declarations import as_json
from nodes.services.ignition.embedded import Files, checked_files
from nodes.services.ignition.rights import require


def save_version(
    *,
    config: IgnitionConfig,
    source: str,
    files: Files | None = None,
    message: str = "",
    author: str = "",
    people: Sequence[dict[str, Any]] = (),
    commit_id: str = "",
    source_path: str = "",
    expected_number: int | None = None,
    actor: Principal,
    now: datetime,
) -> IgnitionVersion:
    """Store a draft. A source that does not convert is kept with its report, and can be neither reviewed nor approved.

    `author`, `people` and `commit_id` are those of Git, where it comes from there; `author` otherwise is who saves. `expected_number`
    is the version that the edit is based on: it is refused when there is a newer one. What is the same as the newest
    version is not stored again, unless another commit says it.
    """
    require(actor, "ignition.edit", config)
    if not commit_id and GitFollow.objects.filter(config=config).exists():
        raise Conflict(
            _("%(name)s follows a Git repository.") % {"name": config.name},
            mend=_("Push the change there, or stop following first."),
        )
    source = checked_source(source)
    kept = checked_files(files or {})
    content_hash = hash_of(source, kept)
    last = IgnitionVersion.objects.filter(config=config).order_by("-number").only("number", "content_hash").first()
    number = last.number if last else 0
    if expected_number is not None and expected_number != number:
        raise _newer(config, number)
    if last is not None and last.content_hash == content_hash and not commit_id:
        raise Conflict(
            _("Version %(number)s of %(name)s reads the same.") % {"number": number, "name": config.name},
            field="source",
            mend=_("Change something, or use that version."),
        )
    # Outside the transaction: a large source takes a while.
    found = check(source, kept)
    version = IgnitionVersion(
        config=config,
        number=number + 1,
        source=source,
        source_path=clean(source_path)[:300],
        files=kept,
        declarations=as_json(found.declarations),
        rendered=found.rendered,
        sha512=found.sha512,
        content_hash=content_hash,
        report=found.findings,
        errors=found.count("error"),
        warnings=found.count("warning"),
        failure=found.failure,
        is_valid=found.is_valid,
        author=(clean(author).strip() or str(actor))[:200],
        people=[{**one, "who": clean(one["who"]).strip()[:300]} for one in people],
        commit_id=commit_id[:64],
        message=clean(message).strip()[:2000],
        created_at=now,
        state_since=now,
        state_by=str(actor)[:200],
    )
    with transaction.atomic():
        if not IgnitionConfig.objects.filter(pk=config.pk, last_number=number).update(last_number=number + 1):
            raise _newer(config, number)
        version.save(force_insert=True)
        append([Entry(str(actor), "ignition.save", subject_of(version), after=_told(version))])
    config.last_number = number + 1
    return version


def hash_of(source: str, files: Files) -> str:
    """SHA-256 over source and files: the same for the same content, whoever saves it."""
    digest = hashlib.sha256(source.encode())
    for path, file in sorted(files.items()):
        for part in (path, str(bool(file.get("executable"))), str(file["base64"])):
            digest.update(b"\0" + part.encode())
    return digest.hexdigest()


def subject_of(version: IgnitionVersion) -> str:
    """As the audit log names it."""
    return f"ignition-version:{version.config.name}/{version.number}"


def _told(version: IgnitionVersion) -> dict[str, object]:
    """Hashes and counts: the text itself stays in the version."""
    told: dict[str, object] = {
        "content_hash": version.content_hash,
        "sha512": version.sha512,
        "is_valid": version.is_valid,
        "errors": version.errors,
        "warnings": version.warnings,
        "message": version.message[:300],
    }
    if version.commit_id:
        told |= {"commit": version.commit_id, "author": version.author}
    return told


def _newer(config: IgnitionConfig, number: int) -> StaleEdit:
    return StaleEdit(
        _("%(name)s has a newer version than the one that you started from.") % {"name": config.name},
        value=number,
        mend=_("Read the newest version, and repeat your change there."),
    )
