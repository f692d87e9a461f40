"""kubeadm and the static pods of simulated control planes: who runs since when, with which certificate."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable

from simfleet.answers.base import Answer, Call, command, fail, say
from simfleet.answers.certificates import PKI, files, renewed
from simfleet.model import Host

PODS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
AWAY = "/etc/kubernetes/fleetui-restart"
VERSION = "v1.34.2"
_SERVED = {"kube-apiserver": f"{PKI}apiserver.crt", "etcd": f"{PKI}etcd/server.crt"}
_PATHS = {
    "admin.conf": "/etc/kubernetes/admin.conf",
    "controller-manager.conf": "/etc/kubernetes/controller-manager.conf",
    "scheduler.conf": "/etc/kubernetes/scheduler.conf",
    "apiserver": f"{PKI}apiserver.crt",
    "apiserver-kubelet-client": f"{PKI}apiserver-kubelet-client.crt",
    "front-proxy-client": f"{PKI}front-proxy-client.crt",
    "etcd-server": f"{PKI}etcd/server.crt",
    "etcd-peer": f"{PKI}etcd/peer.crt",
}


def is_control_plane(host: Host) -> bool:
    return host.plan.role == "k8s-control"


def is_away(host: Host, pod: str) -> bool:
    return f"{AWAY}/{pod}.yaml" in host.written


@command("kubeadm")
def kubeadm(call: Call) -> Answer:
    """`kubeadm certs renew NAME`: unconditionally, as the real one."""
    if not call.host.plan.role.startswith("k8s"):
        return fail("sh: line 1: kubeadm: command not found", 127)
    if call.args[:1] == ("version",):
        return say(f"{VERSION}\n")
    if call.args[:2] != ("certs", "renew") or not call.root:
        return fail("error: unknown command or missing rights")
    wanted = list(_PATHS) if call.args[2] == "all" else [call.args[2]]
    if not is_control_plane(call.host) or not set(wanted) <= set(_PATHS):
        return fail(f"failed to load existing certificate {wanted[0]}: no such file or directory")
    lines = []
    # What runs goes on with what it was started with.
    for pod in PODS:
        _runs_with(call, pod)
    for name in wanted:
        renewed(call.host, _PATHS[name], int(call.now))
        lines.append(f"certificate {name} renewed")
    call.world.changed(call.host)
    return say("\n".join([*lines, "", "Done renewing certificates. You must restart the static pods.", ""]))


def _runs_with(call: Call, pod: str) -> str:
    """The certificate that a pod was started with."""
    path = _SERVED.get(pod, "")
    if path and pod not in call.host.runs:
        call.host.runs[pod] = next(text for _label, one, text in files(call.host, call.now) if one == path)
    return call.host.runs.get(pod, "")


async def _shown(call: Call) -> Answer:
    """`sh -c SCRIPT fleetui-kubeadm`: as the script of the driver prints it."""
    host = call.host
    lines = [f"kubeadm {VERSION}"] if host.plan.role.startswith("k8s") else []
    lines.append(f"kubelet {'active' if lines else 'inactive'}")
    if is_control_plane(host):
        lines += [f"key {name}" for name in ("ca", "etcd/ca", "front-proxy-ca") if f"no-key {name}" not in host.written]
        lines += [f"away {pod}.yaml" for pod in PODS if is_away(host, pod)]
        for number, pod in enumerate(PODS):
            if is_away(host, pod):
                continue
            served = base64.b64encode(_runs_with(call, pod).encode()).decode()
            lines.append(f"pod {pod} {1200 + number}.{host.boot_count}{host.starts.get(pod, 0)}")
            lines += [f"health {pod} 200", f"served {pod} {served}"]
    return say("\n".join([*lines, "end", ""]))


async def _restart(call: Call) -> Answer:
    """`sh -c SCRIPT fleetui-kubeadm-restart POD...`: one after the other, and the manifest back whatever happens."""
    host, said = call.host, []
    for pod in call.args[3:]:
        host.written[f"{AWAY}/{pod}.yaml"] = "kind: Pod\n"
        call.world.changed(host)
        try:
            await asyncio.sleep(call.world.transaction_s / 4)
        finally:
            _put_back(host, pod)
        said.append(f"{pod} runs anew")
    call.world.changed(host)
    return say("\n".join([*said, ""]))


def _put_back(host: Host, pod: str) -> None:
    if host.written.pop(f"{AWAY}/{pod}.yaml", None) is not None:
        host.starts[pod] = host.starts.get(pod, 0) + 1
        host.runs.pop(pod, None)


async def _back(call: Call) -> Answer:
    for pod in PODS:
        _put_back(call.host, pod)
    call.world.changed(call.host)
    return Answer()


#: Scripts of a driver, by the name that it gives them.
OF_KUBEADM: dict[str, Callable[[Call], Awaitable[Answer]]] = {
    "fleetui-kubeadm": _shown,
    "fleetui-kubeadm-restart": _restart,
    "fleetui-kubeadm-back": _back,
}
