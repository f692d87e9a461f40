"""The last step of every operation, however it ends: nothing of ours stays behind on the host.

What there is to take back stands in the memory: `staged` (the key of what we staged; taken back unless the operation
went well), `order` (the id of the deployment that we put first; likewise), `image` (the drop-in of a container's unit;
likewise), `manifests` (static pods may lack their manifests, which lie aside), `hold` (the file that keeps the update agent
still), `units` (transient units that ran our commands), `cordon` (the name of the cluster node that we cordoned, or were
about to; a drain that went well keeps it, and says so in `cordon_kept`), `offer` (the config that was made ready for a new
machine), `upload` (a backup was begun at its target), `on_host` (files of a backup that its script takes away itself, unless
the host restarts in the middle of it), `folders` (the hosts with the private folder of a restore; they stay where a person
goes on by hand). Cordon and offer go first: they need no host that answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from nodes.hosts.drivers.base import BOOT_CHANGED_STATUS, Command
from nodes.hosts.errors import HostError
from ops.actions.backup import forgotten_at_target, forgotten_on_host
from ops.actions.base import LOOK_AGAIN, Context, effect, said
from ops.actions.container_image import back_command
from ops.actions.deployments import look_at_deployments
from ops.actions.restoring import folder_left
from ops.kubernetes import ClusterError
from ops.outcomes import Done, Fail, Outcome, Wait
from ops.preflight import key_of
from ops.states import State

#: A host that does not answer is waited for that long before a person has to look after it.
PATIENCE = timedelta(minutes=10)
#: One that answers, and of which it cannot be taken back.
STUCK_AFTER = timedelta(minutes=30)
#: Either, when a person has already ended it and only what can be taken back is taken back.
GIVEN_UP_AFTER = timedelta(minutes=2)
#: A client of ours that has nothing to wait for.
CLIENT_ENDS_WITHIN = timedelta(seconds=20)
#: A poll that is under way when everything else is done.
POLL_ENDS_WITHIN = timedelta(seconds=10)
TIDY = "tidy"


def leftovers(memory: Mapping[str, Any]) -> list[str]:
    """What the operation may have left on the host, most important first."""
    found = []
    if memory.get("cordon") and not (memory.get("cordon_kept") and _ending(memory) == State.SUCCEEDED):
        found.append("cordon")
    if memory.get("offer"):
        found.append("offer")
    if memory.get("staged") and _ending(memory) != State.SUCCEEDED:
        found.append("staged")
    if memory.get("order") and _ending(memory) != State.SUCCEEDED:
        found.append("order")
    if memory.get("image") and _ending(memory) != State.SUCCEEDED:
        found.append("image")
    if memory.get("manifests"):
        found.append("manifests")
    if memory.get("hold"):
        found.append("hold")
    if memory.get("upload"):
        found.append("upload")
    if memory.get("on_host"):
        found.append("on_host")
    if memory.get("folders") and not (memory.get("given_up") and memory.get("changed")):
        found.append("folders")
    return [*found, "units"] if memory.get("units") else found


def serious(memory: Mapping[str, Any]) -> list[str]:
    """Of that, what a person has to look after when it cannot be taken back: not what is only in the way of nobody."""
    return [name for name in leftovers(memory) if name not in ("upload", "on_host")]


def patience(memory: Mapping[str, Any], usual: timedelta) -> timedelta:
    """How long it is tried: not for long once a person has given it up."""
    return GIVEN_UP_AFTER if memory.get("given_up") else usual


def _ending(memory: Mapping[str, Any]) -> str:
    return str(memory.get("ending", {}).get("state", ""))


def tidy(ctx: Context) -> Outcome:
    """Take back one thing at a time, looking first whether it is still there."""
    left = leftovers(ctx.memory)
    if not left:
        return _read_again(ctx) or Done(finish=True)
    undo = {
        "cordon": _cordon,
        "offer": _offer,
        "staged": _staged,
        "order": _order,
        "image": _image,
        "manifests": _manifests,
        "hold": _hold,
        "units": _units,
    }
    found = (undo | {"upload": forgotten_at_target, "on_host": forgotten_on_host, "folders": folder_left})[left[0]](ctx)
    if isinstance(found, Wait) and found.until > ctx.now and ctx.now - ctx.since > patience(ctx.memory, STUCK_AFTER):
        # It keeps its place among the operations of its pool: a person decides, and may let it try again.
        return Fail(
            "not_taken_back", {"what": ", ".join(left), "minutes": STUCK_AFTER // timedelta(minutes=1)}, found.memory
        )
    return found


def _read_again(ctx: Context) -> Outcome | None:
    """After a restart: whoever waited for the end finds in the inventory what runs now, and asks for the next thing by it.

    Nothing depends on it any more, so that a host that does not answer now is left to the poll that follows.
    """
    if not ctx.memory.get("after"):
        return None
    try:
        is_read = ctx.inventory.take_in(ctx.host.read)
    except HostError:
        return None
    if not is_read and ctx.now - ctx.since < POLL_ENDS_WITHIN:
        return Wait(ctx.now + timedelta(seconds=1), "poll_ends")
    return None


def _cordon(ctx: Context) -> Outcome:
    """What others cordoned stays so; what is not there any more needs nothing."""
    forgotten = {"cordon": ""}
    if ctx.cluster is None:
        return Wait(ctx.now, "tidies", memory=forgotten)
    try:
        was_ours = ctx.cluster.uncordon()
    except ClusterError as error:
        if error.kind == "no_access":
            # An access is not deleted while something is cordoned by it.
            return Wait(ctx.now, "tidies", memory=forgotten)
        if error.kind != "conflict":
            raise
        return Wait(ctx.now + timedelta(seconds=1), "tidies")
    if was_ours:
        ctx.log.note("uncordoned", name=ctx.memory["cordon"])
    return Wait(ctx.now, "tidies", memory=forgotten)


def _offer(ctx: Context) -> Outcome:
    """The new machine's config leads nowhere any more; what it was made by forgets it."""
    if ctx.machine.end():
        ctx.log.note("offer_taken_back")
    return Wait(ctx.now, "tidies", memory={"offer": False})


