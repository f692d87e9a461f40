"""Rights: roles bundle permissions, tokens never exceed their owner, pools narrow both."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from fleetui.access.models import RoleBinding, Token, User
from fleetui.access.principals import ANONYMOUS, SYSTEM, require
from fleetui.access.services import (
    add_user,
    bind_role,
    create_token,
    ensure_first_admin,
    principal_for_token,
    principal_for_user,
    revoke_token,
    set_active,
    unbind_role,
)
from fleetui.audit.models import AuditEvent
from fleetui.core.errors import Conflict, InvalidInput, NotAllowed, StartError
from nodes.models import Pool

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, tzinfo=UTC)
PASSWORD = "a long and strange pass phrase"


def test_a_token_is_not_limited_to_pools_that_its_owner_may_not_see() -> None:
    mine, other = Pool.objects.create(name="mine"), Pool.objects.create(name="other")
    user = person("olga", "operator", mine)
    with pytest.raises(InvalidInput, match=r"There is no pool other\.") as raised:
        token_of(user, pools=[mine.pk, other.pk])
    assert (raised.value.field, raised.value.value) == ("pools", "other")
    assert not Token.objects.exists()
    assert token_of(user, pools=[mine.pk])
    assert token_of(person("anna", "admin"), pools=[other.pk])


def person(name: str, role: str = "", pool: Pool | None = None) -> User:
    user = add_user(username=name, password=PASSWORD, actor=SYSTEM, now=NOW)
    if role:
        bind_role(user=user, role=role, pool=pool, actor=SYSTEM)
    return user


def on(pool: Pool | None) -> Any:
    return SimpleNamespace(pool_id=pool.pk if pool else None)


def token_of(user: User, **over: Any) -> str:
    given: dict[str, Any] = {
        "name": "ci",
        "scopes": ["operate"],
        "days": 30,
        "actor": principal_for_user(user),
        "now": NOW,
    }
    return create_token(user=user, **{**given, **over})[1]


def test_a_person_without_roles_may_nothing() -> None:
    principal = principal_for_user(person("eve"))
    assert not any(principal.may_somewhere(name) for name in ("nodes.read", "audit.read", "tokens.own"))


def test_a_pool_role_holds_in_its_pool_only() -> None:
    mine, other = Pool.objects.create(name="mine"), Pool.objects.create(name="other")
    principal = principal_for_user(person("olga", "operator", mine))
    assert principal.may("nodes.poll", on(mine))
    assert not principal.may("nodes.poll", on(other))
    assert not principal.may("nodes.poll", on(None))
    assert not principal.may("nodes.poll")
    for elsewhere in (on(other), None):
        with pytest.raises(NotAllowed) as refused:
            require(principal, "nodes.write", elsewhere)
        # Another token or role of the same kind would not help.
        assert "You hold it on some pools" in refused.value.mend
    with pytest.raises(NotAllowed) as lacking:
        require(principal, "pools.write", on(other))
    assert "You hold it" not in lacking.value.mend


def test_a_token_is_cut_by_scope_pool_and_owner() -> None:
    mine, other = Pool.objects.create(name="mine"), Pool.objects.create(name="other")
    user = person("olga", "operator")
    text = token_of(user, pools=[mine.pk])
    principal = principal_for_token(text, address="", now=NOW)
    assert principal
    assert principal.may("nodes.poll", on(mine))
    assert not principal.may("nodes.poll", on(other))
    read = principal_for_token(token_of(user, scopes=["read"], name="r"), address="", now=NOW)
    assert read
    assert read.may("nodes.read")
    assert not read.may("nodes.poll")
    RoleBinding.objects.filter(user=user).update(role="viewer")
    less = principal_for_token(text, address="", now=NOW)
    assert less
    assert not less.may_somewhere("nodes.poll")


def test_a_token_whose_pools_are_gone_does_not_widen() -> None:
    mine = Pool.objects.create(name="mine")
    text = token_of(person("olga", "operator"), pools=[mine.pk])
    mine.delete()
    assert principal_for_token(text, address="", now=NOW) is None


@pytest.mark.parametrize("wrong", ["", "fleetui_", "fleetui_abc", "nonsense", "fleetui_000000000000_secret"])
def test_what_is_no_token_is_refused(wrong: str) -> None:
    assert principal_for_token(wrong, address="", now=NOW) is None


def test_tokens_end_by_time_revocation_network_and_a_closed_owner() -> None:
    user = person("olga", "operator")
    text = token_of(user, days=1, networks=["10.0.0.0/8"])
    assert principal_for_token(text, address="10.1.2.3", now=NOW)
    assert principal_for_token(text, address="192.0.2.1", now=NOW) is None
    assert principal_for_token(text, address="", now=NOW) is None
    assert principal_for_token(text, address="10.1.2.3", now=NOW + timedelta(days=2)) is None
    set_active(user=user, active=False, actor=SYSTEM)
    assert principal_for_token(text, address="10.1.2.3", now=NOW) is None
    set_active(user=user, active=True, actor=SYSTEM)
    revoke_token(token=Token.objects.get(), actor=SYSTEM, now=NOW)
    assert principal_for_token(text, address="10.1.2.3", now=NOW) is None


def test_the_secret_is_not_stored() -> None:
    text = token_of(person("olga", "operator"))
    secret = text.split("_", 2)[2]
    row = Token.objects.get()
    assert secret not in (row.digest, row.prefix)
    assert all(secret not in event.after for event in AuditEvent.objects.all())


def test_a_token_cannot_make_a_wider_token() -> None:
    user = person("ada", "admin")
    narrow = principal_for_token(token_of(user, scopes=["operate", "tokens.own"]), address="", now=NOW)
    assert narrow
    with pytest.raises(NotAllowed):
        create_token(user=user, name="wide", scopes=["admin"], days=1, actor=narrow, now=NOW)


@pytest.mark.parametrize(
    ("field", "over"),
    [("scopes", {"scopes": ["root"]}), ("scopes", {"scopes": []}), ("days", {"days": 0}), ("days", {"days": 9999}),
     ("name", {"name": " "}), ("networks", {"networks": ["nowhere"]})],
)  # fmt: skip
def test_bad_token_requests_name_the_field(field: str, over: dict[str, Any]) -> None:
    user = person("olga", "operator")
    with pytest.raises(InvalidInput) as caught:
        token_of(user, **over)
    assert caught.value.field == field
    assert caught.value.mend


def test_the_last_admin_stays() -> None:
    password = ensure_first_admin()
    assert password
    assert ensure_first_admin() is None
    admin = User.objects.get()
    assert admin.check_password(password)
    with pytest.raises(Conflict):
        unbind_role(binding=admin.bindings.get(), actor=SYSTEM)
    with pytest.raises(Conflict):
        set_active(user=admin, active=False, actor=SYSTEM)


def test_strangers_may_nothing() -> None:
    assert not ANONYMOUS.may_somewhere("nodes.read")
    with pytest.raises(KeyError):
        SYSTEM.may("nodes.reed")


def test_a_request_that_is_sent_twice_makes_one_token() -> None:
    user = person("olga", "operator")
    token_of(user)
    with pytest.raises(Conflict) as caught:
        token_of(user)
    assert caught.value.field == "name"
    revoke_token(token=Token.objects.get(), actor=SYSTEM, now=NOW)
    assert token_of(user)


def test_nothing_is_signed_with_a_key_that_dies_with_the_process(settings: Any) -> None:
    user = person("olga", "operator")
    settings.MISSING_KEYS = ["FLEETUI_TOKEN_PEPPERS"]
    with pytest.raises(StartError, match="token peppers"):
        token_of(user)
