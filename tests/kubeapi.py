"""A small Kubernetes API server over HTTPS, with its rows in memory: what FleetUI asks of a cluster, and what makes one.

Answers have the shapes, status codes and Status bodies that an API server 1.36 was recorded to give. Disruption budgets
are counted from the pods at every request, as the disruption controller and the eviction registry do it; evicted pods stay
Terminating until `Cluster.kubelet` ends them, and pods of a ReplicaSet come again elsewhere.
`Cluster` speaks HTTP with either this or a real API server: tests that use nothing else run against both.
"""

from __future__ import annotations

import base64
import copy
import datetime as dt
import ipaddress
import json
import re
import ssl
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.kubeapps import JSON_PATCH, MERGE, STRATEGIC, patched, selects

TOKEN = "fleetui-token"
VERSION = {"major": "1", "minor": "36", "gitVersion": "v1.36.2", "platform": "linux/amd64"}
Document = dict[str, Any]
_LISTS = {
    "/api/v1/nodes": "nodes",
    "/api/v1/pods": "pods",
    "/apis/policy/v1/poddisruptionbudgets": "poddisruptionbudgets",
    "/api/v1/namespaces": "namespaces",
    "/api/v1/persistentvolumes": "persistentvolumes",
    "/apis/apps/v1/deployments": "deployments",
}
_ONE = re.compile(r"/api/v1/nodes/(?P<name>[^/]+)(?P<sub>/status)?\Z")
_POD = re.compile(r"/api/v1/namespaces/(?P<space>[^/]+)/pods(?:/(?P<name>[^/]+)(?P<sub>/eviction|/status)?)?\Z")
_BUDGET = re.compile(r"/apis/policy/v1/namespaces/(?P<space>[^/]+)/poddisruptionbudgets(?:/(?P<name>[^/]+))?\Z")
_APPS = re.compile(
    r"/apis/apps/v1/namespaces/(?P<space>[^/]+)/(?P<kind>deployments|replicasets)(?:/(?P<name>[^/]+)(?P<sub>/status)?)?\Z"
)
_ISSUED = re.compile(
    r"/apis/cert-manager\.io/v1(?:/namespaces/(?P<space>[^/]+))?"
    r"(?:/(?P<kind>certificates|certificaterequests)(?:/(?P<name>[^/]+)(?P<sub>/status)?)?)?\Z"
)
_GROUPS = {
    "deployments": "deployments.apps",
    "replicasets": "replicasets.apps",
    "certificates": "certificates.cert-manager.io",
    "certificaterequests": "certificaterequests.cert-manager.io",
}
_SPACE = re.compile(r"/api/v1/namespaces/(?P<name>[^/]+)\Z")


class Answered(Exception):
    """An answer that is not 2xx."""

    def __init__(self, code: int, reason: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.body = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            **({"details": details} if details else {}),
            "code": code,
        }


def _not_found(kind: str, name: str) -> Answered:
    return Answered(404, "NotFound", f'{kind} "{name}" not found', name=name, kind=kind)


