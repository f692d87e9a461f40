"""Renew the certificates of a control-plane node by kubeadm, restart its static pods, and see whether they serve the new ones.

Two control-plane nodes of a cluster are never at it at once: it counts as disruptive. It ends when the node is well, so that
the next one begins with a whole cluster; after one that failed none begins. A cluster would still call that node Ready.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from nodes.certificates import NotUnderstood, read_answer
from nodes.hosts.drivers.base import Command, Driver
from nodes.hosts.drivers.kubeadm_commands import ALL, AWAY, CERTIFICATES, PODS, SERVES, kept_on, read_shown
from ops.actions.base import LOOK_AGAIN, Action, Context, ParamsRefused, Step, said
from ops.actions.drain import drains, the_cluster
from ops.actions.fenced import run_fenced
from ops.actions.ready import preflight
from ops.kubernetes.errors import ClusterError
from ops.outcomes import Done, Fail, Outcome, Wait
from ops.preflight import Check

#: From the end of the restart until all pods are healthy and serve what is new; and until the cluster says so of the node.
WELL_WITHIN = timedelta(minutes=5)
#: How long what kubeadm signs lives: an authority that ends before is told of.
LIFE = timedelta(days=365)
#: A component that asks for a sign-in answers too.
_ANSWERS = ("200", "401", "403")


def renew_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """`certificate`: one by kubeadm's name; left out, or `all`: all that it renews."""
    given = dict(params)
    name = given.pop("certificate", ALL) or ALL
    if name != ALL and name not in CERTIFICATES:
        raise ParamsRefused("certificate", "not_of_kubeadm", value=str(name)[:100], known=", ".join(CERTIFICATES))
    if given:
        raise ParamsRefused(sorted(given)[0], "unknown_param")
    return {} if name == ALL else {"certificate": name}


def _certificates(ctx: Context) -> dict[str, Any]:
    """What lies on the host: of each certificate its fingerprint and end, and of each authority its end."""
    answer = read_answer(ctx.host.run(ctx.driver.command("kubeadm_certificates")).stdout)
    leaves, authorities = kept_on(answer)
    return {
        "certificates": {
            name: {"fingerprint": one.fingerprint, "until": one.not_after.isoformat()}
            for name, one in leaves.items()
            if one.not_after
        },
        "authorities": {name: one.not_after.isoformat() for name, one in authorities.items() if one.not_after},
    }


def _see(ctx: Context, _facts: Mapping[str, Any]) -> dict[str, Any]:
    result = ctx.host.run(ctx.driver.command("kubeadm_shown"))
    shown = read_shown(result.stdout)
    if shown is None:
        return {"control_plane": {"said": said(result) or "?"}}
    try:
        found = _certificates(ctx)
    except NotUnderstood as error:
        return {"control_plane": {"said": str(error)}}
    return {"control_plane": {**shown, **found, "at": ctx.now.isoformat()}}


def _wanted(params: Mapping[str, Any], seen: Mapping[str, Any]) -> list[str]:
    """Which certificates are to be renewed. With an etcd of somebody else, its certificates are theirs."""
    name = params.get("certificate", ALL)
    names = CERTIFICATES if name == ALL else [name]
    outside = "etcd" not in seen["pods"]
    return [
        one
        for one in names
        if one in seen["certificates"] and not (outside and CERTIFICATES[one].authority == "etcd/ca")
    ]


def ready_to_renew(
    facts: Mapping[str, Any], _measured: Mapping[str, Any], params: Mapping[str, Any], _plan: Mapping[str, Any]
) -> Sequence[Check]:
    """A plan knows whether it is a control-plane node; the first step asks the host for the rest."""
    seen = facts.get("control_plane")
    if seen is None:
        role = (facts.get("kubernetes") or {}).get("role")
        return [Check("control_plane_node")] if role == "control-plane" else [Check("no_control_plane", "block")]
    if "at" not in seen:
        return [Check("control_plane_unread", "block", {"said": seen["said"]})]
    if "kube-apiserver" not in seen["pods"]:
        return [*_aside(seen), Check("no_control_plane", "block")]
    if not seen["kubeadm"]:
        return [Check("kubeadm_absent", "block")]
    found = _aside(seen)
    if seen["kubelet"] != "active":
        found.append(Check("kubelet_inactive", "block", {"state": seen["kubelet"]}))
    wanted = _wanted(params, seen)
    if not wanted:
        found.append(Check("kubeadm_has_none", "block", {"name": params.get("certificate", ALL)}))
        return found
    ends = min((seen["certificates"][name]["until"], name) for name in wanted)
    found.append(Check("to_renew", params={"count": len(wanted), "name": ends[1], "until": _told(ends[0])}))
    return [*found, *_authorities(seen, wanted), *_pods(seen)]


