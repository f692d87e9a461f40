"""Containers and images of Podman, Docker and containerd, and the units that run them."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nodes.hosts.drivers.base import Look
from nodes.hosts.drivers.documents import MAX_ITEMS, Fields, iso_time, load_json, number, plain
from nodes.hosts.facts import Container, Containers, ContainerUnit, Image, Runtime

_VERSION = re.compile(r"\d{1,6}(?:\.\d{1,6}){1,3}[0-9A-Za-z.+~-]{0,40}")
_LABEL_PAIR = re.compile(r"([A-Za-z0-9._/-]{1,256})=(.*)", re.DOTALL)
_HEALTH = re.compile(r"\((?:health: )?(healthy|unhealthy|starting)\)")
#: Set by Quadlet, and by units that `podman generate systemd` made.
UNIT_LABEL = "PODMAN_SYSTEMD_UNIT"
_UNIT_FILE = re.compile(
    r"(?P<folder>/[^\t\n]{1,400})/(?P<unit>[A-Za-z0-9:_.\\@-]{1,200}\.service)(?P<dropin>\.d/[^/\t]{1,200})?"
)
_QUADLET_DROPIN = re.compile(r"/[^\t\n]{1,400}/(?P<name>[A-Za-z0-9:_.\\@-]{1,200})\.container\.d/[^/\t]{1,200}")
Parse = Callable[[str, list[str]], tuple[Any, ...]]


def read_containers(look: Look) -> Containers:
    """Every runtime that is on the host. One that is not there is no fault."""
    found = (
        _runtime(look, "podman", "podman_root", "podman_version", _podman_ps, _podman_images),
        _runtime(look, "podman-user", "podman_user", "podman_version", _podman_ps, _podman_images),
        _runtime(look, "docker", "docker", "docker_version", _docker_ps, _docker_images),
        _runtime(look, "containerd", "crictl", "crictl_version", _crictl_ps, _crictl_images),
    )
    units = look.read("podman_units", parse_units, (), optional=True)
    return Containers(tuple(one for one in found if one is not None), units)


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
            image_id=row.text("ImageID"),
            state=row.text("State"),
            health=_health(row.text("Status")),
            unit=row.labels("Labels").get(UNIT_LABEL) or None,
            ports=_ports(row),
            started_at=iso_time(row.number("StartedAt")),
            labels=row.labels("Labels"),
        )
        for row in _rows(text, problems)
    )


def _health(status: str | None) -> str | None:
    """Of `Up 3 minutes (healthy)` only the word: the age differs at every look."""
    found = _HEALTH.search((status or "")[-40:])
    return found[1] if found else None


def _ports(row: Fields) -> tuple[str, ...]:
    """`Ports` is null or a list of objects; a range is one entry."""
    return tuple(port for one in row.parts("Ports") if (port := _port(one)))


def _port(one: Fields) -> str:
    inside, count = one.number("container_port"), one.number("range") or 1
    if inside is None:
        return ""
    outside, address = one.number("host_port"), one.text("host_ip") or ""
    address = f"[{address}]:" if ":" in address else f"{address}:" if address else ""
    inner = f"{_span(inside, count)}/{one.text('protocol') or 'tcp'}"
    return f"{address}{_span(outside, count)}->{inner}" if outside else inner


def _span(first: int, count: int) -> str:
    return f"{first}-{first + count - 1}" if count > 1 else str(first)


def _podman_images(text: str, problems: list[str]) -> tuple[Image, ...]:
    """Podman prints an image once for each of its names, every time with all of them."""
    found = (
        Image(
            row.text("Id") or "",
            row.texts("Names") or row.texts("RepoTags"),
            row.texts("RepoDigests"),
            row.number("Size"),
        )
        for row in _rows(text, problems)
    )
    return tuple(dict.fromkeys(found))


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
            health=_health(row.text("Status")),
            ports=_docker_ports(row.text("Ports") or ""),
            labels=_label_text(row.text("Labels") or ""),
        )
        for row in _json_lines(text, problems)
    )


def _docker_ports(text: str) -> tuple[str, ...]:
    """One text, such as `0.0.0.0:80->80/tcp, [::]:80->80/tcp`."""
    return tuple(part.strip() for part in text.split(",")[:MAX_ITEMS] if part.strip())


def _docker_state(status: str | None) -> str | None:
    word = (status or "").partition(" ")[0].lower()
    return {"up": "running", "exited": "exited", "created": "created", "restarting": "restarting"}.get(word)


def _label_text(text: str) -> dict[str, str]:
    pairs = (_LABEL_PAIR.fullmatch(part) for part in text.split(",")[:MAX_ITEMS])
    return {pair[1]: pair[2] for pair in pairs if pair}


def _docker_images(text: str, problems: list[str]) -> tuple[Image, ...]:
    names: dict[str, list[str]] = {}
    digests: dict[str, list[str]] = {}
    for row in _json_lines(text, problems):
        repository, tag, digest = row.text("Repository"), row.text("Tag"), row.text("Digest")
        image = row.text("ID") or ""
        named, known = names.setdefault(image, []), digests.setdefault(image, [])
        if repository and repository != "<none>":
            named.append(repository if tag in (None, "<none>") else f"{repository}:{tag}")
            if digest and digest != "<none>" and f"{repository}@{digest}" not in known:
                known.append(f"{repository}@{digest}")
    return tuple(Image(image, tuple(found), tuple(digests[image])) for image, found in names.items())


def _crictl_ps(text: str, problems: list[str]) -> tuple[Container, ...]:
    found = []
    for row in Fields.of(load_json(text), "", problems).parts("containers"):
        meta, image = row.part("metadata"), row.part("image")
        found.append(
            Container(
                id=row.text("id") or "",
                name=(meta.text("name") if meta is not None else None) or "",
                image=(image.text("userSpecifiedImage") or image.text("image")) if image is not None else None,
                image_id=row.text("imageRef"),
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
        image_id = plain(row.text("id") or "")
        found.append(Image(image_id, row.texts("repoTags"), row.texts("repoDigests"), size_bytes))
    return tuple(found)


@dataclass
class _Written:
    """What the files of one unit say, the later ones having the last word."""

    source: str = ""
    is_quadlet: bool = False
    name: str = ""
    image: str | None = None
    runs: bool = False
    dropins: list[str] = field(default_factory=list)


def parse_units(text: str, problems: list[str]) -> tuple[ContainerUnit, ...]:
    """Lines of PATH, what was found there, and its values, apart by tabs: the section `podman_units`."""
    found: dict[str, _Written] = {}
    for line in text.splitlines()[:MAX_ITEMS]:
        path, *rest = line.split("\t")
        if (quadlet := _QUADLET_DROPIN.fullmatch(path)) is not None and rest == ["dropin"]:
            found.setdefault(f"{quadlet['name']}.service", _Written()).dropins.append(plain(path))
        elif (unit := _UNIT_FILE.fullmatch(path)) is not None and rest:
            _take_unit(found.setdefault(unit["unit"], _Written()), path, rest, is_dropin=bool(unit["dropin"]))
        else:
            problems.append(f"the line {plain(line[:80])!r} names no unit")
    return tuple(
        ContainerUnit(
            name=name,
            kind="quadlet" if one.is_quadlet else "unit",
            source=one.source,
            container=one.name.replace("%N", stem).replace("%p", stem).replace("%n", name) or f"systemd-{stem}",
            image=one.image,
            dropins=tuple(sorted(one.dropins)),
        )
        for name, one in sorted(found.items())
        if one.runs and (stem := name.removesuffix(".service"))
    )


def _take_unit(one: _Written, path: str, rest: list[str], *, is_dropin: bool) -> None:
    what, *values = rest
    if what.startswith("SourcePath="):
        one.source = plain(what.partition("=")[2])
        one.is_quadlet = one.source.endswith(".container")
        return
    if is_dropin:
        one.dropins.append(plain(path))
    elif not one.is_quadlet:
        one.source = plain(path)
    one.runs = True
    pairs = [value.partition("=") for value in values]
    one.name = next((plain(value) for key, _equals, value in pairs if key == "name"), one.name)
    images = [plain(value) for key, _equals, value in pairs if key == "image"]
    if len(images) > 1:
        # Which of the words is the image cannot be told.
        one.image = None
    elif images:
        one.image = images[0]
