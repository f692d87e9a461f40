"""One simulated host without a network as the engine's host, which can be killed at any call like a worker that dies."""

from __future__ import annotations

import asyncio
import shlex
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from fleetui.core import clock
from nodes.hosts import facts as host_facts
from nodes.hosts.drivers.base import Command
from nodes.hosts.errors import ConnectionRefused
from nodes.hosts.look import Look, look
from nodes.hosts.ssh import CommandResult, Deadline
from nodes.models import Credential, Facts, HostKey, Measurement, Node
from nodes.services.polling.columns import fact_columns
from nodes.services.polling.contact import Target
from simfleet import transitions
from simfleet.model import Host as SimulatedHost
from simfleet.model import HostPlan
from simfleet.tests.world import OneHost

#: A step, and which of its calls.
Place = tuple[str, int]


class Killed(BaseException):
    """The worker is gone: nothing that it would have done next happens. No `except Exception` may see it."""


class Machine(OneHost):
    """The host, with one event loop for all its calls, so that its units go on between them."""

    def __init__(self, plan: HostPlan | None = None) -> None:
        super().__init__(plan)
        self.loop = asyncio.new_event_loop()
        self.reboots = 0
        self.is_down = False
        #: Calls until the worker dies, and whether the call that it dies in was carried out.
        self.dies_after: int | None = None
        self.dies_before_effect = False
        self.deaths = 0
        #: Or the place that it dies in, and then the calls until the next death: one more each time, so that a step of
        #: many calls is done in the end.
        self.dies_at: Place | None = None
        self.dies_again_after: int | None = None
        #: The step that is worked on with the calls of it so far, and what they were in this run.
        self.step, self.calls = "", 0
        self.places: list[Place] = []
        self.died_in: list[Place] = []
        #: Or what else happens in that call: the host is lost, and the worker lives.
        self.breaks_with: Callable[[], BaseException] = Killed
        #: Calls until the worker is stopped, and what happens until it wakes up and the call is carried out.
        self.stops_after: int | None = None
        self.stops_at: Place | None = None
        self.while_stopped: Callable[[], None] = lambda: None
        #: How far the clock of the test is ahead of the real one.
        self.ahead_s: Callable[[], float] = lambda: 0.0

    def now(self) -> float:
        return super().now() + self.ahead_s()

    def reboot(self, host: SimulatedHost) -> None:
        self.reboots += 1
        transitions.boot(host, self.catalog, self.now())

    def ask(self, *argv: str, stdin: bytes = b"") -> Any:
        command = argv[0] if len(argv) == 1 else shlex.join(argv)
        return self.loop.run_until_complete(self.run(command, stdin))

    def goes_on(self, seconds: float = 0.03) -> None:
        """Let what runs on the host go on."""
        self.loop.run_until_complete(asyncio.sleep(seconds))

    def enters(self) -> bool:
        """A call to the host, or to its cluster, begins: the worker may be stopped or die; whether it dies at its end."""
        place = (self.step, self.calls)
        self.places.append(place)
        self.calls += 1
        if self.stops_after is not None:
            self.stops_after -= 1
        if place == self.stops_at or (self.stops_after or 0) < 0:
            self.stops_after = self.stops_at = None
            self.while_stopped()
        if self.dies_after is not None:
            self.dies_after -= 1
        if place != self.dies_at and (self.dies_after or 0) >= 0:
            return False
        before = self.dies_before_effect
        self.deaths += 1
        self.died_in.append(place)
        self.dies_at = None
        self.dies_after = self.dies_again_after
        if self.dies_again_after is not None:
            self.dies_again_after += 1
            self.dies_before_effect = not before
        if before:
            raise self.breaks_with()
        return True

    def call(self, argv: Sequence[str], stdin: bytes) -> CommandResult:
        dies = self.enters()
        if self.is_down:
            raise ConnectionRefused("127.0.0.1", 22)
        found = self.ask(*argv, stdin=stdin) if len(argv) > 1 else self.ask(argv[0], stdin=stdin)
        self.goes_on(0.001)
        if dies:
            raise self.breaks_with()
        return CommandResult(found.status, found.out, found.err, 0.0)

    def works_on(self, step: str) -> None:
        self.step, self.calls = step, 0

    def left_behind(self) -> list[str]:
        """What of ours is on the host."""
        units = [name for name in self.host.units if name.startswith("fleetui-")]
        ours = ("/run/", "/etc/kubernetes/")
        files = [path for path in self.host.written if path.startswith(ours) and "fleetui" in path]
        masked = [name for name, state in self.host.unit_states.items() if state == "masked"]
        return [*units, *files, *masked]


class _Connection:
    """What a look needs of a connection."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", **_options: Any) -> CommandResult:
        return self._machine.call(argv, stdin)


class Printed:
    """What a command has printed, as a stream."""

    def __init__(self, result: CommandResult) -> None:
        self._result = result
        self.said = result.stderr.decode()

    def chunks(self) -> Iterator[bytes]:
        yield self._result.stdout

    def status(self) -> int:
        return self._result.exit_status or 0

    def read(self, size: int) -> bytes:
        raise NotImplementedError

    def write(self, data: bytes) -> None:
        raise NotImplementedError


class InProcessHost:
    """Takes the place of ops.engine.host.SshHost."""

    machine: Machine

    def __init__(self, target: Target, *_meanwhile: Any, **_options: Any) -> None:
        self._family = target.family

    def __enter__(self) -> InProcessHost:
        return self

    def __exit__(self, *_details: object) -> None:
        return None

    def look(self) -> tuple[host_facts.Facts, host_facts.Measurement]:
        found = self.read()
        return found.facts, found.measurement

    def read(self) -> Look:
        connection: Any = _Connection(self.machine)
        return look(connection, family=self._family, now=clock.now(), deadline=Deadline.after(30))

    def run(self, command: Command) -> CommandResult:
        return self.machine.call(command.argv, command.stdin)

    @contextmanager
    def stream(self, command: Command) -> Iterator[Printed]:
        yield Printed(self.machine.call(command.argv, command.stdin))


def host_of(machine: Machine) -> type[InProcessHost]:
    """A stand-in for SshHost that reaches this machine."""
    return type("HostOfMachine", (InProcessHost,), {"machine": machine})


def make_hosted_node(machine: Machine, now: datetime) -> Node:
    """The machine as a node that was polled once."""
    credential = Credential.objects.create(
        name=f"c-{uuid.uuid4().hex[:8]}", sealed_private_key="v1:none:none", public_key="", fingerprint=""
    )
    node = Node.objects.create(name="n1", address="127.0.0.1", credential=credential)
    HostKey.objects.create(node=node, type="ssh-ed25519", public_key="AAAA", fingerprint="x", state="pinned")
    poll(node, machine, now)
    return node


def poll(node: Node, machine: Machine, now: datetime) -> None:
    """Store what a look at the machine reads, as a poll would."""
    connection: Any = _Connection(machine)
    found = look(connection, now=now, deadline=Deadline.after(30))
    document: dict[str, Any] = found.facts.as_json()
    row = Facts.objects.create(node=node, generation=1, read_at=now, hash="x", document=document)
    for name, value in {**fact_columns(document, found.family), "facts": row, "reachability": "reachable"}.items():
        setattr(node, name, value)
    node.save()
    Measurement.objects.update_or_create(node=node, defaults={"at": now, "document": found.measurement.as_json()})
