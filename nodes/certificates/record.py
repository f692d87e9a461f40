"""One certificate as facts: what it says of itself, and nothing of who holds its private half."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Form(StrEnum):
    X509 = "x509"
    SSH = "ssh"


class Use(StrEnum):
    """What a certificate is for, as far as its place tells."""

    KUBE_CA = "kube_ca"
    KUBE_APISERVER = "kube_apiserver"
    KUBE_APISERVER_KUBELET = "kube_apiserver_kubelet"
    KUBE_APISERVER_ETCD = "kube_apiserver_etcd"
    KUBECONFIG = "kubeconfig"
    FRONT_PROXY_CA = "front_proxy_ca"
    FRONT_PROXY = "front_proxy"
    ETCD_CA = "etcd_ca"
    ETCD_SERVER = "etcd_server"
    ETCD_PEER = "etcd_peer"
    ETCD_CLIENT = "etcd_client"
    KUBELET_CLIENT = "kubelet_client"
    KUBELET_SERVER = "kubelet_server"
    REGISTRY = "registry"
    HAPROXY = "haproxy"
    NGINX = "nginx"
    CERTBOT = "certbot"
    CERT_MANAGER = "cert_manager"
    TRUST_ANCHOR = "trust_anchor"
    SSH_HOST = "ssh_host"
    ENDPOINT = "endpoint"
    OTHER = "other"


@dataclass(frozen=True)
class Certificate:
    """`names` are DNS names, IP addresses and e-mail addresses of an X.509 certificate, or the principals of an SSH one.

    `not_before` and `not_after` None mean without limit, which only SSH certificates have. `serial` is hexadecimal.
    `fingerprint` is the SHA-256 of the whole certificate, hexadecimal. `blob` is the certificate itself, DER or as OpenSSH
    encodes it; the key ids are those of the extensions, hexadecimal or empty.
    """

    form: Form
    subject: str
    issuer: str
    serial: str
    names: tuple[str, ...]
    not_before: datetime | None
    not_after: datetime | None
    key_type: str
    key_bits: int
    signature: str
    is_ca: bool
    fingerprint: str
    blob: bytes = field(repr=False, compare=False, default=b"")
    subject_key: str = ""
    authority_key: str = ""

    @property
    def is_self_signed(self) -> bool:
        """By its names: nobody else is said to have issued it."""
        return self.form is Form.X509 and self.subject == self.issuer and self.authority_key in ("", self.subject_key)


@dataclass(frozen=True)
class Found:
    """A certificate in its place: a path and what it is for, or a position in what an endpoint served.

    `position` counts within the place: 0 is the first, which is the one that is shown to others; those after it are its chain.
    """

    place: str
    position: int
    use: Use
    certificate: Certificate


@dataclass(frozen=True)
class Unread:
    """A place that was to be read and was not, and why: damaged, too_large, too_many, missing."""

    place: str
    why: str

    def as_json(self) -> dict[str, str]:
        return {"place": self.place, "why": self.why}


class Level(StrEnum):
    """How bad a finding is: something stops working, it will, or it is worth knowing."""

    BAD = "bad"
    WARN = "warn"
    INFO = "info"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a certificate in its place."""

    code: str
    level: Level
    params: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"code": self.code, "level": self.level.value, "params": self.params}
