"""What the endpoints that an admin has named serve, and the inventory of certificates, for the node of one step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Q

from nodes import certificates
from nodes.hosts import tls
from nodes.hosts.ssh import Deadline
from nodes.models import CertificateSource, Node
from nodes.services.certificates.endpoints import read_title
from nodes.services.certificates.reading import judge_served, read_chain

#: Of all looks of one step together.
LOOK_S = 12.0
MOST_LOOKS = 3
#: With these a client that knows the root does not come from the certificate to it.
_BROKEN = frozenset({"issuer_not_found", "other_issuer_key", "bad_signature", "issuer_is_no_ca", "wrong_order"})


class StepCertificates:
    """Implements ops.actions.base.Certificates. An endpoint of another pool is none; of what is done to no node, any is one."""

    def __init__(self, node: Node | None, now: datetime) -> None:
        self._node, self._now = node, now

    def served(self, endpoint: str, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
        deadline, first = Deadline.after(LOOK_S), None
        for source in self._asked(endpoint, wanted.get("names", ())):
            seen = _look(source, wanted, deadline)
            if not seen["problem"] and seen["fingerprint"] == wanted["fingerprint"]:
                return seen
            first = first or seen
        return first or _seen("unknown")

    def read_again(self, endpoint: str = "") -> None:
        of_node = Q(node=self._node) if self._node is not None else Q(pk=None)
        of_endpoint = Q(pk__in=self._sources(endpoint).values("pk")) if endpoint else Q(pk=None)
        # As if somebody had asked: a look that is under way may have read before the change.
        CertificateSource.objects.filter(of_node | of_endpoint).update(due_at=self._now, requested_at=self._now)

    def _sources(self, endpoint: str) -> Any:
        host, port, server_name = read_title(endpoint)
        of_pool = Q(pool=None) | Q(pool=self._node.pool_id) if self._node is not None else Q()
        rows = CertificateSource.objects.filter(of_pool, host=host, port=port, kind__in=CertificateSource.SERVED)
        if server_name:
            rows = rows.filter(server_name="" if server_name == host else server_name)
        return rows.order_by("server_name")

    def _asked(self, endpoint: str, names: Sequence[str]) -> list[CertificateSource]:
        """Where one host and port has several server names: those that the certificate holds for."""
        rows = list(self._sources(endpoint))
        held = [row for row in rows if any(certificates.holds_for(name, row.wanted_name) for name in names)]
        return held[:MOST_LOOKS] or rows[:1]


def _look(source: CertificateSource, wanted: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
    try:
        chain = tls.served_chain(source.host, source.port, source.server_name, deadline)
    except tls.EndpointError as error:
        return _seen(error.kind)
    found, _unread = read_chain(chain, source.title)
    if not found or found[0].position:
        return _seen("no_certificate")
    own = found[0].certificate
    ends = own.not_after.isoformat() if own.not_after else ""
    return {**_seen(""), "fingerprint": own.fingerprint, "not_after": ends, "fault": _fault(source, found, wanted)}


def _seen(problem: str) -> dict[str, Any]:
    return {"problem": problem, "fingerprint": "", "not_after": "", "fault": ""}


def _fault(source: CertificateSource, found: Sequence[certificates.Found], wanted: Mapping[str, Any]) -> str:
    """What is wrong with the chain. Nothing where it is the one that was issued, of which the authority may be unknown here."""
    sent = iter([one.certificate.fingerprint for one in found[1:]])
    if all(fingerprint in sent for fingerprint in wanted.get("chain", ())):
        return ""
    judged = judge_served(source, found)
    return next((one.code for findings in judged for one in findings if one.code in _BROKEN), "")