def _staged(ctx: Context) -> Outcome:
    """First the command that stages has to end, then what it staged is dropped: the other way round it would come back."""
    facts = look_at_deployments(ctx)
    forgotten: dict[str, Any] = {"staged": ""}
    if facts.boot.boot_id != ctx.boot_id:
        return Wait(ctx.now, "tidies", memory={**forgotten, "boot_id": facts.boot.boot_id, "units": []})
    if facts.update.transaction or _runs(ctx):
        if facts.update.transaction:
            result = effect(ctx, ctx.driver.command("cancel"))
            ctx.log.note("transaction_cancelled", said=said(result))
        elif ctx.now - ctx.since > CLIENT_ENDS_WITHIN:
            # It neither began a transaction nor ended: it waits for one that is no more.
            effect(ctx, Command(("sudo", "-n", "systemctl", "stop", *_names(ctx))))
        return Wait(ctx.now + LOOK_AGAIN, "transaction_ends", {"transaction": facts.update.transaction or ""})
    staged = facts.staged
    if staged is not None and _is_ours(ctx, key_of(asdict(staged))):
        result = effect(ctx, ctx.driver.command("cleanup_pending"))
        ctx.log.note("staged_dropped", version=staged.version, said=said(result))
    elif ctx.memory["staged"] == "any":
        forgotten |= _was_not_there(ctx, "staged")
    return Wait(ctx.now, "tidies", memory=forgotten)


def _was_not_there(ctx: Context, name: str) -> dict[str, Any]:
    """It might have been begun and was not: the end does not speak of it."""
    ending = dict(ctx.memory.get("ending") or {})
    params = dict(ending.get("params") or {})
    if name not in params.get("taken_back", ()):
        return {}
    left = [one for one in params["taken_back"] if one != name]
    return {"ending": {**ending, "params": {**params, "taken_back": left}}}


def _is_ours(ctx: Context, key: str) -> bool:
    """Where staging may have begun and nothing more is known, it is ours unless it was there before."""
    if ctx.memory["staged"] == "any":
        return str(ctx.memory.get("staged_before", "")) != key
    return bool(ctx.memory["staged"] == key)


