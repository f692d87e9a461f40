"""What the kinds of operations work on beside the simulated hosts, all of it real to the workers that are killed.

An API server of a cluster whose Deployments roll out, whose pods come again and whose cert-manager issues, endpoints that
serve the certificate of a host and of that cluster, a command that makes machines anew, and a directory that backups are kept
in.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization

from ops.tests.kube import InProcess
from simfleet.answers import certificates
from simfleet.control import send
from tests.fleet import ROOT
from tests.kubeapi import Api, api_server
from tests.kubeapps import Controller
from tests.kubecerts import CertManager
from tests.kubecluster import Cluster
from tests.operating import Operating
from tests.services import free_port

SPACE, CLUSTER, WORKERS, CONTROL, ISSUED = "shop", "prod", "k8s-workers", "k8s-control", "storefront"
OLD, NEW, NEXT = (f"localhost/shop:{number}" for number in (1, 2, 3))
DEPLOYMENTS = tuple(f"{SPACE}-{number:02d}" for number in range(24))
POLICIES = ("copies", "drills")
#: One serves what Certbot has on a host, the other what cert-manager has issued.
ENDPOINT, INGRESS = ("127.74.240.1", 8443), ("127.74.240.2", 8443)
#: So long each answer of the API and of the endpoint takes, so that a step is seen which only asks them.
SLOW_S = 0.1
#: Looks first what it did already under this id, as the documentation asks of it, and does not wait for the machine.
MAKES_MACHINES = """\
#!{python}
import json, pathlib, subprocess, sys
asked = json.load(sys.stdin)
done = pathlib.Path(__file__).with_name(asked["id"])
if not done.exists():
    print("recreating", asked["node"]["name"], file=sys.stderr)
    new = [sys.executable, "-c", {machine!r}, asked["ignition"]["url"], asked["node"]["name"]]
    silent = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    subprocess.Popen(new, start_new_session=True, **silent)
    done.touch()
print(json.dumps({{"state": "replaced", "sentence": "recreated"}}))
"""
#: What the new machine does: it boots, and fetches its config.
NEW_MACHINE = """
import sys, time, urllib.request
sys.path.insert(0, {root!r})
from simfleet.control import send
url, name = sys.argv[1:]
time.sleep(2)
with urllib.request.urlopen(url) as answer:
    config = answer.read().decode()
send({fleet!r}, {{"action": "recreate", "name": name, "config": config}})
"""
SET_UP = """
import json
from fleetui.access.principals import SYSTEM
from fleetui.core import clock
from nodes.models import CertificateSource, Cluster, Pool
from nodes.tests.make import make_config, make_version
from ops.services.backups.policies import set_policy
from ops.services.backups.targets import set_target
from ops.services.clusters.access import set_access
from ops.services.replacing.provisioners import set_provisioner
given = json.loads({given!r})
told = {{"actor": SYSTEM, "now": clock.now()}}
set_access(cluster=Cluster.objects.get(name=given["cluster"]), kubeconfig=given["kubeconfig"], **told)
target = set_target(name="disk", kind="local", settings={{"path": given["kept"]}}, credentials={{}}, **told)
for name in given["policies"]:
    set_policy(name=name, kind="fleetui", settings={{}}, target=target, keep={{"hourly": 1}}, **told)
for host, port in given["endpoints"]:
    CertificateSource.objects.create(kind="endpoint", host=host, port=port)
