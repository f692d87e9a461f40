"""How a backup is brought back, as a person does it: steps with the commands as they are typed. Pure.

Sources: etcd.io, "Disaster recovery" (--bump-revision since 3.5.10); kubernetes.io, "Operating etcd clusters": API servers
stand still meanwhile, and all that read from them starts anew. What was there is put aside, never overwritten, where that can be.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

from ops.backups.age import SUFFIX

KEY_FILE: Final = "backups.key"
_MANIFESTS: Final = "/etc/kubernetes/manifests"
_HALTED: Final = "/etc/kubernetes/halted"
_PODS: Final = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd")
#: Higher than whatever was written since the snapshot, so that no watcher takes an old revision for a new one.
_BUMP: Final = "--bump-revision=1000000000 --mark-compacted"
#: Set by a step before; a shell in which it is not stops there.
_DATA: Final = '"${DATA_DIR:?}"'


@dataclass(frozen=True)
class Host:
    """A node that takes part. Members of an etcd find each other at `address`; `jumps` are as ssh -J takes them."""

    name: str
    login: str
    address: str
    port: int = 22
    jumps: tuple[str, ...] = ()


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
    #: What the ledger keeps of it: for volumes, the path of each claim.
    checks: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """`code` is worded where it is shown; `on` are the names of the hosts where the lines are typed, none: where one sits."""

    code: str
    lines: tuple[str, ...] = ()
    on: tuple[str, ...] = ()


def restore_steps(lies: Lies, hosts: Sequence[Host]) -> list[Step]:
    """From the target to what runs again. `hosts` are the nodes of the policy, at least one; FleetUI itself has none."""
    if not hosts and lies.kind != "fleetui":
        raise ValueError("nowhere to restore it")
    stored = PurePosixPath(lies.key).name
    name = stored.removesuffix(SUFFIX)
    check = f"echo {shlex.quote(f'{lies.sha256}  {stored}')} | sha256sum --check"
    steps = [_fetch(lies, stored), Step("restore_compare", (check,))]
    if stored != name:
        steps.append(Step("restore_open", (_line("age", "--decrypt", "-i", KEY_FILE, "-o", name, stored),)))
    makers = {"path": _path, "volume": _volume, "postgresql": _postgresql, "etcd": _etcd, "fleetui": _fleetui}
    if hosts:
        steps.append(Step("restore_send", tuple(_send(host, name) for host in hosts)))
    steps += makers[lies.kind](lies, name, hosts)
    if hosts:
        steps.append(Step("restore_rid", (_line("rm", "-f", "--", name),), tuple(host.name for host in hosts)))
    return [*steps, Step("restore_rid_here", (_line("rm", "-f", "--", *dict.fromkeys((name, stored))),))]


def _line(*words: str) -> str:
    return shlex.join(words)


def _fetch(lies: Lies, stored: str) -> Step:
    """Whatever is written in this shell is for its user alone."""
    if lies.target_kind == "local":
        owned = f'sudo install -m 600 -o "$USER" {_line("--", lies.location, stored)}'
        return Step("restore_fetch_local", ("umask 077", owned))
    given = lies.target_settings
    where = ("--endpoint-url", given["endpoint"]) if given.get("endpoint") else ()
    fetch = _line("aws", "s3", "cp", lies.location, stored, "--region", given["region"], *where)
    return Step("restore_fetch_s3", ("umask 077", fetch))


def _send(host: Host, name: str) -> str:
    options = ["-J", ",".join(host.jumps)] if host.jumps else []
    options += ["-P", str(host.port)] if host.port != 22 else []
    return _line("scp", *options, name, f"{host.login}@{_bracketed(host.address)}:")


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _path(lies: Lies, name: str, hosts: Sequence[Host]) -> Iterator[Step]:
    yield from _unpacked(name, hosts, lies.settings["paths"], "restore_unpack")


def _volume(lies: Lies, name: str, hosts: Sequence[Host]) -> Iterator[Step]:
    """Pods that use a volume are ended first, by whatever made them; kubectl names both."""
    places: Mapping[str, str] = lies.checks.get("volumes") or {}
    spaces = dict.fromkeys(claim.partition("/")[0] for claim in places)
    columns = "POD:.metadata.name,OWNER:.metadata.ownerReferences[*].name,CLAIMS:.spec.volumes[*].persistentVolumeClaim.claimName"
    users = [
        _line("kubectl", "--namespace", space, "get", "pods", "--output", f"custom-columns={columns}")
        for space in spaces
    ]
    yield Step("restore_volume_users", tuple(users))
    yield from _unpacked(name, hosts, sorted(places.values()), "restore_volume_unpack")
    yield Step("restore_volume_start")


def _unpacked(name: str, hosts: Sequence[Host], paths: Sequence[str], code: str) -> Iterator[Step]:
    on = tuple(host.name for host in hosts)
    yield Step("restore_list", (_line("tar", "--list", "--verbose", "--gzip", "--file", name),), on)
    unpack = _line(
        "sudo", "tar", "--extract", "--gzip", "--file", name, "--directory=/", "--numeric-owner", "--same-permissions"
    )
    labels = f"! command -v restorecon >/dev/null || sudo {_line('restorecon', '-RF', '--', *paths)}"
    yield Step(code, (unpack, labels), on)


def _postgresql(lies: Lies, name: str, hosts: Sequence[Host]) -> Iterator[Step]:
    """Into a database of its own, so that what is there stays until somebody has looked."""
    given, on = lies.settings, tuple(host.name for host in hosts)
    options = [f"--username={given['user']}", f"--port={given['port']}"]
    options += [f"--host={given['host']}"] if given["host"] else []
    as_user, where = given["run_as"], given["runs_in"]
    if where == "host":
        before = ("sudo", *(("-u", as_user) if as_user else ()))
    else:
        before = ("sudo", where, "exec", "--interactive", *(("--user", as_user) if as_user else ()), given["container"])
    database, fresh, old = given["database"], f"{given['database']}_restored", f"{given['database']}_before"
    load = _line(*before, "pg_restore", "--exit-on-error", *options, f"--dbname={fresh}")
    make = _line(*before, "createdb", *options, "--template=template0", fresh)
    yield Step("restore_load", (make, f"{load} < {shlex.quote(name)}"), on)
    renames = [f'ALTER DATABASE "{one}" RENAME TO "{other}"' for one, other in ((database, old), (fresh, database))]
    swap = [word for sql in renames for word in ("--command", sql)]
    yield Step("restore_swap", (_line(*before, "psql", *options, "--dbname=postgres", *swap),), on)


def _fleetui(_lies: Lies, name: str, _hosts: Sequence[Host]) -> Iterator[Step]:
    yield Step("restore_keys")
    yield Step("restore_own", (_line(".venv/bin/python", "manage.py", "restore", name),))


def _etcd(lies: Lies, name: str, hosts: Sequence[Host]) -> Iterator[Step]:
    """Every member from the same snapshot, as a cluster of a new token: none of them goes on with what it had."""
    given, on = lies.settings, tuple(host.name for host in hosts)
    parts = _parts(given)
    yield Step("restore_members", (parts.ctl("member", "list", "--write-out=table"),), on[:1])
    yield Step(parts.look_code, parts.look, on)
    yield Step(parts.halt_code, parts.halt, on)
    yield Step("restore_aside", (f"sudo mv -T {_DATA} {_DATA}.before",), on)
    for host in hosts:
        yield Step("restore_member", (parts.restore(_member(lies, name, host, hosts)),), (host.name,))
    labels = f"! command -v selinuxenabled >/dev/null || ! selinuxenabled || sudo chcon -R --reference={_DATA}.before {_DATA}"
    yield Step("restore_start", (f"sudo chown -R --reference={_DATA}.before {_DATA}", labels, *parts.start), on)
    yield Step(parts.well_code, (parts.ctl("endpoint", "health", "--cluster"), *parts.well), on[:1])


def _parts(given: Mapping[str, Any]) -> _Kubeadm | _Unit | _Container:
    if given["runs_in"] == "kubeadm":
        return _Kubeadm(given)
    return _Unit(given) if given["runs_in"] == "host" else _Container(given)


def _member(lies: Lies, name: str, host: Host, hosts: Sequence[Host]) -> str:
    given = lies.settings
    peers = ",".join(f"{one.name}={_peer(given, one)}" for one in hosts)
    return _line(
        "snapshot",
        "restore",
        name,
        f"--name={host.name}",
        f"--initial-cluster={peers}",
        f"--initial-cluster-token=restored-{lies.sha256[:8]}",
        f"--initial-advertise-peer-urls={_peer(given, host)}",
    )


def _peer(given: Mapping[str, Any], host: Host) -> str:
    return f"{'https' if given['cert'] else 'http'}://{_bracketed(host.address)}:2380"


def _etcdctl(given: Mapping[str, Any], *words: str) -> str:
    """As the backup itself asked it."""
    names = (("cacert", "ca"), ("cert", "cert"), ("key", "key"))
    files = [f"--{option}={given[name]}" for option, name in names if given[name]]
    return _line("etcdctl", f"--endpoints={given['endpoint']}", *files, *words)


class _Kubeadm:
    """Static pods, whose files are put away. The program that restores comes from the image of etcd that they name."""

    look_code, halt_code, well_code = "restore_look_pods", "restore_halt_pods", "restore_well_pods"
    _run = 'sudo podman run --rm --network=none --security-opt label=disable -e ETCDCTL_API=3 --entrypoint "$TOOL"'

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given
        manifest = f"{_MANIFESTS}/etcd.yaml"
        self.look = (
            f"DATA_DIR=$(sudo sed -n 's/^ *- --data-dir=//p' {manifest})",
            f"IMAGE=$(sudo sed -n 's/^ *image: *//p' {manifest})",
            "TOOL=etcdutl",
            f'{self._run} "$IMAGE" version || TOOL=etcdctl',
            f'BUMP="{_BUMP}"',
            f"{self._run} \"$IMAGE\" snapshot restore --help 2>&1 | grep -q 'bump-revision' || BUMP=",
            'echo "$DATA_DIR $IMAGE $TOOL $BUMP"',
        )
        away = " ".join(f"{_MANIFESTS}/{pod}.yaml" for pod in _PODS)
        running = "|".join(_PODS)
        self.halt = (
            f"sudo mkdir -p {_HALTED} && sudo mv {away} {_HALTED}/",
            f"while sudo crictl ps --quiet --name '^({running})$' | grep -q .; do sleep 2; done",
        )
        self.start = (f"sudo mv {_HALTED}/*.yaml {_MANIFESTS}/", "sudo systemctl restart kubelet")
        self.well = ("sudo kubectl --kubeconfig /etc/kubernetes/admin.conf get nodes",)

    def restore(self, words: str) -> str:
        parent = f'"$(dirname {_DATA})"'
        mounts = f'-v {parent}:{parent} -v "$PWD":"$PWD":ro -w "$PWD"'
        return f'{self._run} {mounts} "$IMAGE" {words} $BUMP --data-dir={_DATA}'

    def ctl(self, *words: str) -> str:
        return f"sudo crictl exec \"$(sudo crictl ps --quiet --name '^etcd$' | head -n 1)\" {_etcdctl(self._given, *words)}"


class _Unit:
    """A service of systemd, with its programs on the host."""

    look_code, halt_code, well_code = "restore_look_unit", "restore_halt_unit", "restore_well"
    look = (
        "DATA_DIR=/var/lib/etcd",
        "TOOL=etcdutl",
        "command -v etcdutl || TOOL=etcdctl",
        f"sudo test -d {_DATA}/member && echo found",
    )
    halt = ("sudo systemctl stop etcd.service",)
    start = ("sudo systemctl start etcd.service",)
    well: tuple[str, ...] = ()

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given

    def restore(self, words: str) -> str:
        return f'sudo ETCDCTL_API=3 "$TOOL" {words} --data-dir={_DATA}'

    def ctl(self, *words: str) -> str:
        return f"sudo ETCDCTL_API=3 {_etcdctl(self._given, *words)}"


class _Container:
    """A container of Podman or Docker. One that a unit runs is gone as soon as it stands still: it is asked before."""

    look_code, halt_code, well_code = "restore_look_container", "restore_halt_container", "restore_well"
    well: tuple[str, ...] = ()

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given, self._engine = given, given["runs_in"]
        container = shlex.quote(given["container"])
        inspect = f"sudo {self._engine} inspect {container} --format"
        self._run = f'sudo {self._engine} run --rm --network=none --security-opt label=disable -e ETCDCTL_API=3 --entrypoint "$TOOL"'
        self.look = (
            "DATA_DIR=/var/lib/etcd",
            f"IMAGE=$({inspect} '{{{{.Image}}}}')",
            f"UNIT=$({inspect} '{{{{index .Config.Labels \"PODMAN_SYSTEMD_UNIT\"}}}}')",
            "TOOL=etcdutl",
            f'{self._run} "$IMAGE" version || TOOL=etcdctl',
            f"sudo test -d {_DATA}/member && echo found",
        )
        self.halt = (self._by("stop", container),)
        self.start = (self._by("start", container),)

    def _by(self, verb: str, container: str) -> str:
        return f'if [ -n "$UNIT" ]; then sudo systemctl {verb} "$UNIT"; else sudo {self._engine} {verb} {container}; fi'

    def restore(self, words: str) -> str:
        parent = f'"$(dirname {_DATA})"'
        return f'{self._run} -v {parent}:{parent} -v "$PWD":"$PWD":ro -w "$PWD" "$IMAGE" {words} --data-dir={_DATA}'

    def ctl(self, *words: str) -> str:
        return f"sudo {_line(self._engine, 'exec', '--env', 'ETCDCTL_API=3', self._given['container'])} {_etcdctl(self._given, *words)}"
