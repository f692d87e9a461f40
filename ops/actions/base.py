"""What every kind of operation is made of: steps that look at the host first and do at most one thing.

A step may be stopped anywhere and run again, by another worker, with nothing but the row to go by. What it does to a
host it does behind a fence (nodes.hosts.drivers.base.Fence), so that a worker who wakes up late changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from nodes.hosts.drivers.base import TOO_LATE_STATUS, Command, Driver
from nodes.hosts.facts import Facts, Measurement
from nodes.hosts.look import Look
from nodes.hosts.ssh import CommandResult, HostKey
from ops.backups.age import Envelope
from ops.backups.base import Target as BackupTarget
from ops.backups.drill import Chosen
from ops.backups.guide import Guide
from ops.backups.job import Job, Passed, Record, Stream, Talk
from ops.kubernetes import Budget, ClusterNode, Pod
from ops.kubernetes.deployments import Deployment, ReplicaSet
from ops.kubernetes.issued import Issued, Signed
from ops.kubernetes.volumes import Volume
from ops.outcomes import Fail, Outcome
from ops.preflight import Check
from ops.replacement import Order, Provisioner

if TYPE_CHECKING:
    from ops.actions.members import Planes

#: How soon a long command on a host is looked at again.
LOOK_AGAIN = timedelta(seconds=3)
SAID_CHARS = 400
ASKED = "operations.request"


class Host(Protocol):
    """The host of one step: one connection, opened when first needed, with one deadline for all of it."""

    def look(self) -> tuple[Facts, Measurement]: ...

    def read(self) -> Look:
        """The whole of a look, as it is stored."""
        ...

    def run(self, command: Command) -> CommandResult: ...

    def stream(self, command: Command) -> AbstractContextManager[Talk]:
        """A command that goes on for long, or prints more than is kept: what it says is read as it comes."""
        ...


class Vault(Protocol):
    """The policy of a backup, its target, and the ledger. What is written there holds the lease of the step."""

    def job(self) -> Job:
        """Raises ops.backups.job.NoJob when there is nothing left to go by."""
        ...

    def target(self) -> BackupTarget: ...

    def envelope(self) -> Envelope:
        """What closes backups that go there."""
        ...

    def halves(self) -> Sequence[str]:
        """Keys that runs of this policy began and that may have left something at the target."""
        ...

    def forgot(self, keys: Sequence[str]) -> None: ...

    def begin(self, suffix: str) -> str:
        """A key of its own for this attempt, written down before anything is written under it."""
        ...

    def passes(self, size_bytes: int) -> None:
        """So much has come: for whoever watches. Nothing hangs on it."""
        ...

    def stored(self, passed: Passed) -> None: ...

    def recorded(self) -> Record: ...

    def verified(self) -> None:
        """From here on it counts."""
        ...

    def surplus(self) -> Sequence[tuple[str, str]]:
        """(run, key) of what retention lets go now, the oldest first."""
        ...

    def deleted(self, run: str) -> None: ...

    def newest(self) -> Chosen:
        """The newest good backup of the policy, for a drill; from here on the drill is of this one. Raises NoJob."""
        ...

    def chosen(self, run: str) -> Chosen: ...

    def target_of(self, run: str) -> BackupTarget:
        """Where that one lies, also when the policy has another target now."""
        ...

    def envelope_of(self, run: str) -> Envelope:
        """What opens that one."""
        ...

    def scratch(self) -> Path:
        """The directory below which drills have their folders."""
        ...

    def proven(self, run: str, proves: str, found: Mapping[str, Any]) -> None:
        """From here on the proof counts."""
        ...


class Restoring(Protocol):
    """What a guided restore goes by: its guide, the hosts of it, and what people said."""

    @property
    def guide(self) -> Guide: ...

    def confirmed(self) -> frozenset[str]:
        """The steps that people let go on, or did by hand; `go_back`."""
        ...

    def opened(self, name: str) -> AbstractContextManager[Host]:
        """A host of the guide. Raises ops.backups.job.NoJob when it is another machine by now."""
        ...

    def has_places(self) -> bool:
        """Whether all its hosts are still kept from other work."""
        ...

    def is_over(self) -> bool:
        """Of what keeps a host from other work: whether the restore is over."""
        ...


class OwnState(Protocol):
    """FleetUI itself, of which a backup is made."""

    def stream(self, renew: Callable[[], None]) -> AbstractContextManager[Stream]:
        """Recorded before it begins. Raises LeaseLost, Interrupted, and what stands against it: SourceFailed."""
        ...

    def sweep(self) -> None:
        """Take away what workers of this machine left that were killed."""
        ...


class Inventory(Protocol):
    """What FleetUI has stored of the node of one step."""

    def known(self) -> int:
        """The number of the facts that are stored now; 0 for none."""
        ...

    def take_in(self, read: Callable[[], Look]) -> bool:
        """Read the host and store what it says, as a poll does; False while a poll of the node is under way."""
        ...

    def changes(self, since: int) -> Sequence[tuple[str, Mapping[str, Any]]]:
        """What has changed since the facts of that number: kinds of events with their parameters."""
        ...


class Certificates(Protocol):
    """The endpoints that may be looked at for the node of one step, and the inventory."""

    def served(self, endpoint: str, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
        """`fingerprint` and `not_after` of what is served there, or `problem`: unknown, or why it was not read.

        `wanted` has the `fingerprint`, the `names`, and the fingerprints of the `chain` of what should be: of several server
        names at one HOST:PORT those count for which it holds, and of these one that serves it. `fault`: what is wrong with
        the chain that is served, where it is another one and does not hold.
        """
        ...

    def read_again(self, endpoint: str = "") -> None:
        """Have the certificates of the node read soon, and those of the endpoint."""
        ...


#: Who cordoned a node: this operation, one that is over and whose cordon is about to go, somebody else, nobody.
Whose: TypeAlias = Literal["ours", "leaving", "others", "nobody"]


class Cluster(Protocol):
    """The node of one step as its cluster has it. Everything may raise ops.kubernetes.ClusterError."""

    @property
    def name(self) -> str: ...

    def missing(self) -> list[tuple[str, str]]:
        """Rights that are missing, with what they are for."""
        ...

    def node(self) -> ClusterNode: ...

    def control_planes(self) -> Sequence[ClusterNode]:
        """The nodes of the control plane, this one among them."""
        ...

    def pods(self) -> list[Pod]: ...

    def budgets(self) -> Sequence[Budget]: ...

    def volumes(self) -> Sequence[Volume]:
        """Those that claims have and that lie on a path of this node."""
        ...

    def whose(self, node: ClusterNode) -> Whose: ...

    def cordon(self, node: ClusterNode) -> None: ...

    def keep(self) -> None:
        """The cordon outlives the operation."""
        ...

    def uncordon(self) -> bool:
        """Take away the cordon of this operation; whether there was one."""
        ...

    def release(self, node: ClusterNode) -> None:
        """Take away whosever cordon."""
        ...

    def remove(self, node: ClusterNode) -> None:
        """Delete the node as it was looked at; `conflict` when it has changed since then."""
        ...

    def may_go(self, pod: Pod) -> None:
        """Raises Blocked when a budget does not let the pod go now; changes nothing."""
        ...

    def evict(self, pod: Pod, grace_s: int | None) -> None: ...

    def delete(self, pod: Pod, grace_s: int | None) -> None: ...


class Deployments(Protocol):
    """The Deployment of one step as its cluster has it. Everything may raise ops.kubernetes.ClusterError."""

    def missing(self) -> list[str]:
        """Rights that are missing."""
        ...

    def read(self) -> Deployment: ...

    def revisions(self, of: Deployment) -> list[ReplicaSet]: ...

    def is_ours(self, found: Deployment) -> bool:
        """Whether this operation made the last change that bears a mark."""
        ...

    def set_image(self, of: Deployment, container: str, image: str) -> Deployment: ...

    def roll_back(self, of: Deployment, to: ReplicaSet) -> Deployment: ...

    def hindrance(self, of: Deployment) -> str:
        """Why a new pod is not ready, as its kubelet says; empty for none."""
        ...


class CertManager(Protocol):
    """The Certificate of cert-manager of one step. Everything may raise ops.kubernetes.ClusterError."""

    def missing(self) -> list[str]:
        """Rights that are missing."""
        ...

    def read(self) -> Issued: ...

    def is_ours(self, found: Issued) -> bool:
        """Whether this operation asked for what is being issued."""
        ...

    def issue_again(self, of: Issued) -> None: ...

    def signed(self, of: Issued) -> Sequence[Signed]:
        """What was signed for it, of every revision that is kept."""
        ...

    def look_again(self) -> None:
        """Have the cluster looked at soon."""
        ...


class NewMachine(Protocol):
    """The machine that takes the place of the node's: its config, who makes it, and when it shows up."""

    def checks(self) -> Sequence[Check]:
        """What stands for and against it now."""
        ...

    def provisioner(self) -> Provisioner:
        """Raises ops.replacement.NotReady when there is none any more."""
        ...

    def offer(self, hours: int) -> str:
        """Make its config ready, once; says why it could not be, or nothing."""
        ...

    def standing(self) -> str:
        """Where that offer stands: waiting, fetched, arrived, or how it ended."""
        ...

    def confirmed(self) -> frozenset[str]:
        """What people said: ready, deleted, created."""
        ...

    def order(self) -> Order: ...

    @property
    def source(self) -> Mapping[str, Any]:
        """What the checks found that the provisioner would work from now."""
        ...

    def record(self, commands: Sequence[Sequence[str]], source: Mapping[str, Any]) -> None:
        """Recorded before the provisioner is asked, with what it works from; raises LeaseLost."""
        ...

    def greet(self, key: HostKey) -> bool:
        """Whether this is the host key that was made for it; then the next generation begins."""
        ...

    def moved(self, address: str) -> bool:
        """It is at another address; False when that is none."""
        ...

    def applied(self) -> str:
        """The id of the version that the node is known to have been made with."""
        ...

    def end(self) -> bool:
        """Nothing leads to the config any more; whether an open offer was taken back."""
        ...


