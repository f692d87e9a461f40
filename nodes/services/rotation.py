"""A credential takes the place of another in a pool: proposed, tried on every node, then switched to, or stopped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from fleetui.access.principals import Principal, require
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict, InvalidInput
from nodes.models import Credential, CredentialTrial, Node, Pool
from nodes.services import changes as rows

MOST_NAMED = 20
_IN_USE = ("active", "maintenance")


@dataclass(frozen=True)
class Progress:
    """How many nodes of a pool the next credential was tried on. `nodes` are those that use the pool's credential."""

    nodes: int = 0
    works: int = 0
    fails: int = 0

    @property
    def waiting(self) -> int:
        return max(0, self.nodes - self.works - self.fails)

    @property
    def is_proven(self) -> bool:
        """Whether it works everywhere."""
        return self.works >= self.nodes

    @property
    def percent(self) -> int:
        return round(100 * (self.works + self.fails) / self.nodes) if self.nodes else 100


def tried_as(credential: Credential) -> str:
    """What a trial proves: this key, user name and certificate. An edit of the credential voids it."""
    return f"r{credential.revision} {credential.fingerprint}"[:100]


def concerned(pool: Pool) -> QuerySet[Any]:
    """The nodes that a switch reaches: those of the pool that use its credential."""
    nodes: QuerySet[Any] = Node.objects.filter(pool=pool, credential=None, lifecycle__in=_IN_USE)
    return nodes


def live_trials() -> QuerySet[Any]:
    """Trials that still matter: of a node that would be switched to that very credential."""
    trials: QuerySet[Any] = CredentialTrial.objects.filter(
        node__credential=None, node__lifecycle__in=_IN_USE, node__pool__next_credential=F("credential")
    )
    return trials


def trials_of(pool: Pool) -> QuerySet[Any]:
    """The trials of the pool's next credential as it is now."""
    if pool.next_credential is None:
        return CredentialTrial.objects.none()
    return live_trials().filter(
        node__pool=pool, credential=pool.next_credential, fingerprint=tried_as(pool.next_credential)
    )


def progress(pool: Pool) -> Progress:
    """The counts, in two queries; all zero when nothing is tried."""
    if pool.next_credential is None:
        return Progress()
    states = trials_of(pool).order_by().values_list("state", flat=True)
    works, fails = (states.filter(state=state).count() for state in ("works", "fails"))
    return Progress(concerned(pool).count(), works, fails)


def not_working(pool: Pool) -> QuerySet[Any]:
    """Nodes on which the next credential fails or was not tried yet."""
    works = trials_of(pool).filter(state="works").order_by().values("node")
    return concerned(pool).exclude(pk__in=works).order_by("name")


def next_name(name: str) -> str:
    """fleet, fleet-2, fleet-3: the first that is free."""
    stem, dash, number = name.rpartition("-")
    stem, first = (stem, int(number) + 1) if dash and number.isdecimal() and len(number) < 5 else (name, 2)
    taken = set(Credential.objects.filter(name__startswith=f"{stem[:90]}-").values_list("name", flat=True))
    return next(f"{stem[:90]}-{n}" for n in range(first, first + len(taken) + 1) if f"{stem[:90]}-{n}" not in taken)


def propose(
    *, pool: Pool, credential: Credential, actor: Principal, now: datetime, expected_revision: int | None = None
) -> Pool:
    """Have a credential tried on every node of the pool that uses the pool's. Nothing else changes yet."""
    require(actor, "pools.write", pool)
    if credential.pk == pool.credential_id:
        raise InvalidInput(
            _("%(name)s is the credential of the pool already.") % {"name": credential},
            field="credential",
            value=str(credential),
            mend=_("Choose another one, or have a new key made."),
        )
    if credential.pk == pool.next_credential_id:
        return pool
    before = rows.shown(pool.next_credential)
    with transaction.atomic():
        _swap(pool, {"next_credential": credential}, expected_revision)
        _forget_trials(pool, pool.next_credential_id)
        entry = {"next_credential": str(credential), "fingerprint": credential.fingerprint}
        append([_entry(actor, "pools.try_credential", pool, before={"next_credential": before}, after=entry)])
    pool.next_credential, pool.revision = credential, pool.revision + 1
    return pool


def propose_everywhere(
    *, old: Credential, credential: Credential, actor: Principal, now: datetime
) -> tuple[list[Pool], list[Pool]]:
    """Have a credential tried on every pool that uses another; those that try something else already are left, and named."""
    begun, left = [], []
    for pool in Pool.objects.filter(credential=old).select_related("credential", "next_credential").order_by("name"):
        if pool.next_credential is not None and pool.next_credential != credential:
            left.append(pool)
            continue
        begun.append(propose(pool=pool, credential=credential, actor=actor, now=now))
    return begun, left


