"""What listens on a host: connects by bash, requests by curl, and what the cluster says of its node."""

from __future__ import annotations

from urllib.parse import urlsplit

from simfleet.answers.base import Answer, Call, command, fail, options, say
from simfleet.model import Host

#: Ports by the beginning of a role; every host has its sshd.
LISTENS = {"web": (80, 443), "ingress": (80, 443), "edge": (1883,), "db": (5432,), "k8s": (10248, 10250)}
CONTROL_PLANE_PORT = 6443
FOUND = ("/", "/health", "/healthz", "/ready", "/readyz")
_VALUED = frozenset(["--max-time", "--output", "-o", "--write-out", "-w", "--url", "--proto", "--noproxy", "-H"])


def listens(host: Host, port: int) -> bool:
    """Whether something answers on a port of the host."""
    role = host.plan.role
    own = next((ports for name, ports in LISTENS.items() if role.startswith(name)), ())
    is_plane = role == "k8s-control" and port == CONTROL_PLANE_PORT
    return port == 22 or port in own or is_plane


def connect(call: Call) -> Answer:
    """`bash -c 'exec 3<>"/dev/tcp/$1/$2"' NAME HOST PORT`."""
    name, port = call.args[-2:]
    if listens(call.host, int(port)):
        return Answer()
    return fail(f"bash: connect: Connection refused\nbash: line 1: /dev/tcp/{name}/{port}: Connection refused")


@command("curl")
def curl(call: Call) -> Answer:
    """One request, as far as health checks ask: the body or the status alone."""
    flags, words = options(call.args, _VALUED)
    url = flags.get("--url") or (words[0] if words else "")
    parts = urlsplit(url)
    port = parts.port or {"https": 443}.get(parts.scheme, 80)
    wants_status = "%{http_code}" in flags.get("--write-out", flags.get("-w", ""))
    if not listens(call.host, port):
        error = f"curl: (7) Failed to connect to {parts.hostname} port {port} after 0 ms: Couldn't connect to server\n"
        return Answer(7, b"000" if wants_status else b"", error.encode())
    is_found = (parts.path or "/") in FOUND
    body = "" if flags.keys() & {"--output", "-o"} else "ok" if is_found else "404 page not found\n"
    return say(body + (("200" if is_found else "404") if wants_status else ""))


def ready(call: Call) -> Answer:
    """`kubectl get node NAME -o jsonpath=...`: a node of the cluster is ready."""
    if not call.root:
        return fail("error: open /etc/kubernetes/kubelet.conf: permission denied")
    return say("True")
