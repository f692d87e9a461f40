"""The sign-in to the API of a cluster: tried before it is kept, sealed, and never shown again."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, ProtectedError
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.audit.log import Entry, append
from fleetui.core.crypto import seal, sealed_with_newest, unseal
from fleetui.core.errors import Conflict, InvalidInput
from nodes.models import CertificateSource, Cluster
from ops.kubernetes import Access, AccessRefused, Api, ClusterError, Right, by_token, connect, from_kubeconfig
from ops.models import ClusterAccess, Cordon
from ops.wording import kubernetes as words

PERMISSION = "clusters.write"


@dataclass(frozen=True)
class Tried:
    """What the API said when it was signed in to."""

    version: str
    missing: list[Right]


def set_access(
    *,
    cluster: Cluster,
    kubeconfig: str = "",
    server: str = "",
    ca: str = "",
    token: str = "",
    actor: Principal,
    now: datetime,
) -> ClusterAccess:
    """Sign in with a kubeconfig, or with address, authority and token; what cannot even read the cluster is not kept."""
    require(actor, PERMISSION)
    given = _read(kubeconfig, server, ca, token)
    field = "kubeconfig" if kubeconfig.strip() else "server"
    before = ClusterAccess.objects.filter(cluster=cluster).first()
    tried = _tried(given, before, field)
    row = before or ClusterAccess(cluster=cluster, id=uuid.uuid4())
    columns: dict[str, Any] = {
        "server": given.server,
        "how": given.how,
        "sealed": seal(given.as_text(), place=row.seal_place),
        "set_by": str(actor),
        "set_at": now,
        "state": "good",
        "state_since": now,
        "problem": "",
        "problem_params": {},
        "version": tried.version,
        "missing": [str(right) for right in tried.missing],
        "failures": 0,
        "due_at": now,
        # Who looks at the cluster with the sign-in before writes nothing of it.
        "lease": None,
        "lease_until": None,
    }
    with transaction.atomic():
        if before is None:
            for name, value in columns.items():
                setattr(row, name, value)
            _add(row)
        elif not ClusterAccess.objects.filter(pk=row.pk, revision=before.revision).update(
            **columns, revision=F("revision") + 1
        ):
            raise _changed_meanwhile()
        append(
            [_entry("clusters.set_access", cluster, actor, _told(before) if before else None, _told_of(given, tried))]
        )
    return ClusterAccess.objects.get(pk=row.pk)


def _add(row: ClusterAccess) -> None:
    # The cluster is held: one that was deleted during the trial gets no access, and two first ones wait for each other.
    held = Cluster.objects.select_for_update().filter(pk=row.cluster_id).first()
    if held is None or ClusterAccess.objects.filter(cluster=held).exists():
        raise _changed_meanwhile()
    row.save(force_insert=True)


def _changed_meanwhile() -> Conflict:
    return Conflict(_("Someone else changed this access meanwhile."), mend=_("Read it again."))


def delete_access(*, access: ClusterAccess, actor: Principal) -> None:
    """Forget the sign-in and what the cluster said. Refused while a node is cordoned by FleetUI: nobody would uncordon it."""
    require(actor, PERMISSION)
    try:
        with transaction.atomic():
            # In the order in which a look stores what it saw: the access, then its nodes.
            ClusterAccess.objects.select_for_update().filter(pk=access.pk).first()
            if ClusterAccess.objects.filter(pk=access.pk).delete()[0]:
                CertificateSource.objects.filter(cluster=access.cluster_id).delete()
                append([_entry("clusters.delete_access", access.cluster, actor, _told(access), None)])
    except ProtectedError as error:
        raise Conflict(
            _("FleetUI has cordoned nodes of this cluster: %(names)s.") % {"names": _names(access)},
            mend=_("Uncordon them first, or wait for the end of their operations."),
        ) from error


def look_now(*, access: ClusterAccess, actor: Principal, now: datetime) -> None:
    """Let the workers look at the cluster at once."""
    require(actor, PERMISSION)
    ClusterAccess.objects.filter(pk=access.pk).update(due_at=now)


def opened(access: ClusterAccess) -> Access:
    """The sign-in in clear; raises SealBroken."""
    return Access.from_text(unseal(access.sealed, place=access.seal_place))


@contextmanager
def api_of(access: Access) -> Iterator[Api]:
    """The API for a while; its connection is closed at the end."""
    api = connect(access)
    try:
        yield api
    finally:
        api.close()


def rotate_seals() -> int:
    """Seal every sign-in again with the newest encryption key; returns how many changed."""
    changed = 0
    for row in ClusterAccess.objects.only("pk", "sealed"):
        if not sealed_with_newest(row.sealed):
            fresh = seal(unseal(row.sealed, place=row.seal_place), place=row.seal_place)
            changed += ClusterAccess.objects.filter(pk=row.pk, sealed=row.sealed).update(sealed=fresh)
    return changed


def _read(kubeconfig: str, server: str, ca: str, token: str) -> Access:
    if bool(kubeconfig.strip()) == bool(server.strip() or token.strip()):
        raise InvalidInput(
            _("An access is a kubeconfig, or an address with a token."),
            field="kubeconfig",
            mend=_("Give one of the two."),
        )
    try:
        return from_kubeconfig(kubeconfig) if kubeconfig.strip() else by_token(server=server, ca=ca, token=token)
    except AccessRefused as error:
        message, mend = words.access_problem(error.code, error.params)
        raise InvalidInput(message, field=error.field, value=error.params.get("value"), mend=mend) from error


def _tried(given: Access, before: ClusterAccess | None, field: str) -> Tried:
    signs_in = "token" if field == "server" else field
    try:
        with api_of(given) as api:
            found = Tried(api.version(), api.missing())
            _refuse_another(api, before, field)
    except ClusterError as error:
        message, mend = words.problem(error.kind, {**error.params, "server": given.server})
        if error.kind == "busy":
            # Looks at a cluster come again by themselves; this one was asked for by a person.
            mend = _("Try it again in a minute.")
        if error.kind in ("unauthorized", "forbidden"):
            field = signs_in
        raise InvalidInput(message, field=field, mend=mend) from error
    lacking = [str(right) for right in found.missing if right.use == "look"]
    if lacking:
        raise InvalidInput(
            _("This sign-in may not read what is needed: %(rights)s.") % {"rights": ", ".join(lacking)},
            field=signs_in,
            mend=_("Give it these rights; docs/kubernetes.md has the manifest."),
        )
    return found


def _refuse_another(api: Api, before: ClusterAccess | None, field: str) -> None:
    """What FleetUI cordoned has to be within reach of the new sign-in: a typing error must not strand it."""
    for cordon in Cordon.objects.filter(access=before) if before else ():
        try:
            known = api.node(cordon.name).uid == cordon.uid
        except ClusterError as error:
            if error.kind != "not_found":
                raise
            known = False
        if not known:
            raise InvalidInput(
                _("This is another cluster: FleetUI has cordoned %(name)s, which is not there.")
                % {"name": cordon.name},
                field=field,
                mend=_("Uncordon it first."),
            )


def _names(access: ClusterAccess) -> str:
    return ", ".join(Cordon.objects.filter(access=access).order_by("name").values_list("name", flat=True)[:5])


def _told(access: ClusterAccess) -> dict[str, Any]:
    return {"server": access.server, "how": access.how, "missing": access.missing}


def _told_of(given: Access, tried: Tried) -> dict[str, Any]:
    return {"server": given.server, "how": given.how, "missing": [str(right) for right in tried.missing]}


def _entry(action: str, cluster: Cluster, actor: Principal, before: Any, after: Any) -> Entry:
    return Entry(actor=str(actor), action=action, subject=f"cluster:{cluster.name}", before=before, after=after)
