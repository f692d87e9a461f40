"""podman, docker and crictl."""

from __future__ import annotations

import json
from typing import Any

from simfleet import boxes, seeds
from simfleet.answers.base import Answer, Call, answer, command, fail, options, say
from simfleet.answers.files import day
from simfleet.model import Host
from simfleet.profiles import MIB, PLAIN_UNITS, PORTS, Container, profile

VALUED = frozenset(["--format", "-o", "--output", "--filter", "--tail"])


def _containers(call: Call) -> tuple[Container, ...]:
    return profile(call.host.seed, call.host.name, call.host.plan.role).containers


def _in_cluster(call: Call) -> bool:
    return call.host.plan.role.startswith("k8s")


def _started(call: Call, row: Container) -> int:
    return int(call.host.booted_at) + 40 + seeds.number(1, row.container_id) % 90


def _podman_row(call: Call, row: Container) -> dict[str, Any]:
    started = _started(call, row)
    image, digest = boxes.runs(call.host, row)
    state = boxes.state_of(call.host, row)
    running = state == "running"
    return {
        "AutoRemove": False,
        "Command": None,
        "CreatedAt": "",
        "CIDFile": "",
        "Exited": not running,
        "ExitedAt": -62135596800 if running else started + 3600,
        "ExitCode": 0,
        "Id": row.container_id,
        "Image": image,
        "ImageID": boxes.id_of(digest),
        "IsInfra": False,
        "Labels": {"PODMAN_SYSTEMD_UNIT": row.unit} if row.unit and row.name not in PLAIN_UNITS else None,
        "Mounts": [],
        "Names": [row.name],
        "Namespaces": {},
        "Networks": ["podman"],
        "Pid": 2400 if running else 0,
        "Pod": "",
        "PodName": "",
        "Ports": _podman_ports(row) if running else None,
        "Restarts": 0,
        "Size": None,
        "StartedAt": started,
        "State": state,
        "Status": _status(call, row, started) if running else "Exited (0)",
        "Created": started - 2,
    }


def _podman_ports(row: Container) -> list[dict[str, Any]] | None:
    port = PORTS.get(row.name)
    if port is None:
        return None
    return [{"host_ip": "", "container_port": port, "host_port": port, "range": 1, "protocol": "tcp"}]


