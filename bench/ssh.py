"""Fresh SSH contacts (connect, one command, close) against a local sshd: per second, and CPU time on our side.

The same is measured for the client of OpenSSH as a process per contact, so that the ratio holds on any machine.
Run from the project root: python -m bench.ssh [contacts]
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import nodes.hosts.ssh as ssh
from tests.sshd import RealSshd, real_sshd

THREADS = 20


@dataclass(frozen=True)
class Figures:
    """What one way of contacting costs."""

    contacts_per_s: float
    cpu_ms: float


def cpu_s(who: int) -> float:
    """CPU seconds used so far by this process or by its ended children."""
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def measure(contact: Callable[[], None], count: int, threads: int, who: int) -> Figures:
    """Run the contact many times and take the figures."""
    contact()
    cpu_before, started = cpu_s(who), time.perf_counter()
    if threads == 1:
        for _ in range(count):
            contact()
    else:
        with ThreadPoolExecutor(threads) as pool:
            for future in [pool.submit(contact) for _ in range(count)]:
                future.result()
    elapsed_s = time.perf_counter() - started
    return Figures(count / elapsed_s, (cpu_s(who) - cpu_before) * 1000 / count)


def our_contact(server: RealSshd, identity: ssh.Identity) -> Callable[[], None]:
    """A contact through this product."""
    endpoint = ssh.Endpoint(server.address, server.port, server.username)
    key = ssh.HostKey.parse(server.host_key_lines["ed25519"])

    def contact() -> None:
        deadline = ssh.Deadline.after(60)
        with ssh.connect(endpoint, identity, host_key=key, deadline=deadline) as connection:
            connection.run(["true"], deadline=deadline, check=True)

    return contact


def openssh_contact(server: RealSshd, folder: Path) -> Callable[[], None]:
    """A contact through a process of the OpenSSH client."""
    known = folder / "known_hosts"
    known.write_text(f"[{server.address}]:{server.port} {server.host_key_lines['ed25519']}\n")
    options = ["-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={known}", "-o", "IdentitiesOnly=yes"]
    target = ["-i", str(folder / "key"), "-p", str(server.port), f"{server.username}@{server.address}", "true"]

    def contact() -> None:
        subprocess.run(["ssh", "-F", "none", *options, *target], check=True, stdin=subprocess.DEVNULL)

    return contact


def main() -> None:
    """Print the figures of both, one at a time and with many threads."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    text, identity = ssh.generate_identity("bench")
    with tempfile.TemporaryDirectory() as name, real_sshd([identity.public_line], options=["LogLevel ERROR"]) as server:
        folder = Path(name)
        (folder / "key").write_text(text)
        (folder / "key").chmod(0o600)
        for threads in (1, THREADS):
            ours = measure(our_contact(server, identity), count, threads, resource.RUSAGE_SELF)
            # Children of the measured process are its ssh clients; sshd belongs to them only after it has ended.
            theirs = measure(openssh_contact(server, folder), count, threads, resource.RUSAGE_CHILDREN)
            print(f"threads={threads} contacts={count}")
            print(f"  fleetui  {ours.contacts_per_s:7.1f} contacts/s  {ours.cpu_ms:6.2f} ms CPU per contact")
            print(f"  openssh  {theirs.contacts_per_s:7.1f} contacts/s  {theirs.cpu_ms:6.2f} ms CPU per contact")
            speed, cost = ours.contacts_per_s / theirs.contacts_per_s, ours.cpu_ms / theirs.cpu_ms
            print(f"  ratio    {speed:7.2f} x speed       {cost:6.2f} x CPU")


if __name__ == "__main__":
    main()
