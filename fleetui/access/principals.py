"""Principal: who acts. Every query and every service takes one; rights are decided here and nowhere else."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from django.utils.translation import gettext as _

from fleetui.access.roles import PERMISSIONS, ROLES, SCOPES
from fleetui.core.errors import NotAllowed
from fleetui.core.words import any_of

PoolId = uuid.UUID


class PoolSubject(Protocol):
    """What rights are asked about: something that stands in a pool, or (pool_id None) in none."""

    @property
    def pool_id(self) -> PoolId | None: ...


@dataclass(frozen=True)
class Reach:
    """Where a permission holds: everywhere, or in some pools."""

    everywhere: bool = False
    pools: frozenset[PoolId] = frozenset()

    def __bool__(self) -> bool:
        return self.everywhere or bool(self.pools)

    def covers(self, pool_id: PoolId | None) -> bool:
        return self.everywhere or (pool_id is not None and pool_id in self.pools)


NOWHERE = Reach()
EVERYWHERE = Reach(everywhere=True)


@dataclass(frozen=True)
class Principal:
    """A user, a token or the system, with what it may do where."""

    kind: Literal["user", "token", "system", "anonymous"]
    name: str
    user_id: int | None = None
    token_id: uuid.UUID | None = None
    reach: Mapping[str, Reach] = field(default_factory=dict)

    def may(self, permission: str, subject: PoolSubject | None = None) -> bool:
        """Whether this principal holds `permission` on `subject`; without one: everywhere."""
        if permission not in PERMISSIONS:
            raise KeyError(f"{permission} is not a permission")
        where = self.reach.get(permission, NOWHERE)
        return where.everywhere if subject is None else where.covers(subject.pool_id)

    def may_somewhere(self, permission: str) -> bool:
        """Whether there is any subject on which this principal holds `permission` (for menus and list pages)."""
        return bool(self.reach.get(permission, NOWHERE))

    def where(self, permission: str) -> Reach:
        return self.reach.get(permission, NOWHERE)

    @property
    def is_authenticated(self) -> bool:
        return self.kind != "anonymous"

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


SYSTEM = Principal(kind="system", name="fleetui", reach=dict.fromkeys(PERMISSIONS, EVERYWHERE))
ANONYMOUS = Principal(kind="anonymous", name="anonymous")


def reach_of(bindings: list[tuple[str, PoolId | None]]) -> dict[str, Reach]:
    """Permissions of a list of (role, pool or None for all)."""
    everywhere: set[str] = set()
    pools: dict[str, set[PoolId]] = {}
    for role, pool_id in bindings:
        for permission in ROLES.get(role, frozenset()):
            if pool_id is None:
                everywhere.add(permission)
            else:
                pools.setdefault(permission, set()).add(pool_id)
    return {
        permission: Reach(everywhere=permission in everywhere, pools=frozenset(pools.get(permission, ())))
        for permission in everywhere | set(pools)
    }


def cut(reach: Mapping[str, Reach], *, scopes: list[str], pools: list[PoolId]) -> dict[str, Reach]:
    """A token's rights: its owner's, cut by its scopes and (when it names any) its pools."""
    allowed: set[str] = set()
    for scope in scopes:
        allowed |= SCOPES.get(scope, {scope} if scope in PERMISSIONS else frozenset())
    limited = frozenset(pools)
    result: dict[str, Reach] = {}
    for permission in allowed & set(reach):
        where = reach[permission]
        if limited:
            where = Reach(pools=limited if where.everywhere else where.pools & limited)
        if where:
            result[permission] = where
    return result


def require(principal: Principal, permission: str, subject: PoolSubject | None = None) -> None:
    """Raise NotAllowed unless the principal holds the permission. Whether it may see the subject is the query's business."""
    if not principal.may(permission, subject):
        raise NotAllowed(
            _("%(name)s may not do this: it needs the permission %(permission)s.")
            % {"name": principal.name, "permission": permission},
            mend=mend_without(principal, permission),
        )


def mend_without(principal: Principal, permission: str) -> str:
    """What to do for who lacks a permission: a token has no more than its scopes, whatever its owner holds."""
    if principal.may_somewhere(permission):
        return _("You hold it on some pools, and this needs it on another one or on everything. Ask an admin for that.")
    if principal.kind != "token":
        return _("Ask an admin for a role that has it.")
    # Its own name is the narrowest.
    scopes = any_of([*(name for name, bundled in SCOPES.items() if permission in bundled), permission])
    return _("Use a token with the scope %(scopes)s, whose owner holds a role that has it.") % {"scopes": scopes}


def person_of(actor: str) -> str:
    """The person behind an actor's text: a token acts for its owner, so `token:anna/ci` and `user:anna` are the same."""
    return actor.partition(":")[2].partition("/")[0]
