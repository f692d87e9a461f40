"""Certificates of simulated hosts: kubeadm's on hosts of a cluster, Certbot's on the others. No key of theirs exists."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from simfleet import seeds
from simfleet.answers.base import Answer, Call, command, fail, say
from simfleet.model import Host

#: What Certbot calls the one of hosts outside of clusters.
NAME = "shop.example.org"
PKI = "/etc/kubernetes/pki/"
_CONFIGS = "/etc/kubernetes/"
LIVE = f"/etc/letsencrypt/live/{NAME}/fullchain.pem"
VERSION = "certbot 4.1.1"
_DAY = 86_400
#: When the authorities of the simulated clusters began.
_OF_OLD = 1_700_000_000
_KUBEADM = (
    ("apiserver.crt", "kube-apiserver", "kubernetes", ("kubernetes", "kubernetes.default.svc")),
    ("apiserver-kubelet-client.crt", "kube-apiserver-kubelet-client", "kubernetes", ()),
    ("front-proxy-client.crt", "front-proxy-client", "front-proxy-ca", ()),
    ("etcd/server.crt", "", "etcd-ca", ("localhost", "127.0.0.1")),
    ("etcd/peer.crt", "", "etcd-ca", ("localhost", "127.0.0.1")),
)
#: In kubeconfigs, on control planes alone.
_KUBECONFIGS = (
    (f"{_CONFIGS}admin.conf", "kubernetes-admin", "kubernetes", ()),
    (f"{_CONFIGS}controller-manager.conf", "system:kube-controller-manager", "kubernetes", ()),
    (f"{_CONFIGS}scheduler.conf", "system:kube-scheduler", "kubernetes", ()),
)
_CAS = (("ca.crt", "kubernetes"), ("front-proxy-ca.crt", "front-proxy-ca"), ("etcd/ca.crt", "etcd-ca"))


def _key(seed: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed.encode()).digest())


def key_of(host: str) -> Ed25519PrivateKey:
    """The key of the certificate that Certbot has on a host: for who plays the service that serves it."""
    return _key(f"{host}/{NAME}")


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


@lru_cache(maxsize=4096)
def pem(subject: str, issuer: str, names: tuple[str, ...], begins: int, days: int, scope: str) -> str:
    """Always the same for the same words: `scope` tells those of one cluster or host from those of others."""
    key, signer = _key(f"{scope}/{subject}"), _key(f"{scope}/{issuer}")
    begin = datetime.fromtimestamp(begins, UTC)
    serial = int.from_bytes(hashlib.sha256(f"{scope}/{subject}/{begins}".encode()).digest()[:16]) >> 1
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(serial + 1)
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=days))
        .add_extension(x509.BasicConstraints(subject == issuer, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if names:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(alternatives, critical=False)
    return builder.sign(signer, None).public_bytes(Encoding.PEM).decode()


def _spread(host: Host, days: int) -> int:
    return seeds.number(host.seed, host.name, "certificate") % days


def files(host: Host, now: float) -> list[tuple[str, str, str]]:
    """(label, path, PEM) of what lies on a host. It is made when it is looked at for the first time, and stays so."""
    born = int(now) // _DAY * _DAY
    made: list[tuple[str, str, tuple[str, str, tuple[str, ...], int, int, str]]] = []
    if not host.plan.role.startswith("k8s"):
        begins = born - (62 + _spread(host, 20)) * _DAY
        made.append(("certbot", LIVE, (NAME, "R11", (NAME, f"www.{NAME}"), begins, 90, host.name)))
    else:
        base, scope, begins = PKI, _scope(host), born - (200 + _spread(host, 150)) * _DAY
        made += [("k8s", base + path, (name, name, (), _OF_OLD, 3650, scope)) for path, name in _CAS]
        for path, subject, issuer, names in _KUBEADM:
            made.append(("k8s", base + path, (subject or host.name, issuer, names, begins, 365, scope)))
        for path, subject, issuer, names in _KUBECONFIGS if host.plan.role == "k8s-control" else ():
            made.append(("kubeconfig", path, (subject, issuer, names, begins, 365, scope)))
    for _label, path, words in made:
        if path not in host.written:
            host.written[path] = pem(*words)
    return [(label, path, host.written[path]) for label, path, _words in made]


def _scope(host: Host) -> str:
    """Those of one cluster have one authority."""
    return f"cluster/{host.seed}"


def renewed(host: Host, path: str, now: int) -> None:
    """A certificate of kubeadm anew, by the authority of before."""
    known = {PKI + one[0]: one for one in _KUBEADM} | {one[0]: one for one in _KUBECONFIGS}
    _path, subject, issuer, names = known[path]
    host.written[path] = pem(subject or host.name, issuer, names, now - 300, 365, _scope(host))


def listed(call: Call) -> Answer:
    """`sh -c SCRIPT fleetui-certificates`: label, path and contents of each, and who asked."""
    rows = files(call.host, call.now) if call.root else []
    parts = [part for label, path, text in rows for part in (label, path, base64.b64encode(text.encode()).decode())]
    return say("".join(f"{part}\0" for part in (*parts, "end", "0" if call.root else "1000", "")))


def of_certbot(call: Call) -> Answer:
    """`sh -c SCRIPT fleetui-certbot NAME`: which Certbot it is, and what lies in its folder."""
    if call.host.plan.role.startswith("k8s"):
        return say("absent\n")
    known = {path: text for _label, path, text in files(call.host, call.now)}
    return say(f"{VERSION}\n{known.get(f'/etc/letsencrypt/live/{call.args[3]}/fullchain.pem', '')}")


@command("certbot")
def certbot(call: Call) -> Answer:
    """`certbot renew --cert-name NAME`: from 30 days before the end on, or always by force."""
    if call.host.plan.role.startswith("k8s"):
        return fail("sh: line 1: certbot: command not found", 127)
    if "--version" in call.args:
        return say(VERSION + "\n")
    if not call.root:
        return fail("The following error was encountered: [Errno 13] Permission denied: '/var/log/letsencrypt'")
    if call.args[call.args.index("--cert-name") + 1] != NAME:
        return fail("No certificate found with that name.")
    [(_label, path, text)] = files(call.host, call.now)
    ends = x509.load_pem_x509_certificate(text.encode()).not_valid_after_utc.timestamp()
    if ends - call.now > 30 * _DAY and "--force-renewal" not in call.args:
        return say("Certificates not due for renewal yet:\nNo renewals were attempted.\n")
    call.host.written[path] = pem(NAME, "R11", (NAME, f"www.{NAME}"), int(call.now) - 3600, 90, call.host.name)
    call.world.changed(call.host)
    return say(f"Congratulations, all renewals succeeded:\n  {path} (success)\n")
