"""One step of one operation: look at the row, run the step, write down what it said. Every write holds the lease."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, transaction

from fleetui.core import clock
from fleetui.core.again import again
from nodes.hosts import drivers
from nodes.hosts.drivers.base import CommandRefused
from nodes.hosts.errors import DECISIVE, HostError, told
from nodes.hosts.ssh import Interrupted
from nodes.models import HostKey, Node
from nodes.services.polling.targets import target_of
from ops import actions
from ops.actions.base import LOOK_AGAIN, Context, LeaseLost, Step
from ops.actions.members import lost
from ops.actions.tidy import PATIENCE, TIDY, leftovers, patience, serious, tidy
from ops.engine.certificates import StepCertificates
from ops.engine.claim import AWAY, STREAM_LEASE, begin, hold, lease_time
from ops.engine.cluster import StepCluster, StepDeployment, StepIssued
from ops.engine.effects import AuditedHost
from ops.engine.host import SshHost
from ops.engine.inventory import StoredNode
from ops.engine.ledger import Ledger
from ops.engine.log import StepLog
from ops.engine.own_state import StepOwnState
from ops.engine.planes import StepPlanes
from ops.engine.record import record, void
from ops.engine.replacing import OnHost, StepReplacement
from ops.engine.restoring import StepRestore
from ops.engine.standing import standing
from ops.kubernetes import ClusterError
from ops.models import Operation, StepRun
from ops.outcomes import Done, Fail, Outcome, Wait
from ops.states import State

log = structlog.get_logger(__name__)
TIDY_STEP = Step(TIDY, tidy)
#: The driver of a host that was never read.
UNKNOWN = "unknown"
#: The first step of whatever changes something: it only looks.
PREFLIGHT = "preflight"
#: Waits between looks at a host that does not answer, and between attempts of a step.
BACK_OFF_S = (5, 10, 20, 40, 60)
LOOK_FOR_CANCEL_S = 1.0


def run_step(operation_id: uuid.UUID, lease: uuid.UUID, now: datetime, *, is_ours: bool = False) -> bool:
    """Run one step under a claim; whether it was done by us and counts. Raises only what the database raises.

    `is_ours`: the claim went through no message, so that nobody else can know it.
    """
    own = lease if is_ours else begin(operation_id, lease, now)
    if own is None:
        return False
    row = Operation.objects.to_work().get(pk=operation_id)
    action = actions.get(row.kind)
    # What is done to no node gets one that nobody asks: nothing connects to a host before something is asked of it.
    node = row.node if row.is_on_node else Node(name=row.node_name)
    if node is None or (row.node_id and _is_gone(row, node)):
        return void(row, own, now)
    turned = _turned(row, node, now)
    if turned is not None:
        return record(row, own, turned, action, now)
    step = TIDY_STEP if row.step == TIDY else action.step(row.step)
    begun = _begin_run(row, own, step, now)
    try:
        outcome = _outcome(row, node, own, step, begun, now)
    except LeaseLost:
        log.info("lease_lost", operation=str(row.pk), step=step.name)
        return False
    except Interrupted:
        row.refresh_from_db(fields=("cancel_requested_at", "cancel_requested_by", "cancel_reason"))
        outcome = _turned(row, node, clock.now()) or Wait(now, row.wait_reason or "turn")
    if step.is_stream:  # what moved for hours is not moved again for a moment's lock
        return again(lambda: record(row, own, outcome, action, clock.now()))
    return record(row, own, outcome, action, clock.now())


def _may_be_another(node: Node, pinned: HostKey | None) -> bool:
    """Whether a person accepted another key since the node answered last: then its next poll says whose machine it is."""
    decided_at = pinned.decided_at if pinned else None
    return bool(decided_at and node.last_seen_at and decided_at > node.last_seen_at)


def _not_read_since_key(row: Operation, pinned: HostKey | None, now: datetime) -> Outcome:
    """It waits for that poll; while the host restarts because of us only as long as such a host is waited for."""
    asked_at = row.memory.get("reboot_at")
    decided_at = pinned.decided_at if pinned else None
    if row.memory.get("busy") and asked_at and decided_at:
        within = timedelta(seconds=settings.OPERATION_RETURN_S)
        if now > max(datetime.fromisoformat(asked_at), decided_at) + within:
            # Neither a cancel nor the deadline ends what restarts: a person has to be able to.
            minutes = max(round(within / timedelta(minutes=1)), 1)
            return Fail("did_not_return", {"minutes": minutes}, attention=True)
    return Wait(now + LOOK_AGAIN, "not_read_since_key")


class _Meanwhile:
    """Asked about once a second while a step waits for its host: it renews the lease, and looks for a cancel.

    Without that a host, or a machine, so slow that one answer takes longer than a lease would have its step begun again
    and again, and never ended.
    """

    def __init__(self, row: Operation, own: uuid.UUID, span: timedelta) -> None:
        # While the host restarts because of us, and while it is tidied up, a cancel has nothing to end.
        self._waits = row.step == TIDY or bool(row.memory.get("busy"))
        self._row, self._own, self._span = row, own, span
        self._looked_s = self._renewed_s = monotonic()
        self._held_s: float | None = None
        self._is_lost = False

    def keeps(self) -> bool:
        """Whether the operation is still this worker's."""
        # What streams has a longer one from its first bytes on; until then it is the usual one that counts.
        if monotonic() - self._renewed_s >= lease_time().total_seconds() / 3:
            self._renewed_s = monotonic()
            self._is_lost = self._is_lost or not self.holds()
        return not self._is_lost

    def holds(self) -> bool:
        """Renew the lease. While the database is away the last renewal counts, for half of its time: hours of a stream are
        not thrown away for some seconds of a lock."""
        asked_s = monotonic()
        try:
            is_ours = hold(self._row.pk, self._own, clock.now(), self._span)
        except AWAY:
            if self._held_s is None or monotonic() - self._held_s > self._span.total_seconds() / 2:
                raise
            connection.close_if_unusable_or_obsolete()
            return True
        self._held_s = asked_s
        return is_ours

    def heard_to_its_end(self) -> bool:
        """What changes a host is never unwanted, whatever becomes of our database meanwhile."""
        with suppress(DatabaseError, InterfaceError):
            self.keeps()
        return False

    def is_unwanted(self) -> bool:
        if not self.keeps():
            raise LeaseLost
        if self._waits or monotonic() - self._looked_s < LOOK_FOR_CANCEL_S:
            return False
        self._looked_s = monotonic()
        try:
            return Operation.objects.filter(pk=self._row.pk, cancel_requested_at__isnull=False).exists()
        except AWAY:
            connection.close_if_unusable_or_obsolete()
            return False


