"""Guided restore: the backup is brought to the hosts and restored there, and a person lets each step go on that changes what runs.

The steps are those of ops.backups.restoring. It works on all hosts of the policy; what keeps the others from other work
meanwhile are operations of their own, which only wait. From the first change on there is no end but one that a person
decides: it goes on, goes back where that is possible, or leaves the rest to be done by hand.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from ops.actions.backup import renewing, target_failed
from ops.actions.base import Action, Context, ParamsRefused, Step
from ops.actions.restoring import LOOK_AGAIN, failed, fenced, read_there, run_there, stand, unfinished
from ops.backups import guide as guides
from ops.backups.base import Counted, TargetError
from ops.backups.job import NoJob
from ops.outcomes import Done, Fail, Outcome, Wait

PERMISSION = "backups.restore"
BACK = "back_restore"
GO_BACK = "go_back"
ASKS_AGAIN = timedelta(minutes=1)
WELL_WITHIN = timedelta(minutes=10)
_OTHER_BYTES_STATUS = 79
#: Every task that a guide may have, in the order of all of them.
_TASKS = (
    "restore_check",
    "restore_members",
    "restore_look_pods",
    "restore_look_unit",
    "restore_look_container",
    "restore_look_database",
    "restore_send",
    "restore_open",
    "restore_volume_users",
    "restore_list",
    "restore_unpack",
    "restore_volume_unpack",
    "restore_load",
    "restore_swap",
    "restore_halt_pods",
    "restore_halt_unit",
    "restore_halt_container",
    "restore_aside",
    "restore_member",
    "restore_start",
    "restore_well_pods",
    "restore_well",
    "restore_see",
    "restore_volume_start",
)


def restore_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """`policy` and `run`: the ids of the policy and of the backup."""
    if others := sorted(set(params) - {"policy", "run"}):
        raise ParamsRefused(others[0], "unknown_param")
    try:
        return {name: str(uuid.UUID(str(params.get(name)))) for name in ("policy", "run")}
    except ValueError:
        raise ParamsRefused("policy", "no_policy", value=str(params.get("policy"))[:40]) from None


def asks(guide: guides.Guide, code: str) -> str:
    """What a person has to say before the task: go_on, done (it is theirs), or nothing."""
    if code in guides.BY_HAND:
        return "done"
    return "go_on" if any(one.asks for one in guide.tasks().get(code, ())) else ""


def carry_out(ctx: Context) -> Outcome:
    """The task of this step, on the first host that has it before it."""
    try:
        return _turned_back(ctx) or _asked(ctx) or _begun(ctx) or _next(ctx)
    except NoJob as error:
        return failed(ctx, error.code, error.params)
    except TargetError as error:
        return target_failed(ctx, error)


def _turned_back(ctx: Context) -> Outcome | None:
    is_wanted = ctx.step != BACK and ctx.memory.get("changed") and GO_BACK in ctx.restoring.confirmed()
    return Done("restore_turns_back", skip_to=BACK) if is_wanted and ctx.restoring.guide.back else None


def _asked(ctx: Context) -> Outcome | None:
    asked = asks(ctx.restoring.guide, ctx.step)
    if not asked or ctx.step in ctx.restoring.confirmed():
        return None
    return Wait(ctx.now + ASKS_AGAIN, f"restore_asks_{asked}", {"task": ctx.step})


def _begun(ctx: Context) -> Outcome | None:
    """Written before the first change: from here on a cancel and the deadline do not end it."""
    if asks(ctx.restoring.guide, ctx.step) != "go_on" or ctx.memory.get("changed"):
        return None
    if not ctx.restoring.has_places():
        return Fail("restore_no_place")
    return Wait(ctx.now, "restore_begins", memory={"changed": True, "busy": True})


def _next(ctx: Context) -> Outcome:
    did = dict(ctx.memory.get("did") or {})
    places = ctx.restoring.guide.places(ctx.step)
    rest = [name for name in places if name not in did.get(ctx.step, ())]
    if not rest:
        return _over(ctx)
    special = {"restore_check": _check, "restore_send": _send, "restore_open": _opened}.get(ctx.step, _carried_out)
    found = special(ctx, rest[0])
    if not isinstance(found, Done):
        return found
    mine = {**did, ctx.step: [*did.get(ctx.step, ()), rest[0]]}
    return Wait(ctx.now, "restore_goes_on", {"task": ctx.step, "host": rest[0]}, {**found.memory, "did": mine})


def _check(ctx: Context, name: str) -> Outcome:
    """The private folder, room for the backup, and what etcd calls its members, while it still answers."""
    guide = ctx.restoring.guide
    folder = guide.folder(ctx.operation_id, name)
    known = list(ctx.memory.get("folders") or ())
    if name not in known:
        if not known and not ctx.restoring.has_places():
            return Fail("restore_no_place")
        # Written before the effect: whoever ends it takes away what a worker made who died.
        return Wait(ctx.now, "restore_goes_on", {"task": ctx.step, "host": name}, {"folders": [*known, name]})
    with ctx.restoring.opened(name) as host:
        ran = run_there(ctx, host, guides.made(folder, guide))
        if ran.status:
            return unfinished(ctx, name, ran)
        if guide.lies.kind != "etcd":
            return Done()
        answers = {**(ctx.memory.get("answers") or {}), name: read_there(host, guides.etcd_asked(guide)).out}
    if len(answers) < len(guide.hosts):
        return Done(memory={"answers": answers})
    try:
        members = guides.members_of(guide.hosts, answers)
    except guides.NotTheMembers as error:
        return failed(ctx, error.code, error.params)
    for one, found in members.items():
        ctx.log.note("restore_member_known", host=one, **found)
    return Done(memory={"answers": {}, "members": members})


def _send(ctx: Context, name: str) -> Outcome:
    """From the target straight to the host: hashed on its way, and by the host once it lies there."""
    guide = ctx.restoring.guide
    chosen = ctx.vault.chosen(str(ctx.params["run"]))
    if (chosen.key, chosen.stored.sha256) != (guide.lies.key, guide.lies.sha256):
        return failed(ctx, "restore_other_backup", {})
    target, renew, counted = ctx.vault.target_of(chosen.run), renewing(ctx), Counted()
    folder = guide.folder(ctx.operation_id, name)
    with ctx.restoring.opened(name) as host:
        command = fenced(ctx, host, guides.taken(folder, guide))
        with host.stream(command) as talk:
            # No more than the word: it says nothing further before it has the bytes.
            if talk.read(4) == b"send":
                ctx.log.note("restore_sends", host=name, size_bytes=guide.size_bytes, location=guide.lies.location)
                for piece in target.read(guide.lies.key):
                    counted.add(piece)
                    if counted.size_bytes > guide.size_bytes:
                        break
                    talk.write(piece)
                    renew()
                came = counted.stored()
                if (came.size_bytes, came.sha256) != (guide.size_bytes, guide.lies.sha256):
                    # The host waits for more in vain, or has what it must not keep: it deletes it when nobody speaks any more.
                    return failed(ctx, "restore_other_bytes", {"host": name, "size_bytes": came.size_bytes})
            for _rest in talk.chunks():
                pass
            status = talk.status()
            from_host = talk.said
    if status == _OTHER_BYTES_STATUS:
        return failed(ctx, "restore_other_bytes", {"host": name, "size_bytes": guide.size_bytes})
    if status == guides.BUSY_STATUS:
        return Wait(ctx.now + LOOK_AGAIN, "restore_at_work", {"task": ctx.step, "host": name})
    if status:
        return failed(ctx, "restore_failed", {"host": name, "status": status, "said": from_host})
    ctx.log.note("restore_sent", host=name, folder=folder, sha256=guide.lies.sha256)
    return Done()


def _opened(ctx: Context, name: str) -> Outcome:
    """Whether the file that a person opened is there."""
    guide = ctx.restoring.guide
    folder = guide.folder(ctx.operation_id, name)
    with ctx.restoring.opened(name) as host:
        if not read_there(host, guides.opened(folder, guide)).status:
            return Done()
    return Wait(ctx.now + LOOK_AGAIN, "restore_not_opened", {"host": name, "path": f"{folder}/{guide.name}"})


def _carried_out(ctx: Context, name: str) -> Outcome:
    guide = ctx.restoring.guide
    step = guide.step(ctx.step, name)
    if step is None:
        return Done()
    folder = guide.folder(ctx.operation_id, name)
    with ctx.restoring.opened(name) as host:
        ctx.log.note("restore_runs", host=name, task=ctx.step)
        ran = run_there(ctx, host, guides.carried_out(folder, step))
        ctx.log.output("out", ran.out)
        ctx.log.attach("restore_said", f"{name}: {ctx.step}", ran.out or ran.said or "–")
        if ran.status and ctx.step in guides.PATIENT and ran.status != guides.BUSY_STATUS:
            return _not_well(ctx, name, ran.said)
        if ran.status and ctx.step not in guides.MAY_FAIL:
            return unfinished(ctx, name, ran)
        if ctx.step in guides.PATIENT:
            return _compared(ctx, lambda lines: run_there(ctx, host, guides.looked(folder, lines)))
    return Done()


def _not_well(ctx: Context, name: str, why: str) -> Outcome:
    since = ctx.memory.get("well_from") or ctx.now.isoformat()
    told = {"task": ctx.step, "host": name, "said": why}
    if ctx.now - datetime.fromisoformat(since) > WELL_WITHIN:
        # Who lets it go on gives it as much time again.
        return failed(ctx, "restore_not_well", told, {"well_from": ""})
    return Wait(ctx.now + LOOK_AGAIN, "restore_gets_well", told, {"well_from": since})


def _compared(ctx: Context, run: Any) -> Outcome:
    """The members say the revision of the snapshot or a later one, and as many keys at it as the ledger kept.

    Static pods have written since, and with their bump of the revision the old one is not there to be asked any more.
    """
    guide = ctx.restoring.guide
    at_revision = guide.lies.settings["runs_in"] != "kubeadm"
    ran = run(guides.etcd_compared(guide, at_revision=at_revision))
    if ran.status and at_revision:
        at_revision = False
        ran = run(guides.etcd_compared(guide, at_revision=False))
    if ran.status:
        return _not_well(ctx, guide.hosts[0].name, ran.said)
    told, wrong = guides.differs(guide, ran.out, at_revision=at_revision)
    if wrong.get("which") == "members":
        return _not_well(ctx, guide.hosts[0].name, f"{wrong['seen']}/{wrong['expected']}")
    if wrong:
        return failed(ctx, "restore_differs", wrong)
    ctx.log.note("restore_compared", **told)
    return Done(memory={"found": told})


def _over(ctx: Context) -> Outcome:
    """The task is done on all its hosts."""
    guide = ctx.restoring.guide
    if ctx.step != guide.order[-1]:
        return Done("restore_done")
    seen = stand(ctx)
    aside = [f"{name}: {one['before']}" for name, one in seen["stand"].items() if one.get("before")]
    if guide.lies.kind == "postgresql":
        aside = [f"{guide.lies.settings['database']}_before"]
    hosts = ", ".join(one.name for one in guide.hosts)
    told = {"location": guide.lies.location, "hosts": hosts, "before": ", ".join(aside) or None}
    return Done("restored", {**told, **(ctx.memory.get("found") or {})}, memory={**seen, "busy": False}, finish=True)


def go_back(ctx: Context) -> Outcome:
    """Put back what lies aside, on one host after the other, and start it."""
    guide = ctx.restoring.guide
    did = dict(ctx.memory.get("did") or {})
    rest = [name for name in guide.places(BACK) if name not in did.get(BACK, ())]
    if not rest:
        seen = stand(ctx)
        return Fail("restore_went_back", {"hosts": ", ".join(guide.places(BACK))}, {**seen, "busy": False})
    try:
        found = _carried_out(ctx, rest[0])
    except NoJob as error:
        return failed(ctx, error.code, error.params)
    if not isinstance(found, Done):
        return found
    mine = {**did, BACK: [*did.get(BACK, ()), rest[0]]}
    return Wait(ctx.now, "restore_goes_on", {"task": BACK, "host": rest[0]}, {"did": mine})


def keep_place(ctx: Context) -> Outcome:
    """Nothing else works on this host while it is restored, whatever becomes of this one's own deadline."""
    if not ctx.memory.get("busy"):
        return Wait(ctx.now, "restore_keeps", memory={"busy": True})
    if ctx.restoring.is_over():
        return Done("restore_kept", memory={"busy": False}, finish=True)
    return Wait(ctx.now + LOOK_AGAIN, "restore_keeps")


def _has(code: str) -> Any:
    return lambda plan: code in (plan.get("tasks") or ())


RESTORE = Action(
    kind="restore",
    steps=(
        *(Step(code, carry_out, when=_has(code), is_stream=True) for code in _TASKS),
        Step(BACK, go_back, when=lambda _plan: False, is_stream=True),
    ),
    needs_facts=False,
    permission=PERMISSION,
    check_params=restore_params,
)
RESTORE_BESIDE = Action(
    kind="restore_beside",
    steps=(Step("restore_keep", keep_place),),
    needs_facts=False,
    permission=PERMISSION,
    check_params=restore_params,
)
#: Both of one restore: what carries it out, and what keeps its other hosts.
RESTORE_KINDS = (RESTORE.kind, RESTORE_BESIDE.kind)
