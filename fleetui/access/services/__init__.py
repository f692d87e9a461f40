"""Writes of users, roles and tokens. Keyword-only, one transaction each, the audit event inside it."""

from fleetui.access.services.delegation import latest_end
from fleetui.access.services.resolve import principal_for_token, principal_for_user
from fleetui.access.services.tokens import create_token, revoke_token
from fleetui.access.services.users import (
    add_user,
    bind_role,
    ensure_first_admin,
    set_active,
    set_password,
    set_time_zone,
    unbind_role,
)

__all__ = [
    "add_user",
    "bind_role",
    "create_token",
    "ensure_first_admin",
    "latest_end",
    "principal_for_token",
    "principal_for_user",
    "revoke_token",
    "set_active",
    "set_password",
    "set_time_zone",
    "unbind_role",
]
