"""What polling costs: hosts per second, CPU of the client per host, and memory, against other ways to reach the same hosts.

Ours is the whole path in the worker process of the product: message, claim, SSH, parsing, axes, database. The others only
run a command and read what it prints. All ask the same servers in the same run: a simulated fleet (a host each, SSH by
asyncssh, the probe of a poll), then one real sshd of OpenSSH (the probe, and `true`). CPU is the client's side alone.
Run from the project root: python -m bench.poll [--nodes 500] [--contacts 16] [--ansible PATH] [--markdown]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import paramiko

from bench import machine

THREADS = 20
SAMPLE = 200
ROUNDS = 4
ROUND_TIMEOUT_S = 180.0
#: No node becomes due again while its round is measured, and its connection may stay open until then.
INTERVAL_S = 240
#: As beat does.
TICK_EVERY_S = 2.0
#: Kept connections of one process.
MOST_KEPT = 800
ANSIBLE_CONTACTS = 40
#: CPU per host in the whole path, memory of a worker, and how many times less CPU than Ansible.
AIM_FRESH_MS, AIM_KEPT_MS, AIM_MIB, AIM_ANSIBLE = 5.0, 2.5, 100.0, 30.0


@dataclass(frozen=True)
class Host:
    """Where a host is, and how to know and enter it."""

    address: str
    port: int
    username: str
    host_key: str


@dataclass(frozen=True)
class Figures:
    """What one way costs. `mib` is the peak of its processes together, 0 where it was not taken."""

    name: str
    hosts_per_s: float
    cpu_ms: float
    mib: float = 0.0


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        os.environ.update(machine.environment(folder))
        if arguments.database == "postgresql":
            from tests.services import postgresql

            os.environ["DATABASE_URL"] = stack.enter_context(postgresql())
        _prepare()
        tables = [
            ("A simulated fleet, the probe of a poll", _simulated(folder, arguments)),
            ("One real sshd", _real(folder, arguments)),
        ]
    if arguments.markdown:
        print(machine.described())
        print(f"\nCommand: `python -m bench.poll {' '.join(sys.argv[1:])}`\n")
    for title, figures in tables:
        print(_table(title, figures) if arguments.markdown else _lines(title, figures), "\n")
    print("\n".join(_verdicts([one for _, figures in tables for one in figures])))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=500, help="hosts of the simulated fleet")
    parser.add_argument(
        "--contacts",
        type=int,
        default=16,
        help="nodes that stand for one real sshd, on whose host each probe costs a second",
    )
    parser.add_argument(
        "--rounds", type=int, default=ROUNDS, help="rounds of quiet polls, of which the cheapest counts"
    )
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--ansible", default=shutil.which("ansible") or "", help="path of ansible, when not in PATH")
    parser.add_argument("--markdown", action="store_true", help="tables for bench/README.md")
    return parser.parse_args()


def _prepare() -> None:
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", interactive=False, verbosity=0)
    import logging

    from fleetui.celery import app

    app.finalize()
    # Said of the filesystem broker at every connection.
    logging.getLogger("kombu.connection").setLevel(logging.ERROR)


# the fleets


def _simulated(folder: Path, arguments: argparse.Namespace) -> list[Figures]:
    from nodes.hosts import drivers
    from nodes.hosts.probe import build_script
    from nodes.models import Node, Pool
    from nodes.services.demo import seed
    from tests.fleet import simulated_fleet

    with simulated_fleet(folder / "fleet", arguments.nodes, net="127.60") as manifest:
        seed(manifest)
        Pool.objects.update(poll_interval_s=INTERVAL_S)
        figures = _ours(arguments)
        reached = Node.objects.filter(reachability="reachable").count()
        assert reached == arguments.nodes, f"Only {reached} nodes were reached."
        hosts = [Host(one["address"], one["port"], one["username"], one["host_key"]) for one in manifest["hosts"]]
        script = build_script(drivers.get("fcos").probe(), "0" * 32)
        figures += [_kept_open(arguments)]
        figures += _others(hosts[:SAMPLE], Path(manifest["key_file"]), "sh -s", script, folder / "simulated")
    _forget()
    return figures


def _real(folder: Path, arguments: argparse.Namespace) -> list[Figures]:
    from fleetui.access.principals import SYSTEM
    from fleetui.core import clock
    from nodes.hosts import ssh
    from nodes.services.credentials import add_credential
    from nodes.services.groups import add_pool
    from nodes.services.nodes import add_node
    from tests.sshd import real_sshd

    text, identity = ssh.generate_identity("bench")
    key = folder / "key"
    key.write_text(text)
    key.chmod(0o600)
    options = ["LogLevel ERROR", "MaxStartups 1000"]
    with real_sshd([identity.public_line], options=options, host_key_types=("ed25519",)) as server:
        host = Host(server.address, server.port, server.username, server.host_key_lines["ed25519"])
        now = clock.now()
        credential = add_credential(name="real", username=host.username, private_key=text, actor=SYSTEM, now=now)
        pool = add_pool(name="real", credential=credential, poll_interval_s=INTERVAL_S, actor=SYSTEM, now=now)
        pinned = ssh.HostKey.parse(host.host_key)
        for number in range(arguments.contacts):
            add_node(
                name=f"real-{number}",
                address=host.address,
                port=host.port,
                pool=pool,
                host_key=pinned,
                actor=SYSTEM,
                now=now,
            )
        figures = _ours(arguments)
        figures += _others([host] * arguments.contacts, key, "true", b"", folder / "real")
        figures += _ansible(arguments.ansible, host, key, folder / "ansible")
    _forget()
    return figures


def _forget() -> None:
    """The next fleet has another key."""
    from nodes.models import Credential, Node, Pool

    for model in (Node, Pool, Credential):
        model.objects.all().delete()


# ours


def _ours(arguments: argparse.Namespace) -> list[Figures]:
    """First polls, which store everything, then quiet ones, which find nothing new; by the product's own worker."""
    with _worker() as pid:
        first = _round("FleetUI, first poll", pid)
        return [first, _cheapest([_round("FleetUI, quiet poll", pid) for _ in range(arguments.rounds)])]


