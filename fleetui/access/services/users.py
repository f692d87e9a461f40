from __future__ import annotations

import secrets
import zoneinfo
from datetime import datetime
from typing import TYPE_CHECKING

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from fleetui.access.models import RoleBinding, User
from fleetui.access.principals import SYSTEM, Principal, require
from fleetui.access.roles import ROLES
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict, InvalidInput, NotAllowed
from fleetui.core.words import TAKEN_BY_ADDRESSES, any_of

if TYPE_CHECKING:
    from nodes.models import Pool

FIRST_ADMIN = "admin"


def _checked_password(password: str, user: User) -> str:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise InvalidInput(
            " ".join(error.messages), field="password", mend=_("Choose a longer, less common one.")
        ) from error
    return password


def add_user(
    *, username: str, password: str, actor: Principal, now: datetime, full_name: str = "", email: str = ""
) -> User:
    """Add a person who may sign in; they hold no role yet, so they see nothing."""
    require(actor, "users.write")
    user = User(username=username.strip(), full_name=full_name, email=email, date_joined=now)
    try:
        user.username_validator(user.username)
    except ValidationError as error:
        raise InvalidInput(
            _("%(value)r is not a user name.") % {"value": username},
            field="username",
            value=username,
            mend=_("Use letters, digits and @ . + - _ only."),
        ) from error
    if user.username in TAKEN_BY_ADDRESSES:
        raise InvalidInput(
            _("%(value)r is not a user name.") % {"value": username},
            field="username",
            value=username,
            mend=_("It is a word of FleetUI's own addresses. Choose another name."),
        )
    user.set_password(_checked_password(password, user))
    try:
        with transaction.atomic():
            user.save()
            append(
                [Entry(actor=str(actor), action="users.add", subject=f"user:{user.username}", after={"email": email})]
            )
    except IntegrityError as error:
        raise Conflict(
            _("A user %(name)s exists.") % {"name": username},
            field="username",
            value=username,
            mend=_("Choose another name."),
        ) from error
    return user


def set_password(*, user: User, password: str, actor: Principal) -> None:
    """Give a user a new password; their other sessions end."""
    if actor.user_id != user.pk:
        require(actor, "users.write")
    user.set_password(_checked_password(password, user))
    with transaction.atomic():
        user.save(update_fields=["password"])
        append([Entry(actor=str(actor), action="users.set_password", subject=f"user:{user.username}")])


def set_time_zone(*, user: User, time_zone: str, actor: Principal) -> None:
    """The zone in which a person reads times; empty means the installation's. One's own only."""
    if actor.user_id != user.pk:
        raise NotAllowed(_("Everybody sets their own time zone."), mend=_("Sign in as that person."))
    if time_zone and time_zone not in zoneinfo.available_timezones():
        raise InvalidInput(
            _("%(value)r is not a time zone.") % {"value": time_zone},
            field="time_zone",
            value=time_zone,
            mend=_("Write it like Asia/Bangkok."),
        )
    User.objects.filter(pk=user.pk).update(time_zone=time_zone)
    user.time_zone = time_zone


def set_active(*, user: User, active: bool, actor: Principal) -> None:
    """Open or close a user's door; closing ends their sessions and tokens at the next request."""
    require(actor, "users.write")
    with transaction.atomic():
        if not active:
            _keep_an_admin(user)
        if User.objects.filter(pk=user.pk, is_active=not active).update(is_active=active):
            action = "users.open" if active else "users.close"
            append([Entry(actor=str(actor), action=action, subject=f"user:{user.username}")])


def bind_role(*, user: User, role: str, pool: Pool | None, actor: Principal) -> tuple[RoleBinding, bool]:
    """Give a role on a pool, or on all; gives whether it is new. A second time changes nothing."""
    require(actor, "users.write")
    if role not in ROLES:
        raise InvalidInput(
            _("%(value)r is not a role.") % {"value": role},
            field="role",
            value=role,
            mend=_("Use %(known)s.") % {"known": any_of(ROLES)},
        )
    with transaction.atomic():
        binding, made = RoleBinding.objects.get_or_create(user=user, role=role, pool=pool)
        if made:
            where = pool.name if pool else "all"
            after = {"role": role, "pool": where}
            append([Entry(actor=str(actor), action="roles.bind", subject=f"user:{user.username}", after=after)])
    return binding, made


def unbind_role(*, binding: RoleBinding, actor: Principal) -> None:
    """Take a role away; the last admin on all keeps theirs."""
    require(actor, "users.write")
    before = {"role": binding.role, "pool": binding.pool.name if binding.pool else "all"}
    with transaction.atomic():
        if binding.role == "admin" and binding.pool_id is None:
            _keep_an_admin(binding.user)
        if RoleBinding.objects.filter(pk=binding.pk).delete()[0]:
            append(
                [Entry(actor=str(actor), action="roles.unbind", subject=f"user:{binding.user.username}", before=before)]
            )


def _keep_an_admin(user: User) -> None:
    # Locked, so that two admins who remove each other at once do not both succeed.
    everywhere = RoleBinding.objects.select_for_update(of=("self",)).filter(role="admin", pool=None)
    admins = {binding.user_id: binding.user.is_active for binding in everywhere.select_related("user").order_by("pk")}
    if user.pk in admins and not any(active for owner, active in admins.items() if owner != user.pk):
        raise Conflict(_("%(name)s is the last admin.") % {"name": user.username}, mend=_("Make another admin first."))


def ensure_first_admin() -> str | None:
    """On an installation without any user, add `admin` and return the password to show once; otherwise None."""
    if User.objects.exists():
        return None
    password = secrets.token_urlsafe(12)
    with transaction.atomic():
        user = User(username=FIRST_ADMIN)
        user.set_password(password)
        user.save()
        RoleBinding.objects.create(user=user, role="admin", pool=None)
        after = {"role": "admin", "pool": "all"}
        append([Entry(actor=str(SYSTEM), action="users.add", subject=f"user:{FIRST_ADMIN}", after=after)])
    return password