@dataclass
class Api:
    """The rows and the rules. `denied` holds rights such as "patch nodes"; `fails` may answer or raise before anything else."""

    nodes: dict[str, Document] = field(default_factory=dict)
    pods: dict[str, Document] = field(default_factory=dict)
    poddisruptionbudgets: dict[str, Document] = field(default_factory=dict)
    persistentvolumes: dict[str, Document] = field(default_factory=dict)
    deployments: dict[str, Document] = field(default_factory=dict)
    replicasets: dict[str, Document] = field(default_factory=dict)
    certificates: dict[str, Document] = field(default_factory=dict)
    certificaterequests: dict[str, Document] = field(default_factory=dict)
    #: Whether the kinds of cert-manager are known at all.
    has_cert_manager: bool = False
    namespaces: dict[str, Document] = field(default_factory=lambda: {"default": {"metadata": {"name": "default"}}})
    denied: set[str] = field(default_factory=set)
    fails: Callable[[str, str], tuple[int, Document] | None] = lambda _method, _path: None
    #: So long a client over HTTPS waits for each answer.
    delay_s: float = 0
    #: Every change that was made, in order.
    done: list[str] = field(default_factory=list)
    revision: int = 300
    lock: threading.RLock = field(default_factory=threading.RLock)

    def handle(self, method: str, path: str, query: dict[str, str], body: Any, kind: str = "") -> tuple[int, Document]:
        with self.lock:
            try:
                failed = self.fails(method, path)
                return failed if failed is not None else self._answer(method, path, query, body, kind)
            except Answered as answer:
                return answer.code, answer.body

    def _answer(self, method: str, path: str, query: dict[str, str], body: Any, kind: str) -> tuple[int, Document]:
        if path == "/version":
            return 200, dict(VERSION)
        if path.endswith("/selfsubjectaccessreviews"):
            asked = body["spec"]["resourceAttributes"]
            return 201, {**body, "status": {"allowed": _right(asked) not in self.denied}}
        if path in _LISTS and method == "GET":
            return self._list(_LISTS[path], query)
        if path in _LISTS and method == "POST":
            return 201, self._made(_LISTS[path], body["metadata"]["name"], body)
        if found := _ONE.match(path):
            return self._node(method, found["name"], body, is_status=bool(found["sub"]))
        if found := _APPS.match(path):
            return self._app(method, found, query, body, kind)
        if self.has_cert_manager and (found := _ISSUED.match(path)):
            return self._issued(method, found, query, body, kind)
        if (found := _POD.match(path)) and method == "GET" and not found["name"]:
            return self._list("pods", query, found["space"])
        if found := _POD.match(path):
            return self._pod(method, found["space"], found["name"], found["sub"], body)
        if found := _BUDGET.match(path):
            return self._budget(method, found["space"], found["name"], body)
        if (found := _SPACE.match(path)) and method == "DELETE":
            for key in [key for key in self.pods if key.startswith(f"{found['name']}/")]:
                del self.pods[key]
            return 200, self.namespaces.pop(found["name"], {})
        raise Answered(404, "NotFound", "the server could not find the requested resource")

    def _allow(self, right: str) -> None:
        if right in self.denied:
            verb, _space, resource = right.partition(" ")
            said = f'{resource} is forbidden: User "fleetui" cannot {verb} resource "{resource}" in API group ""'
            raise Answered(403, "Forbidden", said, kind=resource)

    def _list(self, kind: str, query: dict[str, str], space: str = "") -> tuple[int, Document]:
        self._allow(f"list {_GROUPS.get(kind, kind)}")
        rows = self.__dict__[kind]
        wanted = query.get("fieldSelector", "").partition("spec.nodeName=")[2]
        keys = sorted(
            key
            for key, row in rows.items()
            if (not wanted or row["spec"].get("nodeName") == wanted)
            and (not space or row["metadata"]["namespace"] == space)
            and selects(row["metadata"].get("labels", {}), query.get("labelSelector", ""))
        )
        start = int(base64.b64decode(query["continue"]).decode()) if "continue" in query else 0
        limit = int(query.get("limit") or len(keys) or 1)
        more = {}
        if start + limit < len(keys):
            token = base64.b64encode(str(start + limit).encode()).decode()
            more = {"continue": token, "remainingItemCount": len(keys) - start - limit}
        shown = [self._shown(kind, rows[key]) for key in keys[start : start + limit]]
        return 200, {"kind": "List", "metadata": {"resourceVersion": str(self.revision), **more}, "items": shown}

    def _shown(self, kind: str, row: Document) -> Document:
        found = copy.deepcopy(row)
        if kind == "poddisruptionbudgets":
            found["status"] = self._counted(row)
        return found

    def _made(self, kind: str, key: str, body: Document) -> Document:
        rows = self.__dict__[kind]
        if key in rows:
            raise Answered(409, "AlreadyExists", f'{kind} "{key}" already exists', name=key, kind=kind)
        row = copy.deepcopy(body)
        row.setdefault("spec", {})
        row.setdefault("status", {})
        row["metadata"] |= {"uid": str(uuid.uuid4()), "creationTimestamp": "2026-03-01T12:00:00Z"}
        rows[key] = row
        return self._changed(row)

    def _changed(self, row: Document) -> Document:
        self.revision += 1
        row["metadata"]["resourceVersion"] = str(self.revision)
        return row

    def _app(
        self, method: str, found: re.Match[str], query: dict[str, str], body: Any, kind: str
    ) -> tuple[int, Document]:
        space, name, what = found["space"], found["name"], found["kind"]
        group = _GROUPS[what]
        if name is None:
            if method == "GET":
                return self._list(what, query, space)
            body["metadata"] |= {"namespace": space, "generation": 1}
            return 201, self._made(what, f"{space}/{body['metadata']['name']}", body)
        row = self.__dict__[what].get(f"{space}/{name}")
        if row is None:
            raise _not_found(group, name)
        if method == "GET":
            self._allow(f"get {group}")
        elif method == "DELETE":
            del self.__dict__[what][f"{space}/{name}"]
        elif method == "PATCH":
            self._allow(f"patch {group}")
            self._patch_app(group, name, row, body, kind, is_status=bool(found["sub"]))
        return 200, copy.deepcopy(row)

    def _issued(
        self, method: str, found: re.Match[str], query: dict[str, str], body: Any, kind: str
    ) -> tuple[int, Document]:
        """As custom resources: a patch by strategy is not taken, and what is sent to the status changes nothing else."""
        space, name, what = found["space"], found["name"], found["kind"]
        if what is None:
            return 200, {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "cert-manager.io/v1"}
        group, rows = _GROUPS[what], self.__dict__[what]
        if name is None:
            return self._list(what, query, space or "")
        row = rows.get(f"{space}/{name}")
        if row is None:
            raise _not_found(group, name)
        if method == "GET":
            self._allow(f"get {group}")
        elif method == "PATCH":
            self._allow(f"patch {group}{found['sub'] or ''}")
            if kind not in (MERGE, JSON_PATCH):
                raise Answered(415, "UnsupportedMediaType", "the body of the request was in an unknown format")
            after = patched(row, body, kind)
            if after["metadata"]["resourceVersion"] != row["metadata"]["resourceVersion"]:
                said = "the object has been modified; please apply your changes to the latest version and try again"
                told = f'Operation cannot be fulfilled on {group} "{name}": {said}'
                raise Answered(409, "Conflict", told, name=name, kind=group)
            changed = "status" if found["sub"] else "spec"
            row[changed] = after[changed]
            self.done.append(f"patch {what}{found['sub'] or ''} {name}")
            self._changed(row)
        return 200, copy.deepcopy(row)

    def _patch_app(self, group: str, name: str, row: Document, body: Any, kind: str, *, is_status: bool) -> None:
        if kind not in (MERGE, STRATEGIC, JSON_PATCH):
            raise Answered(415, "UnsupportedMediaType", "the body of the request was in an unknown format")
        try:
            after = patched(row, body, kind)
        except KeyError as error:
            raise Answered(422, "Invalid", f"the server rejected our request: {error}") from error
        for wanted in ("resourceVersion", "uid"):
            if after["metadata"][wanted] != row["metadata"][wanted]:
                said = "the object has been modified; please apply your changes to the latest version and try again"
                told = f'Operation cannot be fulfilled on {group} "{name}": {said}'
                raise Answered(409, "Conflict", told, name=name, kind=group)
        if is_status:
            after["spec"] = row["spec"]
        else:
            after["status"] = row["status"]
        if any(not one.get("image") for one in after["spec"]["template"]["spec"]["containers"]):
            raise Answered(
                422, "Invalid", f'{group} "{name}" is invalid: spec.template.spec.containers: Required value'
            )
        if after["spec"] != row["spec"]:
            after["metadata"]["generation"] += 1
            self.done.append(f"patch {name}")
        row.clear()
        row.update(after)
        self._changed(row)

    def _node(self, method: str, name: str, body: Document, *, is_status: bool) -> tuple[int, Document]:
        if name not in self.nodes:
            raise _not_found("nodes", name)
        row = self.nodes[name]
        if method == "GET":
            self._allow("get nodes")
        elif method == "PATCH":
            self._allow("patch nodes")
            self._patched("nodes", name, row, body)
            if not is_status:
                self.done.append(f"{'cordon' if row['spec'].get('unschedulable') else 'uncordon'} {name}")
        elif method == "DELETE":
            self._allow("delete nodes")
            for wanted, given in (body.get("preconditions") or {}).items():
                if given != row["metadata"][wanted]:
                    said = f"the {wanted} in the precondition ({given}) does not match the one in record"
                    raise Answered(409, "Conflict", f'Operation cannot be fulfilled on nodes "{name}": {said}')
            del self.nodes[name]
            self.done.append(f"remove {name}")
        return 200, copy.deepcopy(row)

    def _patched(self, kind: str, name: str, row: Document, body: Document) -> None:
        given = body.get("metadata", {})
        for wanted in ("resourceVersion", "uid"):
            if given.get(wanted, row["metadata"][wanted]) != row["metadata"][wanted]:
                said = "the object has been modified; please apply your changes to the latest version and try again"
                raise Answered(
                    409, "Conflict", f'Operation cannot be fulfilled on {kind} "{name}": {said}', name=name, kind=kind
                )
        _merge(row, {**body, "metadata": {k: v for k, v in given.items() if k not in ("uid", "resourceVersion")}})
        self._changed(row)

    def _pod(self, method: str, space: str, name: str | None, sub: str | None, body: Document) -> tuple[int, Document]:
        if name is None:
            if space not in self.namespaces:
                raise _not_found("namespaces", space)
            body["metadata"].setdefault("namespace", space)
            return 201, self._made("pods", f"{space}/{body['metadata']['name']}", body)
        key = f"{space}/{name}"
        if key not in self.pods:
            raise _not_found("pods", name)
        row = self.pods[key]
        if method == "PATCH":
            self._patched("pods", name, row, body)
            return 200, copy.deepcopy(row)
        if sub == "/eviction":
            self._allow("create pods/eviction")
            return self._evicted(key, row, body.get("deleteOptions") or {})
        if method == "DELETE":
            self._allow("delete pods")
            self._check_uid(name, row, body)
            self.done.append(f"delete {key}")
            self._terminate(key, row, body)
        return 200, copy.deepcopy(row)

    def _check_uid(self, name: str, row: Document, options: Document) -> None:
        wanted = (options.get("preconditions") or {}).get("uid")
        if wanted and wanted != row["metadata"]["uid"]:
            said = f"the UID in the precondition ({wanted}) does not match the UID in record"
            raise Answered(409, "Conflict", f'Operation cannot be fulfilled on pods "{name}": {said}')

    def _evicted(self, key: str, row: Document, options: Document) -> tuple[int, Document]:
        self._check_uid(key, row, options)
        is_dry = options.get("dryRun") == ["All"]
        budgets = [one for one in self.poddisruptionbudgets.values() if _covers(one, row)]
        if not _is_loose(row) and budgets:
            if len(budgets) > 1:
                said = (
                    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
                )
                raise Answered(500, "InternalError", said)
            status, name = self._counted(budgets[0]), budgets[0]["metadata"]["name"]
            if status["disruptionsAllowed"] <= 0 and not _harmless(row, budgets[0], status):
                needs, has = status["desiredHealthy"], status["currentHealthy"]
                cause = f"The disruption budget {name} needs {needs} healthy pods and has {has} currently"
                raise Answered(
                    429,
                    "TooManyRequests",
                    "Cannot evict pod as it would violate the pod's disruption budget.",
                    causes=[{"reason": "DisruptionBudget", "message": cause}],
                )
        if not is_dry:
            self.done.append(f"evict {key}")
            self._terminate(key, row, options)
        return 201, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}

    def _terminate(self, key: str, row: Document, options: Document) -> None:
        grace = options.get("gracePeriodSeconds", 30)
        if grace == 0 or not row["spec"].get("nodeName"):
            del self.pods[key]
            return
        row["metadata"] |= {"deletionTimestamp": "2026-03-01T12:00:30Z", "deletionGracePeriodSeconds": grace}
        self._changed(row)

    def _budget(self, method: str, space: str, name: str | None, body: Document) -> tuple[int, Document]:
        if method == "POST":
            body["metadata"].setdefault("namespace", space)
            return 201, self._made("poddisruptionbudgets", f"{space}/{body['metadata']['name']}", body)
        key = f"{space}/{name}"
        if key not in self.poddisruptionbudgets:
            raise _not_found("poddisruptionbudgets.policy", str(name))
        row = self.poddisruptionbudgets[key]
        if method == "PATCH":
            self._patched("poddisruptionbudgets", str(name), row, body)
        if method == "DELETE":
            del self.poddisruptionbudgets[key]
        return 200, self._shown("poddisruptionbudgets", row)

    def _counted(self, budget: Document) -> Document:
        covered = [pod for pod in self.pods.values() if _covers(budget, pod)]
        healthy = sum(_is_ready(pod) and "deletionTimestamp" not in pod["metadata"] for pod in covered)
        desired = budget["spec"].get("minAvailable")
        if desired is None:
            desired = max(len(covered) - budget["spec"]["maxUnavailable"], 0)
        return {
            "disruptionsAllowed": max(healthy - desired, 0),
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "expectedPods": len(covered),
            "observedGeneration": 1,
        }


