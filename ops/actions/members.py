"""The etcd member of a control plane whose machine is replaced: removed before the machine is gone, and waited for anew.

It is removed by a control plane beside it whose own member is well, which tells at the same moment what etcd consists of.
A member that was removed is never put back: the new machine joins as a new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from nodes.hosts.drivers.base import Driver
from nodes.hosts.errors import HostError
from ops.actions.base import Context, Host, effect, said
from ops.outcomes import Done, Fail, Outcome, Wait
from ops.preflight import Check, blocked
from ops.replacement.etcd import CHANGED_STATUS, Etcd, Identity, Member, remove_command, votes
from ops.replacement.planes import Asked, ask, joined, removal

LOOK_AGAIN = timedelta(seconds=5)
#: etcd changes no members while one of them is connected for less than 5 s.
REFUSED_FOR = timedelta(minutes=5)
#: From Ready on: kubeadm's manifests are there by then, and a member catches up within seconds.
JOINS_WITHIN = timedelta(minutes=15)
SILENT_FOR = timedelta(minutes=10)


class Planes(Protocol):
    """The control planes beside the node of one step, by name, those first that answer. `mine` is the node itself."""

    @property
    def mine(self) -> Identity: ...

    @property
    def others(self) -> Mapping[str, Identity]: ...

    def driver(self, name: str) -> Driver: ...

    def opened(self, name: str) -> AbstractContextManager[Host]: ...


def is_plane(plan: Mapping[str, Any]) -> bool:
    """Whether the plan is of a control plane."""
    return bool((plan.get("target") or {}).get("control_plane"))


def removes(ctx: Context) -> bool:
    """Whether a member goes before the machine does, by the first look."""
    known = ctx.memory.get("etcd") or {}
    return known.get("kind") == "stacked" and bool(known.get("removes"))


def is_begun(ctx: Context) -> bool:
    """Whether people were quicker, and the machine was gone before its member: then there is no way back from here."""
    return bool(ctx.memory.get("begun"))


def lost(memory: Mapping[str, Any]) -> dict[str, Any]:
    """What whoever reads of an end has to know: the member that is gone, as long as the new machine has none."""
    gone = memory.get("member_gone")
    return {"etcd_gone": gone["member"], "etcd_left": gone["left"]} if gone and not memory.get("member_back") else {}


def etcd_checks(ctx: Context) -> tuple[list[Check], dict[str, Any]]:
    """Whether a quorum survives, asked now; and what is remembered of it."""
    asked = _asked(ctx)
    found = removal(_node(ctx), ctx.planes.mine, ctx.planes.others, asked)
    return list(found.checks), {"etcd": {**found.as_json(asked), "at": ctx.now.isoformat()}}


def _asked(ctx: Context) -> Asked:
    return ask(list(ctx.planes.others), ctx.planes.opened)


def _node(ctx: Context) -> str:
    return str(ctx.plan["target"].get("node", ""))


def leave_etcd(ctx: Context) -> Outcome:
    """Remove the member, once: it is looked for first, and whether a quorum survives is asked again at this moment."""
    if not removes(ctx):
        return Done("no_member_left")
    was = dict(ctx.memory["etcd"]["removes"])
    asked, begun = _asked(ctx), bool(ctx.memory.get("member_leaves"))
    found = asked.found
    if found is None or not asked.is_told or found.kind != "stacked":
        return _untold(ctx, asked, begun=begun)
    member = found.by_id(was["id"])
    if member is None:
        return _left(ctx, asked.by, found, was)
    if not begun:
        now = removal(_node(ctx), ctx.planes.mine, ctx.planes.others, asked)
        if stops := blocked(now.checks):
            return Fail("preflight", {"checks": [check.as_json() for check in stops]}, attention=is_begun(ctx))
        if now.gone is None or now.gone.id != was["id"] or list(member.peers) != list(was["peers"]):
            return Fail("member_changed", {"member": member.title, "id": was["id"]}, attention=is_begun(ctx))
        # Written before the effect: from here on it may be gone, and a cancel waits for what becomes of it.
        memory = {"member_leaves": was["id"], "leaves_from": ctx.now.isoformat(), "busy": True}
        return Wait(ctx.now, "member_leaves", {"member": member.title, "by": asked.by}, memory)
    return _remove(ctx, asked.by, found, member)


def _remove(ctx: Context, by: str, found: Etcd, member: Member) -> Outcome:
    told: dict[str, Any] = {"member": member.title, "id": member.id, "by": by}
    if ctx.now - _leaves_from(ctx) > REFUSED_FOR:
        # By the look of this moment it is still there, whatever became of the last try.
        told |= {"said": ctx.memory.get("refused", ""), "minutes": REFUSED_FOR // timedelta(minutes=1)}
        return Fail("member_stays", told, _stays(ctx), attention=is_begun(ctx))
    if not votes(found.members, without=member.id).is_quorum:
        # One more has failed since. etcd itself would refuse; so it is waited for, and looked at again.
        return _refused(ctx, told, "")
    try:
        with ctx.planes.opened(by) as host:
            there = replace(
                ctx, host=host, driver=ctx.planes.driver(by), memory={**ctx.memory, "boot_id": found.boot_id}
            )
            result = effect(there, remove_command(member))
    except HostError as error:
        # Whether it was removed is seen at the next look.
        return Wait(ctx.now + LOOK_AGAIN, "member_leaves", {**told, "said": error.message}, _going(ctx))
    if result.exit_status == CHANGED_STATUS:
        return Fail("member_changed", told, _stays(ctx), attention=is_begun(ctx))
    if result.exit_status:
        return _refused(ctx, told, said(result))
    return Wait(ctx.now, "member_leaves", told, _going(ctx))


def _refused(ctx: Context, told: Mapping[str, Any], why: str) -> Outcome:
    return Wait(ctx.now + LOOK_AGAIN, "etcd_refuses", {**told, "said": why}, {**_going(ctx), "refused": why})


def _leaves_from(ctx: Context) -> datetime:
    """Since when it is removed: not since the step began, which may have waited for somebody who tells."""
    began = ctx.memory.get("leaves_from")
    return datetime.fromisoformat(began) if began else ctx.now


def _going(ctx: Context) -> dict[str, str]:
    return {"leaves_from": _leaves_from(ctx).isoformat()}


def _left(ctx: Context, by: str, found: Etcd, was: Mapping[str, Any]) -> Outcome:
    now = votes(found.members)
    told = {"member": was["name"] or was["id"], "id": was["id"], "by": by, "left": now.voters}
    ctx.log.note("member_left", **told)
    return Done("member_left", told, {"member_gone": told, **_stays(ctx)})


def _stays(ctx: Context) -> dict[str, Any]:
    """No removal is under way any more."""
    return {"member_leaves": "", "busy": is_begun(ctx)}


def _untold(ctx: Context, asked: Asked, *, begun: bool) -> Outcome:
    """Until the removal has begun the deadline ends it, or a cancel; afterwards a person decides."""
    if begun and ctx.now - _leaves_from(ctx) > SILENT_FOR:
        minutes = SILENT_FOR // timedelta(minutes=1)
        member = ctx.memory["etcd"]["removes"]
        told = {**asked.params, "member": member["name"] or member["id"], "minutes": minutes}
        # Who lets it go on gives it as much time again.
        return Fail("removal_unknown", told, {"leaves_from": ""}, attention=True)
    if is_begun(ctx) and not begun:
        # Neither a cancel nor the deadline ends this any more.
        since = datetime.fromisoformat(ctx.memory.get("silent_from") or ctx.now.isoformat())
        if ctx.now - since > SILENT_FOR:
            told = {**asked.params, "minutes": SILENT_FOR // timedelta(minutes=1)}
            return Fail("planes_silent", told, {"silent_from": ""}, attention=True)
        return Wait(ctx.now + LOOK_AGAIN, "planes_silent", asked.params, {"silent_from": since.isoformat()})
    return Wait(ctx.now + LOOK_AGAIN, "planes_silent", asked.params, _going(ctx) if begun else {})


def await_member(ctx: Context) -> Outcome:
    """The new machine has a member of its own that is started, votes and is well: only then is the cluster whole again."""
    known, told = dict(ctx.memory["etcd"]), dict(ctx.memory.get("replaced") or {})
    if known["kind"] != "stacked":
        return Done("replaced", told, finish=True)
    asked = _asked(ctx)
    found = asked.found
    if found is None or not asked.is_told or found.kind != "stacked":
        return _not_joined(ctx, "planes_silent", asked.params)
    state, member = joined(ctx.planes.mine, found, str((known.get("removes") or {}).get("id", "")))
    told |= {"member": member.title if member else "", "voters": votes(found.members).voters}
    if state != "healthy" or member is None:
        return _not_joined(ctx, f"member_{state}", {"by": asked.by, "member": told["member"]})
    ctx.log.note("member_joined", member=member.title, id=member.id, by=asked.by, voters=told["voters"])
    after = {"members": [one.as_json() for one in found.members], "asked": asked.by, "joined": member.id}
    return Done("replaced_plane", told, {"etcd_after": after, "member_back": True}, finish=True)


def _not_joined(ctx: Context, reason: str, told: Mapping[str, Any]) -> Outcome:
    began = ctx.memory.get("joins_from")
    since = datetime.fromisoformat(began) if began else ctx.now
    if ctx.now - since > JOINS_WITHIN:
        # Who lets it go on gives it as much time again.
        minutes = JOINS_WITHIN // timedelta(minutes=1)
        return Fail(reason, {**told, "minutes": minutes}, {"joins_from": ""}, attention=True)
    until = (since + JOINS_WITHIN).isoformat()
    return Wait(ctx.now + 2 * LOOK_AGAIN, reason, {**told, "until": until}, {"joins_from": since.isoformat()})
