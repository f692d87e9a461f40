"""How a backup is brought back, as a person does it: steps with the commands as they are typed. Pure.

ops.backups.guide has the same steps as FleetUI itself carries them out, which go by more than a person reads: what shows
that a step is done, and what has to hold before it.

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
#: Lies in the private folder of ops.backups.guide once a database was made by it.
_BEGAN: Final = "began.restore_load"


@dataclass(frozen=True)
class Host:
    """A node that takes part. `jumps` are as ssh -J takes them.

    `member` and `peer` are what etcd itself calls it, where that is known; otherwise its own name, and its address.
    """

    name: str
    login: str
    address: str
    port: int = 22
    jumps: tuple[str, ...] = ()
    member: str = ""
    peer: str = ""


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
    """`code` is worded where it is shown; `on` are the names of the hosts where the lines are typed, none: where one sits.

    The rest is for whoever carries it out unseen, as shell. `asks`: it changes what runs. `reads`: it changes nothing.
    `holds` has to be true before, and prints why not; `is_done` shows that it was done; `again` comes first where an
    earlier attempt was cut off; `then` comes at its end.
    """

    code: str
    lines: tuple[str, ...] = ()
    on: tuple[str, ...] = ()
    asks: bool = False
    reads: bool = False
    holds: str = ""
    is_done: str = ""
    again: tuple[str, ...] = ()
    then: tuple[str, ...] = ()


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
    if hosts:
        steps.append(Step("restore_send", tuple(_send(host, name) for host in hosts)))
    steps += steps_on_hosts(lies, hosts)
    if hosts:
        steps.append(Step("restore_rid", (_line("rm", "-f", "--", name),), tuple(host.name for host in hosts)))
    return [*steps, Step("restore_rid_here", (_line("rm", "-f", "--", *dict.fromkeys((name, stored))),))]


def steps_on_hosts(lies: Lies, hosts: Sequence[Host]) -> list[Step]:
    """Those between the file that lies there and what runs again. The file has its name without `.age`."""
    name = PurePosixPath(lies.key).name.removesuffix(SUFFIX)
    makers = {"path": _path, "volume": _volume, "postgresql": _postgresql, "etcd": _etcd, "fleetui": _fleetui}
    return list(makers[lies.kind](lies, name, hosts))


def way_back(lies: Lies, hosts: Sequence[Host]) -> Step | None:
    """From any of these steps to what ran before; None where what was there is written over."""
    on = tuple(host.name for host in hosts)
    if lies.kind == "etcd":
        parts = _parts(lies.settings)
        back = f"sudo rm -rf -- {_DATA}; sudo mv -T {_DATA}.before {_DATA}"
        return Step("back_restore", (*parts.halt, f"! sudo test -d {_DATA}.before || {{ {back}; }}", *parts.start), on)
    if lies.kind == "postgresql":
        sql = _Sql(lies.settings)
        swapped = sql.swapped((sql.name, sql.fresh), (sql.old, sql.name))
        return Step("back_restore", (sql.answers(), f"! {sql.there(sql.old)} || {swapped}"), on)
    return None


def leavings(lies: Lies) -> tuple[str, ...]:
    """What goes at the end on each host, whatever became of it: nothing of what ran before, nor what somebody else made."""
    if lies.kind != "postgresql":
        return ()
    sql = _Sql(lies.settings)
    return (f"[ ! -e {_BEGAN} ] || {sql.line('dropdb', '--if-exists', sql.fresh)}",)


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
    yield Step("restore_list", (_line("tar", "--list", "--verbose", "--gzip", "--file", name),), on, reads=True)
    as_it_was = ("--numeric-owner", "--same-permissions", "--xattrs", "--xattrs-include=*", "--acls", "--selinux")
    unpack = _line("sudo", "tar", "--extract", "--gzip", "--file", name, "--directory=/", *as_it_was)
    # Not forced: the labels of containers' files came with them. Archives of before have none.
    labels = f"! command -v restorecon >/dev/null || sudo {_line('restorecon', '-R', '--', *paths)}"
    yield Step(code, (unpack, labels), on, asks=True)
    yield Step("restore_see", (_line("sudo", "ls", "-ld", "--", *paths),), on, reads=True)


def _postgresql(lies: Lies, name: str, hosts: Sequence[Host]) -> Iterator[Step]:
    """Into a database of its own, so that what is there stays until somebody has looked."""
    on, sql = tuple(host.name for host in hosts), _Sql(lies.settings)
    taken = f"! {sql.there(sql.fresh)} && ! {sql.there(sql.old)} && echo free"
    free = sql.free(sql.fresh, sql.old)
    yield Step("restore_look_database", (taken,), on, reads=True, then=free)
    make = sql.line("createdb", "--template=template0", sql.fresh)
    load = f"{sql.line('pg_restore', '--exit-on-error', f'--dbname={sql.fresh}')} < {shlex.quote(name)}"
    count = "SELECT count(*) AS tables FROM pg_stat_user_tables"
    look = [sql.line("psql", f"--dbname={one}", "--command", count) for one in (sql.name, sql.fresh)]
    begun = (sql.line("dropdb", "--if-exists", sql.fresh),)
    # Whoever made one since then keeps it: only what was begun here may be dropped.
    holds = f"[ -e {_BEGAN} ] || {{ {'; '.join(sql.free(sql.fresh))}; }}"
    yield Step("restore_load", (make, load, *look), on, holds=holds, again=begun)
    done = f"{sql.there(sql.old)} && ! {sql.there(sql.fresh)}"
    swap = sql.swapped((sql.name, sql.old), (sql.fresh, sql.name))
    yield Step("restore_swap", (swap,), on, asks=True, is_done=done)


class _Sql:
    """The programs of PostgreSQL as a policy reaches its server; `old` and `fresh` are what stood there, and what comes."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.name = given["database"]
        self.fresh, self.old = f"{self.name}_restored", f"{self.name}_before"
        options = [f"--username={given['user']}", f"--port={given['port']}"]
        self._options = [*options, *([f"--host={given['host']}"] if given["host"] else [])]
        as_user, where = given["run_as"], given["runs_in"]
        # Its programs would complain of the folder in which this is typed, which is for another user alone.
        self._before: tuple[str, ...] = ("sudo", *(("-u", as_user, "env", "--chdir=/") if as_user else ()))
        if where != "host":
            run_as = ("--user", as_user) if as_user else ()
            self._before = ("sudo", where, "exec", "--interactive", *run_as, given["container"])

    def line(self, program: str, *words: str) -> str:
        return _line(*self._before, program, *self._options, *words)

    def there(self, database: str) -> str:
        """Whether it is there, as a command."""
        asked = f"SELECT 'there' FROM pg_database WHERE datname = '{database}'"  # noqa: S608  (its name has no quotes)
        return f"{self.line('psql', '--dbname=postgres', '--tuples-only', '--command', asked)} | grep -q there"

    def answers(self) -> str:
        """Fails where the server does not: there, nothing is found, which is not that nothing is there."""
        return f"{self.line('psql', '--dbname=postgres', '--command', 'SELECT 1')} >/dev/null"

    def free(self, *databases: str) -> tuple[str, ...]:
        """Stops where one of them is there, and says which. In a list joined by && the shell would go on."""
        tests = [
            f'if {self.there(one)}; then echo "there is a database {one} already" >&2; exit 1; fi' for one in databases
        ]
        return (self.answers(), *tests)

    def swapped(self, *renames: tuple[str, str]) -> str:
        """All of them, or none. It stops at what fails, so that the last it says is why."""
        sql = [f'ALTER DATABASE "{one}" RENAME TO "{other}"' for one, other in renames]
        words = [word for one in sql for word in ("--command", one)]
        return self.line("psql", "--dbname=postgres", "--set=ON_ERROR_STOP=1", "--single-transaction", *words)


