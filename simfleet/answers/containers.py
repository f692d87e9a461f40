"""podman, docker and crictl."""

from __future__ import annotations

import json
from typing import Any

from simfleet import seeds
from simfleet.answers.base import Answer, Call, command, fail, options, say
from simfleet.answers.files import day
from simfleet.profiles import Container, profile

VALUED = frozenset(["--format", "-o", "--output", "--filter"])


def _containers(call: Call) -> tuple[Container, ...]:
    return profile(call.host.seed, call.host.name, call.host.plan.role).containers


def _in_cluster(call: Call) -> bool:
    return call.host.plan.role.startswith("k8s")


def _started(call: Call, row: Container) -> int:
    return int(call.host.booted_at) + 40 + seeds.number(1, row.container_id) % 90


def _podman_row(call: Call, row: Container) -> dict[str, Any]:
    started = _started(call, row)
    running = row.state == "running"
    return {
        "AutoRemove": False,
        "Command": None,
        "CreatedAt": "",
        "CIDFile": "",
        "Exited": not running,
        "ExitedAt": -62135596800 if running else started + 3600,
        "ExitCode": 0,
        "Id": row.container_id,
        "Image": row.image,
        "ImageID": row.image_id,
        "IsInfra": False,
        "Labels": {"PODMAN_SYSTEMD_UNIT": f"{row.name}.service"},
        "Mounts": [],
        "Names": [row.name],
        "Namespaces": {},
        "Networks": ["podman"],
        "Pid": 2400 if running else 0,
        "Pod": "",
        "PodName": "",
        "Ports": None,
        "Restarts": 0,
        "Size": None,
        "StartedAt": started,
        "State": row.state,
        "Status": "Up" if running else "Exited (0)",
        "Created": started - 2,
    }


def _podman_image(row: Container) -> dict[str, Any]:
    digest = "sha256:" + seeds.hexdigest(1, row.image, "digest")
    created = 1_780_000_000 + seeds.number(1, row.image, "created") % 9_000_000
    return {
        "Id": row.image_id,
        "ParentId": "",
        "RepoTags": None,
        "RepoDigests": [row.image.rsplit(":", 1)[0] + "@" + digest],
        "Size": row.size_bytes,
        "SharedSize": 0,
        "VirtualSize": row.size_bytes,
        "Labels": None,
        "Containers": 1,
        "Names": [row.image],
        "Digest": digest,
        "History": [row.image],
        "Created": created,
        "CreatedAt": day(created, "%Y-%m-%dT%H:%M:%SZ"),
    }


@command("podman")
def podman(call: Call) -> Answer:
    """Version, containers and images; the containers are those of root."""
    flags, words = options(call.args, VALUED)
    if "--version" in flags or words[:1] == ["version"]:
        return say("podman version 5.7.0\n")
    mine = _containers(call) if call.root and not _in_cluster(call) else ()
    if words[:1] == ["ps"]:
        shown = [row for row in mine if "-a" in flags or row.state == "running"]
        return say(json.dumps([_podman_row(call, row) for row in shown]) + "\n")
    if words[:1] == ["images"]:
        return say(json.dumps([_podman_image(row) for row in mine]) + "\n")
    return fail(f"Error: unrecognized command `podman {' '.join(words[:1])}`", 125)


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
    _, words = options(call.args, VALUED)
    if words[:1] == ["images"]:
        rows = [_docker_image(row) for row in _containers(call)]
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


def _docker_image(row: Container) -> dict[str, str]:
    repository, _, tag = row.image.rpartition(":")
    return {
        "Containers": "N/A",
        "CreatedAt": "2026-09-01 10:00:00 +0000 UTC",
        "CreatedSince": "2 months ago",
        "Digest": "<none>",
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
