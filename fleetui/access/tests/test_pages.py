"""Pages of people: tokens that are shown once, users and roles, settings, preferences and sign-in."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.apps import apps
from django.test import Client
from django.urls import reverse

from fleetui.access.models import RoleBinding, Token, User
from fleetui.access.principals import SYSTEM
from fleetui.access.services import create_token, principal_for_token
from fleetui.audit.models import AuditEvent
from fleetui.core import clock

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery staple"
TOKENS, ADD_TOKEN = reverse("access:tokens"), reverse("access:token_add")


def person(name: str, *roles: str, pool: Any = None) -> User:
    user = User.objects.create_user(username=name, password=PASSWORD)
    for role in roles:
        RoleBinding.objects.create(user=user, role=role, pool=pool)
    return user


def signed_in(user: User) -> Client:
    made = Client()
    made.force_login(user)
    return made


def pool(name: str) -> Any:
    return apps.get_model("nodes", "Pool")._default_manager.create(name=name)


def token_of(user: User, name: str = "ci", **over: Any) -> Token:
    given = {"name": name, "scopes": ["read"], "days": 30, **over}
    return create_token(user=user, actor=SYSTEM, now=clock.now(), **given)[0]


def test_a_token_is_shown_once_and_works() -> None:
    anna, web = person("anna", "operator"), pool("web")
    browser = signed_in(anna)
    given = {
        "name": "ci",
        "scope": "operate",
        "days": "30",
        "pools": [str(web.pk)],
        "networks": "10.0.0.0/8\n192.0.2.7",
    }
    page = browser.post(ADD_TOKEN, given)
    text = page.context["text"]
    assert text in page.content.decode()
    assert "no-store" in page["Cache-Control"]
    token = Token.objects.get(user=anna)
    assert (token.scopes, token.networks, list(token.pools.all())) == (["operate"], ["10.0.0.0/8", "192.0.2.7"], [web])
    assert principal_for_token(text, address="10.1.1.1", now=clock.now())
    listed = browser.get(TOKENS).content.decode()
    assert token.prefix in listed
    assert text not in listed
    assert text.split("_", 2)[2] not in listed


@pytest.mark.parametrize(
    ("field", "value"), [("networks", "10.0.0.0/99"), ("days", "0"), ("days", "400"), ("scope", "root"), ("name", "")]
)
def test_a_wrong_token_form_is_told_at_its_field(field: str, value: str) -> None:
    given = {"name": "kept", "scope": "read", "days": "30", "networks": "", field: value}
    page = signed_in(person("anna", "viewer")).post(ADD_TOKEN, given)
    assert page.status_code == 422
    assert field in page.context["form"].errors
    assert not Token.objects.exists()


def test_one_sees_and_revokes_ones_own_tokens_an_admin_everybodys() -> None:
    anna, bert, admin = person("anna", "viewer"), person("bert", "viewer"), person("root", "admin")
    token = token_of(anna, "annas-token")
    revoke = reverse("access:token_revoke", args=[token.pk])
    assert "annas-token" not in signed_in(bert).get(TOKENS).content.decode()
    assert signed_in(bert).post(revoke).status_code == 404
    auditor = signed_in(person("audrey", "auditor"))
    assert "annas-token" in auditor.get(TOKENS).content.decode()
    assert revoke not in auditor.get(TOKENS).content.decode()
    auditor.post(revoke)
    assert Token.objects.get(pk=token.pk).revoked_at is None
    assert revoke in signed_in(admin).get(TOKENS).content.decode()
    assert signed_in(anna).post(revoke).status_code == 302
    assert Token.objects.get(pk=token.pk).revoked_at is not None
    assert "annas-token" not in signed_in(anna).get(TOKENS).content.decode()
    assert "annas-token" in signed_in(anna).get(TOKENS, {"state": "revoked"}).content.decode()


def test_a_user_is_added_with_a_role_and_a_password_shown_once() -> None:
    browser = signed_in(person("root", "admin"))
    web = pool("web")
    given = {
        "username": "bert",
        "full_name": "Bert",
        "email": "",
        "role": "operator",
        "pool": str(web.pk),
        "password": "",
    }
    page = browser.post(reverse("access:user_add"), given)
    made = page.context["password"]
    assert made in page.content.decode()
    assert "no-store" in page["Cache-Control"]
    bert = User.objects.get(username="bert")
    assert bert.check_password(made)
    assert [(one.role, one.pool) for one in bert.bindings.all()] == [("operator", web)]
    assert made not in browser.get(reverse("access:user", args=["bert"])).content.decode()
    again = browser.post(reverse("access:user_add"), given)
    assert again.status_code == 422
    assert "exists" in str(again.context["form"].errors["username"])


def test_roles_are_given_and_taken_but_not_the_last_admins() -> None:
    admin, anna = person("root", "admin"), person("anna")
    browser = signed_in(admin)
    browser.post(reverse("access:user_role", args=["anna"]), {"role": "viewer", "pool": "all"})
    binding = RoleBinding.objects.get(user=anna)
    assert (binding.role, binding.pool_id) == ("viewer", None)
    browser.post(reverse("access:user_role_take", args=["anna", binding.pk]))
    assert not RoleBinding.objects.filter(user=anna).exists()
    last = RoleBinding.objects.get(user=admin)
    page = browser.post(reverse("access:user_role_take", args=["root", last.pk]), follow=True)
    assert "the last admin" in page.content.decode()
    assert RoleBinding.objects.filter(pk=last.pk).exists()
    browser.post(reverse("access:user_active", args=["root"]), {"active": "0"})
    assert User.objects.get(username="root").is_active


def test_an_account_is_closed_and_opened_and_given_a_password() -> None:
    anna = person("anna", "viewer")
    annas, browser = signed_in(anna), signed_in(person("root", "admin"))
    active, password = (reverse(f"access:user_{what}", args=["anna"]) for what in ("active", "password"))
    browser.post(active, {"active": "0"})
    assert annas.get(TOKENS).status_code == 302
    browser.post(active, {"active": "1"})
    short = browser.post(password, {"password": "short"})
    assert short.status_code == 422
    assert 'value="short"' not in short.content.decode()
    assert browser.post(password, {"password": "a longer one than before"}).status_code == 302
    assert User.objects.get(username="anna").check_password("a longer one than before")
    assert annas.get(TOKENS).status_code == 302, "sessions from before ended"


@pytest.mark.parametrize("role", ["viewer", "operator", "auditor"])
def test_only_admins_change_people(role: str) -> None:
    person("anna", "viewer")
    browser = signed_in(person("other", role))
    seen = 200 if role == "auditor" else 403
    assert browser.get(reverse("access:users")).status_code == seen
    assert browser.get(reverse("access:user", args=["anna"])).status_code == seen
    refused = browser.get(reverse("access:user_add"))
    assert refused.status_code == 403
    assert "<code>users.write</code>" in refused.content.decode()
    for name in ("user_password", "user_role", "user_active"):
        assert browser.post(reverse(f"access:{name}", args=["anna"])).status_code == 403
    if seen == 200:
        assert "Close account" not in browser.get(reverse("access:user", args=["anna"])).content.decode()


def test_a_right_on_one_pool_opens_no_page_of_people() -> None:
    browser = signed_in(person("web-admin", "admin", pool=pool("web")))
    assert browser.get(reverse("access:users")).status_code == 403
    assert browser.get(reverse("access:user_add")).status_code == 403
    tabs = browser.get(reverse("settings")).context["tabs"]
    assert reverse("access:users") not in [tab["url"] for tab in tabs]


@pytest.mark.parametrize("role", ["admin", "auditor"])
def test_a_role_on_one_pool_is_shown_no_way_to_the_audit_log(role: str) -> None:
    url = reverse("audit")
    assert url in [item["url"] for item in signed_in(person("all", role)).get("/").context["nav"]]
    browser = signed_in(person("one", role, pool=pool("web")))
    assert url not in [item["url"] for item in browser.get("/").context["nav"]]
    assert browser.get(url).status_code == 403


def test_a_person_without_a_role_is_told_and_can_leave() -> None:
    browser = signed_in(person("nobody"))
    answer = browser.get("/")
    assert answer.status_code == 403
    assert f'action="{reverse("account_logout")}"' in answer.content.decode()
    assert browser.post(reverse("account_logout")).status_code == 302


def test_settings_say_what_runs_and_hold_no_secret(settings: Any) -> None:
    text = signed_in(person("vera", "viewer")).get(reverse("settings")).content.decode()
    assert str(settings.DATA_DIR) in text
    for secret in (settings.SECRET_KEY, *settings.ENCRYPTION_KEYS, *settings.TOKEN_PEPPERS, settings.AUDIT_KEY):
        assert secret not in text
    assert signed_in(person("nobody")).get(reverse("settings")).status_code == 403


def test_the_time_zone_is_kept_and_used() -> None:
    anna = person("anna", "viewer")
    browser, url = signed_in(anna), reverse("access:preferences")
    assert browser.post(url, {"time_zone": "Asia/Bangkok"}).status_code == 302
    assert "Asia/Bangkok" in browser.get(TOKENS).content.decode()
    assert browser.post(url, {"time_zone": "Mars/Olympus"}).status_code == 422
    browser.post(url, {"time_zone": "-"})
    assert User.objects.get(username="anna").time_zone == ""


def test_sign_in_says_what_to_do_and_stops_guessing() -> None:
    person("anna", "viewer")
    browser, url = Client(), reverse("account_login")
    assert "placeholder" not in browser.get(url).content.decode()
    for _number in range(5):
        page = browser.post(url, {"login": "anna", "password": "guess"})
    assert "do not belong together" in page.content.decode()
    page = browser.post(url, {"login": "anna", "password": PASSWORD})
    assert "Wait five minutes" in page.content.decode()
    assert reverse("account_reset_password") not in page.content.decode()


def test_a_form_that_is_sent_after_the_session_ended_leads_back_to_its_page() -> None:
    """The address of the form itself cannot be opened, so the sign-in must not lead there."""
    revoke, sign_in = "/tokens/4f6b3c1e-0000-4000-8000-000000000000/revoke/", reverse("account_login")
    back = {"referer": "http://testserver/tokens/?state=ended"}
    assert Client().post(revoke, headers=back).headers["Location"] == f"{sign_in}?next=/tokens/%3Fstate%3Dended"
    assert (
        Client().post(revoke, headers={"referer": "http://evil.example/x"}).headers["Location"] == f"{sign_in}?next=/"
    )
    assert Client().post(revoke).headers["Location"] == f"{sign_in}?next=/"
    assert (
        Client().get("/tokens/?state=ended", headers=back).headers["Location"]
        == f"{sign_in}?next=/tokens/%3Fstate%3Dended"
    )


def test_password_and_second_factor_pages_are_ours() -> None:
    browser = Client()
    person("anna", "viewer")
    browser.post(reverse("account_login"), {"login": "anna", "password": PASSWORD})
    asked = browser.get(reverse("mfa_activate_totp"), follow=True)
    assert "Confirm that it is you" in asked.content.decode()
    browser.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    for name in ("account_change_password", "mfa_index", "mfa_activate_totp"):
        page = browser.get(reverse(name))
        assert page.status_code == 200, name
        text = page.content.decode()
        assert 'class="ui-frame"' in text
        assert reverse("account_reset_password") not in text
    wrong = browser.post(reverse("account_change_password"), {"oldpassword": "x", "password1": "y", "password2": "z"})
    assert "This is not your current password." in wrong.content.decode()
    assert "placeholder" not in wrong.content.decode().partition("<main")[2].partition("</main>")[0]


def test_sign_ins_that_are_not_even_tried_are_recorded_once() -> None:
    person("anna", "viewer")
    browser = Client()
    told = {"login": "anna", "password": "wrong"}
    for _ in range(8):
        page = browser.post(reverse("account_login"), told)
    assert "Too many failed sign-ins" in page.content.decode()
    reasons = list(AuditEvent.objects.filter(action="sign_in").order_by("seq").values_list("reason", "outcome"))
    waits = ("Too many failed sign-ins: for five minutes none is tried.", "refused")
    assert reasons == [*[("", "refused")] * 5, waits]


def test_an_admin_of_one_pool_is_not_sent_to_the_targets_of_backups() -> None:
    url = reverse("backup_target_add")
    assert url in signed_in(person("all", "admin")).get(reverse("backups")).content.decode()
    browser = signed_in(person("one", "admin", pool=pool("web")))
    for page in (reverse("backups"), reverse("backup_policy_add") + "?kind=path"):
        assert url not in browser.get(page).content.decode()


@pytest.mark.parametrize("path", ["/", "/api/v1/nodes/"])
def test_a_host_name_that_is_not_allowed_is_told_with_the_setting(settings: Any, path: str) -> None:
    settings.ALLOWED_HOSTS = ["localhost"]
    answer = Client(headers={"host": "fleet.example"}).get(path)
    assert answer.status_code == 400
    assert "fleet.example" in answer.content.decode()
    assert "FLEETUI_ALLOWED_HOSTS" in answer.content.decode()


def test_wrong_codes_and_used_recovery_codes_are_recorded() -> None:
    anna = person("anna", "viewer")
    TOTP.activate(anna, generate_totp_secret())
    code = RecoveryCodes.activate(anna).get_unused_codes()[0]
    browser, second = Client(), reverse("mfa_authenticate")
    browser.post(reverse("account_login"), {"login": "anna", "password": PASSWORD})
    assert "This code is not right." in browser.post(second, {"code": "00000000x"}).content.decode()
    assert browser.post(second, {"code": code}).status_code == 302
    found = AuditEvent.objects.filter(subject="user:anna").order_by("seq").values_list("actor", "action", "outcome")
    assert list(found)[-3:] == [
        ("anonymous", "sign_in", "refused"),
        ("user:anna", "users.use_recovery_code", "done"),
        ("user:anna", "sign_in", "done"),
    ]


def test_codes_that_are_not_even_tried_are_recorded_once() -> None:
    anna = person("anna", "viewer")
    TOTP.activate(anna, generate_totp_secret())
    browser, second = Client(), reverse("mfa_authenticate")
    browser.post(reverse("account_login"), {"login": "anna", "password": PASSWORD})
    for _ in range(8):
        page = browser.post(second, {"code": "00000000x"})
    assert "Wait five minutes" in page.content.decode()
    found = AuditEvent.objects.filter(action="sign_in").order_by("seq").values_list("subject", "reason", "outcome")
    wrong = ("user:anna", "The code of the second step was wrong.", "refused")
    waits = ("user:anna", "Too many wrong codes: for five minutes none is tried.", "refused")
    assert list(found) == [*[wrong] * 5, waits]
