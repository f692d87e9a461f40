"""`manage.py token` and `manage.py user`."""

from __future__ import annotations

import io
import json
import secrets
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from fleetui.access.models import Token, User
from fleetui.audit.models import AuditEvent
from fleetui.core.crypto import seal
from nodes.models import Credential
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast


def run(*args: str, **options: Any) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command(*args, stdout=out, stderr=err, **options)
    return out.getvalue(), err.getvalue()


def test_a_token_is_printed_alone_and_works(cast: Cast) -> None:
    out, err = run(
        "token",
        "create",
        "--user",
        "owner",
        "--scope",
        "read",
        "--days",
        "2",
        "--pool",
        "db",
        "--network",
        "127.0.0.0/8",
    )
    assert out.startswith("fleetui_")
    assert out.count("\n") == 1
    assert "owner" in err
    api = Api(token=out.strip())
    assert api.names("nodes/") == ["db-1"]
    prefix = Token.objects.get().prefix
    assert prefix in run("token", "list", "--user", "owner")[0]
    assert "revoked" in run("token", "revoke", prefix)[0]
    assert api.get("nodes/").status_code == 401
    assert "before" in run("token", "revoke", prefix)[0]


@pytest.mark.parametrize(
    "args",
    [
        ("token", "create", "--user", "nobody", "--scope", "read", "--days", "1"),
        ("token", "create", "--user", "owner", "--scope", "all", "--days", "1"),
        ("token", "create", "--user", "owner", "--scope", "read", "--days", "0"),
        ("token", "create", "--user", "owner", "--scope", "read", "--days", "1", "--pool", "nope"),
        ("token", "create", "--user", "owner", "--scope", "read", "--days", "1", "--network", "nope"),
        ("token", "revoke", "nope"),
        ("user", "add", "owner"),
        ("user", "add", "new", "--pool", "db"),
        ("user", "password", "nobody", "--generate"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(cast: Cast, args: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match=r"\w+ .*\."):
        run(*args)


def test_users_are_added_listed_and_given_passwords(cast: Cast) -> None:
    out, err = run("user", "add", "anna", "--role", "viewer", "--pool", "db")
    anna = User.objects.get(username="anna")
    assert anna.check_password(out.strip())
    assert "anna" in err
    assert Api(anna).names("nodes/") == ["db-1"]
    assert "viewer on db" in run("user", "list")[0]
    fresh = run("user", "password", "anna", "--generate")[0].strip()
    anna.refresh_from_db()
    assert anna.check_password(fresh)


def test_tokens_of_one_minute_without_a_name_do_not_collide(cast: Cast) -> None:
    for _ in range(3):
        run("token", "create", "--user", "owner", "--scope", "read", "--days", "1")
    assert len(set(Token.objects.values_list("name", flat=True))) == 3


def test_sealing_anew_is_in_the_audit_log(cast: Cast, settings: Any) -> None:
    made = Credential.objects.create(name="k", username="core", public_key="x", fingerprint="y")
    made.sealed_private_key = seal("a secret", place=made.seal_place)
    made.save()
    settings.ENCRYPTION_KEYS = [secrets.token_hex(32), *settings.ENCRYPTION_KEYS]
    assert "credentials: 1 sealed with the newest key" in run("rotate_secrets")[0]
    event = AuditEvent.objects.get(action="installation.rotate_secrets")
    assert json.loads(event.after)["credentials"] == 1
    settings.ENCRYPTION_KEYS = [secrets.token_hex(32)]
    with pytest.raises(CommandError):
        run("rotate_secrets")
    assert AuditEvent.objects.filter(action="installation.rotate_secrets").count() == 1