class Log(Protocol):
    """Where a step writes what commands print, and what it saw."""

    def note(self, code: str, **params: Any) -> None: ...

    def output(self, stream: str, text: str) -> None: ...

    def attach(self, kind: str, title: str, text: str, document: Mapping[str, Any] | None = None) -> None:
        """Keep with the operation what a person reads or downloads as a whole."""
        ...


@dataclass(frozen=True)
class Context:
    """What a step may go by. `held` renews the lease, for `lease_s`, and says whether the operation is still this worker's."""

    operation_id: str
    step: str
    attempt: int
    params: Mapping[str, Any]
    plan: Mapping[str, Any]
    memory: Mapping[str, Any]
    driver: Driver
    host: Host
    log: Log
    now: datetime
    deadline: datetime
    since: datetime
    held: Callable[[], bool]
    lease_s: int
    #: How long a host may take to answer again after a restart.
    return_within: timedelta
    inventory: Inventory
    vault: Vault
    restoring: Restoring
    certificates: Certificates
    machine: NewMachine
    own_state: OwnState
    planes: Planes
    family: str = ""
    #: Where the plan names a node of a cluster.
    cluster: Cluster | None = None
    #: Where the plan names a Deployment of a cluster.
    deployments: Deployments | None = None
    #: Where the plan names a Certificate of cert-manager.
    cert_manager: CertManager | None = None

    @property
    def boot_id(self) -> str:
        """The boot in which the operation decided what it does."""
        return str(self.memory.get("boot_id", ""))