def _aside(seen: Mapping[str, Any]) -> list[Check]:
    if not seen["away"]:
        return []
    return [Check("manifests_aside", "block", {"files": ", ".join(seen["away"][:5]), "folder": AWAY})]


def _authorities(seen: Mapping[str, Any], wanted: Sequence[str]) -> list[Check]:
    """kubeadm leaves out, without a word of failure, what it has no key for: that is refused here."""
    needed = sorted({CERTIFICATES[name].authority for name in wanted})
    at = datetime.fromisoformat(seen["at"])
    found = []
    if without := [name for name in needed if name not in seen["keys"]]:
        found.append(Check("external_authority", "block", {"names": ", ".join(f"pki/{name}.key" for name in without)}))
    for name in needed:
        until = seen["authorities"].get(name, "")
        told = {"name": f"pki/{name}.crt", "until": _told(until)}
        if not until:
            found.append(Check("authority_absent", "block", told))
        elif datetime.fromisoformat(until) <= at:
            found.append(Check("authority_expired", "block", told))
        elif datetime.fromisoformat(until) <= at + LIFE:
            found.append(Check("authority_ends", "warn", told))
    return found


def _pods(seen: Mapping[str, Any]) -> list[Check]:
    """What is down since its certificate has expired is no reason to wait: the renewal is what mends it."""
    ill = [name for name in seen["pods"] if seen["health"].get(name) not in _ANSWERS]
    if not ill:
        return [Check("control_plane_answers", params={"pods": ", ".join(seen["pods"])})]
    told = {"pods": ", ".join(ill)}
    if not any(seen["health"].values()):
        return [Check("health_unknown", "block")]
    return [
        Check("expired_and_down", "warn", told) if _has_expired(seen) else Check("control_plane_ill", "block", told)
    ]


def _has_expired(seen: Mapping[str, Any]) -> bool:
    return any(one["until"] <= seen["at"] for one in seen.get("certificates", {}).values())


def ask_cluster(ctx: Context, document: Mapping[str, Any]) -> list[Check]:
    """Whether the control plane bears the restart of one of its nodes: the others have to be Ready, and this one too."""
    seen = document["control_plane"]
    expired = "at" in seen and _has_expired(seen)
    try:
        cluster = the_cluster(ctx)
        mine, all_of_them = cluster.node(), cluster.control_planes()
    except ClusterError:
        if not expired:
            raise
        return [Check("cluster_silent_expired", "warn")]
    ill = [one.name for one in all_of_them if not one.is_ready and one.name != mine.name]
    found = []
    if ill:
        found.append(Check("planes_not_ready", "block", {"names": ", ".join(ill[:5])}))
    if not mine.is_ready:
        found.append(Check("plane_not_ready", "warn" if expired else "block", {"name": mine.name}))
    return found or [Check("planes_ready", params={"count": len(all_of_them)})]


def renew(ctx: Context) -> Outcome:
    def done(_status: int, memory: Mapping[str, Any]) -> Outcome:
        return Done("kubeadm_ran", memory=memory)

    command = ctx.driver.command("kubeadm_renew", certificate=ctx.params.get("certificate", ALL))
    return run_fenced(ctx, command, waits="kubeadm_runs", fails="kubeadm_failed", done=done)


def compare(ctx: Context) -> Outcome:
    """Is each of them another one now that lives longer? Which pods hold what was renewed?"""
    seen, now = dict(ctx.memory["seen"]["control_plane"]), _certificates(ctx)["certificates"]
    wanted = _wanted(ctx.params, seen)
    before = seen["certificates"]
    left = [name for name in wanted if now.get(name, before[name])["fingerprint"] == before[name]["fingerprint"]]
    if left:
        return Fail("kubeadm_left", {"names": ", ".join(left)})
    if sooner := [name for name in wanted if now[name]["until"] <= before[name]["until"]]:
        return Fail("kubeadm_sooner", {"name": sooner[0], "until": _told(now[sooner[0]]["until"])})
    ctx.certificates.read_again()
    pods = {pod for name in wanted for pod in CERTIFICATES[name].pods}
    renewed, again = {name: now[name] for name in wanted}, [pod for pod in PODS if pod in pods and pod in seen["pods"]]
    told = {"count": len(wanted), "until": _until(renewed)}
    return Done("kubeadm_renewed", told, {"renewed": renewed, "restart": again}, finish=not again)


