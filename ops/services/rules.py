"""Approval rules: how many others must approve a kind of operation in a pool, until when, and who could."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from fleetui.access.models import RoleBinding
from fleetui.access.principals import Principal, require
from fleetui.access.roles import ROLES
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict, InvalidInput, NotFound
from fleetui.core.words import any_of
from nodes.models import Pool
from ops import actions
from ops.models import ApprovalRule
from ops.services.limits import PERMISSION

MOST_APPROVERS = 2
LEAST_EXPIRY_S = 300
MOST_EXPIRY_S = 30 * 86_400
_MAY_APPROVE = sorted(role for role, permissions in ROLES.items() if "operations.approve" in permissions)


@dataclass(frozen=True)
class RuleNow:
    """A rule with the people who could approve where it holds. `is_gone`: its pool is not there any more."""

    rule: ApprovalRule
    people: tuple[str, ...]
    is_gone: bool = False

    @property
    def is_unmet(self) -> bool:
        """Fewer people than it asks for, even if none of them is the requester."""
        return len(self.people) < self.rule.approvers


def rule_for(rules: Iterable[ApprovalRule], pool: str, kind: str) -> ApprovalRule | None:
    """The closest rule: pool and kind, then pool, then kind, then the one for everything.

    A rule of a pool that its own admin set does not loosen one for every pool: the stricter of the two counts then.
    """
    found = {(rule.pool, rule.kind): rule for rule in rules}
    mine = next((found[place] for place in ((pool, kind), (pool, "")) if pool and place in found), None)
    wide = next((found[place] for place in (("", kind), ("", "")) if place in found), None)
    if mine is None or wide is None or mine.is_exception:
        return mine or wide
    return wide if wide.approvers > mine.approvers else mine


def rules_seen_by(principal: Principal) -> list[RuleNow]:
    """The rules for everything and those of pools that this principal sees, the widest first. Three queries."""
    names = set(Pool.objects.visible_to(principal).values_list("name", flat=True))
    sees_gone = principal.where("operations.read").everywhere
    rules = [
        rule
        for rule in ApprovalRule.objects.order_by("pool", "kind")
        if not rule.pool or rule.pool in names or sees_gone
    ]
    bound = _bound()
    return [RuleNow(rule, _people(bound, rule.pool), bool(rule.pool) and rule.pool not in names) for rule in rules]


def rule_at(principal: Principal, rule_id: int) -> ApprovalRule:
    for one in rules_seen_by(principal):
        if one.rule.pk == rule_id:
            return one.rule
    raise NotFound(
        _("There is no approval rule %(id)s that you may see.") % {"id": rule_id}, mend=_("Read the list of rules.")
    )


def approvers_of(pools: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Who may approve in each pool, by user name; the empty name asks for those who may everywhere."""
    bound = _bound()
    return {pool: _people(bound, pool) for pool in set(pools)}


def _bound() -> list[tuple[str, str | None]]:
    """(user name, pool or None for everything) of all who may approve."""
    rows = RoleBinding.objects.filter(role__in=_MAY_APPROVE, user__is_active=True)
    return list(rows.values_list("user__username", "pool__name"))


def _people(bound: list[tuple[str, str | None]], pool: str) -> tuple[str, ...]:
    return tuple(sorted({user for user, where in bound if where is None or (pool and where == pool)}))


def set_rule(
    *,
    pool: str,
    kind: str,
    approvers: int,
    expires_after_s: int,
    reason: str = "",
    actor: Principal,
    now: datetime,
) -> ApprovalRule:
    """Set the rule of a pool and a kind; empty stands for any. It holds for requests from now on, not for those that wait.

    Asking for fewer approvals than until now needs a reason.
    """
    subject = _pool(pool)
    require(actor, PERMISSION, subject)
    _check(kind, approvers, expires_after_s)
    reason = reason.strip()[:300]
    before = ApprovalRule.objects.filter(pool=pool, kind=kind).first()
    is_exception = bool(pool) and actor.may(PERMISSION)
    if pool and not is_exception:
        _check_not_looser(pool, kind, approvers)
    if approvers < (before.approvers if before else needed_without(pool, kind)) and not reason:
        raise _needs_reason()
    told: dict[str, Any] = {"approvers": approvers, "expires_after_s": expires_after_s}
    try:
        with transaction.atomic():
            set_by = {"set_by": str(actor), "set_at": now, "reason": reason, "is_exception": is_exception}
            if before is None:
                rule = ApprovalRule.objects.create(pool=pool, kind=kind, **told, **set_by)
            else:
                mine = ApprovalRule.objects.filter(pk=before.pk, set_at=before.set_at, approvers=before.approvers)
                if not mine.update(**told, **set_by):
                    raise _stale()
                rule = ApprovalRule.objects.get(pk=before.pk)
            append([_entry("operations.set_rule", rule, actor, _told(before), told, reason)])
    except IntegrityError as error:
        raise _stale() from error
    return rule


