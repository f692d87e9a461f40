"""SSH servers for tests: the real sshd of the distribution, a scripted one in this process, and raw sockets."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import paramiko
from paramiko.common import AUTH_SUCCESSFUL, OPEN_SUCCEEDED

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
RawHandler = Callable[[socket.socket], None]


@dataclass
class RealSshd:
    """A running sshd and what is needed to reach it."""

    address: str
    port: int
    username: str
    folder: Path
    host_key_lines: dict[str, str]
    log: Path

    @property
    def ca_key(self) -> Path:
        """The key whose signature the server accepts on user certificates."""
        return self.folder / "user_ca"


def free_port(address: str = "127.0.0.1") -> int:
    """A port that nothing listens on at this moment."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as sock:
        sock.bind((address, 0))
        port = sock.getsockname()[1]
    return int(port)


def keygen(path: Path, key_type: str = "ed25519", *options: str, passphrase: str = "") -> str:
    """Make a key pair with ssh-keygen; returns the public line."""
    argv = ["ssh-keygen", "-q", "-t", key_type, "-N", passphrase, "-C", "test", "-f", str(path), *options]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    return " ".join(path.with_name(path.name + ".pub").read_text().split()[:2])


def sign_host(ca: Path, public_key: Path, principals: str, *options: str) -> str:
    """Have a certificate authority sign a host key with ssh-keygen; returns the line of the certificate."""
    named = ["-n", principals] if principals else []
    argv = ["ssh-keygen", "-q", "-s", str(ca), "-I", f"host {public_key.stem}", "-h", *named, *options, str(public_key)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    return public_key.with_name(f"{public_key.stem}-cert.pub").read_text()


@contextlib.contextmanager
def real_sshd(
    authorized_keys: Sequence[str],
    *,
    address: str = "127.0.0.1",
    options: Sequence[str] = (),
    host_key_types: Sequence[str] = ("ed25519", "ecdsa", "rsa"),
    prepare: Callable[[Path], Sequence[str]] = lambda folder: (),
) -> Iterator[RealSshd]:
    """Start sshd on a loopback port with its own folder, as the user that runs the tests (root or not).

    `prepare` gets the folder with the host keys (`host_ed25519.pub` and so on) and may add lines to the configuration.
    """
    folder = Path(tempfile.mkdtemp(prefix="sshd-"))
    try:
        lines = {kind: keygen(folder / f"host_{kind}", kind) for kind in host_key_types}
        keygen(folder / "user_ca")
        (folder / "authorized_keys").write_text("".join(f"{line}\n" for line in authorized_keys))
        port = free_port(address)
        config = folder / "sshd_config"
        config.write_text(_config(folder, address, port, host_key_types, [*options, *prepare(folder)]))
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        log = folder / "log"
        with log.open("wb") as sink:
            process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(config)], stderr=sink, stdin=subprocess.DEVNULL)
        try:
            _wait_for_port(address, port, process, log)
            username = pwd.getpwuid(os.getuid()).pw_name
            yield RealSshd(address, port, username, folder, lines, log)
        finally:
            process.terminate()
            process.wait(10)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _config(folder: Path, address: str, port: int, kinds: Sequence[str], options: Sequence[str]) -> str:
    listen = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    lines = [
        # The first value of an option counts, so what the test asks for comes first.
        *options,
        f"ListenAddress {listen}",
        *(f"HostKey {folder}/host_{kind}" for kind in kinds),
        f"AuthorizedKeysFile {folder}/authorized_keys",
        f"TrustedUserCAKeys {folder}/user_ca.pub",
        f"PidFile {folder}/pid",
        "StrictModes no",
        "UsePAM no",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin prohibit-password",
        "MaxStartups 200",
        "LogLevel VERBOSE",
    ]
    return "\n".join(lines) + "\n"


def _wait_for_port(address: str, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(200):
        if process.poll() is not None:
            raise RuntimeError(f"sshd ended: {log.read_text()}")
        with contextlib.suppress(OSError), socket.create_connection((address, port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"sshd did not start: {log.read_text()}")


@contextlib.contextmanager
def raw_server(handler: RawHandler, address: str = "127.0.0.1") -> Iterator[int]:
    """Listen, and give every connection to the handler in a thread of its own. Yields the port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, 0))
    listener.listen(50)
    open_sockets: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def serve(sock: socket.socket) -> None:
        with contextlib.suppress(Exception):
            handler(sock)
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        sock.close()

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _peer = listener.accept()
                open_sockets.append(sock)
                threads.append(threading.Thread(target=serve, args=(sock,), daemon=True, name="raw-server"))
                threads[-1].start()

    acceptor = threading.Thread(target=accept, daemon=True, name="raw-acceptor")
    acceptor.start()
    try:
        yield listener.getsockname()[1]
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for sock in open_sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in [acceptor, *threads]:
            thread.join(5)


@dataclass
class FakeHost(paramiko.ServerInterface):
    """A scripted SSH server. `play` gets every exec channel; the other fields make it misbehave."""

    play: Callable[[paramiko.Channel, str], None] = lambda channel, command: None
    auth_result: int = AUTH_SUCCESSFUL
    allowed_auths: str = "publickey"
    auth_delay_s: float = 0.0
    open_result: int = OPEN_SUCCEEDED
    accept_exec: bool = True
    host_key: paramiko.PKey = field(default_factory=lambda: paramiko.RSAKey.generate(2048))
    prepare: Callable[[paramiko.Transport], None] = lambda transport: None
    auth_attempts: int = 0
    commands: list[str] = field(default_factory=list)
    pty_requests: int = 0
    open_delay_s: float = 0.0
    transports: list[paramiko.Transport] = field(default_factory=list)

    @property
    def host_key_line(self) -> str:
        """The public host key as it would be pinned."""
        return f"{self.host_key.get_name()} {self.host_key.get_base64()}"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self.auth_attempts += 1
        time.sleep(self.auth_delay_s)
        return self.auth_result

    def get_allowed_auths(self, username: str) -> str:
        return self.allowed_auths

    def check_channel_request(self, kind: str, chanid: int) -> int:
        time.sleep(self.open_delay_s)
        return self.open_result

    def check_channel_pty_request(self, *_args: object) -> bool:
        self.pty_requests += 1
        return True

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.commands.append(command.decode())
        if self.accept_exec:
            threading.Thread(target=self._play, args=(channel, command.decode()), daemon=True).start()
        return self.accept_exec

    def _play(self, channel: paramiko.Channel, command: str) -> None:
        # The reply to the request must leave first.
        time.sleep(0.02)
        with contextlib.suppress(Exception):
            self.play(channel, command)

    def serve(self, sock: socket.socket) -> None:
        """Serve one connection until it ends."""
        transport = paramiko.Transport(sock)
        self.transports.append(transport)
        transport.add_server_key(self.host_key)
        self.prepare(transport)
        transport.start_server(event=threading.Event(), server=self)
        transport.join(60)


@contextlib.contextmanager
def fake_host(host: FakeHost) -> Iterator[int]:
    """Run a scripted server on a loopback port. Yields the port."""
    with raw_server(host.serve) as port:
        try:
            yield port
        finally:
            for transport in host.transports:
                transport.close()