def stop(*, pool: Pool, actor: Principal, now: datetime, expected_revision: int | None = None) -> Pool:
    """Drop the next credential; the pool keeps the one that it has."""
    require(actor, "pools.write", pool)
    next_credential = _tried(pool)
    found = progress(pool)
    with transaction.atomic():
        _swap(pool, {"next_credential": None}, expected_revision)
        _forget_trials(pool, next_credential.pk)
        before = {"next_credential": str(next_credential), **_counts(found)}
        append([_entry(actor, "pools.stop_trial", pool, before=before, after={"next_credential": None})])
    pool.next_credential, pool.revision = None, pool.revision + 1
    return pool


def retry(*, pool: Pool, actor: Principal, now: datetime) -> int:
    """Try it again at once where it fails; returns on how many nodes."""
    require(actor, "pools.write", pool)
    next_credential = _tried(pool)
    ids = list(trials_of(pool).filter(state="fails").order_by().values_list("pk", flat=True))
    with transaction.atomic():
        count = 0
        for start in range(0, len(ids), 5000):
            some = CredentialTrial.objects.filter(pk__in=ids[start : start + 5000], state="fails")
            count += some.update(state="waiting", due_at=now)
        if count:
            after = {"next_credential": str(next_credential), "nodes": count}
            append([_entry(actor, "pools.retry_trial", pool, after=after)])
    return count


def switch(
    *, pool: Pool, actor: Principal, now: datetime, reason: str = "", expected_revision: int | None = None
) -> Pool:
    """Put the next credential in place. Where it is not proven on every node, that needs a reason."""
    require(actor, "pools.write", pool)
    next_credential, old = _tried(pool), pool.credential
    with transaction.atomic():
        # The row is held before the counting, so that what is counted is what is switched.
        list(Pool.objects.select_for_update().filter(pk=pool.pk).values_list("pk"))
        found = progress(pool)
        left = list(not_working(pool).values_list("name", flat=True)[: MOST_NAMED + 1])
        if left and not reason.strip():
            raise InvalidInput(
                ngettext(
                    "%(name)s is not proven on %(count)s of %(nodes)s node (%(left)s).",
                    "%(name)s is not proven on %(count)s of %(nodes)s nodes (%(left)s).",
                    found.nodes,
                )
                % {
                    "name": next_credential,
                    "count": found.nodes - found.works,
                    "nodes": found.nodes,
                    "left": named(left),
                },
                field="reason",
                mend=_("Wait for the trials, mend those nodes, or give a reason to switch all the same."),
            )
        _swap(pool, {"credential": next_credential, "next_credential": None}, expected_revision)
        _forget_trials(pool, next_credential.pk)
        nodes = Node.objects.filter(pool=pool, credential=None).exclude(lifecycle="retired")
        nodes.held().update(poll_due_at=now)
        after = {"credential": str(next_credential), **_counts(found), "not_working": left[:MOST_NAMED]}
        before = {"credential": rows.shown(old)}
        append([_entry(actor, "pools.switch_credential", pool, before=before, after=after, reason=reason.strip())])
    pool.credential, pool.next_credential, pool.revision = next_credential, None, pool.revision + 1
    return pool


def named(names: Iterable[str], most: int = 5) -> str:
    found = list(names)
    return f"{', '.join(found[:most])}{' …' if len(found) > most else ''}"


def _tried(pool: Pool) -> Credential:
    if pool.next_credential is None:
        raise Conflict(_("No credential is being tried on this pool."), mend=_("Choose one to try first."))
    return pool.next_credential


def _swap(pool: Pool, columns: dict[str, Any], expected_revision: int | None) -> None:
    """Change the pool by compare-and-swap, on its revision and on what is being tried."""
    if expected_revision is not None and expected_revision != pool.revision:
        raise rows.stale("pool", pool.name)
    same = Pool.objects.filter(pk=pool.pk, revision=pool.revision, next_credential=pool.next_credential_id)
    if not same.update(**columns, revision=F("revision") + 1):
        raise rows.stale("pool", pool.name)


def _forget_trials(pool: Pool, credential_id: Any) -> None:
    if credential_id is not None:
        CredentialTrial.objects.filter(node__pool=pool, credential=credential_id).delete()


def _counts(found: Progress) -> dict[str, int]:
    return {"nodes": found.nodes, "works": found.works, "fails": found.fails}


def _entry(actor: Principal, action: str, pool: Pool, **given: Any) -> Entry:
    return Entry(str(actor), action, f"pool:{pool.name}", **given)
