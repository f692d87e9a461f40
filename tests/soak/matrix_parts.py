"""What the kinds of operations work on beside the simulated hosts, all of it real to the workers that are killed.

An API server of a cluster whose Deployments roll out and whose pods come again, an endpoint that serves the certificate of
a host, a command that makes machines anew, and a directory that backups are kept in.
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
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from ops.tests.kube import InProcess
from simfleet.answers import certificates
from simfleet.control import send
from tests.fleet import ROOT
from tests.kubeapi import Api, api_server
from tests.kubeapps import Controller
from tests.kubecluster import Cluster
from tests.operating import Operating
from tests.services import free_port

SPACE, CLUSTER, WORKERS = "shop", "prod", "k8s-workers"
OLD, NEW, NEXT = (f"localhost/shop:{number}" for number in (1, 2, 3))
DEPLOYMENTS = tuple(f"{SPACE}-{number:02d}" for number in range(24))
POLICIES = ("copies", "drills")
ENDPOINT = ("127.74.240.1", 8443)
#: So long each answer of the API and of the endpoint takes, so that a step is seen which only asks them.
SLOW_S = 0.1
#: Looks first what it did already under this id, as the documentation asks of it.
MAKES_MACHINES = """\
#!{python}
import json, pathlib, sys, time, urllib.request
sys.path.insert(0, {root!r})
from simfleet.control import send
asked = json.load(sys.stdin)
done = pathlib.Path(__file__).with_name(asked["id"])
if not done.exists():
    with urllib.request.urlopen(asked["ignition"]["url"]) as answer:
        config = answer.read().decode()
    time.sleep(1)
    print("recreating", asked["node"]["name"], file=sys.stderr)
    send({fleet!r}, {{"action": "recreate", "name": asked["node"]["name"], "config": config}})
    done.touch()
print(json.dumps({{"state": "replaced", "sentence": "recreated"}}))
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
CertificateSource.objects.create(kind="endpoint", host=given["endpoint"][0], port=given["endpoint"][1])
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

    def __post_init__(self) -> None:
        self.cluster = Cluster(InProcess(self.api), space=SPACE)
        self.controller = Controller(self.api)
        self.api.namespaces[SPACE] = {"metadata": {"name": SPACE}}

    def fill(self) -> None:
        """Two pods on each worker that a budget lets go a few at a time, one that stays, and Deployments with a past."""
        names = self._kubelets()
        for name in names:
            self.cluster.add_node(name, boot_id=self.boots[name])
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
        where = {one["metadata"]["name"]: one["spec"].get("nodeName") for one in self.cluster.pods()}
        ended = [name for name in self.cluster.kubelet() if name.startswith("web-")]
        for _name in ended:
            free = [one for one in self._workers() if not self.cluster.is_cordoned(one)]
            self._add_pod(min(free, key=lambda one: list(where.values()).count(one)))
        before = dict(self.boots)
        for name in self._kubelets():
            if self.boots[name] != before.get(name):
                self.cluster.set_status(name, boot_id=self.boots[name])

    def cordoned(self) -> set[str]:
        return {name for name in self.boots if self.cluster.is_cordoned(name)}

    def _kubelets(self) -> list[str]:
        """The hosts of the cluster that are up; in which boot each of them is."""
        hosts = [host for host in self.made.hosts().values() if host["pool"].startswith("k8s-") and not host["down"]]
        self.boots |= {host["name"]: host["boot_id"] for host in hosts}
        return [host["name"] for host in hosts]

    def _workers(self) -> list[str]:
        return [name for name in self.boots if name.startswith(WORKERS)]

    def _add_pod(self, node: str) -> None:
        self.pods += 1
        self.cluster.add_pod(node, f"web-{self.pods}", app="web")


@dataclass
class Endpoint:
    """Serves what Certbot has on one host, as a server does that takes each certificate at once."""

    made: Operating
    host: str = ""

    def __post_init__(self) -> None:
        self.listener = socket.create_server(ENDPOINT)
        self.listener.settimeout(0.2)

    def serve(self) -> None:
        """One client, if one comes. It is sent away as long as there is no certificate."""
        with contextlib.suppress(OSError), self.listener.accept()[0] as client:
            client.settimeout(5)
            time.sleep(SLOW_S)
            asked = {"action": "file", "name": self.host, "path": certificates.LIVE}
            if self.host and (text := send(self.made.fleet, asked)["text"]):
                with self._context(text).wrap_socket(client, server_side=True) as served:
                    served.recv(1)

    def _context(self, certificate: str) -> ssl.SSLContext:
        key = certificates.key_of(self.host).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile() as pem:
            Path(pem.name).write_text(key.decode() + certificate)
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
    endpoint: Endpoint


@contextlib.contextmanager
def parts(made: Operating, hooks: Path, kept: Path) -> Iterator[Parts]:
    """All of it, known to an installation whose nodes are there already. `hooks` is its folder of provisioners."""
    shop, endpoint, port = Shop(made), Endpoint(made), free_port()
    shop.fill()
    (hooks / "recreate").write_text(MAKES_MACHINES.format(python=sys.executable, root=str(ROOT), fleet=str(made.fleet)))
    (hooks / "recreate").chmod(0o755)
    with api_server(shop.api) as server, again_and_again(shop.goes_on, 0.5), again_and_again(endpoint.serve, 0):
        given = {"cluster": CLUSTER, "pool": WORKERS, "policies": POLICIES, "kept": str(kept), "endpoint": ENDPOINT}
        given |= {"kubeconfig": server.kubeconfig(), "url": f"http://127.0.0.1:{port}"}
        made.run(SET_UP.format(given=json.dumps(given)))
        made.start(f"web-{port}")
        nodes = "SELECT count(*) FROM ops_clusternode WHERE node_id IS NOT NULL"
        made.wait_for(lambda: made.execute(nodes) == [(len(shop.boots),)], 60, "the nodes of the cluster are known")
        yield Parts(shop, endpoint)