def delete_rule(*, rule: ApprovalRule, reason: str = "", actor: Principal) -> None:
    """Take a rule away; the next wider one holds, or none. Needs a reason when that asks for fewer approvals."""
    require(actor, PERMISSION, Pool.objects.filter(name=rule.pool).first() if rule.pool else None)
    reason = reason.strip()[:300]
    if needed_without(rule.pool, rule.kind) < rule.approvers and not reason:
        raise _needs_reason()
    with transaction.atomic():
        if not ApprovalRule.objects.filter(pk=rule.pk, set_at=rule.set_at).delete()[0]:
            raise _stale()
        append([_entry("operations.delete_rule", rule, actor, _told(rule), None, reason)])


def needed_without(pool: str, kind: str) -> int:
    """How many approvals are asked for where there is no rule of exactly this pool and kind."""
    others = [rule for rule in ApprovalRule.objects.all() if (rule.pool, rule.kind) != (pool, kind)]
    wider = rule_for(others, pool, kind)
    return wider.approvers if wider else 0


def _pool(name: str) -> Pool | None:
    if not name:
        return None
    found: Pool | None = Pool.objects.filter(name=name).first()
    if found is None:
        raise InvalidInput(
            _("There is no pool %(name)s.") % {"name": name},
            field="pool",
            value=name,
            mend=_("Leave it empty for every pool, or name one that is there."),
        )
    return found


def _check(kind: str, approvers: int, expires_after_s: int) -> None:
    if kind and kind not in actions.kinds():
        raise InvalidInput(
            _("%(value)r is no kind of operation.") % {"value": kind},
            field="kind",
            value=kind,
            mend=_("Use %(known)s.") % {"known": any_of(actions.kinds())},
        )
    if not 0 <= approvers <= MOST_APPROVERS:
        raise InvalidInput(
            _("%(value)s approvers cannot be asked for.") % {"value": approvers},
            field="approvers",
            value=approvers,
            mend=_("Give 0, 1 or 2."),
        )
    if not LEAST_EXPIRY_S <= expires_after_s <= MOST_EXPIRY_S:
        raise InvalidInput(
            _("Approvals cannot expire after %(value)s seconds.") % {"value": expires_after_s},
            field="expires_after_s",
            value=expires_after_s,
            mend=_("Give %(least)s to %(most)s seconds.") % {"least": LEAST_EXPIRY_S, "most": MOST_EXPIRY_S},
        )


def _check_not_looser(pool: str, kind: str, approvers: int) -> None:
    """A pool's own admin asks for as many approvals as the rules for every pool do, or for more."""
    wider = ApprovalRule.objects.filter(pool="")
    # A rule for any kind stands above those for every pool and one kind too.
    most = max((rule.approvers for rule in (wider.filter(kind__in=["", kind]) if kind else wider)), default=0)
    if kind and (exact := wider.filter(kind=kind).first()):
        most = exact.approvers
    if approvers < most:
        raise InvalidInput(
            _("The rule for every pool asks for %(most)s approvers.") % {"most": most},
            field="approvers",
            value=approvers,
            mend=_("Give %(most)s or more, or have it set by an admin of everything.") % {"most": most},
        )


def _needs_reason() -> InvalidInput:
    return InvalidInput(
        _("Asking for fewer approvals needs a reason."),
        field="reason",
        value="",
        mend=_("Say why fewer people have to agree, perhaps with a ticket."),
    )


def _told(rule: ApprovalRule | None) -> dict[str, Any] | None:
    return {"approvers": rule.approvers, "expires_after_s": rule.expires_after_s} if rule else None


def _entry(
    action: str,
    rule: ApprovalRule,
    actor: Principal,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    reason: str,
) -> Entry:
    subject = f"approval_rule:{rule.pool or '*'}/{rule.kind or '*'}"
    return Entry(actor=str(actor), action=action, subject=subject, before=before, after=after, reason=reason)


def _stale() -> Conflict:
    return Conflict(_("Someone else changed this rule meanwhile."), mend=_("Read it again."))
