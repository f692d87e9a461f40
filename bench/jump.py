"""Fresh contacts straight, through a jump host of their own each, and over a shared connection to it: per second, CPU, logins.

Both are a real sshd on loopback. Run from the project root: python -m bench.jump [contacts]
"""

from __future__ import annotations

import sys

import nodes.hosts.ssh as ssh
from bench.poll import measured
from tests.sshd import RealSshd, real_sshd


def main() -> None:
    """Print the figures of the three ways."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    identity = ssh.generate_identity("bench")[1]
    keys, options = [identity.public_line], ["MaxStartups 500"]
    with real_sshd(keys, options=options) as host, real_sshd(keys, options=options) as jump:
        hop = ssh.Hop(ssh.Endpoint(jump.address, jump.port, jump.username), identity, _key(jump), "bastion")
        shared = ssh.SharedJumps()
        ways: dict[str, tuple[tuple[ssh.Hop, ...], ssh.SharedJumps | None]] = {
            "straight": ((), None),
            "own jumps": ((hop,), None),
            "shared": ((hop,), shared),
        }
        for name, (jumps, over) in ways.items():

            def contact(jumps: tuple[ssh.Hop, ...] = jumps, over: ssh.SharedJumps | None = over) -> None:
                deadline = ssh.Deadline.after(60)
                endpoint = ssh.Endpoint(host.address, host.port, host.username)
                with ssh.connect(
                    endpoint, identity, host_key=_key(host), deadline=deadline, jumps=jumps, shared=over
                ) as connection:
                    connection.run(["true"], deadline=deadline, check=True)

            before = _logins(jump)
            found = measured(contact, count)
            print(
                f"{name:10} {found.hosts_per_s:7.1f} contacts/s  {found.cpu_ms:6.2f} ms CPU per contact  "
                f"{_logins(jump) - before:4} logins on the jump host"
            )
        shared.close()


def _key(server: RealSshd) -> ssh.HostKey:
    return ssh.HostKey.parse(server.host_key_lines["ed25519"])


def _logins(server: RealSshd) -> int:
    return server.log.read_text().count("Accepted publickey")


if __name__ == "__main__":
    main()