def _order(ctx: Context) -> Outcome:
    """The booted deployment first again, as long as the host has not restarted into the other one."""
    facts = look_at_deployments(ctx)
    first = facts.deployments[0] if facts.deployments else None
    forgotten = {"order": ""}
    if facts.boot.boot_id != ctx.boot_id or first is None or first.booted or first.id != ctx.memory["order"]:
        return Wait(ctx.now, "tidies", memory=forgotten)
    if facts.rollback is not None:
        # Of three deployments the command would put the third one first: which one is right, a person says.
        return Fail("order_unclear", attention=True)
    result = effect(ctx, ctx.driver.command("keep_order"))
    if result.exit_status:
        ctx.log.note("order_not_restored", status=result.exit_status, said=said(result))
        return Wait(ctx.now + timedelta(seconds=30), "tidies")
    ctx.log.note("order_restored")
    return Wait(ctx.now, "tidies", memory=forgotten)


def _image(ctx: Context) -> Outcome:
    """The unit of a container gets back the image that it had; it is started anew only where it was before."""
    left, unit = dict(ctx.memory["image"]), str(ctx.params["unit"])
    if _runs(ctx):
        return Wait(ctx.now + LOOK_AGAIN, "transaction_ends", {"transaction": ", ".join(ctx.memory["units"])})
    result = effect(ctx, back_command(ctx.driver, unit, left))
    if result.exit_status == BOOT_CHANGED_STATUS:
        facts, _measured = ctx.host.look()
        return Wait(ctx.now, "tidies", memory={"boot_id": facts.boot.boot_id, "units": []})
    if result.exit_status:
        ctx.log.note("image_not_restored", status=result.exit_status, said=said(result))
        return Wait(ctx.now + timedelta(seconds=30), "tidies")
    if left.get("restarted"):
        # Once more does no harm, so that no fence is needed; and what it waits for need not be waited for here.
        effect(ctx, Command(("sudo", "-n", "systemctl", "--no-block", "restart", unit)))
    ctx.log.note("image_taken_back", path=left["path"])
    return Wait(ctx.now, "tidies", memory={"image": {}})


def _manifests(ctx: Context) -> Outcome:
    """A restart of static pods comes to its end by itself; where it was killed, or the host restarted, they are put back."""
    if _runs(ctx):
        return Wait(ctx.now + LOOK_AGAIN, "transaction_ends", {"transaction": ", ".join(ctx.memory["units"])})
    result = effect(ctx, ctx.driver.command("kubeadm_back"))
    if result.exit_status == BOOT_CHANGED_STATUS:
        facts, _measured = ctx.host.look()
        return Wait(ctx.now, "tidies", memory={"boot_id": facts.boot.boot_id, "units": []})
    if result.exit_status:
        ctx.log.note("manifests_not_back", status=result.exit_status, said=said(result))
        return Wait(ctx.now + timedelta(seconds=30), "tidies")
    ctx.log.output("out", result.stdout.decode("utf-8", "replace"))
    return Wait(ctx.now, "tidies", memory={"manifests": False})


def _names(ctx: Context) -> list[str]:
    return [ctx.driver.fence.unit_name(ctx.operation_id, name) for name in ctx.memory.get("units", ())]


def _runs(ctx: Context) -> bool:
    """Whether one of our units still runs."""
    names = _names(ctx)
    if not names:
        return False
    shown = ctx.host.run(Command(("systemctl", "show", "--property=ActiveState,SubState", *names), changes=False))
    text = shown.stdout.decode("utf-8", "replace")
    return "SubState=running" in text or "ActiveState=activating" in text


def _hold(ctx: Context) -> Outcome:
    result = effect(ctx, ctx.driver.command("release"))
    if result.exit_status not in (0, BOOT_CHANGED_STATUS):
        ctx.log.note("hold_not_removed", status=result.exit_status, said=said(result))
        return Wait(ctx.now + timedelta(seconds=30), "hold_removal", {"said": said(result)})
    ctx.log.note("hold_removed")
    return Wait(ctx.now, "tidies", memory={"hold": False})


def _units(ctx: Context) -> Outcome:
    """Ended units are forgotten; one that runs is waited for, since what it does is not done."""
    if _runs(ctx):
        return Wait(ctx.now + LOOK_AGAIN, "transaction_ends", {"transaction": ", ".join(ctx.memory["units"])})
    names = _names(ctx)
    effect(ctx, Command(("sudo", "-n", "systemctl", "stop", *names)))
    effect(ctx, Command(("sudo", "-n", "systemctl", "reset-failed", *names)))
    return Wait(ctx.now, "tidies", memory={"units": []})