def _is_gone(row: Operation, node: Node) -> bool:
    """Whether there is nothing to go back to. A retired host that answers gets back what was begun on it first."""
    # A replacement goes on with the machine that it made.
    if node.generation not in (row.generation, row.memory.get("begins", row.generation)):
        return True
    if node.lifecycle != "retired" or (row.step == TIDY and not leftovers(row.memory)):
        return False
    return bool(row.memory.get("busy")) or row.wait_reason == "unreachable" or not leftovers(row.memory)


def _turned(row: Operation, node: Node, now: datetime) -> Outcome | None:
    """A cancel, a retirement or the deadline, which take effect between steps, and not while the host restarts because of us."""
    if row.step == TIDY or row.memory.get("busy"):
        return None
    if node.lifecycle == "retired":
        return _ends(State.VOID, "void", lost(row.memory))
    if row.cancel_requested_at is not None:
        asked = {"by": row.cancel_requested_by, "reason": row.cancel_reason}
        return _ends(State.CANCELLED, "cancelled", {**asked, **_so_far(row)})
    if now >= row.deadline:
        why = {"waited_for": row.wait_reason, **row.wait_params}
        return _ends(State.TIMED_OUT, "deadline", {**why, **_so_far(row)})
    return None


def _so_far(row: Operation) -> dict[str, Any]:
    """What an end in the middle leaves: the version that the host restarted into, and what is about to be taken back.

    The look before anything changes has changed nothing, whatever kind it belongs to.
    """
    memory: Mapping[str, Any] = row.memory
    runs = str((memory.get("after") or {}).get("version") or "")
    # Our units are no matter of its reader, and of a cordon the log says when it is gone.
    stays = ("units", "cordon", "staged", "order") if runs else ("units", "cordon")
    # A config whose machine has come is not taken back: that machine is there.
    met = bool(memory.get("met"))
    stays = (*stays, "offer") if met else stays
    left = [name for name in serious(memory) if name not in stays]
    untouched = {"untouched": True} if row.step == PREFLIGHT else {}
    # Of a change of kernel arguments the version says nothing.
    runs_with = {"runs_with": row.kind} if runs and row.kind == "kargs" else {}
    gone = lost(memory)
    # A cancel and a deadline wait while the machine may be gone: before the new one was met, it is not.
    etcd = {**gone, "machine_stays": True} if gone and not met else gone
    return {
        **etcd,
        **({"machine_new": True} if met else {}),
        "runs": runs,
        **runs_with,
        "taken_back": left,
        "rolls_out": str(memory.get("rolls_out") or ""),
        **untouched,
    }


def _ends(state: State, result: str, params: dict[str, Any]) -> Outcome:
    return Done(memory={"ending": {"state": state.value, "result": result, "params": params}}, skip_to=TIDY)


def _begin_run(row: Operation, own: uuid.UUID, step: Step, now: datetime) -> StepRun:
    """The row of this run; a step that goes on waiting has one already."""
    number, attempt = row.step_number, max(row.attempt, 1)
    found: StepRun | None = StepRun.objects.filter(operation=row, number=number, attempt=attempt).first()
    if found is not None:
        return found
    with transaction.atomic():
        # Not when its message came: SQLite's only writer may have been somebody else for a while.
        began = max(now, clock.now())
        made: StepRun = StepRun.objects.create(
            operation=row, number=number, attempt=attempt, name=step.name, started_at=began
        )
        StepLog(row.pk, own, step.name).note("step_started", step=step.name, attempt=attempt)
    return made