def _fleetui(_lies: Lies, name: str, _hosts: Sequence[Host]) -> Iterator[Step]:
    yield Step("restore_keys")
    yield Step("restore_own", (_line(".venv/bin/python", "manage.py", "restore", name),))


def _etcd(lies: Lies, name: str, hosts: Sequence[Host]) -> Iterator[Step]:
    """Every member from the same snapshot, as a cluster of a new token: none of them goes on with what it had."""
    given, on = lies.settings, tuple(host.name for host in hosts)
    parts = _parts(given)
    yield Step("restore_members", (parts.ctl("member", "list", "--write-out=table"),), on[:1], reads=True)
    # What lies aside already would stand in the way, and is not ours to delete.
    free = f'if sudo test -e {_DATA}.before; then echo "there is a {_DATA}.before already: look at it, and rename it" >&2; exit 1; fi'
    yield Step(parts.look_code, parts.look, on, reads=True, then=(f"sudo test -d {_DATA}/member", parts.able, free))
    yield Step(parts.halt_code, parts.halt, on, asks=True)
    halted = f'{parts.halted} || {{ echo "etcd runs here" >&2; exit 1; }}'
    aside, gone = f"sudo mv -T {_DATA} {_DATA}.before", f"sudo test -d {_DATA}.before && ! sudo test -e {_DATA}"
    yield Step("restore_aside", (aside,), on, asks=True, holds=halted, is_done=gone)
    for host in hosts:
        restore = parts.restore(_member(lies, name, host, hosts))
        begun = (f"sudo test -d {_DATA}.before && sudo rm -rf -- {_DATA}",)
        yield Step("restore_member", (restore,), (host.name,), holds=halted, again=begun)
    labels = f"! command -v selinuxenabled >/dev/null || ! selinuxenabled || sudo chcon -R --reference={_DATA}.before {_DATA}"
    yield Step("restore_start", (f"sudo chown -R --reference={_DATA}.before {_DATA}", labels, *parts.start), on)
    yield Step(parts.well_code, (parts.ctl("endpoint", "health", "--cluster"), *parts.well), on[:1], reads=True)