pool = Pool.objects.get(name=given["pool"])
pool.intended_version = make_version(make_config("machines", pool), state="approved")
pool.save()
hook = {{"name": "site", "kind": "hook", "settings": {{"command": ["recreate"]}}, "base_url": given["url"]}}
set_provisioner(**hook, pools=[pool], **told)
"""


@dataclass
class Shop:
    """What goes on in a cluster by itself: kubelets end pods and tell of boots, ReplicaSets make pods, updates roll out."""

    made: Operating
    api: Api = field(default_factory=lambda: Api(delay_s=SLOW_S))
    boots: dict[str, str] = field(default_factory=dict)
    pods: int = 0
    machines: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.cluster = Cluster(InProcess(self.api), space=SPACE)
        self.controller = Controller(self.api)
        self.cert_manager = CertManager(self.api, datetime.now(UTC))
        self.api.namespaces[SPACE] = {"metadata": {"name": SPACE}}

    def fill(self) -> None:
        """Two pods on each worker that a budget lets go a few at a time, one that stays, and Deployments with a past."""
        names = self._kubelets()
        for name in names:
            self._tells(name)
        self.cert_manager.add(SPACE, ISSUED, "shop.example.org")
        for name in self._workers():
            self._add_pod(name)
            self._add_pod(name)
            self.cluster.add_pod(name, f"agent-{name}", owner="DaemonSet")
        self.cluster.set_budget("web", "web", min_available=self.pods - 4)
        for name in DEPLOYMENTS:
            self.cluster.add_deployment(name, OLD)
        for image in (OLD, NEW):
            for name in DEPLOYMENTS:
                containers = [{"name": "c", "image": image}]
                self.cluster.patch_deployment(name, {"spec": {"template": {"spec": {"containers": containers}}}})
            for _step in range(12):
                self.controller.step()

    def goes_on(self) -> None:
        self.controller.step()
        with self.api.lock:
            self.cert_manager.now = datetime.now(UTC)
            self.cert_manager.step()
        where = {one["metadata"]["name"]: one["spec"].get("nodeName") for one in self.cluster.pods()}
        ended = [name for name in self.cluster.kubelet() if name.startswith("web-")]
        for _name in ended:
            cordoned = self.cordoned()
            free = [one for one in self._workers() if one not in cordoned]
            self._add_pod(min(free, key=lambda one: list(where.values()).count(one)))
        before = dict(self.boots)
        for name in self._kubelets():
            if self.boots[name] != before.get(name):
                self._tells(name)

    def cordoned(self) -> set[str]:
        with self.api.lock:
            return {name for name, row in self.api.nodes.items() if row["spec"].get("unschedulable")}

    def issued(self) -> str:
        """The key and the certificate in the Secret of now."""
        with self.api.lock:
            return self.cert_manager.secret_of(self.api.certificates[f"{SPACE}/{ISSUED}"])

    def _tells(self, name: str) -> None:
        """What a kubelet does at its start: it registers, or takes what stands there under its name."""
        told = {"boot_id": self.boots[name], "machine_id": self.machines[name]}
        with self.api.lock:
            if name in self.api.nodes:
                self.cluster.set_status(name, **told)
            else:
                self.cluster.add_node(name, is_control_plane=name.startswith(CONTROL), **told)

    def _kubelets(self) -> list[str]:
        """The hosts of the cluster that are up; in which boot each of them is."""
        hosts = [host for host in self.made.hosts().values() if host["pool"].startswith("k8s-") and not host["down"]]
        self.boots |= {host["name"]: host["boot_id"] for host in hosts}
        self.machines |= {host["name"]: f"{host['name']}-{host['generation']}" for host in hosts}
        return [host["name"] for host in hosts]

    def _workers(self) -> list[str]:
        return [name for name in self.boots if name.startswith(WORKERS) and name in self.api.nodes]

    def _add_pod(self, node: str) -> None:
        self.pods += 1
        self.cluster.add_pod(node, f"web-{self.pods}", app="web")


@dataclass
class Endpoint:
    """Serves a key and its certificate, as a server does that takes each new one at once."""

    at: tuple[str, int]
    has: Callable[[], str]

    def __post_init__(self) -> None:
        self.listener = socket.create_server(self.at)
        self.listener.settimeout(0.2)

    def serve(self) -> None:
        """One client, if one comes. It is sent away as long as there is no certificate."""
        with contextlib.suppress(OSError), self.listener.accept()[0] as client:
            client.settimeout(5)
            time.sleep(SLOW_S)
            if text := self.has():
                with self._context(text).wrap_socket(client, server_side=True) as served:
                    served.recv(1)

    def _context(self, text: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile() as pem:
            Path(pem.name).write_text(text)
            context.load_cert_chain(pem.name)
        return context


@contextlib.contextmanager
def again_and_again(what: Callable[[], None], pause_s: float) -> Iterator[None]:
    """Call it beside the test, until the end of the block; what it raised is raised there."""
    ends, failed = threading.Event(), []

    def work() -> None:
        try:
            while not ends.wait(pause_s):
                what()
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ends.set()
        thread.join()
    assert not failed, failed


@dataclass
class Parts:
    shop: Shop
    #: The host whose certificate of Certbot is served.
    serves: str = ""

    def of_certbot(self) -> str:
        asked = {"action": "file", "name": self.serves, "path": certificates.LIVE}
        if not self.serves or not (text := send(self.shop.made.fleet, asked)["text"]):
            return ""
        key = certificates.key_of(self.serves).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return f"{key.decode()}{text}"


@contextlib.contextmanager
def parts(made: Operating, hooks: Path, kept: Path) -> Iterator[Parts]:
    """All of it, known to an installation whose nodes are there already. `hooks` is its folder of provisioners."""
    shop, port = Shop(made), free_port()
    found = Parts(shop)
    shop.fill()
    machine = NEW_MACHINE.format(root=str(ROOT), fleet=str(made.fleet))
    (hooks / "recreate").write_text(MAKES_MACHINES.format(python=sys.executable, machine=machine))
    (hooks / "recreate").chmod(0o755)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(api_server(shop.api))
        stack.enter_context(again_and_again(shop.goes_on, 0.5))
        for endpoint in (Endpoint(ENDPOINT, found.of_certbot), Endpoint(INGRESS, shop.issued)):
            stack.enter_context(again_and_again(endpoint.serve, 0))
        given: dict[str, Any] = {"cluster": CLUSTER, "pool": WORKERS, "policies": POLICIES, "kept": str(kept)}
        given |= {
            "endpoints": [ENDPOINT, INGRESS],
            "kubeconfig": server.kubeconfig(),
            "url": f"http://127.0.0.1:{port}",
        }
        made.run(SET_UP.format(given=json.dumps(given)))
        made.start(f"web-{port}")
        nodes = "SELECT count(*) FROM ops_clusternode WHERE node_id IS NOT NULL"
        made.wait_for(lambda: made.execute(nodes) == [(len(shop.boots),)], 60, "the nodes of the cluster are known")
        issued = "SELECT count(*) FROM ops_clustercertificate"
        made.wait_for(lambda: made.execute(issued) == [(1,)], 60, "the certificate of cert-manager is known")
        yield found
