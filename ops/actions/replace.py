"""Replace the machine behind a node: drained, deleted, made anew with the Ignition version that its pool intends, and proven.

From the moment when the old machine may be gone there is no way back: what fails from there on needs a person, who is told
what is there now. Until then nothing has changed that is not taken back; of a control plane that moment is when its etcd
member is removed: after everything is ready that could still refuse, and right before the machine is deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from nodes.hosts import ssh
from nodes.hosts.errors import NO_ANSWER, HostError
from nodes.hosts.facts import Facts
from nodes.services.provisioning.offer import NEEDED
from ops.actions.base import LOOK_AGAIN, Action, Context, ParamsRefused, Step
from ops.actions.drain import DRAIN_STEPS, drain_checks, drain_params, drains, the_cluster
from ops.actions.health import DEFAULT_SOAK_S, READY_WITHIN, SOAK
from ops.actions.members import await_member, etcd_checks, is_begun, is_plane, removes
from ops.actions.members import leave_etcd as remove_member
from ops.actions.snapshot import snapshot
from ops.kubernetes import ClusterError
from ops.outcomes import Done, Fail, Outcome, Wait
from ops.preflight import Check, blocked, booted_of, named
from ops.replacement import NotReady, Progress
from ops.replacement.repository import place_of

DEFAULT_ARRIVAL_S = 3600
LEAST_ARRIVAL_S, MOST_ARRIVAL_S = 30, 24 * 3600
MOST_SOAK_S = 3600
OFFER_HOURS = 24
#: So long the first look waits for another control plane that can tell.
UNREAD_FOR = timedelta(minutes=3)
#: A person may take a weekend.
OFFER_HOURS_BY_HAND = 7 * 24
PREPARE = "prepare"
_OVER = ("revoked", "replaced", "moved", "absent", "expired")


def replace_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """`arrive_within_s`, `soak_s`, `ignore_pool` (also when no other node of the pool works), and what is said of draining.

    With `only_unreachable` the machine is left alone when anything answers at its address.
    """
    given = dict(params)
    found: dict[str, Any] = drain_params(given)
    for name, code, least, most in (
        ("soak_s", "not_a_soak_time", 0, MOST_SOAK_S),
        ("arrive_within_s", "not_seconds", LEAST_ARRIVAL_S, MOST_ARRIVAL_S),
    ):
        if name in given:
            value = given.pop(name)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise ParamsRefused(name, code, value=str(value)[:40], least=least, most=most)
            found[name] = value
    for name in ("ignore_pool", "only_unreachable", "drain"):
        if name in given:
            value = given.pop(name)
            if not isinstance(value, bool):
                raise ParamsRefused(name, "not_a_flag", value=str(value)[:40])
            found[name] = value
    if given:
        raise ParamsRefused(sorted(given)[0], "unknown_param")
    return found


def preflight(ctx: Context) -> Outcome:
    """From what is stored, and from the cluster: the host itself may be what is broken."""
    if answers := _answers(ctx):
        return answers
    found, old = list(ctx.machine.checks()), ""
    seen: dict[str, Any] = {}
    if is_plane(ctx.plan):
        checks_of_etcd, seen = etcd_checks(ctx)
        found += checks_of_etcd
    if drains(ctx.plan):
        found += drain_checks(ctx)
        old = the_cluster(ctx).node().machine_id
        if any(use == "replace" for _right, use in the_cluster(ctx).missing()):
            found.append(Check("node_stays", "warn"))
    stops = blocked(found)
    if [one.code for one in stops] == ["etcd_unread"] and ctx.now - ctx.since < UNREAD_FOR:
        # One that restarts is no reason to give up what was asked for.
        return Wait(ctx.now + 2 * LOOK_AGAIN, "planes_silent", stops[0].params)
    for check in found:
        ctx.log.note(f"check_{check.level}", check=check.code, **check.params)
    if stops:
        return Fail("preflight", {"checks": [check.as_json() for check in stops]}, seen)
    checks = [check.as_json() for check in found]
    known = {"failed_before": [], "old_machine": old, "source": dict(ctx.machine.source)}
    return Done("ready", memory={"checks": checks, **known, **seen})


def offer(ctx: Context) -> Outcome:
    """The config with a host key of its own. Nobody has its address before the provisioner is asked."""
    if not ctx.memory.get("offer"):
        # Written before the effect: whoever ends it in the middle takes back what a worker made who died.
        return Wait(ctx.now, "offers", memory={"offer": True, "begins": int(_target(ctx)["generation"])})
    by_hand = _target(ctx)["provisioner_kind"] == "manual"
    if why := ctx.machine.offer(OFFER_HOURS_BY_HAND if by_hand else OFFER_HOURS):
        return Fail("not_offered", {"said": why})
    ctx.log.note("offered", version=_target(ctx)["version"])
    return Done("offered")


def prepare(ctx: Context) -> Outcome:
    """Of a control plane: all that the provisioner does before it deletes. What refuses here costs no member of etcd."""
    if ended := _over(ctx):
        return ended
    if not removes(ctx):
        return Done("prepared")
    machine = ctx.machine
    if machine.standing() == "arrived" or machine.confirmed() & {"deleted", "created"}:
        # People were quicker. Its member has to go all the same.
        return Done("prepared", memory={"busy": True, "begun": True})
    try:
        provisioner = machine.provisioner()
        if provisioner.at_once:
            provisioner.ready()
            return Done("prepared")
    except NotReady as error:
        return Fail(error.code, {**error.params, **_there(ctx)}, again=True)
    return _ask(ctx)


def leave_etcd(ctx: Context) -> Outcome:
    """Here is the last moment at which nothing is lost: a machine that answers by now keeps its member too."""
    if not ctx.memory.get("member_leaves") and not is_begun(ctx) and (answers := _answers(ctx)):
        return answers
    return remove_member(ctx)


def provision(ctx: Context) -> Outcome:
    """Ask the provisioner, and look how far it is. It is asked under the same id however often this is repeated."""
    if ended := _over(ctx):
        return ended
    machine = ctx.machine
    if machine.standing() == "arrived" or "created" in machine.confirmed():
        return Done("machine_made", memory={"busy": True, "made_at": ctx.now.isoformat()})
    job = dict(ctx.memory.get("job") or {})
    if code := job.pop("begins", ""):
        # What was prepared deletes from the next look on: written before the effect, as in _went.
        return Wait(ctx.now, code, _named(ctx), {"job": job, "busy": True})
    return _ask(ctx)


def _ask(ctx: Context) -> Outcome:
    job, machine = dict(ctx.memory.get("job") or {}), ctx.machine
    try:
        provisioner, order = machine.provisioner(), machine.order()
        if not job.get("handle"):
            return _start(ctx, job)
        found = provisioner.look(replace(order, leaves_first=_prepares(ctx)), job["handle"])
    except NotReady as error:
        return Fail(error.code, {**error.params, **_there(ctx)}, attention=_is_lost(ctx), again=True)
    for line in found.lines:
        ctx.log.output("out", line)
    return _went(ctx, job, found)


def _start(ctx: Context, job: Mapping[str, Any]) -> Outcome:
    machine = ctx.machine
    provisioner, order = machine.provisioner(), machine.order()
    attempt = int(job.get("attempt", 0))
    if not job.get("starts"):
        # Draining may have taken its time, and here is the last moment at which nothing is lost.
        if not _is_lost(ctx) and (answers := _answers(ctx)):
            return answers
        # Written before the effect. From here on the old machine may be gone: a cancel waits for what becomes of it.
        busy = provisioner.at_once or bool(ctx.memory.get("busy"))
        begun = {"job": {"attempt": attempt + 1, "starts": True, "anew": _let_go_on(ctx, job)}, "busy": busy}
        return Wait(ctx.now, "provisioner_starts", {"name": _target(ctx)["provisioner"]}, memory=begun)
    provisioner.ready()
    # What the checks found, before anything was drained. Who lets it go on has mended something, maybe there.
    source = provisioner.decide({} if job.get("anew") else ctx.memory.get("source") or {})
    if place_of(source) != _target(ctx).get("source"):
        # What was agreed on is not what an admin made of it since.
        raise NotReady("source_changed", name=_target(ctx)["provisioner"])
    commands = provisioner.commands(order.node, order.address)
    machine.record(commands, source)
    if source:
        ctx.log.note("source_decided", **source)
    for command in commands:
        ctx.log.note("provisioner_asked", command=command)
    handle = provisioner.start(replace(order, source=source), attempt)
    memory = {"job": {**job, "handle": dict(handle)}, "source": dict(source)}
    return Wait(ctx.now + LOOK_AGAIN, "provisioner_works", _named(ctx), memory=memory)


def _prepares(ctx: Context) -> bool:
    return ctx.step == PREPARE


def _let_go_on(ctx: Context, job: Mapping[str, Any]) -> bool:
    """Whether a person asks again after a failure: what is tried again by itself is another attempt of the step."""
    return job.get("failed_in") == ctx.attempt


def _went(ctx: Context, job: Mapping[str, Any], found: Progress) -> Outcome:
    told = {**_named(ctx), **found.params, "said": found.said}
    if found.state == "failed":
        again: dict[str, Any] = {"job": {"attempt": job["attempt"], "failed_in": ctx.attempt}}
        is_lost = _is_lost(ctx)
        if found.untouched and not ctx.memory.get("member_gone"):
            again["busy"], is_lost = False, False
        # Before the machine may be gone, nothing has happened that a person would have to look at.
        return Fail(found.code, {**told, **_there(ctx)}, again, again=found.by_itself, attention=is_lost)
    if found.state == "replaced":
        if found.address and not ctx.machine.moved(found.address):
            return Fail("bad_address", {**_named(ctx), "address": found.address[:100]}, attention=True)
        if found.said:
            ctx.log.note("provisioner_said", said=found.said)
        # In place, the boot that was to end.
        left = {"busy": True, "boot_before": job["handle"].get("boot", "")}
        return Done("machine_made", memory={"job": {}, "made_at": ctx.now.isoformat(), **left})
    memory: dict[str, Any] = {"job": {**job, "handle": dict(found.handle)}}
    if _prepares(ctx) and (found.begins or found.is_ready):
        memory["job"]["begins"] = found.code if found.begins else ""
        return Done("prepared", memory=memory)
    if found.begins:
        memory["busy"] = True
    return Wait(ctx.now + timedelta(seconds=found.again_s), found.code, told, memory)


def leave_cluster(ctx: Context) -> Outcome:
    """Delete the node that stood for the old machine, so that the new one may join under its name.

    Only as long as the old machine is what the cluster has there: a kubelet of the new one that was quicker registers but once.
    """
    cluster = the_cluster(ctx)
    try:
        node = cluster.node()
        if not node.machine_id or node.machine_id != ctx.memory.get("old_machine"):
            return Done("left_cluster")
        if not ctx.memory.get("leaves"):
            return Wait(ctx.now, "node_leaves", {"name": node.name}, memory={"leaves": True})
        cluster.remove(node)
    except ClusterError as error:
        if error.kind in ("not_found", "replaced"):
            return Done("left_cluster")
        if error.is_passing and ctx.now - ctx.since < READY_WITHIN:
            raise
        if error.kind != "conflict":
            # The new machine is on its way; whether it may join is seen at the end.
            ctx.log.note("check_warn", check="node_stays")
            return Done("left_cluster")
        # Whoever wrote at the same moment may be the new machine: it is looked at anew.
        return Wait(ctx.now + timedelta(seconds=1), "node_leaves", {"name": cluster.name})
    ctx.log.note("node_left", name=node.name)
    return Wait(ctx.now, "node_leaves", {"name": node.name})


def await_fetch(ctx: Context) -> Outcome:
    """Wait until the new machine has fetched its config."""
    if ended := _over(ctx):
        return ended
    if ctx.machine.standing() in ("fetched", "arrived"):
        return Done("config_fetched")
    if anew := _anew(ctx, "machine_fetches"):
        return anew
    if ctx.memory.get("boot_before"):
        with suppress(HostError):
            if back := _came_back(ctx, ctx.host.look()[0]):
                return back
    return _late(ctx, "not_fetched") or Wait(ctx.now + LOOK_AGAIN, "machine_fetches", _until(ctx))


def _came_back(ctx: Context, facts: Facts) -> Fail | None:
    """The old system has started again, of a host that was to start the installer in its place. It is said once."""
    before = ctx.memory.get("boot_before")
    if not before or not facts.boot.boot_id or facts.boot.boot_id == before:
        return None
    # It may be at work again, so that nothing but a request of its own, which drains it, may tell it to go once more.
    return Fail("old_came_back", {**_named(ctx), "there": "old"}, {"late": True, "boot_before": ""}, attention=True)


def await_machine(ctx: Context) -> Outcome:
    """Wait until a machine shows the host key that was made for it. Any other key is not trusted."""
    if ended := _over(ctx):
        return ended
    if ctx.machine.standing() == "arrived":
        ctx.log.note("machine_met", name=_named(ctx)["node"])
        return Done("machine_met", memory={"met": True, "busy": False})
    if anew := _anew(ctx, "machine_boots"):
        return anew
    try:
        facts, _measured = ctx.host.look()
    except HostError as error:
        key = shown_key(error)
        if key is not None and ctx.machine.greet(key):
            return Wait(ctx.now, "machine_boots", _until(ctx))
        if key is not None:
            told = {**_until(ctx), "fingerprint": key.fingerprint}
            return _late(ctx, "other_key", told) or Wait(ctx.now + LOOK_AGAIN, "other_key_shown", told)
        told = {**_until(ctx), "message": error.message}
        return _late(ctx, "not_arrived", told) or Wait(ctx.now + LOOK_AGAIN, "machine_boots", told)
    late = _came_back(ctx, facts) or _late(ctx, "old_answers")
    return late or Wait(ctx.now + LOOK_AGAIN, "old_still_answers", _until(ctx))


def read_machine(ctx: Context) -> Outcome:
    """Read it and store what it says, so that every page knows what it is."""
    if not ctx.inventory.take_in(ctx.host.read):
        return Wait(ctx.now + LOOK_AGAIN, "poll_ends")
    return Done("machine_read")


def verify(ctx: Context) -> Outcome:
    """The version of its config: what the fetch says, and what the machine itself says."""
    facts, measured = ctx.host.look()
    document = facts.as_json()
    if not facts.boot.boot_id:
        return Fail("boot_id_unknown", again=True, attention=True)
    wanted, said = _target(ctx), facts.ignition
    if not said.version_id and (late := [one for one in facts.unread if one.reason in ("timeout", "cut")]):
        # A machine that has just booted is slow: what it had no time to say is not yet nothing.
        return Fail("note_unread", {"message": late[0].message}, again=True, attention=True)
    if ctx.machine.applied() != wanted["ignition"] or said.version_id != wanted["ignition"]:
        told = {"version": wanted["version"], "said": " ".join(map(str, filter(None, (said.config, said.version))))}
        return Fail("other_version", told, attention=True)
    booted = booted_of(document) or {}
    after = {"boot_id": facts.boot.boot_id, "after": named(booted), "facts_after": snapshot(facts, measured)}
    return Done("version_right", {"version": wanted["version"]}, after)


def soak(ctx: Context) -> Outcome:
    if ctx.memory.get("was_ill"):
        # Whoever mended it may have restarted it: it is looked at from its boot on.
        return Done("machine_read", memory={"was_ill": False, "soak_from": None}, skip_to="verify_machine")
    found = SOAK.run(ctx)
    if isinstance(found, Fail):
        # There is no old machine to go back to: whoever mends the new one lets it go on.
        return replace(found, attention=True, memory={**found.memory, "was_ill": True})
    if not isinstance(found, Done):
        return found
    told = {"version": _target(ctx)["version"], "generation": _target(ctx)["generation"]}
    told |= {
        "seconds": int(ctx.params.get("soak_s", DEFAULT_SOAK_S)),
        "booted": (ctx.memory.get("after") or {}).get("version"),
    }
    if is_plane(ctx.plan):
        return Done("healthy", told, {**found.memory, "replaced": told})
    return Done("replaced", told, found.memory, finish=True)


def _answers(ctx: Context) -> Fail | None:
    """What was asked for only because nothing answers is not done when something does, or when that cannot be told."""
    if not ctx.params.get("only_unreachable"):
        return None
    try:
        ctx.host.look()
    except HostError as error:
        return None if error.kind in NO_ANSWER else Fail("answers_again", {"said": error.message})
    return Fail("answers_again")


def _over(ctx: Context) -> Fail | None:
    """The offer ended in another way than by the machine that it was made for."""
    standing = ctx.machine.standing()
    if standing not in _OVER:
        return None
    return Fail("offer_over", {"ending": standing, **_there(ctx)}, attention=_is_lost(ctx))


def _is_lost(ctx: Context) -> bool:
    """Whether something is gone that is not put back: the machine, or may be, or its etcd member."""
    return bool(ctx.memory.get("busy") or ctx.memory.get("member_gone"))


def _late(ctx: Context, reason: str, told: Mapping[str, Any] | None = None) -> Fail | None:
    """After its time a person decides; who lets it go on gives it as much time again."""
    if ctx.now < _deadline(ctx):
        return None
    minutes = max(round(_limit(ctx) / timedelta(minutes=1)), 1)
    return Fail(reason, {**(told or {}), "minutes": minutes, **_there(ctx)}, {"late": True}, attention=True)


def _anew(ctx: Context, reason: str) -> Wait | None:
    """Somebody let it go on after its time was over, whenever that was: it begins now."""
    if not ctx.memory.get("late"):
        return None
    return Wait(
        ctx.now,
        reason,
        {"until": (ctx.now + _limit(ctx)).isoformat()},
        {"late": False, "made_at": ctx.now.isoformat()},
    )


def _limit(ctx: Context) -> timedelta:
    return timedelta(seconds=int(ctx.params.get("arrive_within_s", DEFAULT_ARRIVAL_S)))


def _deadline(ctx: Context) -> datetime:
    began = ctx.memory.get("made_at")
    return (datetime.fromisoformat(began) if began else ctx.since) + _limit(ctx)


def _until(ctx: Context) -> dict[str, Any]:
    return {"until": _deadline(ctx).isoformat()}


def _there(ctx: Context) -> dict[str, str]:
    """What is there now, for whoever has to decide."""
    try:
        ctx.host.look()
    except HostError as error:
        key = shown_key(error)
        return {"there": "nothing" if key is None else "other_key"}
    return {"there": "new" if ctx.memory.get("met") else "old"}


def shown_key(error: HostError) -> ssh.HostKey | None:
    """The host key that stood there instead of the pinned one."""
    for name in ("seen_key", "seen"):
        if isinstance(found := getattr(error, name, None), ssh.HostKey):
            return found
    return None


def _target(ctx: Context) -> Mapping[str, Any]:
    return dict(ctx.plan["target"])


def _named(ctx: Context) -> dict[str, Any]:
    return {"name": _target(ctx)["provisioner"], "node": _target(ctx).get("node", "")}


REPLACE = Action(
    kind="replace",
    steps=(
        Step("preflight", preflight),
        *DRAIN_STEPS,
        Step("offer", offer),
        Step(PREPARE, prepare, offline_ok=True, when=is_plane),
        Step("leave_etcd", leave_etcd, offline_ok=True, when=is_plane),
        Step("provision", provision, offline_ok=True),
        Step("leave_cluster", leave_cluster, offline_ok=True, when=drains),
        Step("await_fetch", await_fetch, offline_ok=True),
        Step("await_machine", await_machine, offline_ok=True),
        Step("read_machine", read_machine),
        Step("verify_machine", verify),
        Step("soak", soak),
        Step("await_member", await_member, when=is_plane),
    ),
    on="machine",
    is_disruptive=True,
    needs_facts=False,
    needs=NEEDED,
    check_params=replace_params,
)
