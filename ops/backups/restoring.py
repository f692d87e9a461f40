"""How a backup is brought back, as a person does it: steps with the commands as they are typed. Pure.

etcd: etcd.io, "Disaster recovery"; kubernetes.io, "Operating etcd clusters": API servers stand still meanwhile, and all that
read from them starts anew.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from ops.backups.age import SUFFIX

#: Where a file lies on a host until it is restored.
THERE: Final = "/var/tmp"  # noqa: S108  (what a person does, who may choose another)
KEY_FILE: Final = "backups.key"
_MANIFESTS: Final = "/etc/kubernetes/manifests"
_HALTED: Final = "/etc/kubernetes/halted"
_PODS: Final = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd")
#: Higher than whatever was written since the snapshot, so that no watcher takes an old revision for a new one.
_BUMP: Final = 1_000_000_000


@dataclass(frozen=True)
class Host:
    """A node that takes part. `peer` is its address for the other members of an etcd."""

    name: str
    login: str
    port: int
    peer: str


@dataclass(frozen=True)
class Lies:
    """The backup that is brought back: its name at the target, and how to get it."""

    kind: str
    settings: Mapping[str, Any]
    key: str
    sha256: str
    location: str
    target_kind: str
    target_settings: Mapping[str, Any]


@dataclass(frozen=True)
class Step:
    """`code` is worded where it is shown; `on` are the names of the hosts where the lines are typed, none: where one sits."""

    code: str
    lines: tuple[str, ...] = ()
    on: tuple[str, ...] = ()


def restore_steps(lies: Lies, hosts: Sequence[Host]) -> list[Step]:
    """From the target to what runs again. `hosts` are the nodes of the policy; FleetUI itself has none."""
    stored = PurePosixPath(lies.key).name
    name = stored.removesuffix(SUFFIX)
    steps = [
        _fetch(lies, stored),
        Step("restore_compare", (f"echo {shlex.quote(f'{lies.sha256}  {stored}')} | sha256sum --check",)),
    ]
    if stored != name:
        steps.append(Step("restore_open", (_line("age", "--decrypt", "-i", KEY_FILE, "-o", name, stored),)))
    makers = {"path": _path, "postgresql": _postgresql, "etcd": _etcd, "fleetui": _fleetui}
    return [*steps, *makers[lies.kind](lies, name, hosts)]


def _line(*words: str) -> str:
    return shlex.join(words)


def _fetch(lies: Lies, stored: str) -> Step:
    if lies.target_kind == "local":
        return Step("restore_fetch_local", (_line("cp", lies.location, stored),))
    given = lies.target_settings
    where = ("--endpoint-url", given["endpoint"]) if given.get("endpoint") else ()
    return Step(
        "restore_fetch_s3", (_line("aws", "s3", "cp", lies.location, stored, "--region", given["region"], *where),)
    )


def _send(hosts: Sequence[Host], name: str) -> Step:
    lines = [
        _line("scp", *(("-P", str(host.port)) if host.port != 22 else ()), name, f"{host.login}:{THERE}/")
        for host in hosts
    ]
    return Step("restore_send", tuple(lines))


def _path(lies: Lies, name: str, hosts: Sequence[Host]) -> Iterator[Step]:
    on = tuple(host.name for host in hosts)
    file = f"{THERE}/{name}"
    yield _send(hosts, name)
    yield Step("restore_list", (_line("sudo", "tar", "--list", "--verbose", "--gzip", "--file", file),), on)
    unpack = (
        "sudo",
        "tar",
        "--extract",
        "--gzip",
        "--file",
        file,
        "--directory=/",
        "--numeric-owner",
        "--same-permissions",
    )
    yield Step("restore_unpack", (_line(*unpack),), on)


def _postgresql(lies: Lies, name: str, hosts: Sequence[Host]) -> Iterator[Step]:
    given, on = lies.settings, tuple(host.name for host in hosts)
    yield _send(hosts, name)
    options = [f"--username={given['user']}", f"--port={given['port']}"]
    options += [f"--host={given['host']}"] if given["host"] else []
    load = ("pg_restore", "--clean", "--if-exists", "--single-transaction", *options)
    as_user = given["run_as"]
    if given["runs_in"] == "host":
        before = ("sudo", *(("-u", as_user) if as_user else ()))
    else:
        before = (
            "sudo",
            given["runs_in"],
            "exec",
            "--interactive",
            *(("--user", as_user) if as_user else ()),
            given["container"],
        )
    file = shlex.quote(f"{THERE}/{name}")
    yield Step("restore_load", (f"{_line(*before, *load, '--dbname=' + given['database'])} < {file}",), on)


def _fleetui(_lies: Lies, name: str, _hosts: Sequence[Host]) -> Iterator[Step]:
    yield Step("restore_keys")
    yield Step("restore_own", (_line(".venv/bin/python", "manage.py", "restore", name),))


def _etcd(lies: Lies, name: str, hosts: Sequence[Host]) -> Iterator[Step]:
    """Every member from the same snapshot, as a cluster of a new token: none of them goes on with what it had."""
    given, on = lies.settings, tuple(host.name for host in hosts)
    is_kubeadm = given["runs_in"] == "kubeadm"
    data = given["folder"] if is_kubeadm else "$DATA_DIR"
    yield _send(hosts, name)
    if is_kubeadm:
        yield Step("restore_members", (_ctl(given, "member", "list", "--write-out=table"),), on[:1])
        moved = " ".join(f"{_MANIFESTS}/{pod}.yaml" for pod in _PODS)
        yield Step("restore_halt_pods", (_line("sudo", "mkdir", "-p", _HALTED), f"sudo mv {moved} {_HALTED}/"), on)
        yield Step("restore_halted_pods", (f"sudo crictl ps --name '^({'|'.join(_PODS)})$'",), on)
    elif given["runs_in"] == "host":
        yield Step("restore_halt_unit", ("DATA_DIR=/var/lib/etcd", "sudo systemctl stop etcd.service"), on)
    else:
        stop = _line("sudo", given["runs_in"], "stop", given["container"])
        yield Step("restore_halt_container", ("DATA_DIR=/var/lib/etcd", stop), on)
    aside = data if is_kubeadm else f'"{data}"'
    yield Step("restore_aside", (f"sudo mv {aside} {aside}.before",), on)
    for host in hosts:
        yield Step("restore_member", tuple(_member(lies, name, host, hosts, data)), (host.name,))
    if is_kubeadm:
        yield Step(
            "restore_start_pods", (f"sudo mv {_HALTED}/*.yaml {_MANIFESTS}/", "sudo systemctl restart kubelet"), on
        )
        yield Step(
            "restore_well_pods", (_ctl(given, "endpoint", "status", "--write-out=table"), "kubectl get nodes"), on[:1]
        )
    else:
        start = "sudo systemctl start etcd.service"
        if given["runs_in"] != "host":
            start = _line("sudo", given["runs_in"], "start", given["container"])
        yield Step("restore_start", (f'sudo chown -R --reference="{data}.before" "{data}"', start), on)
        yield Step("restore_well", (_ctl(given, "endpoint", "status", "--write-out=table"),), on[:1])


def _member(lies: Lies, name: str, host: Host, hosts: Sequence[Host], data: str) -> Iterator[str]:
    given = lies.settings
    peers = ",".join(f"{one.name}={_peer(given, one)}" for one in hosts)
    options = [
        f"--name={host.name}",
        f"--initial-cluster={peers}",
        f"--initial-cluster-token=restored-{lies.sha256[:8]}",
        f"--initial-advertise-peer-urls={_peer(given, host)}",
    ]
    file = f"{THERE}/{name}"
    if given["runs_in"] == "host":
        yield f'sudo etcdutl snapshot restore {_line(file, *options)} --data-dir="{data}"'
        return
    # The image of the etcd that ran has the program; its files are seen under the same paths.
    bump = [f"--bump-revision={_BUMP}", "--mark-compacted"]
    parent = PurePosixPath(data).parent if given["runs_in"] == "kubeadm" else None
    if parent is not None:
        yield f"IMAGE=$(sudo sed -n 's/^ *image: *//p' {_HALTED}/etcd.yaml)"
        mounts = f"-v {shlex.quote(f'{parent}:{parent}')} -v {THERE}:{THERE}:ro"
        words = _line("snapshot", "restore", file, *options, *bump, f"--data-dir={data}")
        yield f'sudo podman run --rm --network=none --security-opt label=disable {mounts} --entrypoint etcdutl "$IMAGE" {words}'
        return
    engine = given["runs_in"]
    yield f"IMAGE=$(sudo {engine} inspect --format '{{{{.Image}}}}' {shlex.quote(given['container'])})"
    mounts = f'-v "$(dirname "{data}"):$(dirname "{data}")" -v {THERE}:{THERE}:ro'
    words = _line("snapshot", "restore", file, *options)
    yield (
        f"sudo {engine} run --rm --network=none --security-opt label=disable {mounts}"
        f' --entrypoint etcdutl "$IMAGE" {words} --data-dir="{data}"'
    )


def _peer(given: Mapping[str, Any], host: Host) -> str:
    address = f"[{host.peer}]" if ":" in host.peer else host.peer
    return f"{'https' if given['cert'] else 'http'}://{address}:2380"


def _ctl(given: Mapping[str, Any], *words: str) -> str:
    """etcdctl where it is, as the backup itself asked it."""
    files = [
        f"--{option}={given[name]}"
        for option, name in (("cacert", "ca"), ("cert", "cert"), ("key", "key"))
        if given[name]
    ]
    argv = ("etcdctl", f"--endpoints={given['endpoint']}", *files, *words)
    if given["runs_in"] == "kubeadm":
        return f"sudo crictl exec \"$(sudo crictl ps --quiet --name '^etcd$' | head -n 1)\" {_line(*argv)}"
    before = () if given["runs_in"] == "host" else (given["runs_in"], "exec", given["container"])
    return _line("sudo", *before, *argv)
