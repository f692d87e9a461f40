"""Every address of the project, every method: shut to strangers, and to people without a role."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from fleetui.access.api.permissions import DeclaredPermission, UndeclaredAction
from fleetui.access.middleware import is_open
from fleetui.access.roles import PERMISSIONS
from fleetui.core.api.views import ApiView
from fleetui.core.words import TAKEN_BY_ADDRESSES
from nodes.tests.api.client import Api
from nodes.tests.make import make_user

#: Who is let in is decided before the database is asked for anything else.
pytestmark = pytest.mark.one_database
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
#: What strangers may open; everything else is shut.
PUBLIC = (
    r"^/healthz$",
    r"^/readyz$",
    r"^/accounts/",
    r"^/i18n/",
    r"^/static/",
    # Machines that boot; without a token they get the word that there is none.
    r"^/ignition/[^/]+$",
    # Forges that tell of a push; without a signature they are refused.
    r"^/hooks/git/[^/]+/$",
    # Webhooks of provisioners that tell how far they are, likewise.
    r"^/hooks/replacement/[^/]+/$",
)
#: What has a door of its own: machines come with an enrolment token, and nobody else gets in.
OWN_DOOR = (r"^/api/v1/enrol/$",)
#: What every signed-in person may do without any role: their own account and language.
OWN = (r"^/accounts/", r"^/i18n/")
EXAMPLES = {"uuid": "11111111-2222-3333-4444-555555555555", "int": "1"}


def _walk(patterns: list[Any], prefix: str = "/") -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        text = str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, prefix + _path(text))
        elif isinstance(pattern, URLPattern):
            yield prefix + _path(text), pattern.callback


def _path(text: str) -> str:
    text = re.sub(r"<(?:(\w+):)?\w+>", lambda found: EXAMPLES.get(found[1] or "", "some-name"), text)
    text = re.sub(r"\(\?P<\w+>[^)]*\)", "x", text)
    return text.replace("^", "").replace("$", "").replace("\\Z", "").replace("\\", "")


ADDRESSES = sorted({(path, callback) for path, callback in _walk(get_resolver().url_patterns)}, key=lambda one: one[0])
PATHS = [path for path, _ in ADDRESSES]


def _matches(path: str, patterns: tuple[str, ...]) -> bool:
    return any(re.match(pattern, path) for pattern in patterns)


def test_the_walk_sees_the_project() -> None:
    assert len(PATHS) > 40
    assert "/api/v1/nodes/some-name/poll/" in PATHS
    assert "/nodes/" in PATHS


def test_no_name_hides_behind_an_address() -> None:
    """What stands where a name does, such as `pools/export/`, cannot be a name."""
    starts = {path.partition("some-name/")[0] for path in PATHS if "some-name/" in path}
    words = {path.removeprefix(start).partition("/")[0] for start in starts for path in PATHS if path.startswith(start)}
    assert {"-", "export", "compare"} <= words
    assert words - {"", "some-name"} <= TAKEN_BY_ADDRESSES


def test_an_address_with_a_line_end_is_answered_by_the_api(db: None) -> None:
    answer = Client().get("/api/v1/pools/web%0A/")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:fleetui:problem:not_found")


@pytest.mark.parametrize("path", PATHS)
def test_strangers_are_sent_away(db: None, path: str) -> None:
    if _matches(path, PUBLIC):
        assert _matches(path, PUBLIC)
        return
    for method in METHODS:
        response = Client(raise_request_exception=False).generic(method, path, b"{}", content_type="application/json")
        assert response.status_code in (302, 401, 403, 404, 405), f"{method} {path} answered {response.status_code}"
        if response.status_code == 302:
            assert "/accounts/login/" in response.headers["Location"], f"{method} {path}"


@pytest.mark.parametrize("path", PATHS)
def test_people_without_a_role_get_nothing(db: None, path: str) -> None:
    if _matches(path, (*PUBLIC, *OWN)):
        return
    user = make_user("outsider")
    client = Client(raise_request_exception=False)
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    api = Api(user)
    for method in METHODS:
        page = client.generic(method, path, b"{}", content_type="application/json")
        allowed = (401, 403, 404, 405) if _matches(path, OWN_DOOR) else (403, 404, 405)
        assert page.status_code in allowed, f"{method} {path} answered {page.status_code}"
        if path.startswith("/api/v1/"):
            answer = api.client.generic(method, path, b"{}", content_type="application/json", headers=api.headers)
            assert answer.status_code in allowed, f"{method} {path} answered {answer.status_code} to a token"


@pytest.mark.parametrize(("path", "callback"), ADDRESSES, ids=PATHS)
def test_every_action_declares_a_permission(path: str, callback: Any) -> None:
    view = getattr(callback, "cls", None) or getattr(callback, "view_class", None)
    if view is not None and (issubclass(view, ApiView) or hasattr(view, "actions")):
        assert view.permission_classes == [DeclaredPermission], path
        for method in ("get", "post", "put", "patch", "delete"):
            if callable(getattr(view, method, None)):
                action = view.actions.get(method.upper())
                assert action is not None, f"{method.upper()} {path} declares no permission"
                open_here = _matches(path, OWN_DOOR) or (action.permission not in PERMISSIONS and view.hidden)
                assert action.permission in PERMISSIONS or open_here, f"{method.upper()} {path}: {action.permission}"
        return
    assert is_open(callback) or getattr(callback, "permission", None) in PERMISSIONS, f"{path} declares no permission"


def test_an_undeclared_action_is_refused(cast_free_owner: Any, rf: Any) -> None:
    class Forgotten(ApiView):
        permission_classes = [DeclaredPermission]

        def get(self, request: Any) -> Any:
            raise AssertionError("reached")

    request = rf.get("/x")
    request.principal = cast_free_owner
    request.user = object()
    with pytest.raises(UndeclaredAction):
        DeclaredPermission().has_permission(_wrapped(request), Forgotten())


def _wrapped(request: Any) -> Any:
    from rest_framework.request import Request

    wrapped = Request(request)
    wrapped.user = request.user
    return wrapped


@pytest.fixture
def cast_free_owner() -> Any:
    from fleetui.access.principals import SYSTEM

    return SYSTEM
