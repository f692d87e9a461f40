"""Look at one host over SSH and print its facts, without the database."""

import json
import os
import secrets
import sys
from argparse import ArgumentTypeError
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from nodes.hosts import drivers
from nodes.hosts.drivers.base import ProbeReading
from nodes.hosts.errors import BadIdentity, HostError, HostKeyUnknown
from nodes.hosts.probe import build_script, read_frames
from nodes.hosts.report import as_text
from nodes.hosts.ssh import (
    Deadline,
    Endpoint,
    HostKey,
    Identity,
    connect,
    known_hosts_lookup,
    load_identity,
    scan_host_key,
)
from nodes.hosts.target import Target, parse_target

HOST_FAILED = 1
USAGE = 2
DEFAULT_TIMEOUT_S = 60.0
_DEFAULT_IDENTITIES = ("id_ed25519", "id_ecdsa", "id_rsa")


class UsageError(Exception):
    """What was asked cannot be done from here. The text says what to do."""


class Command(BaseCommand):
    help = "Look at one host over SSH and print its facts. Nothing is stored."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("target", metavar="USER@HOST[:PORT]", help="IPv6 with a port: USER@[2001:db8::1]:22")
        parser.add_argument("--identity", metavar="FILE", type=Path, help="private key (default: ~/.ssh/id_*)")
        parser.add_argument("--os", metavar="FAMILY", choices=drivers.families(), help="default: from os-release")
        keys = parser.add_mutually_exclusive_group()
        keys.add_argument("--known-hosts", metavar="FILE", type=Path, help="default: ~/.ssh/known_hosts")
        keys.add_argument(
            "--accept-new-host-key",
            action="store_true",
            help="trust the key of a host that is not in ~/.ssh/known_hosts, for this look only",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument(
            "--timeout", metavar="S", type=_seconds, default=DEFAULT_TIMEOUT_S, help="for everything (default: 60)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            reading = self._look(options)
        except UsageError as error:
            self._fail(str(error), USAGE)
        except BadIdentity as error:
            self._fail(f"{error.message} {error.what_to_do}", USAGE)
        except HostKeyUnknown as error:
            hint = (
                "Compare it with the console of the host, then add it to the known hosts or use --accept-new-host-key."
            )
            self._fail(f"{error.message} {hint}", HOST_FAILED)
        except HostError as error:
            self._fail(f"{error.message} {error.what_to_do}", HOST_FAILED)
        else:
            self._print_to_the_end(reading, as_json=options["json"])

    def _look(self, options: dict[str, Any]) -> ProbeReading:
        target = _target(options["target"])
        endpoint = Endpoint(target.address, target.port, target.username)
        identity = _identity(options["identity"])
        deadline = Deadline.after(options["timeout"])
        family = options["os"]
        sections = drivers.get(family).probe() if family else drivers.undetected_sections()
        nonce = secrets.token_hex(16)
        trusted = self._trusted_keys(endpoint, options, deadline)
        with connect(endpoint, identity, host_key=trusted, deadline=deadline) as connection:
            # The rest of the time is for the way there and back.
            script = build_script(sections, nonce, budget_s=max(1, int(deadline.remaining_s * 0.8)))
            result = connection.run(["sh", "-s"], stdin=script, deadline=deadline)
        output = read_frames(result.stdout, nonce)
        if not output.sections or "workspace" in output:
            said = result.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2][:200]
            raise ProbeFailed(endpoint.address, output.problem, said)
        driver = drivers.get(family or drivers.detect_output(output).family)
        return driver.parse(output, datetime.now(UTC))

    def _trusted_keys(self, endpoint: Endpoint, options: dict[str, Any], deadline: Deadline) -> list[HostKey]:
        """Keys from known_hosts. A new key is only taken when asked for, a changed one never."""
        path: Path = options["known_hosts"] or Path.home() / ".ssh" / "known_hosts"
        text = _read(path, "known hosts file") if options["known_hosts"] or path.exists() else ""
        known = known_hosts_lookup(text, endpoint.address, endpoint.port)
        if known or not options["accept_new_host_key"]:
            return known
        key = scan_host_key(endpoint, deadline=deadline)
        self.stderr.write(f"Trusting the new host key {key.type} {key.fingerprint} for this look.")
        return [key]

    def _print_to_the_end(self, reading: ProbeReading, *, as_json: bool) -> None:
        """Print, and end quietly when the reader of a pipe has gone."""
        try:
            self._print(reading, as_json=as_json)
            self.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(HOST_FAILED) from None
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            self._fail(f"The host was read, but the output could not be written: {error.strerror}.", USAGE)

    def _print(self, reading: ProbeReading, *, as_json: bool) -> None:
        if as_json:
            document = {**reading.facts.as_json(), "measurement": reading.measurement.as_json()}
            self.stdout.write(json.dumps(document, indent=2))
            return
        text = as_text(reading.facts, reading.measurement)
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        self.stdout.write(text.encode(encoding, "replace").decode(encoding))

    def _fail(self, message: str, status: int) -> None:
        self.stderr.write("error: " + " ".join(message.split()))
        raise SystemExit(status)


class ProbeFailed(HostError):
    """The host accepted the login but did not run the script."""

    kind = "command_failed"

    def __init__(self, address: str, problem: str, said: str) -> None:
        detail = f" It said: {said}" if said else ""
        super().__init__(
            f"{address}: {problem}{detail}",
            "Check that the user has a POSIX shell and may run commands, and that /tmp is writable.",
            address=address,
        )


def _target(text: str) -> Target:
    try:
        return parse_target(text)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 1 <= value <= 3600:
        raise ArgumentTypeError("a number of seconds from 1 to 3600 is needed")
    return value


def _identity(path: Path | None) -> Identity:
    """The key of a file, with the certificate that lies beside it as OpenSSH does it."""
    chosen = path or _default_identity()
    certificate = chosen.with_name(chosen.name + "-cert.pub")
    private = _read(chosen, "private key")
    beside = _read(certificate, "certificate") if certificate.exists() else None
    try:
        return load_identity(private, certificate=beside)
    except BadIdentity as error:
        files = f"{chosen} with {certificate}" if beside else f"{chosen}"
        raise UsageError(f"{files}: {error.message} {error.what_to_do}") from None


def _default_identity() -> Path:
    folder = Path.home() / ".ssh"
    for name in _DEFAULT_IDENTITIES:
        if (folder / name).is_file():
            return folder / name
    raise UsageError(f"There is no private key in {folder}. Name one with --identity FILE.")


def _read(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(f"The {what} {path} cannot be read: {error.strerror}.") from error
