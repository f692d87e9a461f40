"""Containers and images of Podman, Docker and containerd."""

import re
from collections.abc import Callable
from typing import Any

from nodes.hosts.drivers.base import Look
from nodes.hosts.drivers.documents import MAX_ITEMS, Fields, iso_time, load_json, number, plain
from nodes.hosts.facts import Container, Containers, Image, Runtime

_VERSION = re.compile(r"\d{1,6}(?:\.\d{1,6}){1,3}[0-9A-Za-z.+~-]{0,40}")
_LABEL_PAIR = re.compile(r"([A-Za-z0-9._/-]{1,256})=(.*)", re.DOTALL)
Parse = Callable[[str, list[str]], tuple[Any, ...]]


def read_containers(look: Look) -> Containers:
    """Every runtime that is on the host. One that is not there is no fault."""
    found = (
        _runtime(look, "podman", "podman_root", "podman_version", _podman_ps, _podman_images),
        _runtime(look, "podman-user", "podman_user", "podman_version", _podman_ps, _podman_images),
        _runtime(look, "docker", "docker", "docker_version", _docker_ps, _docker_images),
        _runtime(look, "containerd", "crictl", "crictl_version", _crictl_ps, _crictl_images),
    )
    return Containers(tuple(one for one in found if one is not None))


def _runtime(look: Look, name: str, prefix: str, version: str, ps: Parse, images: Parse) -> Runtime | None:
    listing = look.output[f"{prefix}_ps"]
    if look.why_not(listing) == "absent" and look.why_not(look.output[f"{prefix}_images"]) == "absent":
        return None
    return Runtime(
        name=name,
        version=look.read(version, parse_version, None, optional=True),
        containers=look.read(f"{prefix}_ps", ps, (), optional=True),
        images=look.read(f"{prefix}_images", images, (), optional=True),
    )


def parse_version(text: str, problems: list[str]) -> str | None:
    found = _VERSION.search(text[:500])
    if found is None:
        problems.append("the output has no version")
        return None
    return found[0].rstrip(".,")


def _rows(text: str, problems: list[str]) -> list[Fields]:
    """An array of objects; no output at all means none."""
    if not text.strip():
        return []
    return Fields({"list": load_json(text)}, "", problems).parts("list")


def _podman_ps(text: str, problems: list[str]) -> tuple[Container, ...]:
    return tuple(
        Container(
            id=row.text("Id") or row.text("ID") or "",
            name=", ".join(row.texts("Names")),
            image=row.text("Image"),
            state=row.text("State"),
            started_at=iso_time(row.number("StartedAt")),
            labels=row.labels("Labels"),
        )
        for row in _rows(text, problems)
    )


def _podman_images(text: str, problems: list[str]) -> tuple[Image, ...]:
    return tuple(
        Image(row.text("Id") or "", row.texts("Names") or row.texts("RepoTags"), row.number("Size"))
        for row in _rows(text, problems)
    )


def _json_lines(text: str, problems: list[str]) -> list[Fields]:
    rows = []
    for index, line in enumerate(text.splitlines()[:MAX_ITEMS]):
        if line.strip():
            rows.append(Fields.of(load_json(line), f"line {index + 1}", problems))
    return rows


def _docker_ps(text: str, problems: list[str]) -> tuple[Container, ...]:
    """Docker prints one object a line. Its `Status` holds an age, so only `State` is kept."""
    return tuple(
        Container(
            id=row.text("ID") or "",
            name=row.text("Names") or "",
            image=row.text("Image"),
            state=row.text("State") or _docker_state(row.text("Status")),
            labels=_label_text(row.text("Labels") or ""),
        )
        for row in _json_lines(text, problems)
    )


def _docker_state(status: str | None) -> str | None:
    word = (status or "").partition(" ")[0].lower()
    return {"up": "running", "exited": "exited", "created": "created", "restarting": "restarting"}.get(word)


def _label_text(text: str) -> dict[str, str]:
    pairs = (_LABEL_PAIR.fullmatch(part) for part in text.split(",")[:MAX_ITEMS])
    return {pair[1]: pair[2] for pair in pairs if pair}


def _docker_images(text: str, problems: list[str]) -> tuple[Image, ...]:
    found: dict[str, list[str]] = {}
    for row in _json_lines(text, problems):
        repository, tag = row.text("Repository"), row.text("Tag")
        names = found.setdefault(row.text("ID") or "", [])
        if repository and repository != "<none>":
            names.append(repository if tag in (None, "<none>") else f"{repository}:{tag}")
    return tuple(Image(image_id, tuple(names)) for image_id, names in found.items())


def _crictl_ps(text: str, problems: list[str]) -> tuple[Container, ...]:
    found = []
    for row in Fields.of(load_json(text), "", problems).parts("containers"):
        meta, image = row.part("metadata"), row.part("image")
        found.append(
            Container(
                id=row.text("id") or "",
                name=(meta.text("name") if meta is not None else None) or "",
                image=(image.text("userSpecifiedImage") or image.text("image")) if image is not None else None,
                state=(row.text("state") or "").removeprefix("CONTAINER_").lower() or None,
                labels=row.labels("labels"),
            )
        )
    return tuple(found)


def _crictl_images(text: str, problems: list[str]) -> tuple[Image, ...]:
    found = []
    for row in Fields.of(load_json(text), "", problems).parts("images"):
        size = row.values.get("size")
        size_bytes = number(size) if isinstance(size, str) else row.number("size")
        found.append(Image(plain(row.text("id") or ""), row.texts("repoTags"), size_bytes))
    return tuple(found)