def _right(asked: Document) -> str:
    group = f".{asked['group']}" if asked.get("group") else ""
    sub = f"/{asked['subresource']}" if asked.get("subresource") else ""
    return f"{asked['verb']} {asked['resource']}{group}{sub}"


def _merge(row: Document, patch: Document) -> None:
    """JSON merge patch."""
    for name, value in patch.items():
        if value is None:
            row.pop(name, None)
        elif isinstance(value, dict):
            _merge(row.setdefault(name, {}), value)
        else:
            row[name] = value


def _covers(budget: Document, pod: Document) -> bool:
    wanted = budget["spec"]["selector"].get("matchLabels", {})
    labels = pod["metadata"].get("labels", {})
    same_space = budget["metadata"]["namespace"] == pod["metadata"]["namespace"]
    return same_space and all(labels.get(key) == value for key, value in wanted.items())


def _is_ready(pod: Document) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", ()))


def _is_loose(pod: Document) -> bool:
    """What no budget keeps: it has ended, has not begun, or is going."""
    return pod["status"].get("phase") in ("Succeeded", "Failed", "Pending") or "deletionTimestamp" in pod["metadata"]


def _harmless(pod: Document, budget: Document, status: Document) -> bool:
    if _is_ready(pod):
        return False
    always: bool = budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow"
    return always or bool(status["currentHealthy"] >= status["desiredHealthy"] > 0)


