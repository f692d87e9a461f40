"""Keeps a few child processes running: prefixed lines, restart with back-off, an ordered stop, no orphans. Knows no Django."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

#: A child that exits with this code says that starting it again cannot help.
EXIT_CONFIGURATION = 3
LEASH = Path(__file__).with_name("leash.py")
LINE_LIMIT_BYTES = 65536
READ_BYTES = 65536
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Child:
    """One process to keep running. Children are stopped from the highest `stop_order` to the lowest."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_order: int = 0
    grace_s: float = 10.0
    fatal_codes: frozenset[int] = frozenset({EXIT_CONFIGURATION})


@dataclass(frozen=True)
class Backoff:
    """Waits of 1, 2, 4 .. 30 s; forgotten after a minute of health; too many crashes within a minute end everything."""

    first_s: float = 1.0
    longest_s: float = 30.0
    healthy_s: float = 60.0
    crashes: int = 5
    window_s: float = 60.0


class Running:
    """A child and what is known of its process now."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.process: subprocess.Popen[bytes] | None = None
        self.rest = b""
        self.started_at = 0.0
        self.restart_at: float | None = None
        self.wait_s = 0.0
        self.crashes: deque[float] = deque()


class Supervisor:
    """Start children, then `run` until a signal comes or a child fails for good. Use as a context manager.

    Times are `time.monotonic()` seconds. While `run` is not at work, a stop signal raises KeyboardInterrupt, so that
    preparation between two starts ends at once and the children with it.
    """

    def __init__(self, say: Callable[[str, str], None] | None = None, *, backoff: Backoff | None = None) -> None:
        self._say = say or print_line
        self._backoff = backoff or Backoff()
        self._children: dict[str, Running] = {}
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = socket.socketpair()
        self._looping = False
        self._stop_signal = 0
        self._fatal: int | None = None
        self._kept: dict[int, signal.Handlers | Callable[[int, FrameType | None], object] | int | None] = {}
        self._kept_wakeup = -1

    def __enter__(self) -> Self:
        for end in (self._wake_read, self._wake_write):
            os.set_blocking(end.fileno(), False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        self._kept_wakeup = signal.set_wakeup_fd(self._wake_write.fileno(), warn_on_full_buffer=False)
        for number in (*STOP_SIGNALS, signal.SIGCHLD):
            self._kept[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # From here on a further signal must not cut the stop short: the grace times bound it.
        self._looping = True
        self.stop()
        for number, handler in self._kept.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._kept_wakeup)
        self._selector.close()
        self._wake_read.close()
        self._wake_write.close()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGCHLD:
            return
        self._stop_signal = number
        if not self._looping:
            raise KeyboardInterrupt

    def start(self, child: Child) -> None:
        running = Running(child)
        self._children[child.name] = running
        self._spawn(running)

    def _spawn(self, running: Running) -> None:
        leash = [sys.executable, "-I", "-S", str(LEASH), str(os.getpid())]
        process = subprocess.Popen(
            [*leash, *running.child.argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **running.child.environment},
            # Ctrl-C in the terminal reaches only the supervisor, which stops the children in order.
            start_new_session=True,
        )
        assert process.stdout is not None  # noqa: S101
        os.set_blocking(process.stdout.fileno(), False)
        self._selector.register(process.stdout, selectors.EVENT_READ, running)
        running.process, running.started_at, running.restart_at = process, time.monotonic(), None

    def run(self, *, until: Callable[[], bool] | None = None, timeout_s: float | None = None) -> int | None:
        """Pump output and restart children until `until` holds (None), the time is over (None), or an exit code is known."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        self._looping = True
        try:
            while True:
                if self._stop_signal:
                    return 0 if self._stop_signal != signal.SIGHUP else 129
                if self._fatal is not None:
                    return self._fatal
                if (until is not None and until()) or (deadline is not None and time.monotonic() >= deadline):
                    return None
                self._turn(0.1 if until is not None or deadline is not None else self._next_wait_s())
        finally:
            self._looping = False

    @property
    def stopping(self) -> bool:
        return bool(self._stop_signal) or self._fatal is not None

    def _next_wait_s(self) -> float | None:
        due = [running.restart_at for running in self._children.values() if running.restart_at is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _turn(self, wait_s: float | None) -> None:
        self._pump(wait_s)
        for running in self._children.values():
            if running.process is not None and running.process.poll() is not None:
                self._ended(running, running.process.returncode)
            elif running.restart_at is not None and running.restart_at <= time.monotonic():
                self._spawn(running)

    def _pump(self, wait_s: float | None) -> None:
        for key, _ in self._selector.select(wait_s):
            if key.data is None:
                with contextlib.suppress(BlockingIOError):
                    self._wake_read.recv(4096)
            else:
                self._read(key.data, key.fd)

    def _read(self, running: Running, descriptor: int) -> bool:
        """Say the whole lines that are there; False when there is nothing to read (yet, or any more)."""
        try:
            text = os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            return False
        if not text:
            self._close_output(running)
            return False
        *lines, running.rest = (running.rest + text).split(b"\n")
        if len(running.rest) > LINE_LIMIT_BYTES:
            lines.append(running.rest)
            running.rest = b""
        for line in lines:
            self._say(running.child.name, line.decode(errors="replace").rstrip("\r"))
        return True

    def _close_output(self, running: Running) -> None:
        stream = running.process.stdout if running.process else None
        if stream is None or stream.closed:
            return
        self._selector.unregister(stream)
        stream.close()
        if running.rest:
            self._say(running.child.name, running.rest.decode(errors="replace"))
            running.rest = b""

    def _drain(self, running: Running) -> None:
        """Read what a dead child still left in its pipe, without waiting for grandchildren that hold it open."""
        stream = running.process.stdout if running.process else None
        if stream is None or stream.closed:
            return
        for _ in range(64):
            if not self._read(running, stream.fileno()):
                break
        self._close_output(running)

    def _ended(self, running: Running, returncode: int) -> None:
        if running.process is not None:
            # Its own children would keep the port or the broker folder from the next one.
            signal_group(running.process.pid, signal.SIGKILL)
        self._drain(running)
        running.process = None
        name, now = running.child.name, time.monotonic()
        code = 128 - returncode if returncode < 0 else returncode
        why = f"was ended by {signal_name(-returncode)}" if returncode < 0 else f"ended with code {code}"
        if self._stop_signal:
            return
        if code in running.child.fatal_codes:
            self._fail(name, f"{why}; starting it again cannot help", code)
            return
        if now - running.started_at >= self._backoff.healthy_s:
            running.wait_s = 0.0
        running.crashes.append(now)
        while now - running.crashes[0] > self._backoff.window_s:
            running.crashes.popleft()
        if len(running.crashes) >= self._backoff.crashes:
            self._fail(name, f"{why}, {len(running.crashes)} times within {self._backoff.window_s:g} s", code or 1)
            return
        running.wait_s = min(running.wait_s * 2, self._backoff.longest_s) or self._backoff.first_s
        running.restart_at = now + running.wait_s
        self._say("up", f"{name} {why}; it starts again in {running.wait_s:g} s.")

    def _fail(self, name: str, why: str, code: int) -> None:
        if self._fatal is None:
            self._fatal = code
            self._say("up", f"{name} {why}. FleetUI stops.")

    def stop(self) -> None:
        """Stop all children, group by group from the highest stop order; kill what is left after its grace time."""
        for order in sorted({running.child.stop_order for running in self._children.values()}, reverse=True):
            self._stop_group([r for r in self._children.values() if r.child.stop_order == order])

    def _stop_group(self, group: list[Running]) -> None:
        deadlines = {}
        for running in group:
            running.restart_at = None
            if running.process is not None:
                signal_group(running.process.pid, signal.SIGTERM)
                deadlines[running.child.name] = time.monotonic() + running.child.grace_s
        while alive := [r for r in group if r.process is not None]:
            self._pump(0.05)
            for running in alive:
                self._reap(running, deadlines[running.child.name])

    def _reap(self, running: Running, deadline: float) -> None:
        assert running.process is not None  # noqa: S101
        if running.process.poll() is None:
            if time.monotonic() < deadline:
                return
            self._say("up", f"{running.child.name} did not stop within {running.child.grace_s:g} s and is killed.")
            signal_group(running.process.pid, signal.SIGKILL)
            running.process.wait()
        # What the child started itself belongs to its process group and goes with it.
        signal_group(running.process.pid, signal.SIGKILL)
        self._drain(running)
        running.process = None


def signal_group(group_id: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group_id, number)


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def print_line(name: str, line: str) -> None:
    """Write `name | line`; a reader that went away does not matter here, the signal that follows it does."""
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(f"{name:<8} | {line}\n")
        sys.stdout.flush()
