"""What Podman has and runs on a host: images by name, and which of them each container was started with.

An image is known by its digest, which follows from its name: every host and every registry gives `REPOSITORY:TAG` the
same one. A tag that begins with `crash` names an image that does not stay up.
"""

from __future__ import annotations

from simfleet import seeds
from simfleet.model import Host
from simfleet.profiles import Container, profile

DROPIN = "50-fleetui-image.conf"


def containers(host: Host) -> tuple[Container, ...]:
    """Those that Podman runs; on other systems, and in a cluster, others do."""
    if host.plan.os != "fcos" or host.plan.role.startswith("k8s"):
        return ()
    return profile(host.seed, host.name, host.plan.role).containers


def of_unit(host: Host, unit: str) -> Container | None:
    return next((row for row in containers(host) if row.unit == unit), None)


def digest_of(reference: str) -> str:
    """The digest that a registry gives a reference."""
    return reference.partition("@")[2] or "sha256:" + seeds.hexdigest(1, reference, "digest")


def id_of(digest: str) -> str:
    return seeds.hexdigest(1, digest, "image")


def repository_of(reference: str) -> str:
    name = reference.partition("@")[0]
    return name.rpartition(":")[0] if ":" in name.rpartition("/")[2] else name


def names(host: Host) -> dict[str, str]:
    """Every name of an image on the host, with its digest."""
    found = {row.image: digest_of(row.image) for row in containers(host)} | host.images
    return {name: digest for name, digest in found.items() if digest}


def resolve(host: Host, reference: str) -> str:
    """The digest that a name, a digest or an id means on the host; empty for none."""
    known = names(host)
    if reference in known:
        return known[reference]
    wanted = reference.partition("@")[2]
    there = (*known.values(), *filter(None, host.kept))
    return next((one for one in there if one == wanted or id_of(one) == reference), "")


def digests(host: Host, digest: str) -> list[str]:
    """REPOSITORY@DIGEST, of every registry that the image came from."""
    repositories = {repository_of(name) for name, one in names(host).items() if one == digest}
    return sorted(f"{one}@{digest}" for one in repositories)


def wanted(host: Host, row: Container) -> str:
    """The reference that the unit of a container names: in its drop-in, else in its own file."""
    for path in (
        f"/etc/containers/systemd/{row.name}.container.d/{DROPIN}",
        f"/etc/systemd/system/{row.unit}.d/{DROPIN}",
    ):
        if text := host.written.get(path):
            return text.splitlines()[-1].rpartition("=")[2].strip()
    return row.image


def runs(host: Host, row: Container) -> tuple[str, str]:
    """The reference and the digest that a container was started with."""
    reference, _space, digest = host.runs.get(row.name, "").partition(" ")
    return (reference, digest) if reference else (row.image, digest_of(row.image))


def crashes(reference: str, digest: str) -> bool:
    return digest == digest_of(f"{repository_of(reference)}:crash")


def start(host: Host, row: Container) -> bool:
    """Start it as its unit says, pulling what is not there; False when it does not stay up."""
    reference = wanted(host, row)
    digest = resolve(host, reference)
    if not digest:
        digest = host.images[reference] = digest_of(reference)
    host.runs[row.name] = f"{reference} {digest}"
    return not crashes(reference, digest)


def state_of(host: Host, row: Container) -> str:
    """As `podman ps` shows it; empty when the container is not there."""
    changed = host.unit_states.get(row.unit or f"container:{row.name}")
    if changed is None:
        return row.state
    if changed == "active":
        return "running"
    return "" if row.unit else "exited"