def asked_of_etcd(settings: Mapping[str, Any], *words: str) -> str:
    """A line that asks the member of a host."""
    return _parts(settings).ctl(*words)


def _parts(given: Mapping[str, Any]) -> _Kubeadm | _Unit | _Container:
    if given["runs_in"] == "kubeadm":
        return _Kubeadm(given)
    return _Unit(given) if given["runs_in"] == "host" else _Container(given)


def _member(lies: Lies, name: str, host: Host, hosts: Sequence[Host]) -> str:
    given = lies.settings
    peers = ",".join(f"{one.member or one.name}={_peer(given, one)}" for one in hosts)
    return _line(
        "snapshot",
        "restore",
        name,
        f"--name={host.member or host.name}",
        f"--initial-cluster={peers}",
        f"--initial-cluster-token=restored-{lies.sha256[:8]}",
        f"--initial-advertise-peer-urls={_peer(given, host)}",
    )


def _peer(given: Mapping[str, Any], host: Host) -> str:
    return host.peer or f"{'https' if given['cert'] else 'http'}://{_bracketed(host.address)}:2380"


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
        self.able = f'{self._run} "$IMAGE" version >/dev/null'
        running = f"sudo crictl ps --quiet --name '^({'|'.join(_PODS)})$' | grep -q ."
        self.halt = (
            f"sudo mkdir -p {_HALTED}",
            _moved(_MANIFESTS, _HALTED),
            f"while {running}; do sleep 2; done",
        )
        self.halted = f"! {running}"
        self.start = (_moved(_HALTED, _MANIFESTS), "sudo systemctl restart kubelet")
        self.well = ("sudo kubectl --kubeconfig /etc/kubernetes/admin.conf get nodes",)

    def restore(self, words: str) -> str:
        parent = f'"$(dirname {_DATA})"'
        mounts = f'-v {parent}:{parent} -v "$PWD":"$PWD":ro -w "$PWD"'
        return f'{self._run} {mounts} "$IMAGE" {words} $BUMP --data-dir={_DATA}'

    def ctl(self, *words: str) -> str:
        return f"sudo crictl exec \"$(sudo crictl ps --quiet --name '^etcd$' | head -n 1)\" {_etcdctl(self._given, *words)}"


def _moved(here: str, there: str) -> str:
    """One file after the other, those that are still here: typed again it goes on."""
    move = f"! sudo test -e {here}/$pod.yaml || sudo mv {here}/$pod.yaml {there}/"
    return f"for pod in {' '.join(_PODS)}; do {move}; done"


class _Unit:
    """A service of systemd, with its programs on the host. Its data lies where the process says, or else its unit."""

    look_code, halt_code, well_code = "restore_look_unit", "restore_halt_unit", "restore_well"
    look = (
        "PID=$(systemctl show --property=MainPID --value etcd.service || echo 0)",
        "DATA_DIR=$({ sudo cat /proc/$PID/cmdline /proc/$PID/environ | tr '\\0' '\\n'; "
        "systemctl show --property=Environment --value etcd.service | tr ' ' '\\n'; echo ETCD_DATA_DIR=/var/lib/etcd; } "
        "2>/dev/null | sed -n 's/^--data-dir=//p; s/^ETCD_DATA_DIR=//p; /^--data-dir$/{n;p;}' | head -n 1)",
        "TOOL=etcdutl",
        "command -v etcdutl || TOOL=etcdctl",
        f"sudo test -d {_DATA}/member && echo found {_DATA}",
    )
    able = 'command -v "$TOOL" >/dev/null'
    halt = ("sudo systemctl stop etcd.service",)
    halted = "! systemctl is-active --quiet etcd.service"
    #: The first of several members is not ready before the others are there.
    start = ("sudo systemctl start --no-block etcd.service",)
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
        self.able = f'{self._run} "$IMAGE" version >/dev/null'
        self.halt = (self._by("stop", "stop", container),)
        self.halted = f"! sudo {self._engine} ps --quiet --filter name=^{container}$ | grep -q ."
        self.start = (self._by("start --no-block", "start", container),)

    def _by(self, verb: str, alone: str, container: str) -> str:
        return (
            f'if [ -n "$UNIT" ]; then sudo systemctl {verb} "$UNIT"; else sudo {self._engine} {alone} {container}; fi'
        )

    def restore(self, words: str) -> str:
        parent = f'"$(dirname {_DATA})"'
        return f'{self._run} -v {parent}:{parent} -v "$PWD":"$PWD":ro -w "$PWD" "$IMAGE" {words} --data-dir={_DATA}'

    def ctl(self, *words: str) -> str:
        return f"sudo {_line(self._engine, 'exec', '--env', 'ETCDCTL_API=3', self._given['container'])} {_etcdctl(self._given, *words)}"
