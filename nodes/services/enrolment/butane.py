"""What is put on a machine so that it announces itself: Butane for images, and the same lines for a shell. Text only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

HEADER_FILE = "/etc/fleetui/enrol.header"
HOST_KEY_FILE = "/etc/ssh/ssh_host_ed25519_key.pub"
#: variant -> the oldest version of Butane that has all that is used.
VARIANTS = {"fcos": "1.5.0", "flatcar": "1.0.0"}
#: How often a machine says that it is there, and where.
EVERY = "10min"


@dataclass(frozen=True)
class Login:
    """The user and the public key that let FleetUI in."""

    username: str
    public_key: str


def announce_command(url: str, family: str) -> list[str]:
    """The one command. The token is in a file that curl reads: neither in `ps` nor in the unit."""
    return [
        *("/usr/bin/curl", "--silent", "--show-error", "--fail-with-body", "--max-time", "30"),
        *("--retry", "5", "--retry-connrefused", "--retry-max-time", "240"),
        *("--header", f"@{HEADER_FILE}"),
        *("--data-urlencode", "name@/proc/sys/kernel/hostname"),
        *("--data-urlencode", "machine_id@/etc/machine-id"),
        *("--data-urlencode", f"host_key@{HOST_KEY_FILE}"),
        *(("--data-urlencode", f"os_family={family}") if family else ()),
        url,
    ]


def service_unit(url: str, family: str) -> str:
    """Once for each start of the timer. Every word is free of what systemd or a shell would read in it, but `%`."""
    return "\n".join(
        [
            "[Unit]",
            "Description=Announce this machine to FleetUI",
            "Wants=network-online.target",
            # The names of both families: what does not exist is passed over.
            "After=network-online.target sshd-keygen.target sshd-keygen.service",
            f"ConditionPathExists={HEADER_FILE}",
            "",
            "[Service]",
            "Type=oneshot",
            "ExecStart=" + _folded([word.replace("%", "%%") for word in announce_command(url, family)]),
            "",
        ]
    )


def timer_unit() -> str:
    """After each start of the machine, and again every few minutes: so an address that changed is known soon."""
    return "\n".join(
        [
            "[Unit]",
            "Description=Announce this machine to FleetUI every few minutes",
            "",
            "[Timer]",
            "OnBootSec=15s",
            f"OnUnitInactiveSec={EVERY}",
            "RandomizedDelaySec=15s",
            "",
            "[Install]",
            "WantedBy=timers.target",
            "",
        ]
    )


def butane(variant: str, *, url: str, token: str, login: Login | None = None) -> str:
    """A whole Butane config, to be merged into that of the pool."""
    lines = [f"variant: {variant}", f"version: {VARIANTS[variant]}"]
    if login:
        lines += [
            "passwd:",
            "  users:",
            f"    - name: {json.dumps(login.username)}",
            "      ssh_authorized_keys:",
            f"        - {json.dumps(login.public_key)}",
        ]
    lines += [
        "storage:",
        "  files:",
        f"    - path: {HEADER_FILE}",
        "      mode: 0600",
        "      contents:",
        "        inline: |",
        f"          Authorization: Bearer {token}",
        "systemd:",
        "  units:",
        "    - name: fleetui-enrol.service",
        "      contents: |",
        *_indented(service_unit(url, variant), 8),
        "    - name: fleetui-enrol.timer",
        "      enabled: true",
        "      contents: |",
        *_indented(timer_unit(), 8),
    ]
    return "\n".join(lines) + "\n"


def shell_lines(url: str, family: str, token: str) -> str:
    """The same by hand, as root. The shell's own `umask` and here-document keep the token out of `ps`."""
    folder = HEADER_FILE.rpartition("/")[0]
    return "\n".join(
        [
            f"mkdir -p {folder}",
            f"(umask 077; cat > {HEADER_FILE}) <<'END'",
            f"Authorization: Bearer {token}",
            "END",
            _folded(announce_command(url, family)),
            "",
        ]
    )


def _folded(words: Sequence[str]) -> str:
    """Options with their values on lines of their own, as a unit file and a shell both continue lines."""
    lines: list[list[str]] = [[words[0]]]
    for word in words[1:]:
        if word.startswith("--") or word.startswith("http"):
            lines.append([word])
        else:
            lines[-1].append(word)
    return " \\\n  ".join(" ".join(line) for line in lines)


def _indented(text: str, by: int) -> list[str]:
    return [" " * by + line if line else "" for line in text.rstrip("\n").split("\n")]