def _status(call: Call, row: Container, started: int) -> str:
    """With an age, and with what the health check says where there is one."""
    hours = max(int(call.now - started) // 3600, 1)
    return f"Up {hours} hours" + (" (healthy)" if row.name in PORTS else "")


def written_units(call: Call) -> Answer:
    """What the files of units say of containers: where they lie, the container's name, and its image."""
    lines = []
    for row in boxes.containers(call.host):
        if not row.unit:
            continue
        if row.name in PLAIN_UNITS:
            path = f"/etc/systemd/system/{row.unit}"
        else:
            path = f"/run/systemd/generator/{row.unit}"
            lines.append(f"{path}\tSourcePath=/etc/containers/systemd/{row.name}.container")
        lines.append(f"{path}\tExecStart\tname={row.name}\timage={boxes.wanted(call.host, row)}")
    written = sorted(path for path in call.host.written if path.endswith(boxes.DROPIN))
    lines += [f"{path}\tdropin" for path in written if ".container.d/" in path]
    return say("".join(f"{line}\n" for line in lines))


def _podman_image(host: Host, digest: str) -> dict[str, Any]:
    found = [name for name, one in boxes.names(host).items() if one == digest and "@" not in name]
    created = 1_780_000_000 + seeds.number(1, digest, "created") % 9_000_000
    size = 18 * MIB + seeds.number(1, digest, "size") % (420 * MIB)
    return {
        "Id": boxes.id_of(digest),
        "ParentId": "",
        "RepoTags": None,
        "RepoDigests": boxes.digests(host, digest),
        "Size": size,
        "SharedSize": 0,
        "VirtualSize": size,
        "Labels": None,
        "Containers": 1,
        "Names": found or None,
        "Digest": digest,
        "History": found or None,
        "Created": created,
        "CreatedAt": day(created, "%Y-%m-%dT%H:%M:%SZ"),
    }


@command("podman")
def podman(call: Call) -> Answer:
    """Version, containers and images, and what changes them; the containers are those of root."""
    flags, words = options(call.args, VALUED)
    if "--version" in flags or words[:1] == ["version"]:
        return say("podman version 5.7.0\n")
    mine = boxes.containers(call.host) if call.root else ()
    if words[:1] == ["ps"]:
        there = [row for row in mine if boxes.state_of(call.host, row)]
        shown = [row for row in there if "-a" in flags or boxes.state_of(call.host, row) == "running"]
        return say(json.dumps([_podman_row(call, row) for row in shown]) + "\n")
    if words[:1] == ["images"]:
        known = dict.fromkeys(boxes.names(call.host).values()) if call.root else {}
        return say(json.dumps([_podman_image(call.host, digest) for digest in known]) + "\n")
    found = _CHANGES.get(" ".join(words[:2])) or _CHANGES.get(words[0] if words else "")
    if found is None or not call.root:
        return fail(f"Error: unrecognized command `podman {' '.join(words[:1])}`", 125)
    done = found(call, words)
    call.world.changed(call.host)
    return done


def _pull(call: Call, words: list[str]) -> Answer:
    reference = words[-1]
    if "missing" in reference:
        return fail(f"Error: initializing source docker://{reference}: reading manifest: manifest unknown", 125)
    call.host.images[reference] = boxes.digest_of(reference)
    return say(boxes.id_of(boxes.digest_of(reference)) + "\n")


def _tag(call: Call, words: list[str]) -> Answer:
    digest = boxes.resolve(call.host, words[1])
    if not digest:
        return fail(f"Error: {words[1]}: image not known", 125)
    call.host.images[words[2]] = digest
    return Answer()


def _image_inspect(call: Call, words: list[str]) -> Answer:
    digest = boxes.resolve(call.host, words[-1])
    if not digest:
        return Answer(125, b"", f"Error: {words[-1]}: image not known\n".encode())
    return say(" ".join([boxes.id_of(digest), *boxes.digests(call.host, digest)]) + "\n")


def _image_rm(call: Call, words: list[str]) -> Answer:
    used = {boxes.runs(call.host, row)[1] for row in boxes.containers(call.host)}
    gone = {boxes.resolve(call.host, word) for word in words[2:]} - {""}
    if gone & used:
        return fail("Error: image used by a container: image is in use by a container", 2)
    for name, digest in boxes.names(call.host).items():
        if digest in gone:
            call.host.images[name] = ""
    return say("".join(f"Deleted: {boxes.id_of(digest)}\n" for digest in sorted(gone)))


def _named(call: Call, name: str) -> Container | None:
    return next(
        (row for row in boxes.containers(call.host) if row.name == name and boxes.state_of(call.host, row)), None
    )


def _container_inspect(call: Call, words: list[str]) -> Answer:
    row = _named(call, words[-1])
    if row is None:
        return fail(f"Error: no such container {words[-1]}", 125)
    if "StartedAt" in " ".join(call.args):
        return say(f"{row.container_id} {_started(call, row) + call.host.starts.get(f'container:{row.name}', 0)}\n")
    state = boxes.state_of(call.host, row)
    health = " healthy" if row.name in PORTS and state == "running" else ""
    return say(f"{boxes.id_of(boxes.runs(call.host, row)[1])} {state}{health}\n")


def _power(call: Call, words: list[str]) -> Answer:
    row = _named(call, words[1])
    if row is None:
        return fail(f"Error: no container with name or ID {words[1]} found: no such container", 125)
    key = f"container:{row.name}"
    call.host.unit_states[row.unit or key] = "inactive" if words[0] == "stop" else "active"
    if words[0] != "stop":
        call.host.starts[key] = call.host.starts.get(key, 0) + 1
    return say(f"{row.name}\n")


def _logs(call: Call, words: list[str]) -> Answer:
    row = _named(call, words[-1])
    if row is None:
        return fail(f'Error: no container with name or ID "{words[-1]}" found: no such container', 125)
    return say(f"{day(_started(call, row), '%Y-%m-%dT%H:%M:%S')}.120000000Z {row.name} listens\n")


def _auto_update(call: Call, _words: list[str]) -> Answer:
    """One container is looked after, and has nothing new."""
    rows = [row for row in boxes.containers(call.host) if row.name in PORTS]
    return say("".join(f"{row.unit}\t{row.name}\t{row.image}\tregistry\tfalse\n" for row in rows))


_CHANGES = {
    "pull": _pull,
    "tag": _tag,
    "image inspect": _image_inspect,
    "image rm": _image_rm,
    "container inspect": _container_inspect,
    "start": _power,
    "stop": _power,
    "restart": _power,
    "logs": _logs,
    "auto-update": _auto_update,
}


async def _image_set(call: Call) -> Answer:
    """`sh -c SCRIPT NAME PATH MARK KIND IMAGE SOURCE BEFORE KEPT UNIT`: the drop-in, once."""
    path, mark, _kind, image, _source, before, kept, unit = call.args[3:11]
    host = call.host
    if not host.written.get(path, "").startswith(mark + "\n"):
        if before:
            # The image that loses its last name is there still, by its id.
            host.kept.append(host.images.get(kept, ""))
            host.images[kept] = boxes.resolve(host, before)
        if path in host.written:
            host.written[path + ".before"] = host.written[path]
        host.written[path] = f"{mark}\n[Container]\nImage={image}\n"
    return await answer(call.other(("systemctl", "reset-failed", unit)))


async def _image_back(call: Call) -> Answer:
    path, mark, before, name, unit, kept, kept_id = call.args[3:10]
    host = call.host
    if host.written.get(path, "").startswith(mark + "\n"):
        earlier = host.written.pop(path + ".before", None)
        host.written.pop(path)
        if earlier is not None:
            host.written[path] = earlier
    if name:
        host.images[name] = boxes.resolve(host, before)
    host.images[kept] = next(
        (one for one in (*boxes.names(host).values(), *host.kept) if boxes.id_of(one) == kept_id), ""
    )
    return await answer(call.other(("systemctl", "reset-failed", unit)))


async def _image_settled(call: Call) -> Answer:
    call.host.written.pop(call.args[3] + ".before", None)
    call.world.changed(call.host)
    return Answer()


async def _power_once(call: Call) -> Answer:
    """`sh -c SCRIPT NAME VERB WHAT SEEN`: unless it was started or stopped meanwhile."""
    verb, name, seen = call.args[3:6]
    is_unit = name.endswith(".service")
    shown: tuple[str, ...] = ("systemctl", "show", "--property=InvocationID", "--value", name)
    if not is_unit:
        shown = ("podman", "container", "inspect", "--format", "{{.State.StartedAt.Unix}}", name)
    now = (await answer(call.other(shown))).out.decode().strip()
    if now != seen:
        return fail("it was started or stopped since this was decided", 75)
    done = await answer(call.other(("systemctl" if is_unit else "podman", verb, name)))
    return Answer(0, b"done\n", done.err) if is_unit else done


async def _logs_followed(call: Call) -> Answer:
    """`sh -c SCRIPT NAME LINES SECONDS CONTAINER`: the last lines; nothing more comes while it is followed."""
    lines, _seconds, name = call.args[3:6]
    return await answer(call.other(("podman", "logs", "--timestamps", "--tail", lines, name)))


#: Scripts of a driver, by the name that it gives them.
OF_CONTAINERS = {
    "fleetui-image": _image_set,
    "fleetui-image-back": _image_back,
    "fleetui-image-settled": _image_settled,
    "fleetui-power": _power_once,
    "fleetui-logs": _logs_followed,
}


@command("docker")
def docker(call: Call) -> Answer:
    """Installed, and not started on Fedora CoreOS; on Flatcar it runs the containers."""
    if "--version" in call.args or "-v" in call.args:
        return say("Docker version 29.0.4, build 3247a5a\n")
    if call.host.plan.os == "flatcar":
        return _flatcar_docker(call)
    return fail("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?")


def _flatcar_docker(call: Call) -> Answer:
    """`ps` and `images` as a JSON object a line, for root and the group docker."""
    flags, words = options(call.args, VALUED)
    if words[:1] == ["images"]:
        rows = [_docker_image(row, digests="--digests" in flags) for row in _containers(call)]
    else:
        rows = [_docker_row(call, row) for row in _containers(call)]
    return say("".join(json.dumps(row) + "\n" for row in rows))


def _docker_row(call: Call, row: Container) -> dict[str, str]:
    running = row.state == "running"
    return {
        "Command": '"/entrypoint"',
        "CreatedAt": day(_started(call, row), "%Y-%m-%d %H:%M:%S +0000 UTC"),
        "ID": row.container_id,
        "Image": row.image,
        "Labels": "",
        "LocalVolumes": "0",
        "Mounts": "",
        "Names": row.name,
        "Networks": "host",
        "Ports": "",
        "RunningFor": "2 days ago",
        "Size": "0B",
        "State": row.state,
        "Status": "Up 2 days" if running else "Exited (0) 2 days ago",
    }


def _docker_image(row: Container, *, digests: bool) -> dict[str, str]:
    repository, _, tag = row.image.rpartition(":")
    return {
        "Containers": "N/A",
        "CreatedAt": "2026-09-01 10:00:00 +0000 UTC",
        "CreatedSince": "2 months ago",
        "Digest": boxes.digest_of(row.image) if digests else "<none>",
        "ID": "sha256:" + row.image_id,
        "Repository": repository,
        "Tag": tag,
        "Size": f"{row.size_bytes // 1_000_000}MB",
    }


@command("crictl")
def crictl(call: Call) -> Answer:
    """Pods of a cluster host, for root."""
    if not _in_cluster(call):
        return fail("sh: line 1: crictl: command not found", 127)
    if "--version" in call.args:
        return say("crictl version v1.34.0\n")
    if not call.root:
        return fail("E1122 validate CRI v1 runtime API: dial unix /run/crio/crio.sock: connect: permission denied")
    _, words = options(call.args, VALUED)
    if words[:1] == ["images"]:
        return say(json.dumps({"images": [_crictl_image(row) for row in _containers(call)]}) + "\n")
    return say(json.dumps({"containers": [_crictl_row(call, row) for row in _containers(call)]}) + "\n")


def _crictl_row(call: Call, row: Container) -> dict[str, Any]:
    suffix = seeds.hexdigest(call.host.seed, call.host.name, row.name, "pod")[:5]
    return {
        "id": row.container_id,
        "podSandboxId": seeds.hexdigest(call.host.seed, row.container_id),
        "metadata": {"name": row.name, "attempt": 0},
        "image": {"image": row.image, "annotations": {}},
        "imageRef": "sha256:" + row.image_id,
        "state": "CONTAINER_RUNNING" if row.state == "running" else "CONTAINER_EXITED",
        "createdAt": str(_started(call, row) * 10**9),
        "labels": {
            "io.kubernetes.container.name": row.name,
            "io.kubernetes.pod.name": f"{row.name}-{suffix}",
            "io.kubernetes.pod.namespace": "kube-system"
            if row.name.startswith(("kube", "etcd", "cilium", "core"))
            else "shop",
        },
        "annotations": {},
    }


def _crictl_image(row: Container) -> dict[str, Any]:
    digest = "sha256:" + seeds.hexdigest(1, row.image, "digest")
    repository = row.image.rsplit(":", 1)[0]
    return {
        "id": "sha256:" + row.image_id,
        "repoTags": [row.image],
        "repoDigests": [f"{repository}@{digest}"],
        "size": str(row.size_bytes),
        "uid": None,
        "username": "",
        "spec": None,
        "pinned": False,
    }
