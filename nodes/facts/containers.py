"""Containers as facts tell of them: each with its image, its unit, and by whom it is run. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nodes.hosts.drivers.podman_commands import DROPIN
from nodes.hosts.references import Reference, parse

#: Runtimes whose containers a cluster starts.
_OF_CLUSTERS = "containerd"
#: The state of a unit whose container is not there: with Quadlet a stopped one is removed.
ABSENT = "absent"


def described(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every container with its image, its unit and by whom it is run, then units whose container is not there."""
    section = document.get("containers") or {}
    units = section.get("units") or []
    runtimes = section.get("runtimes") or []
    found = [one for runtime in runtimes for one in _of_runtime(runtime, units)]
    there = {one["unit"] for one in found}
    return [*found, *(_absent(unit, runtimes) for unit in units if unit.get("name") not in there)]


def _of_runtime(runtime: Mapping[str, Any], units: list[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Units that were read are root's, as is the runtime `podman`."""
    name = str(runtime.get("name") or "")
    mine = units if name == "podman" else []
    by_unit = {unit.get("name"): unit for unit in mine}
    by_container = {unit.get("container"): unit for unit in mine}
    images = {image.get("id"): image for image in runtime.get("images") or []}
    # Docker does not say the id of the image.
    by_name = {name: image for image in runtime.get("images") or [] for name in image.get("names") or []}
    for one in runtime.get("containers") or []:
        unit = by_unit.get(one.get("unit")) or by_container.get(one.get("name"))
        called = str(one.get("image") or "")
        reference = parse(called)
        given = one.get("image_id")
        image = (images.get(_known(given, images)) if given else _named(called, reference, by_name)) or {}
        if called.startswith("sha256:"):
            # Containerd often says the id of the image instead of its name.
            called = next(iter(image.get("names") or []), called)
            reference = parse(called) if called != one["image"] else None
        yield {
            **one,
            "image": called or None,
            "uses": given or image.get("id"),
            "runtime": name,
            "reference": reference,
            "digest": digest_of(image, reference),
            "unit": str((unit or {}).get("name") or one.get("unit") or ""),
            "source": str((unit or {}).get("source") or ""),
            "managed_by": _managed_by(name, unit, one),
        }


def _known(image_id: Any, images: Mapping[Any, Any]) -> Any:
    """Docker and containerd write ids with their algorithm in one place and without it in another."""
    text = str(image_id or "")
    return text if text in images else text.removeprefix("sha256:") if ":" in text else f"sha256:{text}"


def _named(
    name: Any, reference: Reference | None, by_name: Mapping[Any, Mapping[str, Any]]
) -> Mapping[str, Any] | None:
    """A container keeps the name that it was started by; images are listed with their tag."""
    if name not in by_name and reference is not None and not (reference.tag or reference.digest):
        return by_name.get(f"{name}:latest")
    return by_name.get(name)


def digest_of(image: Mapping[str, Any], reference: Reference | None) -> str:
    """The digest under which the registry of the reference knows the image, else any."""
    if reference is not None and reference.digest:
        return reference.digest
    digests = [str(one) for one in image.get("digests") or []]
    own = [one for one in digests if reference is not None and one.partition("@")[0] == reference.repository]
    return next((one.partition("@")[2] for one in (*own, *digests)), "")


def _managed_by(runtime: str, unit: Mapping[str, Any] | None, one: Mapping[str, Any]) -> str:
    if unit is not None:
        return "quadlet" if unit.get("kind") == "quadlet" else "unit"
    if runtime == _OF_CLUSTERS or "io.kubernetes.pod.name" in (one.get("labels") or {}):
        return "cluster"
    return "unit" if one.get("unit") else "hand"


def _absent(unit: Mapping[str, Any], runtimes: list[Mapping[str, Any]]) -> dict[str, Any]:
    reference = parse(str(unit.get("image") or ""))
    podman = next((one for one in runtimes if one.get("name") == "podman"), {})
    wanted = unit.get("image")
    image: Mapping[str, Any] = next(
        (one for one in podman.get("images") or [] if wanted and wanted in (one.get("names") or [])), {}
    )
    return {
        "runtime": "podman",
        "name": str(unit.get("container") or ""),
        "image": unit.get("image"),
        "reference": reference,
        "digest": digest_of(image, reference),
        "state": ABSENT,
        "health": None,
        "unit": str(unit.get("name") or ""),
        "source": str(unit.get("source") or ""),
        "managed_by": "quadlet" if unit.get("kind") == "quadlet" else "unit",
        "started_at": None,
        "ports": [],
    }


def on_purpose(units: list[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Drop-ins of FleetUI beside units of containers: what they say differs from any config, and is meant to."""
    return [
        {"path": str(path), "unit": str(unit.get("name") or ""), "image": str(unit.get("image") or "")}
        for unit in units
        for path in unit.get("dropins") or []
        if str(path).endswith(f"/{DROPIN}")
    ]