def _until(renewed: Mapping[str, Any]) -> str:
    return _told(min(one["until"] for one in renewed.values()))


def _told(moment: str) -> str:
    return f"{datetime.fromisoformat(moment):%Y-%m-%d %H:%M} UTC" if moment else ""


def restart(ctx: Context) -> Outcome:
    def done(_status: int, memory: Mapping[str, Any]) -> Outcome:
        # Its script ends well only with every manifest in its place.
        return Done("pods_restarted", memory={**memory, "manifests": False})

    command = ctx.driver.command("kubeadm_restart", pods=list(ctx.memory["restart"]))
    leaves = {"manifests": True}
    return run_fenced(ctx, command, waits="pods_restart", fails="pods_not_restarted", done=done, leaves=leaves)


def see_pods(ctx: Context) -> Outcome:
    """Every pod another process than before, healthy, and with the new certificate where that is seen."""
    before, renewed = dict(ctx.memory["seen"]["control_plane"]), dict(ctx.memory["renewed"])
    pods = list(ctx.memory["restart"])
    result = ctx.host.run(ctx.driver.command("kubeadm_shown"))
    shown = read_shown(result.stdout)
    if shown is None:
        return Fail("control_plane_unread", {"said": said(result) or "?"}, again=True)
    reason, late = "", []
    if late := [pod for pod in pods if shown["pods"].get(pod, "") in ("", before["pods"][pod])]:
        reason = "pods_old"
    elif late := [pod for pod in shown["pods"] if shown["health"].get(pod) not in _ANSWERS]:
        reason = "pods_ill"
    elif late := [pod for pod in pods if _serves_old(pod, before, shown, renewed)]:
        reason = "pods_serve_old"
    told = {"count": len(renewed), "until": _until(renewed), "pods": ", ".join(late or pods)}
    if not reason:
        return Done("control_plane_renewed", told, finish=not drains(ctx.plan))
    if ctx.now - ctx.since > WELL_WITHIN:
        return Fail(reason, {**told, "minutes": WELL_WITHIN // timedelta(minutes=1)})
    return Wait(ctx.now + LOOK_AGAIN, reason, told)


def _serves_old(pod: str, before: Mapping[str, Any], shown: Mapping[str, Any], renewed: Mapping[str, Any]) -> bool:
    """Where a handshake shows what a pod serves, it has to be what was renewed."""
    name = SERVES.get(pod, "")
    if name not in renewed or not before["served"].get(pod):
        return False
    return bool(shown["served"].get(pod) != renewed[name]["fingerprint"])


def see_ready(ctx: Context) -> Outcome:
    """The cluster has it as Ready again: before that the next node of the control plane does not begin."""
    renewed, node = dict(ctx.memory["renewed"]), the_cluster(ctx).node()
    told = {
        "count": len(renewed),
        "until": _until(renewed),
        "pods": ", ".join(ctx.memory["restart"]),
        "name": node.name,
    }
    if node.is_ready:
        return Done("control_plane_renewed", told, finish=True)
    if ctx.now - ctx.since > WELL_WITHIN:
        return Fail("node_not_ready", {**told, "said": node.ready_said, "minutes": WELL_WITHIN // timedelta(minutes=1)})
    return Wait(ctx.now + LOOK_AGAIN, "node_gets_ready", {**told, "said": node.ready_said})


def _commands(driver: Driver, params: Mapping[str, Any], _plan: Mapping[str, Any]) -> list[Command]:
    return [driver.command("kubeadm_renew", certificate=params.get("certificate", ALL))]


KUBEADM_RENEW = Action(
    kind="kubeadm_renew",
    checks=ready_to_renew,
    commands=_commands,
    steps=(
        preflight(ready_to_renew, _see, ask_cluster),
        Step("renew_control_plane", renew),
        Step("compare_control_plane", compare),
        Step("restart_pods", restart),
        Step("see_pods", see_pods),
        Step("see_ready", see_ready, when=drains),
    ),
    capabilities=("kubeadm",),
    is_disruptive=True,
    check_params=renew_params,
    asks_cluster=True,
    stop_after=1,
)
