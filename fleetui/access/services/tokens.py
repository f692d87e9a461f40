from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.apps import apps
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from fleetui.access.models import RoleBinding, Token, User
from fleetui.access.principals import Principal, require
from fleetui.access.roles import PERMISSIONS, SCOPES
from fleetui.access.services.delegation import latest_end
from fleetui.access.services.resolve import TOKEN_START
from fleetui.access.token_text import check_days, checked_networks, new_text
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict, InvalidInput, NotFound


def _check_pools(user: User, pools: Sequence[uuid.UUID]) -> None:
    """A token that is limited to pools which its owner may not see opens nothing: a mistake of whoever makes it."""
    roles = RoleBinding.objects.filter(user=user)
    if not pools or roles.filter(pool=None).exists():
        return
    reached = set(roles.values_list("pool_id", flat=True))
    rows = apps.get_model("nodes", "Pool")._default_manager.filter(pk__in=set(pools) - reached)
    if wrong := rows.order_by("name").values_list("name", flat=True).first():
        mend = _("Name pools on which %(user)s has a role.") % {"user": user.username}
        raise InvalidInput(_("There is no pool %(name)s.") % {"name": wrong}, field="pools", value=wrong, mend=mend)


def create_token(
    *,
    user: User,
    name: str,
    scopes: Sequence[str],
    days: int,
    actor: Principal,
    now: datetime,
    pools: Sequence[uuid.UUID] = (),
    networks: Sequence[str] = (),
) -> tuple[Token, str]:
    """Make a token of `user`; returns the row and the text that is shown this once. `days` is 1 to 366."""
    if actor.user_id == user.pk:
        if not actor.may_somewhere("tokens.own"):
            require(actor, "tokens.own")
    else:
        require(actor, "tokens.manage")
    name = name.strip()
    if not name or len(name) > 100:
        raise InvalidInput(
            _("The name is empty or too long."), field="name", value=name, mend=_("Give 1 to 100 characters.")
        )
    unknown = [scope for scope in scopes if scope not in SCOPES and scope not in PERMISSIONS]
    if unknown or not scopes:
        wrong = unknown[0] if unknown else ""
        raise InvalidInput(
            _("%(value)r is not a scope.") % {"value": wrong},
            field="scopes",
            value=wrong,
            mend=_("Use %(known)s or permission names.") % {"known": ", ".join(SCOPES)},
        )
    _check_pools(user, pools)
    scopes, networks = list(dict.fromkeys(scopes)), checked_networks(networks)
    check_days(days)
    expires_at = latest_end(
        actor=actor, scopes=scopes, pools=pools, networks=networks, wanted=now + timedelta(days=days)
    )
    made = new_text(TOKEN_START)
    try:
        with transaction.atomic():
            token = Token.objects.create(
                user=user,
                name=name,
                prefix=made.prefix,
                digest=made.digest,
                pepper=made.pepper,
                scopes=list(scopes),
                networks=networks,
                limited_to_pools=bool(pools),
                created_at=now,
                expires_at=expires_at,
            )
            token.pools.set(list(pools))  # type: ignore[arg-type]  # keys are as good as rows here
            after = {"name": name, "scopes": list(scopes), "expires_at": token.expires_at, "networks": networks}
            append(
                [Entry(actor=str(actor), action="tokens.create", subject=f"token:{user.username}/{name}", after=after)]
            )
    except IntegrityError as error:
        raise Conflict(
            _("%(user)s has a token named %(name)s.") % {"user": user.username, "name": name},
            field="name",
            value=name,
            mend=_("Choose another name, or revoke that one first."),
        ) from error
    return token, made.text


def revoke_token(*, token: Token, actor: Principal, now: datetime) -> None:
    """End a token at once; a second time changes nothing."""
    if actor.user_id != token.user_id:
        require(actor, "tokens.manage")
    elif not actor.may_somewhere("tokens.own"):
        raise NotFound(_("There is no such token that you may see."))
    with transaction.atomic():
        if Token.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=now):
            append(
                [Entry(actor=str(actor), action="tokens.revoke", subject=f"token:{token.user.username}/{token.name}")]
            )
