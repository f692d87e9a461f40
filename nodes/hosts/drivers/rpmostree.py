"""`rpm-ostree status --json` of every era."""

import re
from dataclasses import dataclass, replace
from typing import Any

from nodes.hosts.drivers.documents import Fields, NotUnderstood, iso_time, load_json, plain
from nodes.hosts.drivers.images import image_labels, parse_reference, stream_of
from nodes.hosts.drivers.os_release import STREAM_NAMES
from nodes.hosts.facts import Deployment

_GPG_FIELDS = ("invalid", "expired", "key_expired", "key_revoked", "key_missing")


@dataclass(frozen=True)
class OsTreeState:
    """What the update tool of a host says: the deployments in boot order, and what goes on."""

    manager: str | None = None
    deployments: tuple[Deployment, ...] = ()
    transaction: str | None = None
    cached_update: dict[str, str | None] | None = None
    driver: dict[str, str | None] | None = None
    pending_commit: dict[str, str | None] | None = None
    read: bool = False


def parse_status(text: str, problems: list[str]) -> OsTreeState:
    """Read the status document. Unknown keys are ignored, wrong types are noted in `problems`."""
    document = load_json(text)
    if not isinstance(document, dict) or "deployments" not in document:
        raise NotUnderstood("this is not a status document of rpm-ostree (no deployments)")
    top = Fields(document, "", problems)
    entries = top.parts("deployments")
    deployments = mark_rollback(tuple(_deployment(index, entry) for index, entry in enumerate(entries)))
    booted = next((entry for entry in entries if entry.flag("booted")), None)
    return OsTreeState(
        manager="rpm-ostree",
        deployments=deployments,
        transaction=_transaction(top),
        cached_update=_cached_update(top),
        driver=_driver(top),
        pending_commit=_pending(booted) if booted is not None else None,
        read=True,
    )


def parse_check(text: str) -> str:
    """The version in the answer of `rpm-ostree upgrade --check`, else its commit or digest; empty when there is no update."""
    _before, found, update = text.partition("AvailableUpdate:")
    for key in ("Version", "Commit", "Digest"):
        if found and (row := re.search(rf"^\s*{key}: (\S+)", update, re.MULTILINE)):
            return plain(row[1])[:100]
    return ""


def mark_rollback(deployments: tuple[Deployment, ...]) -> tuple[Deployment, ...]:
    """Mark the first deployment after the booted one with the same state root."""
    booted = next((one for one in deployments if one.booted), None)
    if booted is None:
        return deployments
    later = (one for one in deployments[booted.index + 1 :] if one.osname == booted.osname)
    target = next(later, None)
    return tuple(replace(one, rollback=True) if one is target else one for one in deployments)


def reboot_changes(deployments: tuple[Deployment, ...]) -> bool:
    """Whether a plain reboot starts another deployment: the first one is not booted, and not held back."""
    booted = next((one for one in deployments if one.booted), None)
    if booted is None or booted.index == 0:
        return False
    first = deployments[0]
    return first.osname == booted.osname and not first.locked


def _deployment(index: int, entry: Fields) -> Deployment:
    meta = entry.part("base-commit-meta") or Fields({}, "base-commit-meta", entry.problems)
    checksum, serial = entry.text("checksum"), entry.number("serial")
    osname = entry.text("osname")
    source = _source(entry, meta)
    return Deployment(
        index=index,
        id=entry.text("id")
        or f"{osname or 'unknown'}-{checksum or 'unknown'}.{serial if serial is not None else index}",
        osname=osname,
        checksum=checksum,
        base_checksum=entry.text("base-checksum"),
        base_version=entry.text("base-version"),
        custom_origin=entry.texts("custom-origin") or None,
        booted=entry.flag("booted"),
        staged=entry.flag("staged"),
        pinned=entry.flag("pinned"),
        locked=entry.flag("finalization-locked"),
        unlocked=entry.text("unlocked"),
        timestamp=iso_time(entry.number("timestamp")),
        layered=entry.texts("packages"),
        local_packages=entry.texts("requested-local-packages") + entry.texts("requested-local-fileoverride-packages"),
        overrides=_overrides(entry),
        removed=_nevras(entry, "base-removals") or entry.texts("requested-base-removals"),
        end_of_life=entry.text("endoflife"),
        **source,
    )