@dataclass(frozen=True)
class Certificates:
    """An authority of its own, and what it signed for the server and for a client; all PEM."""

    ca: str
    server: str
    client: str
    client_key: str


def make_certificates() -> Certificates:
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = _name("kubernetes")
    ca = _signed(ca_name, ca_key.public_key(), ca_name, ca_key, is_ca=True)

    def pair(name: str, usage: x509.ObjectIdentifier) -> tuple[str, str]:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _signed(_name(name), key.public_key(), ca_name, ca_key, usage=usage)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return _pem(certificate), private.decode()

    server, server_key = pair("kube-apiserver", ExtendedKeyUsageOID.SERVER_AUTH)
    client, client_key = pair("fleetui", ExtendedKeyUsageOID.CLIENT_AUTH)
    return Certificates(_pem(ca), server + server_key, client, client_key)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _signed(
    name: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    is_ca: bool = False,
    usage: x509.ObjectIdentifier | None = None,
) -> x509.Certificate:
    """As kubeadm's are: without the identifier of the authority's key."""
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    if usage is not None:
        places = [x509.DNSName("kubernetes"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        made = made.add_extension(x509.SubjectAlternativeName(places), critical=False)
        made = made.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return made.sign(issuer_key, hashes.SHA256())


@dataclass(frozen=True)
class Server:
    """A running API server. `url` is where it listens."""

    api: Api
    url: str
    certificates: Certificates

    def kubeconfig(self, **user: str) -> str:
        """A kubeconfig with a client certificate; or with what is given as user."""
        made = self.certificates
        signs_in = user or {
            "client-certificate-data": base64.b64encode(made.client.encode()).decode(),
            "client-key-data": base64.b64encode(made.client_key.encode()).decode(),
        }
        ca = base64.b64encode(made.ca.encode()).decode()
        return json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "test",
                "contexts": [{"name": "test", "context": {"cluster": "test", "user": "fleetui"}}],
                "clusters": [{"name": "test", "cluster": {"server": self.url, "certificate-authority-data": ca}}],
                "users": [{"name": "fleetui", "user": signs_in}],
            }
        )