StepFunction = Callable[[Context], Outcome]
#: (facts, measured, params, plan) -> what has to hold before the host is changed.
Checks = Callable[[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]], Sequence[Check]]
#: (driver, params, plan) -> the commands that will change the host, in their order.
Commands = Callable[[Driver, Mapping[str, Any], Mapping[str, Any]], Sequence[Command]]


#: (params) -> what is asked of others than the host when a plan is made, once for all its nodes. Goes into each target.
Outside = Callable[[Mapping[str, Any]], Mapping[str, Any]]
#: (facts, params) -> what the plan says beyond the version: what is there before, and what will be.
Target = Callable[[Mapping[str, Any], Mapping[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True)
class Step:
    """`offline_ok`: that the host does not answer is part of the step (it restarts), and no reason to wait elsewhere.

    `when` says of a plan whether the step belongs to it. `is_stream`: it moves more bytes than fit into a short step, and its
    lease is longer.
    """

    name: str
    run: StepFunction
    offline_ok: bool = False
    when: Callable[[Mapping[str, Any]], bool] = lambda _plan: True
    is_stream: bool = False


@dataclass(frozen=True)
class Action:
    """A kind of operation. `capabilities` are the driver's kinds of command that it needs.

    `checks` are those of its first step, `commands` what it will run: both also make the plan. What does not change a
    host takes no exclusive place; `beside_changes` says whether it may run while another operation changes the host.
    What is done `on` the cluster, or `on` the machine as a whole, needs no host that answers; `on` a Deployment, or a
    Certificate of cert-manager (`issued`), it is done to no node at all. What `asks_cluster` goes by what the cluster says
    of the node too, where FleetUI reaches it. `permission` is what it takes to ask for it; what takes one of its own has a
    page and an endpoint of its own too, and is not asked for as an operation on nodes. `needs` are permissions that it
    takes besides. `stop_after` is that of a request of several nodes that names none.
    """

    kind: str
    steps: tuple[Step, ...]
    checks: Checks = field(default=lambda _facts, _measured, _params, _plan: ())
    commands: Commands = field(default=lambda _driver, _params, _plan: ())
    target: Target = field(default=lambda _facts, _params: {})
    outside: Outside = field(default=lambda _params: {})
    capabilities: tuple[str, ...] = ()
    is_disruptive: bool = False
    changes: bool = True
    beside_changes: bool = False
    needs_facts: bool = True
    permission: str = ASKED
    needs: tuple[str, ...] = ()
    check_params: Callable[[Mapping[str, Any]], Mapping[str, Any]] = field(default=lambda params: _none(params))
    max_attempts: int = 3
    on: Literal["host", "cluster", "deployment", "issued", "machine"] = "host"
    asks_cluster: bool = False
    stop_after: int | None = None

    @property
    def drains(self) -> bool:
        """Whether a node of a cluster is drained by it."""
        return any(step.name == "drain" for step in self.steps)

    def steps_of(self, plan: Mapping[str, Any]) -> list[Step]:
        """The steps that belong to a plan."""
        return [step for step in self.steps if step.when(plan)]

    def step(self, name: str) -> Step:
        return next(step for step in self.steps if step.name == name)

    def after(self, name: str, plan: Mapping[str, Any]) -> str:
        """The step of the plan after this one; empty after the last."""
        names = [step.name for step in self.steps_of(plan)]
        place = names.index(name) + 1
        return names[place] if place < len(names) else ""


def _none(params: Mapping[str, Any]) -> Mapping[str, Any]:
    if params:
        raise ParamsRefused(sorted(params)[0], "has_no_params")
    return {}


class ParamsRefused(ValueError):
    """A parameter of an operation that cannot be used; `code` is worded for page and API."""

    def __init__(self, field_name: str, code: str, **params: Any) -> None:
        super().__init__(f"{field_name}: {code}")
        self.field, self.code, self.params = field_name, code, params


class LeaseLost(Exception):
    """Another worker has the operation now: nothing that this one saw counts any more."""


def effect(ctx: Context, command: Command) -> CommandResult:
    """Run a short command that changes the host, in the boot in which it was decided, while the lease holds."""
    return _in_time(ctx, lambda before_s: ctx.driver.fence.guarded(command, ctx.boot_id, before_s))


def start_unit(ctx: Context, command: Command, name: str) -> CommandResult:
    """Start a long command as a transient unit, likewise; the host refuses a name that it has had before."""
    fence, operation = ctx.driver.fence, ctx.operation_id
    return _in_time(
        ctx,
        lambda before_s: fence.started(command, operation=operation, step=name, boot_id=ctx.boot_id, before_s=before_s),
    )


def _in_time(ctx: Context, fenced: Callable[[int | None], Command]) -> CommandResult:
    """The lease ends on the host too: a worker that is stopped in here, and wakes up when it is over, changes nothing.

    The host's up-time is read before the lease is renewed, so that the host's end of it is never the later one.
    """
    shown = ctx.host.run(ctx.driver.fence.uptime()).stdout.partition(b".")[0]
    command = fenced(int(shown) + ctx.lease_s if shown.isdigit() else None)
    if not ctx.held():
        raise LeaseLost
    result = ctx.host.run(command)
    if result.exit_status == TOO_LATE_STATUS:
        raise LeaseLost
    return result


def said(result: CommandResult) -> str:
    """The end of what a command said, for a sentence."""
    lines = [line.strip() for line in result.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    lines = lines or [line.strip() for line in result.stdout.decode("utf-8", "replace").splitlines() if line.strip()]
    return " ".join(lines[-2:])[:SAID_CHARS]


def answered(result: CommandResult) -> str:
    """Likewise of one that went well: what it wrote to standard error is its log."""
    lines = [line.strip() for line in result.stdout.decode("utf-8", "replace").splitlines() if line.strip()]
    return " ".join(lines[-2:])[:SAID_CHARS]


def as_failure(result: CommandResult, reason: str, *, again: bool = False) -> Fail:
    return Fail(reason, {"status": result.exit_status, "said": said(result)}, again=again)