def _source(entry: Fields, meta: Fields) -> dict[str, Any]:
    """Where the deployment comes from: an ostree branch, a container image, or a custom origin."""
    reference = entry.text("container-image-reference")
    version = entry.text("version") or meta.text("version")
    if reference is not None:
        return _container_source(entry, meta, reference, version)
    origin = entry.text("origin")
    found: dict[str, Any] = {"version": version, "origin": origin, "signature": _gpg(entry)}
    found["stream"] = meta.text("fedora-coreos.stream") or _branch_stream(origin)
    url = next(iter(entry.texts("custom-origin")), "")
    if origin is None and url.startswith("pivot://"):
        image = parse_reference(url.removeprefix("pivot://"))
        found |= {"origin": url, "image": image.image, "image_digest": image.digest}
    return found


def _container_source(entry: Fields, meta: Fields, reference: str, version: str | None) -> dict[str, Any]:
    image = parse_reference(reference)
    labels = image_labels(meta)
    digest = entry.text("container-image-reference-digest") or meta.text("ostree.manifest-digest") or image.digest
    return {
        "version": version or labels.get("org.opencontainers.image.version") or labels.get("version") or None,
        "origin": reference,
        "image": image.image,
        "image_digest": digest,
        "stream": meta.text("fedora-coreos.stream") or stream_of(labels, image.image),
        "signature": image.signature,
    }


def _branch_stream(origin: str | None) -> str | None:
    branch = origin.rpartition("/")[2] if origin and "/coreos/" in origin else None
    return branch if branch in STREAM_NAMES else None


def _gpg(entry: Fields) -> str | None:
    """How the commit's signature stands: valid by one good signature, else the first reason why not."""
    if "gpg-enabled" not in entry:
        return None
    if not entry.flag("gpg-enabled"):
        return "gpg_off"
    verdicts = [_verdict(row) for row in entry.items("signatures")]
    if "gpg_valid" in verdicts:
        return "gpg_valid"
    return verdicts[0] if verdicts else "gpg_unverified"


def _verdict(row: object) -> str:
    if not isinstance(row, list) or len(row) < len(_GPG_FIELDS):
        return "gpg_invalid"
    for name, value in zip(_GPG_FIELDS[1:], row[1:], strict=False):
        if value is True:
            return f"gpg_{name}"
    return "gpg_valid" if row[0] is True else "gpg_invalid"


def _nevras(entry: Fields, key: str) -> tuple[str, ...]:
    return tuple(name for row in entry.items(key) if (name := _nevra(row, entry, key)))


def _nevra(row: object, entry: Fields, key: str) -> str | None:
    """The full name of a package from a `[nevra, name, ...]` list or plain text."""
    if isinstance(row, list) and row:
        row = row[0]
    if isinstance(row, str):
        return plain(row)
    entry.problems.append(f"{entry.path}.{key} has an entry that is not a package")
    return None


def _overrides(entry: Fields) -> tuple[str, ...]:
    """Replaced packages, the new ones, whether the replacement came from a file or from a repository."""
    found = list(_replacements(entry, "base-local-replacements"))
    remote = entry.part("base-remote-replacements")
    if remote is not None:
        for source in list(remote.values):
            found.extend(_replacements(remote, source))
    if not found:
        found.extend(entry.texts("requested-base-local-replacements"))
    return tuple(found)


def _replacements(entry: Fields, key: str) -> tuple[str, ...]:
    rows = (row[0] if isinstance(row, list) and row else row for row in entry.items(key))
    return tuple(name for row in rows if (name := _nevra(row, entry, key)))


def _transaction(top: Fields) -> str | None:
    """The method of the running transaction. Sender and path only name a bus connection."""
    words = top.texts("transaction")
    return words[0] if words else None


def _cached_update(top: Fields) -> dict[str, str | None] | None:
    cached = top.part("cached-update")
    if cached is None or not cached.values:
        return None
    return {"version": cached.text("version"), "checksum": cached.text("checksum")}


def _driver(top: Fields) -> dict[str, str | None] | None:
    driver = top.part("update-driver")
    if driver is None or not driver.values:
        return None
    return {"name": driver.text("driver-name"), "unit": driver.text("driver-sd-unit")}


def _pending(booted: Fields) -> dict[str, str | None] | None:
    """A newer commit of the branch that was pulled but is not deployed."""
    checksum = booted.text("pending-base-checksum")
    return {"version": booted.text("pending-base-version"), "checksum": checksum} if checksum else None
