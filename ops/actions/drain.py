"""Draining a node of a Kubernetes cluster as kubectl does: cordoned, then its pods evicted one by one, by what their budgets allow.

These steps go before whatever restarts a host, and make the kind `drain`. Whose the cordon is stands at the node itself and in
a row; ops.actions.tidy takes ours away at the end, however the operation ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from ops.actions.base import Action, Cluster, Context, ParamsRefused, Step
from ops.kubernetes.drain import doubly_covered, hindrances, sort_pods
from ops.kubernetes.errors import Blocked, ClusterError
from ops.kubernetes.objects import Pod
from ops.outcomes import Done, Fail, Outcome, Wait
from ops.preflight import Check, blocked

ENDINGS = ("skip", "force", "ask")
DEFAULT_LIMIT_S = 900
MOST_LIMIT_S = 24 * 3600
MOST_GRACE_S = 3600
#: The API says nothing of when a budget will allow more.
ASK_AGAIN = timedelta(seconds=5)
GOING_LOOK = timedelta(seconds=2)
#: A step has 30 s for everything; what budgets hold is asked for no longer.
ASKING_S = 10.0
NAMES_TOLD = 5


def drain_params(given: dict[str, Any]) -> dict[str, Any]:
    """Takes what a drain may be told out of `given`: flags for data that is lost, grace, time limit and what ends it."""
    found: dict[str, Any] = {}
    for name in ("delete_emptydir", "delete_unmanaged"):
        if name in given:
            value = given.pop(name)
            if not isinstance(value, bool):
                raise ParamsRefused(name, "not_a_flag", value=str(value)[:40])
            found[name] = value
    for name, least, most in (("grace_s", 0, MOST_GRACE_S), ("drain_limit_s", 10, MOST_LIMIT_S)):
        if name in given:
            value = given.pop(name)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise ParamsRefused(name, "not_seconds", value=str(value)[:40], least=least, most=most)
            found[name] = value
    if "drain_ending" in given:
        value = given.pop("drain_ending")
        if value not in ENDINGS:
            raise ParamsRefused("drain_ending", "not_an_ending", value=str(value)[:40])
        found["drain_ending"] = value
    return found


def _own_params(params: Mapping[str, Any]) -> dict[str, Any]:
    given = dict(params)
    found = drain_params(given)
    if given:
        raise ParamsRefused(sorted(given)[0], "unknown_param")
    return found


def drains(plan: Mapping[str, Any]) -> bool:
    """Whether the plan names a node of a cluster: one that is drained, where the kind drains."""
    return bool(plan.get("cluster"))


def the_cluster(ctx: Context) -> Cluster:
    if ctx.cluster is None:
        raise ClusterError("no_access")
    return ctx.cluster


def drain_checks(ctx: Context) -> list[Check]:
    """What a drain would meet, asked of the cluster now: before anything is cordoned."""
    cluster, params = the_cluster(ctx), ctx.params
    forces = params.get("drain_ending") == "force"
    node = cluster.node()
    lacking = [right for right, use in cluster.missing() if use == "drain" or (forces and use == "force")]
    found = [Check("cluster_rights", "block", {"rights": ", ".join(lacking)}) if lacking else Check("cluster_may")]
    if node.cordoned and cluster.whose(node) == "others":
        found.append(Check("cordoned_before", params={"name": node.name}))
    pods = sort_pods(
        cluster.pods(),
        delete_emptydir=bool(params.get("delete_emptydir")),
        delete_unmanaged=bool(params.get("delete_unmanaged")),
    )
    found.append(Check("pods_to_go", params={"count": len(pods.going), "left": len(pods.left)}))
    for code, named in (("pods_local", pods.local), ("pods_unmanaged", pods.unmanaged)):
        if named:
            found.append(Check(code, "block", _named(named)))
    budgets = cluster.budgets()
    level = "warn" if forces else "block"
    if doubled := doubly_covered(pods.going, budgets):
        found.append(Check("pods_doubled", level, _named(doubled)))
    for one in hindrances(pods.going, budgets)[:NAMES_TOLD]:
        told = {"budget": one.budget.place, "pod": one.pod.place}
        counts = {"needs": one.budget.desired, "has": one.budget.healthy}
        if one.budget.never_allows:
            found.append(Check("budget_never", level, {**told, **counts}))
        else:
            found.append(Check("budget_holds", "warn", {**told, **counts}))
    return found


def stored_checks(stands: Mapping[str, Any], params: Mapping[str, Any]) -> list[Check]:
    """The same from what is stored of the last look, for a plan."""
    found = [Check("pods_to_go", params={"count": stands.get("going", 0), "left": stands.get("left", 0)})]
    for code, key, flag in (
        ("pods_local", "local", "delete_emptydir"),
        ("pods_unmanaged", "unmanaged", "delete_unmanaged"),
    ):
        if stands.get(key) and not params.get(flag):
            found.append(Check(code, "block", {"pods": stands[key], "count": stands[f"{key}_count"]}))
    level = "warn" if params.get("drain_ending") == "force" else "block"
    if stands.get("doubled"):
        found.append(Check("pods_doubled", level, {"pods": stands["doubled"], "count": stands["doubled_count"]}))
    for one in stands.get("budgets") or ():
        told = {"budget": one["budget"], "pod": one["pod"]}
        found.append(Check("budget_never", level, told) if one["never"] else Check("budget_holds", "warn", told))
    return found


def _named(pods: Sequence[Pod]) -> dict[str, Any]:
    return {"pods": [one.place for one in pods[:NAMES_TOLD]], "count": len(pods)}


def preflight(ctx: Context) -> Outcome:
    """The first step of a drain by itself: the host need not answer for it."""
    found = drain_checks(ctx)
    for check in found:
        ctx.log.note(f"check_{check.level}", check=check.code, **check.params)
    if stops := blocked(found):
        return Fail("preflight", {"checks": [check.as_json() for check in stops]})
    return Done("ready", memory={"checks": [check.as_json() for check in found]})


def cordon(ctx: Context) -> Outcome:
    """Cordon, unless somebody has. The memory says so before the node does: whoever takes over knows what to take back."""
    cluster = the_cluster(ctx)
    node = cluster.node()
    whose = cluster.whose(node)
    if whose == "ours":
        return Done("cordoned")
    if whose == "leaving":
        return Wait(ctx.now + ASK_AGAIN, "cordon_leaves", {"name": node.name})
    if whose == "others":
        ctx.log.note("cordoned_before", name=node.name)
        return Done("cordoned_before")
    if ctx.memory.get("cordon") != node.name:
        return Wait(ctx.now, "cordons", {"name": node.name}, memory={"cordon": node.name})
    try:
        cluster.cordon(node)
    except ClusterError as error:
        if error.kind != "conflict":
            raise
        # Its kubelet, or somebody, wrote at the same moment: it is looked at anew.
        return Wait(ctx.now + timedelta(seconds=1), "cordons", {"name": node.name})
    ctx.log.note("cordoned", name=node.name)
    return Done("cordoned")


def drain(ctx: Context) -> Outcome:
    """Let one pod go, as long as there is one; wait for what budgets hold, and for what is on its way out."""
    cluster = the_cluster(ctx)
    if not ctx.memory.get("drain_from"):
        return Wait(ctx.now, "drains", memory={"drain_from": ctx.now.isoformat()})
    pods = sort_pods(
        cluster.pods(),
        delete_emptydir=bool(ctx.params.get("delete_emptydir")),
        delete_unmanaged=bool(ctx.params.get("delete_unmanaged")),
    )
    if refused := [*pods.local, *pods.unmanaged]:
        return Fail("pods_came", _named(refused))
    if _told_and_died(ctx, pods.going):
        return Wait(ctx.now, "drains", memory=_one_more(ctx))
    if not pods.going:
        gone = int(ctx.memory.get("pods_gone", 0))
        ctx.log.note("drained", count=gone, left=len(pods.left))
        return Done("drained", {"count": gone})
    waiting = [one for one in pods.going if not one.is_going]
    limit = timedelta(seconds=int(ctx.params.get("drain_limit_s", DEFAULT_LIMIT_S)))
    until = datetime.fromisoformat(ctx.memory["drain_from"]) + limit
    if ctx.now >= until:
        return _over(ctx, cluster, waiting, pods.going, until + limit)
    if waiting:
        return _evict(ctx, cluster, waiting, until)
    return _going(ctx, pods.going, until)


def _told_and_died(ctx: Context, going: Sequence[Pod]) -> bool:
    """Whether a pod that was to be told to go was told so, and whoever did it did not come to count it."""
    told = ctx.memory.get("tells")
    return bool(told) and not any(one.uid == told and not one.is_going for one in going)


def _tells(ctx: Context, pod: Pod) -> Wait | None:
    """The memory says so before the pod is told: whoever takes over counts it."""
    return None if ctx.memory.get("tells") == pod.uid else Wait(ctx.now, "drains", memory={"tells": pod.uid})


def _one_more(ctx: Context) -> dict[str, Any]:
    return {"pods_gone": int(ctx.memory.get("pods_gone", 0)) + 1, "tells": ""}


def _going(ctx: Context, going: Sequence[Pod], until: datetime) -> Wait:
    told = {"pod": going[0].place, "count": len(going), "until": until.isoformat()}
    return Wait(min(ctx.now + GOING_LOOK, until), "pods_go", told)


def _evict(ctx: Context, cluster: Cluster, waiting: Sequence[Pod], until: datetime) -> Outcome:
    """The first pod that its budget lets go. What only asks is not recorded as a change, however often it is asked."""
    held: tuple[Pod, ClusterError] | None = None
    began = monotonic()
    for pod in waiting:
        try:
            cluster.may_go(pod)
            if first := _tells(ctx, pod):
                return first
            cluster.evict(pod, ctx.params.get("grace_s"))
        except Blocked as error:
            held = held or (pod, error)
        except ClusterError as error:
            if error.kind == "server_error":
                # So the API answers for a pod of several budgets: the others may go.
                held = held or (pod, error)
                continue
            if error.kind not in ("not_found", "conflict"):
                raise
            # It went by itself, and is not there at the next look.
            return Wait(ctx.now + timedelta(seconds=1), "drains", memory={"tells": ""})
        else:
            ctx.log.note("evicted", pod=pod.place)
            return Wait(ctx.now, "evicts", {"pod": pod.place}, memory=_one_more(ctx))
        if monotonic() - began > ASKING_S:
            break
    if held is None:
        return Wait(ctx.now + ASK_AGAIN, "drains")
    return _held(ctx, cluster, held, len(waiting), until)


def _held(ctx: Context, cluster: Cluster, held: tuple[Pod, ClusterError], count: int, until: datetime) -> Wait:
    pod, error = held
    budget = next((one.place for one in cluster.budgets() if one.covers(pod)), "")
    # The API ends some of its sentences, and some not; ours end.
    said = str(error.params.get("said", "")).rstrip(".")
    told = {"pod": pod.place, "budget": budget, "said": said, "until": until.isoformat()}
    return Wait(
        min(ctx.now + ASK_AGAIN, until), "budget_holds", {**told, "count": count}, memory={"held": told, "tells": ""}
    )


def _over(ctx: Context, cluster: Cluster, waiting: Sequence[Pod], going: Sequence[Pod], hopeless: datetime) -> Outcome:
    """The time limit has passed: as the request chose."""
    ending = ctx.params.get("drain_ending", "skip")
    held = ctx.memory.get("held") or {}
    minutes = round(int(ctx.params.get("drain_limit_s", DEFAULT_LIMIT_S)) / 60, 1)
    told = {**_named(going), "minutes": minutes, "budget": held.get("budget", "")}
    if ending == "ask":
        # Who lets it go on gives it as much time again.
        return Fail("drain_late", {**told, "asks": True}, {"drain_from": "", "held": {}}, attention=True)
    if ending == "skip" or (not waiting and ctx.now >= hopeless):
        return Fail("drain_late", {**told, "asks": False})
    if not waiting:
        return _going(ctx, going, hopeless)
    pod = waiting[0]
    if first := _tells(ctx, pod):
        return first
    try:
        cluster.delete(pod, ctx.params.get("grace_s"))
    except ClusterError as error:
        if error.kind not in ("not_found", "conflict"):
            raise
    else:
        ctx.log.note("pod_deleted", pod=pod.place)
    return Wait(ctx.now, "deletes", {"pod": pod.place}, memory=_one_more(ctx))


def keep(ctx: Context) -> Outcome:
    """A drain that was asked for by itself leaves its node cordoned, until an uncordon is asked for."""
    the_cluster(ctx).keep()
    params = {"count": ctx.memory.get("pods_gone", 0)}
    return Done("node_drained", params, {"cordon_kept": True}, finish=True)


def uncordon(ctx: Context) -> Outcome:
    """Whoever cordoned it: it was asked for."""
    cluster = the_cluster(ctx)
    node = cluster.node()
    if not node.cordoned and not node.cordoned_by:
        return Done("uncordoned" if ctx.memory.get("uncordons") else "not_cordoned", {"name": node.name})
    if not ctx.memory.get("uncordons"):
        return Wait(ctx.now, "uncordons", {"name": node.name}, memory={"uncordons": True})
    try:
        cluster.release(node)
    except ClusterError as error:
        if error.kind != "conflict":
            raise
        return Wait(ctx.now + timedelta(seconds=1), "uncordons", {"name": node.name})
    ctx.log.note("uncordoned", name=node.name)
    return Wait(ctx.now, "uncordons", {"name": node.name})


def may_uncordon(ctx: Context) -> Outcome:
    cluster = the_cluster(ctx)
    node = cluster.node()
    lacking = [right for right, _use in cluster.missing() if right == "patch nodes"]
    if lacking:
        check = Check("cluster_rights", "block", {"rights": ", ".join(lacking)})
        return Fail("preflight", {"checks": [check.as_json()]})
    if cluster.whose(node) == "others" and not node.cordoned_by:
        ctx.log.note("check_warn", check="cordoned_by_others", name=node.name)
    return Done("ready")


#: What goes before a restart, where the plan names a node of a cluster.
DRAIN_STEPS = (Step("cordon", cordon, when=drains), Step("drain", drain, when=drains))
DRAIN = Action(
    kind="drain",
    steps=(Step("preflight", preflight), *DRAIN_STEPS, Step("keep_cordoned", keep)),
    on="cluster",
    is_disruptive=True,
    check_params=_own_params,
)
UNCORDON = Action(kind="uncordon", steps=(Step("preflight", may_uncordon), Step("uncordon", uncordon)), on="cluster")