def _kept_open(arguments: argparse.Namespace) -> Figures:
    """Quiet polls by a worker that keeps its connections open; the first round opens them."""
    with _worker(FLEETUI_POLL_KEEP_OPEN=str(MOST_KEPT)) as pid:
        return _cheapest([_round("FleetUI, kept open", pid) for _ in range(arguments.rounds + 1)][1:])


def _cheapest(rounds: Sequence[Figures]) -> Figures:
    one = min(rounds, key=lambda figures: figures.cpu_ms)
    return Figures(one.name, max(figures.hosts_per_s for figures in rounds), one.cpu_ms, rounds[-1].mib)


@contextlib.contextmanager
def _worker(**told: str) -> Iterator[int]:
    """The worker process of the product; gives its process id."""
    from fleetui.start.tree import EMBEDDED

    argv = ["setpriv", "--pdeathsig", "TERM", "--", *EMBEDDED, "worker", "--threads", str(THREADS + 4)]
    process = subprocess.Popen(argv, env={**os.environ, **told}, cwd=machine.ROOT)
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(40)


def _round(name: str, pid: int) -> Figures:
    """All nodes become due; ticks are sent until each has been polled."""
    from django.db.models import Q

    from fleetui.core import clock
    from nodes.models import Measurement, Node
    from nodes.tasks import tick

    now = clock.now()
    count = Node.objects.count()
    # Quiet means quiet: otherwise a round falls on the five minutes of the measurements or not, as it happens.
    Measurement.objects.update(at=now)
    Node.objects.update(poll_due_at=now, failures=0)
    began, cpu_before = time.perf_counter(), machine.cpu_s(pid)
    left = Q(last_seen_at=None) | Q(last_seen_at__lt=now)
    ticks = 0
    while Node.objects.filter(left).exists():
        assert time.perf_counter() - began < ROUND_TIMEOUT_S, f"{Node.objects.filter(left).count()} were not polled."
        if time.perf_counter() - began >= ticks * TICK_EVERY_S:
            tick.delay()
            ticks += 1
        time.sleep(0.1)
    elapsed_s = time.perf_counter() - began
    return Figures(name, count / elapsed_s, (machine.cpu_s(pid) - cpu_before) * 1000 / count, machine.peak_mib(pid))


# the others


def _others(hosts: Sequence[Host], key: Path, command: str, stdin: bytes, folder: Path) -> list[Figures]:
    folder.mkdir()
    identity = paramiko.Ed25519Key.from_private_key_file(str(key))
    fresh = _threaded("paramiko, tuned, fresh", hosts, lambda host: _paramiko_once(host, identity, command, stdin))
    kept = _paramiko_kept(hosts, identity, command, stdin)
    return [fresh, kept, _openssh(hosts, key, command, stdin, folder)]


