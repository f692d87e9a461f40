"""`bootc status --json`, from the first v1alpha1 to v1."""

from datetime import datetime
from typing import Any

from nodes.hosts.drivers.documents import Fields, NotUnderstood, iso_time, load_json
from nodes.hosts.drivers.images import parse_reference, stream_of
from nodes.hosts.drivers.rpmostree import OsTreeState, mark_rollback
from nodes.hosts.facts import Deployment

_OVERLAYS = {"persistent": "hotfix", "transient": "development"}


def parse_status(text: str, problems: list[str]) -> OsTreeState:
    """Read the host document as text."""
    return read_host(load_json(text), problems)


def read_host(document: object, problems: list[str]) -> OsTreeState:
    """Read a BootcHost document. Where nothing is booted by bootc there are no deployments."""
    if not isinstance(document, dict) or document.get("kind", "BootcHost") != "BootcHost" or "status" not in document:
        raise NotUnderstood("this is not a BootcHost document")
    top = Fields(document, "", problems)
    status = top.part("status") or Fields({}, "status", problems)
    spec = top.part("spec") or Fields({}, "spec", problems)
    booted = status.part("booted")
    return OsTreeState(
        manager="bootc",
        deployments=mark_rollback(_deployments(status, spec)),
        cached_update=_cached_update(booted) if booted is not None else None,
        read=True,
    )


def _deployments(status: Fields, spec: Fields) -> tuple[Deployment, ...]:
    order = ["staged", "rollback", "booted"] if status.flag("rollbackQueued") else ["staged", "booted", "rollback"]
    entries = [(name, entry) for name in order if (entry := status.part(name)) is not None]
    entries += [("other", entry) for entry in status.parts("otherDeployments")]
    return tuple(_deployment(index, name, entry, status, spec) for index, (name, entry) in enumerate(entries))


def _deployment(index: int, name: str, entry: Fields, status: Fields, spec: Fields) -> Deployment:
    ostree = entry.part("ostree") or Fields({}, f"{entry.path}.ostree", entry.problems)
    composefs = entry.part("composefs")
    checksum = ostree.text("checksum") or (composefs.text("verity") if composefs is not None else None)
    osname = ostree.text("stateroot") or "default"
    serial = ostree.number("deploySerial")
    overlay = status.part("usrOverlay") if name == "booted" else None
    return Deployment(
        index=index,
        id=f"{osname}-{checksum or 'unknown'}.{serial or 0}",
        osname=osname,
        checksum=checksum,
        booted=name == "booted",
        staged=name == "staged",
        pinned=entry.flag("pinned"),
        locked=entry.flag("downloadOnly"),
        unlocked=_unlocked(overlay) if name == "booted" else None,
        **_image(entry, spec),
    )


def _unlocked(overlay: Fields | None) -> str:
    if overlay is None:
        return "none"
    if overlay.text("accessMode") == "readOnly":
        return "transient"
    return _OVERLAYS.get(overlay.text("persistence") or "", "unknown")


def _image(entry: Fields, spec: Fields) -> dict[str, Any]:
    status = entry.part("image")
    reference = status.part("image") if status is not None else None
    if status is None or reference is None:
        return {}
    name = reference.text("image")
    transport = reference.text("transport") or "registry"
    image = name if transport == "registry" or not name else f"{transport}:{name}"
    digest = status.text("imageDigest") or (parse_reference(name).digest if name else None)
    wanted = spec.part("image")
    return {
        "version": _version(status),
        "origin": f"{transport}:{name}" if name else None,
        "image": image,
        "image_digest": digest,
        "stream": stream_of({}, image) if image and "fedora-coreos" in image else None,
        "timestamp": _timestamp(status),
        "signature": _signature(reference) or (_signature(wanted) if _same(wanted, name) else None),
    }


def _same(wanted: Fields | None, name: str | None) -> bool:
    return wanted is not None and wanted.text("image") == name


def _signature(image: Fields | None) -> str | None:
    """`insecure`, `containerPolicy` or `{"ostreeRemote": NAME}` in the words used for every image."""
    value = image.values.get("signature") if image is not None else None
    if image is None or value is None:
        return None
    if isinstance(value, dict):
        remote = Fields.of(value, f"{image.path}.signature", image.problems).text("ostreeRemote")
        return f"image_remote:{remote}" if remote else None
    word = image.text("signature")
    return {"insecure": "image_unverified", "containerPolicy": "image_signed"}.get(word or "", word)


def _version(status: Fields) -> str | None:
    """The version label. One that looks like a number may have lost its quotes on the way."""
    value = status.values.get("version")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)[:64]
    return status.text("version")


def _timestamp(status: Fields) -> str | None:
    """The build time in whole seconds and UTC; some versions print fractions."""
    text = status.text("timestamp")
    if text is None:
        return None
    try:
        return iso_time(int(datetime.fromisoformat(text[:64]).timestamp()))
    except (ValueError, OverflowError):
        status.problems.append(f"{status.path}.timestamp should be a time")
        return None


def _cached_update(booted: Fields) -> dict[str, str | None] | None:
    """The update that bootc has seen; the same digest as the booted image is none."""
    cached = booted.part("cachedUpdate")
    if cached is None or not cached.values:
        return None
    digest = cached.text("imageDigest")
    current = booted.part("image")
    if digest and current is not None and current.text("imageDigest") == digest:
        return None
    return {"version": _version(cached), "checksum": digest}
