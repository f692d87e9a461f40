"""Looks at work: hosts over SSH, endpoints by a handshake. Rows are read before, and written after; in between only network."""

from __future__ import annotations

import ssl as tls_library
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache

import structlog
from django.conf import settings
from django.db.models import F, Q

from nodes import certificates as pure
from nodes.hosts import ssh, tls
from nodes.hosts.errors import HostError
from nodes.models import Certificate, CertificateSource, HostKey
from nodes.services.certificates.looks import Failure, Read
from nodes.services.polling.contact import Target, signed_in
from nodes.services.polling.targets import target_of
from nodes.services.routes import Routes

log = structlog.get_logger(__name__)
#: Of the whole look at one host, nearly all of it the wait for the host; and at one endpoint.
HOST_DEADLINE_S = 75.0
ENDPOINT_DEADLINE_S = 10.0
MOST_AUTHORITIES = 50
#: What lies there is trusted on the host, also where somebody else has signed it.
_TRUSTED = (pure.Use.KUBE_CA, pure.Use.ETCD_CA, pure.Use.FRONT_PROXY_CA, pure.Use.TRUST_ANCHOR)


@dataclass(frozen=True)
class Look:
    """A claimed look: the source, and how to reach the host where it is one. `asked_at` is when somebody asked for it last."""

    source: CertificateSource
    target: Target | None
    asked_at: datetime | None


@dataclass(frozen=True)
class Result:
    look: Look
    found: Read | Failure = field(repr=False)


def load(ids: Sequence[uuid.UUID]) -> list[Look]:
    """What the looks need, read before anything is contacted."""
    related = ("node__pool__credential", "node__pool__jump_host", "node__credential", "node__jump_host")
    sources = list(CertificateSource.objects.filter(pk__in=ids).select_related(*related).order_by("pk"))
    nodes = [source.node for source in sources if source.node is not None]
    pinned = {key.node_id: key for key in HostKey.objects.filter(node__in=nodes, state="pinned")}
    routes = Routes.of(nodes)
    return [
        Look(
            source,
            target_of(source.node, pinned.get(source.node.pk), routes) if source.node is not None else None,
            source.requested_at,
        )
        for source in sources
    ]


@cache
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="certificates")


def run(looks: Sequence[Look]) -> Iterator[Result]:
    """Read each, as they come; all end by their own deadline."""
    shared = ssh.SharedJumps()
    try:
        running = [_threads(settings.CERTIFICATES_THREADS).submit(_read, look, shared) for look in looks]
        for future in as_completed(running):
            result = future.result()
            yield result if isinstance(result.found, Failure) else _with_authorities(result)
    finally:
        shared.close()


def _read(look: Look, shared: ssh.SharedJumps) -> Result:
    try:
        return Result(look, _of_host(look, shared) if look.target is not None else _of_endpoint(look.source))
    except Exception as error:  # a fault of ours on one source must not take the others with it
        log.exception("certificates_failed", source=str(look.source.pk))
        return Result(look, Failure("host_error", {"message": type(error).__name__}))


def _of_host(look: Look, shared: ssh.SharedJumps) -> Read | Failure:
    node, target = look.source.node, look.target
    assert node is not None and target is not None  # noqa: S101, PT018  (asked before)
    deadline = ssh.Deadline.after(HOST_DEADLINE_S)
    try:
        answer = signed_in(target, lambda connection: ask(connection, deadline), deadline=deadline, shared=shared)
    except pure.NotUnderstood as error:
        return Failure("not_understood", {"why": str(error)})
    except HostError as error:
        return Failure(error.kind, dict(error.params))
    judged = pure.judge(answer.found, wanted_names=(node.name, node.address))
    return Read(list(zip(answer.found, judged, strict=True)), answer.unread, answer.as_root)


def ask(connection: ssh.Connection, deadline: ssh.Deadline) -> pure.HostAnswer:
    """As root; where sudo refuses, what everybody may read. Raises HostError and NotUnderstood."""
    done = connection.run(pure.command(as_root=True), deadline=deadline, max_bytes=pure.MOST_OUTPUT_BYTES)
    if done.exit_status == 1 and b"sudo" in done.stderr and not done.stdout:
        done = connection.run(pure.command(as_root=False), deadline=deadline, max_bytes=pure.MOST_OUTPUT_BYTES)
    return pure.read_answer(done.stdout)


def _of_endpoint(source: CertificateSource) -> Read | Failure:
    deadline = ssh.Deadline.after(ENDPOINT_DEADLINE_S)
    try:
        chain = tls.served_chain(source.host, source.port, source.server_name, deadline)
    except tls.EndpointError as error:
        return Failure(error.kind, {"reason": error.reason})
    found, unread = read_chain(chain, source.title)
    return Read([(one, ()) for one in found], unread)


def read_chain(chain: Sequence[bytes], place: str) -> tuple[list[pure.Found], list[pure.Unread]]:
    """What was served, as facts."""
    found: list[pure.Found] = []
    unread: list[pure.Unread] = []
    for position, der in enumerate(chain[:20]):
        try:
            found.append(pure.Found(place, position, pure.Use.ENDPOINT, pure.read_der(der)))
        except pure.Unreadable:
            unread.append(pure.Unread(place, "damaged"))
    return found, unread


def _with_authorities(result: Result) -> Result:
    """What an endpoint serves is judged with the authorities that this machine trusts, and those that hosts have.

    Here and not on the thread that asked: the database is read for it.
    """
    source = result.look.source
    if result.look.target is not None or not isinstance(result.found, Read):
        return result
    found = [one for one, _none in result.found.found]
    judged = judge_served(source, found)
    return Result(result.look, Read(list(zip(found, judged, strict=True)), result.found.unread))


def judge_served(source: CertificateSource, found: Sequence[pure.Found]) -> list[list[pure.Finding]]:
    """What is wrong with what an endpoint sent, by all that is trusted. The database is read for it."""
    authorities = [*trusted_here(), *authorities_of(found)]
    return pure.judge(found, authorities=authorities, wanted_names=(source.wanted_name,), is_served=True)


@cache
def trusted_here() -> tuple[pure.Certificate, ...]:
    """The roots that this machine trusts; none where it has no list of them."""
    context = tls_library.create_default_context()
    found = []
    for der in context.get_ca_certs(binary_form=True):
        try:
            found.append(pure.read_der(der))
        except pure.Unreadable:
            continue
    return tuple(found)


def authorities_of(found: Sequence[pure.Found]) -> list[pure.Certificate]:
    """Authorities that hosts of ours trust, with the names of the issuers and of what was served.

    What somebody merely sent, or keeps as a part of a chain, is none: an intermediate that an endpoint does not send would be
    missed by its clients, and found here.
    """
    names = {one.certificate.issuer for one in found} | {one.certificate.subject for one in found}
    rows = Certificate.objects.filter(
        Q(subject=F("issuer")) | Q(use__in=_TRUSTED), source__kind="host", is_ca=True, der__isnull=False
    )
    known: dict[str, bytes] = {}
    newest = rows.filter(subject__in=names).order_by("-not_after").values_list("fingerprint", "der")
    for fingerprint, der in newest[: MOST_AUTHORITIES * 20]:
        if len(known) < MOST_AUTHORITIES:
            known.setdefault(fingerprint, bytes(der))
    return [pure.read_der(der) for der in known.values()]