def _threaded(name: str, hosts: Sequence[Host], contact: Callable[[Host], None]) -> Figures:
    contact(hosts[0])
    before, began = _own_cpu_s(), time.perf_counter()
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(contact, hosts))
    elapsed_s = time.perf_counter() - began
    return Figures(name, len(hosts) / elapsed_s, (_own_cpu_s() - before) * 1000 / len(hosts))


def measured(contact: Callable[[], None], count: int) -> Figures:
    """Any contact, many times on many threads."""
    contact()
    before, began = _own_cpu_s(), time.perf_counter()
    with ThreadPoolExecutor(THREADS) as threads:
        for future in [threads.submit(contact) for _ in range(count)]:
            future.result()
    elapsed_s = time.perf_counter() - began
    return Figures("", count / elapsed_s, (_own_cpu_s() - before) * 1000 / count)


def _own_cpu_s(who: int = resource.RUSAGE_SELF) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def _paramiko_open(host: Host, identity: paramiko.PKey) -> paramiko.Transport:
    sock = socket.create_connection((host.address, host.port), timeout=20)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    transport = paramiko.Transport(sock)
    transport._preferred_ciphers = ("aes128-gcm@openssh.com", "aes128-ctr")  # type: ignore[attr-defined]
    transport._preferred_kex = ("curve25519-sha256@libssh.org", "curve25519-sha256")  # type: ignore[attr-defined]
    transport.start_client(timeout=20)
    seen = transport.get_remote_server_key()
    assert f"{seen.get_name()} {seen.get_base64()}" == host.host_key
    transport.auth_publickey(host.username, identity)
    return transport


def _paramiko_exec(transport: paramiko.Transport, command: str, stdin: bytes) -> None:
    channel = transport.open_session(timeout=20)
    channel.exec_command(command)
    if stdin:
        channel.sendall(stdin)
    channel.shutdown_write()
    while channel.recv(65_536):
        pass
    assert channel.recv_exit_status() == 0
    channel.close()


def _paramiko_once(host: Host, identity: paramiko.PKey, command: str, stdin: bytes) -> None:
    transport = _paramiko_open(host, identity)
    try:
        _paramiko_exec(transport, command, stdin)
    finally:
        transport.close()


def _paramiko_kept(hosts: Sequence[Host], identity: paramiko.PKey, command: str, stdin: bytes) -> Figures:
    with ThreadPoolExecutor(THREADS) as threads:
        kept = list(threads.map(lambda host: _paramiko_open(host, identity), hosts))
    turns, lock = iter(kept), threading.Lock()

    def contact(_host: Host) -> None:
        with lock:
            transport = next(turns, kept[0])
        _paramiko_exec(transport, command, stdin)

    try:
        return _threaded("paramiko, tuned, kept open", hosts[1:], contact)
    finally:
        for transport in kept:
            transport.close()


