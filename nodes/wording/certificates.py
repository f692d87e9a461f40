"""What certificates are for, what is wrong with them, and why they could not be read: codes to sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from nodes.certificates import Use
from nodes.wording import error_mend, error_sentence

USES: Final[Mapping[str, Promise]] = {
    Use.KUBE_CA: gettext_lazy("Kubernetes CA"),
    Use.KUBE_APISERVER: gettext_lazy("API server"),
    Use.KUBE_APISERVER_KUBELET: gettext_lazy("API server to kubelets"),
    Use.KUBE_APISERVER_ETCD: gettext_lazy("API server to etcd"),
    Use.KUBECONFIG: gettext_lazy("Kubeconfig"),
    Use.FRONT_PROXY_CA: gettext_lazy("Front proxy CA"),
    Use.FRONT_PROXY: gettext_lazy("Front proxy"),
    Use.ETCD_CA: gettext_lazy("etcd CA"),
    Use.ETCD_SERVER: gettext_lazy("etcd server"),
    Use.ETCD_PEER: gettext_lazy("etcd peer"),
    Use.ETCD_CLIENT: gettext_lazy("etcd client"),
    Use.KUBELET_CLIENT: gettext_lazy("Kubelet client"),
    Use.KUBELET_SERVER: gettext_lazy("Kubelet server"),
    Use.REGISTRY: gettext_lazy("Container registry"),
    Use.HAPROXY: gettext_lazy("HAProxy"),
    Use.NGINX: gettext_lazy("Nginx"),
    Use.CERTBOT: gettext_lazy("Certbot"),
    Use.CERT_MANAGER: gettext_lazy("cert-manager"),
    Use.TRUST_ANCHOR: gettext_lazy("Trust anchor"),
    Use.SSH_HOST: gettext_lazy("SSH host"),
    Use.ENDPOINT: gettext_lazy("TLS endpoint"),
    Use.OTHER: gettext_lazy("Other"),
}
#: code -> (what is wrong, what to do)
FINDINGS: Final[Mapping[str, tuple[Promise, Promise]]] = {
    "expired": (gettext_lazy("It has expired."), gettext_lazy("Renew it, and see that the new one is served.")),
    "not_yet_valid": (
        gettext_lazy("It is not valid yet."),
        gettext_lazy("Check the clocks of the host and of whoever issued it."),
    ),
    "wrong_name": (
        gettext_lazy("It does not hold for %(wanted)s, only for %(names)s."),
        gettext_lazy("Issue it again with this name, or correct the server name of the endpoint."),
    ),
    "no_names": (
        gettext_lazy("It holds no names at all, so clients refuse it for %(wanted)s."),
        gettext_lazy("Issue it again with the name as a subject alternative name."),
    ),
    "self_signed": (
        gettext_lazy("It is signed by itself, so only clients that have this very one trust it."),
        gettext_lazy("Have it issued by an authority that clients trust."),
    ),
    "issuer_not_found": (
        gettext_lazy("Its issuer %(issuer)s is not found."),
        gettext_lazy(
            "An endpoint has to send the certificates between its own and a trusted root; on a host, the CA lies beside it."
        ),
    ),
    "root_not_known": (
        gettext_lazy("It is the root of this chain, and neither this machine nor a host trusts it."),
        gettext_lazy("Use an authority that clients trust, or put this root among the trusted ones of a node."),
    ),
    "wrong_order": (
        gettext_lazy("Its chain is not in order: an issuer stands before what it issued."),
        gettext_lazy("Put its own certificate first, then the one that issued it, and so on up to the root."),
    ),
    "not_in_chain": (
        gettext_lazy("It is sent with a chain, and has issued nothing in it."),
        gettext_lazy("Take it out of the file. Where one is missing, that one belongs there."),
    ),
    "other_issuer_key": (
        gettext_lazy("The authority %(issuer)s that is there has another key than the one that issued it."),
        gettext_lazy("Put the authority that issued it beside it, or issue it anew by the one that is there."),
    ),
    "bad_signature": (
        gettext_lazy("The signature of %(issuer)s does not hold."),
        gettext_lazy("It was damaged or made up: issue it again."),
    ),
    "issuer_is_no_ca": (
        gettext_lazy("%(issuer)s, which issued it, is no authority."),
        gettext_lazy("Have it issued by a certificate that is marked as CA."),
    ),
    "outlives_issuer": (
        gettext_lazy("It ends after the authority that issued it, %(issuer)s."),
        gettext_lazy("It stops working when that authority ends: renew the authority first."),
    ),
    "weak_key": (
        gettext_lazy("Its key is weak: %(key)s with %(bits)s bits."),
        gettext_lazy("Issue it again with RSA from 2048 bits, ECDSA or Ed25519."),
    ),
    "weak_signature": (
        gettext_lazy("It is signed with %(hash)s, which can be forged."),
        gettext_lazy("Issue it again; today's tools use SHA-256."),
    ),
    "ssh_wrong_name": (
        gettext_lazy("It does not hold for %(wanted)s, only for %(names)s."),
        gettext_lazy("Sign the key of the host with the name or the address of the node."),
    ),
    "ssh_user_certificate": (
        gettext_lazy("It is a certificate of a user, not of a host."),
        gettext_lazy("Sign the key of the host with ssh-keygen -h."),
    ),
}
UNREAD: Final[Mapping[str, Promise]] = {
    "damaged": gettext_lazy("It cannot be read as a certificate, or not all of it."),
    "too_large": gettext_lazy("Only its first 256 KiB are read."),
    "missing": gettext_lazy("The configuration names it, and it is not there."),
    "denied": gettext_lazy("Only root may read it."),
    "too_many": gettext_lazy("There are more places than are read."),
}
_ENDPOINT: Final[Mapping[str, tuple[Promise, Promise]]] = {
    "name_not_resolved": (
        gettext_lazy("The name could not be resolved."),
        gettext_lazy("Check the name, and the DNS server of the machine that FleetUI runs on."),
    ),
    "refused": (
        gettext_lazy("Nothing listens on the port."),
        gettext_lazy("Check that the service runs, and the port."),
    ),
    "no_route": (
        gettext_lazy("No network route leads there."),
        gettext_lazy("Check the network between the machine that FleetUI runs on and the endpoint."),
    ),
    "timed_out": (
        gettext_lazy("It did not answer in time."),
        gettext_lazy("Check that the service is well and that no firewall drops the connection."),
    ),
    "connection_lost": (
        gettext_lazy("It closed the connection during the handshake."),
        gettext_lazy("Check that the service speaks TLS on this port, and its log."),
    ),
    "not_tls": (
        gettext_lazy("It does not speak TLS, or not with us."),
        gettext_lazy("Check the port; services that begin in plain text and then switch are not read."),
    ),
    "no_certificate": (
        gettext_lazy("It showed no certificate."),
        gettext_lazy("Check the configuration of the service."),
    ),
}


def use_word(use: str) -> str:
    return str(USES.get(use, use))


def finding_words(code: str, params: Mapping[str, Any]) -> tuple[str, str]:
    """What is wrong, and what to do."""
    if code not in FINDINGS:
        return code, ""
    sentence, mend = FINDINGS[code]
    try:
        return str(sentence) % dict(params), str(mend)
    except (KeyError, ValueError, TypeError):
        return str(sentence), str(mend)


def unread_word(why: str) -> str:
    return str(UNREAD.get(why, why))


def failure_words(kind: str, params: Mapping[str, Any], *, is_endpoint: bool) -> tuple[str, str]:
    """Why a source could not be read, and what to do."""
    if kind == "not_understood":
        return _("What the host printed was not understood."), _(
            "Read its certificates again; the script needs sh and awk."
        )
    if is_endpoint and kind in _ENDPOINT:
        sentence, mend = _ENDPOINT[kind]
        reason = str(params.get("reason") or "")
        return (f"{sentence} ({reason})" if reason else str(sentence)), str(mend)
    return error_sentence(kind, dict(params)), error_mend(kind, dict(params))