def _outcome(row: Operation, node: Node, own: uuid.UUID, step: Step, begun: StepRun, now: datetime) -> Outcome:
    """Run the step on the host; whatever goes wrong with the contact is an outcome too."""
    pinned = HostKey.objects.filter(node=node, state="pinned").first() if row.node_id else None
    if row.changes and step.name != TIDY and _may_be_another(node, pinned):
        return _not_read_since_key(row, pinned, now)
    family = node.os_family_given or node.os_family
    cluster = StepCluster(row, own, step.name) if row.plan.get("cluster") else None
    deployments = StepDeployment(row, own, step.name) if row.plan.get("deployment") else None
    issued = StepIssued(row, own, step.name) if row.plan.get("issued") else None
    span = max(lease_time(), STREAM_LEASE) if step.is_stream else lease_time()
    meanwhile = _Meanwhile(row, own, span)
    with SshHost(target_of(node, pinned), meanwhile, until=row.deadline) as connection:
        host, driver = AuditedHost(connection, row, own, step.name, span), drivers.get(family or UNKNOWN)
        ctx = Context(
            operation_id=row.pk.hex,
            step=step.name,
            attempt=begun.attempt,
            params=row.params,
            plan={**row.plan, **standing(row, node)},
            memory=row.memory,
            driver=driver,
            host=host,
            log=StepLog(row.pk, own, step.name),
            now=now,
            deadline=row.deadline,
            since=begun.started_at,
            held=meanwhile.holds,
            lease_s=settings.OPERATION_LEASE_S,
            return_within=timedelta(seconds=settings.OPERATION_RETURN_S),
            inventory=StoredNode(node),
            vault=Ledger(row, own, node.name),
            restoring=StepRestore(row, own, step.name, meanwhile, span),
            certificates=StepCertificates(node if row.is_on_node else None, now),
            machine=StepReplacement(row, node, own, step.name, OnHost(host, driver.fence)),
            planes=StepPlanes(row, node, own, step.name, meanwhile, span),
            own_state=StepOwnState(row, own, is_unwanted=meanwhile.is_unwanted, until=row.deadline),
            family=family,
            cluster=cluster,
            deployments=deployments,
            cert_manager=issued,
        )
        try:
            return step.run(ctx)
        except ClusterError as error:
            return _no_cluster(row, error, begun, now)
        except HostError as error:
            return _no_contact(row, error, begun, now)
        except CommandRefused as error:
            return Fail("not_supported", {"said": str(error)})
        except (LeaseLost, Interrupted, DatabaseError, InterfaceError):
            # Without the database nothing counts: whoever has it next looks at the host again.
            raise
        except Exception as error:  # a fault of ours in one step must not stop the engine, and is told as what it is
            log.exception("step_failed", operation=str(row.pk), step=step.name)
            return Fail("fault", {"error": type(error).__name__}, attention=bool(serious(row.memory)), again=True)
        finally:
            for opened in (cluster, deployments, issued):
                if opened is not None:
                    opened.close()


def _no_contact(row: Operation, error: HostError, begun: StepRun, now: datetime) -> Outcome:
    """Waiting for a host that does not answer is visible, and ends at the deadline; some errors are no matter of time."""
    params = {**told(error), "mend": error.what_to_do}
    if row.step == TIDY:
        hopeless = row.memory.get("given_up") and error.kind in DECISIVE
        if not hopeless and now - begun.started_at < patience(row.memory, PATIENCE):
            return Wait(now + timedelta(seconds=15), "unreachable", params)
        left = [name for name in serious(row.memory) if name != "units"]
        if left or row.memory.get("given_up"):
            return Fail("left_behind", {"what": left, **params}, attention=True)
        return Done(finish=True)
    if error.kind in DECISIVE:
        left = serious(row.memory)
        what = [name for name in left if name != "units"]
        # A restart that was asked for cannot be taken back, and how it went is not known.
        restarts = bool(row.memory.get("busy"))
        return Fail("contact_refused", {**params, "what": what, "restarts": restarts}, attention=bool(left) or restarts)
    looks = int(row.memory.get("missed", 0))
    wait_s = BACK_OFF_S[min(looks, len(BACK_OFF_S) - 1)]
    return Wait(now + timedelta(seconds=wait_s), "unreachable", params, memory={"missed": looks + 1})


def _no_cluster(row: Operation, error: ClusterError, begun: StepRun, now: datetime) -> Outcome:
    """The same for the API of the cluster. What it refuses is no matter of time, but for taking back what was done there."""
    params = {"kind": error.kind, **error.params}
    if row.step == TIDY:
        if now - begun.started_at < patience(row.memory, PATIENCE):
            return Wait(now + timedelta(seconds=15), "cluster_silent", params)
        return Fail("not_uncordoned", {"what": leftovers(row.memory), **params}, attention=True)
    if not error.is_passing and error.kind != "conflict":
        return Fail("cluster_refused", params)
    looks = int(row.memory.get("missed", 0))
    wait_s = BACK_OFF_S[min(looks, len(BACK_OFF_S) - 1)]
    return Wait(now + timedelta(seconds=wait_s), "cluster_silent", params, memory={"missed": looks + 1})