def _openssh(hosts: Sequence[Host], key: Path, command: str, stdin: bytes, folder: Path) -> Figures:
    known, script = folder / "known_hosts", folder / "stdin"
    known.write_text("".join(f"[{host.address}]:{host.port} {host.host_key}\n" for host in dict.fromkeys(hosts)))
    script.write_bytes(stdin)
    options = f"-F none -q -o BatchMode=yes -o UserKnownHostsFile={known} -o IdentitiesOnly=yes -i {key}"
    options += " -o KexAlgorithms=curve25519-sha256"
    contact = f'ssh {options} -l {hosts[0].username} -p {hosts[0].port} "$1" {command} < {script} > /dev/null'
    argv = ["xargs", f"-P{THREADS}", "-n1", "sh", "-c", contact, "sh"]
    before, began = _own_cpu_s(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(argv, input="\n".join(host.address for host in hosts), text=True, check=True)
    elapsed_s = time.perf_counter() - began
    cpu_ms = (_own_cpu_s(resource.RUSAGE_CHILDREN) - before) * 1000 / len(hosts)
    return Figures("ssh under xargs, curve25519", len(hosts) / elapsed_s, cpu_ms)


def _ansible(program: str, host: Host, key: Path, folder: Path) -> list[Figures]:
    """`ansible -m command -a true`, a fresh connection per host; left out with a sentence where it is not installed."""
    if not program:
        print("Ansible is not installed, so it is not measured: give its path with --ansible.", file=sys.stderr)
        return []
    folder.mkdir()
    common = f"ansible_host={host.address} ansible_port={host.port} ansible_user={host.username}"
    common += f" ansible_ssh_private_key_file={key} ansible_python_interpreter={sys.executable}"
    lines = [f"host-{number} {common}" for number in range(ANSIBLE_CONTACTS)]
    (folder / "inventory").write_text("\n".join(lines) + "\n")
    told = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE", "DJANGO"))}
    told |= {
        "ANSIBLE_HOST_KEY_CHECKING": "false",
        "ANSIBLE_SSH_ARGS": "-o ControlMaster=no -o KexAlgorithms=curve25519-sha256",
    }
    told |= {
        "ANSIBLE_LOCAL_TEMP": str(folder / "tmp"),
        "ANSIBLE_REMOTE_TEMP": str(folder / "remote"),
        "ANSIBLE_HOME": str(folder),
    }
    argv = [program, "all", "-i", str(folder / "inventory"), "-m", "command", "-a", "true", "-f", str(THREADS)]
    before, began = _own_cpu_s(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.Popen(argv, env=told, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    mib = 0.0
    while process.poll() is None:
        mib = max(mib, machine.tree_mib(process.pid))
        time.sleep(0.2)
    assert process.stderr is not None
    assert process.returncode == 0, process.stderr.read()[-500:]
    elapsed_s = time.perf_counter() - began
    cpu_ms = (_own_cpu_s(resource.RUSAGE_CHILDREN) - before) * 1000 / ANSIBLE_CONTACTS
    return [Figures("ansible -m command", ANSIBLE_CONTACTS / elapsed_s, cpu_ms, mib)]


# what is printed


def _quiet(figures: Sequence[Figures]) -> Figures:
    return next(one for one in figures if one.name == "FleetUI, quiet poll")


def _lines(title: str, figures: list[Figures]) -> str:
    ours = _quiet(figures)
    lines = [f"{title}:"]
    for one in figures:
        memory = f"{one.mib:5.0f} MiB" if one.mib else " " * 9
        ratio = "" if one is ours else f"{one.cpu_ms / ours.cpu_ms:6.2f} x the CPU of a quiet poll"
        lines.append(f"  {one.name:<28} {one.hosts_per_s:7.1f} hosts/s  {one.cpu_ms:7.2f} ms CPU  {memory}  {ratio}")
    return "\n".join(lines)


def _table(title: str, figures: list[Figures]) -> str:
    ours = _quiet(figures)
    rows = [f"| {title} | hosts/s | client CPU ms per host | peak MiB | CPU against a quiet poll |", "| --- " * 5 + "|"]
    for one in figures:
        memory = f"{one.mib:.0f}" if one.mib else ""
        rows.append(
            f"| {one.name} | {one.hosts_per_s:.0f} | {one.cpu_ms:.2f} | {memory} | {one.cpu_ms / ours.cpu_ms:.2f} x |"
        )
    return "\n".join(rows)


def _verdicts(figures: list[Figures]) -> list[str]:
    ours = _quiet(figures)
    found = [
        _verdict("CPU of a quiet poll over a fresh connection", ours.cpu_ms, AIM_FRESH_MS, "ms"),
        _verdict("peak memory of the worker", ours.mib, AIM_MIB, "MiB"),
    ]
    for kept in (one for one in figures if one.name == "FleetUI, kept open"):
        found.append(_verdict("CPU of a quiet poll over a kept-open connection", kept.cpu_ms, AIM_KEPT_MS, "ms"))
    for ansible in (one for one in figures if one.name.startswith("ansible")):
        times = ansible.cpu_ms / ours.cpu_ms
        found.append(
            f"- CPU of Ansible against it: {times:.0f} x (aim: {AIM_ANSIBLE:.0f} x), {'met' if times >= AIM_ANSIBLE else 'MISSED'}"
        )
    return found


def _verdict(what: str, value: float, aim: float, unit: str) -> str:
    return f"- {what}: {value:.2f} {unit} (aim: {aim:g} {unit}), {'met' if value <= aim else 'MISSED'}"


if __name__ == "__main__":
    main()