@contextmanager
def api_server(api: Api | None = None) -> Iterator[Server]:
    """Serves until the end of the block, on a port of its own. Signs in by client certificate or by TOKEN."""
    rows, certificates = api or Api(), make_certificates()
    handler = type("Handler", (_Handler,), {"api": rows})
    with tempfile.TemporaryDirectory() as folder:
        own, authority = Path(folder, "server.pem"), Path(folder, "ca.pem")
        own.write_text(certificates.server)
        authority.write_text(certificates.ca)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(own)
        context.load_verify_locations(authority)
        context.verify_mode = ssl.CERT_OPTIONAL
    server = _Listener(("127.0.0.1", 0), handler)
    # Not on accept: a client that goes away in its handshake would end the loop.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield Server(rows, f"https://127.0.0.1:{server.server_address[1]}", certificates)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is killed goes away in the middle of anything."""
        if not isinstance(sys.exception(), OSError | ValueError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    api: Api

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        time.sleep(self.api.delay_s)
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        signed = self.connection.getpeercert()
        if not signed and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            status, document = 401, Answered(401, "Unauthorized", "Unauthorized").body
        else:
            status, document = self.api.handle(
                self.command, parts.path, query, json.loads(raw) if raw else {}, self.headers.get("Content-Type", "")
            )
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _serve

    def log_message(self, *_args: Any) -> None:
        """A test says what matters."""
