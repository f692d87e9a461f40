"""The SSH server of one simulated host, and the faults that show on the network."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import asyncssh

from simfleet import keys
from simfleet.answers import Call
from simfleet.answers.shell import run_script
from simfleet.model import Fault, Host
from simfleet.world import World

USERNAME = "core"
WINDOW_BYTES = 64 * 1024
MAX_STDIN_BYTES = 1024 * 1024
BACKLOG = 64
DROP_DELAY_S = 0.3


# What all hosts have in common: exec only, no terminal, small windows.
OPTIONS: dict[str, Any] = {
    "server_version": "OpenSSH_10.0",
    "line_editor": False,
    "allow_pty": False,
    "agent_forwarding": False,
    "x11_forwarding": False,
    "password_auth": False,
    "kbdint_auth": False,
    "gss_host": None,
    "compression_algs": None,
    "kex_algs": ["curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256"],
    "encryption_algs": [
        "aes128-gcm@openssh.com",
        "aes256-gcm@openssh.com",
        "aes128-ctr",
        "aes256-ctr",
    ],
    "rekey_bytes": 2**40,
    "rekey_seconds": 30 * 86_400,
    "login_timeout": 30,
    "window": WINDOW_BYTES,
    "encoding": None,
}


class ExecSession(asyncssh.SSHServerSession[bytes]):
    """One command: standard input is gathered, then the host answers."""

    def __init__(self, server: HostServer) -> None:
        self._server = server
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._command: str | None = None
        self._stdin = bytearray()
        self._eof = asyncio.Event()

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        """Keep the channel."""
        self._channel = chan

    def shell_requested(self) -> bool:
        """A shell is fed from standard input like `sh -s`."""
        self._command = "sh -s"
        return True

    def exec_requested(self, command: str) -> bool:
        """Note the command."""
        self._command = command
        return True

    def session_started(self) -> None:
        """Answer in a task of its own."""
        self._server.spawn(self._answer())

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        """Gather standard input, up to a limit."""
        if len(self._stdin) < MAX_STDIN_BYTES:
            self._stdin += data

    def eof_received(self) -> bool:
        """Standard input is whole."""
        self._eof.set()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody listens any more."""
        self._channel = None
        self._eof.set()

    async def _answer(self) -> None:
        host, world = self._server.host, self._server.world
        command = self._command or ""
        if command.split()[:2] in (["sh", "-s"], ["bash", "-s"]):
            await self._eof.wait()
        if host.has(Fault.SLOW):
            await asyncio.sleep(host.faults[Fault.SLOW.value])
        call = Call(host, world, ("sh", "-c", command), stdin=bytes(self._stdin))
        result = await run_script(call, command)
        if self._channel is None:
            return
        if host.has(Fault.TRUNCATED):
            await self._cut(result.out)
            return
        with contextlib.suppress(OSError, BrokenPipeError):
            self._channel.write(result.out)
            self._channel.write_stderr(result.err)
            self._channel.exit(result.status)

    async def _cut(self, out: bytes) -> None:
        """Half of the output arrives, then the connection dies."""
        if self._channel is not None:
            self._channel.write(out[: len(out) // 2])
            await asyncio.sleep(0.05)
        if self._channel is not None:
            self._channel.get_connection().abort()


class HostLogin(asyncssh.SSHServer):
    """Only the user core with the key of the fleet gets in."""

    def __init__(self, server: HostServer) -> None:
        self._server = server
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Remember the connection, to drop it at a reboot."""
        self._connection = conn
        self._server.connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        if self._connection is not None:
            self._server.connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        """Always ask."""
        return True

    def public_key_auth_supported(self) -> bool:
        """The only way in."""
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Compare with the key of the fleet."""
        if self._server.host.has(Fault.AUTH_REFUSED):
            return False
        return username == USERNAME and key.public_data == self._server.client_public

    def session_requested(self) -> ExecSession:
        """A session of exec requests."""
        return ExecSession(self._server)

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        """A host is a jump host to others of loopback, as `ssh -J` uses it; to nothing else of this machine's network."""
        try:
            return ipaddress.ip_address(dest_host).is_loopback
        except ValueError:
            return False


@dataclass(slots=True, eq=False)
class HostServer:
    """The listening socket of a host and its connections. Everything dear is made at the first contact."""

    host: Host
    world: World
    client_public: bytes
    connections: set[asyncssh.SSHServerConnection] = field(default_factory=set)
    _listener: socket.socket | None = None
    _own_options: tuple[bool, asyncssh.SSHServerConnectionOptions] | None = None
    _silent: set[socket.socket] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def listening(self) -> bool:
        """Whether the port is open."""
        return self._listener is not None

    def open(self) -> None:
        """Listen. Raises OSError when the address cannot be had."""
        if self._listener is not None:
            return
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setblocking(False)  # noqa: FBT003
            listener.bind((self.host.address, self.host.port))
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
        asyncio.get_running_loop().add_reader(listener.fileno(), self._accept)
        self._listener = listener

    def close(self) -> None:
        """Refuse further connections and drop the open ones."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener.fileno())
            self._listener.close()
            self._listener = None
        for connection in list(self.connections):
            connection.abort()
        self.drop_silent()

    def becomes(self, host: Host) -> None:
        """Another machine answers at the address."""
        self.host, self._own_options = host, None

    def drop_silent(self) -> None:
        """Close the connections that were never answered."""
        for taken in list(self._silent):
            self._forget(taken)

    def follow_faults(self) -> None:
        """Make the network match the faults."""
        if not self.host.has(Fault.BLACKHOLE):
            self.drop_silent()
        if self.host.has(Fault.UNREACHABLE) or self.host.down_until:
            self.close()
        else:
            self.open()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine and keep hold of it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _accept(self) -> None:
        for _ in range(BACKLOG):
            if self._listener is None:
                return
            try:
                taken, _address = self._listener.accept()
            except (BlockingIOError, InterruptedError, OSError):
                return
            taken.setblocking(False)  # noqa: FBT003
            if self.host.has(Fault.BLACKHOLE):
                self._swallow(taken)
            else:
                self.spawn(self._serve(taken))

    async def _serve(self, taken: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        options = self._host_options()
        with contextlib.suppress(OSError, asyncssh.Error):
            await loop.connect_accepted_socket(lambda: asyncssh.SSHServerConnection(loop, options), taken)

    def _host_options(self) -> asyncssh.SSHServerConnectionOptions:
        changed = self.host.has(Fault.WRONG_KEY)
        if self._own_options is None or self._own_options[0] != changed:
            given = self.host.key_text if not changed else ""
            key = keys.given_key(given) if given else keys.host_key(self.host.seed, self.host.name, changed=changed)
            made = asyncssh.SSHServerConnectionOptions(
                server_host_keys=[key], server_factory=self._login_factory(), **OPTIONS
            )
            self._own_options = (changed, made)
        return self._own_options[1]

    def _login_factory(self) -> Callable[[], HostLogin]:
        return lambda: HostLogin(self)

    def _swallow(self, taken: socket.socket) -> None:
        self._silent.add(taken)
        asyncio.get_running_loop().add_reader(taken.fileno(), self._discard, taken)

    def _discard(self, taken: socket.socket) -> None:
        try:
            if taken.recv(65_536):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._forget(taken)

    def _forget(self, taken: socket.socket) -> None:
        if taken in self._silent:
            self._silent.discard(taken)
            asyncio.get_running_loop().remove_reader(taken.fileno())
            taken.close()
