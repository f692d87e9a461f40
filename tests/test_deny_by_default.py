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
#: Each address is asked with the first two, and with one of the others in turn.
METHODS, OTHERS = ("GET", "POST"), ("HEAD", "PUT", "PATCH", "DELETE", "OPTIONS")
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


def _asked(open_to_them: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """What is asked: method and path."""
    for number, path in enumerate(PATHS):
        if not _matches(path, open_to_them):
            for method in (*METHODS, OTHERS[number % len(OTHERS)]):
                yield method, path


def test_strangers_are_sent_away(db: None) -> None:
    client, let_in = Client(raise_request_exception=False), []
    for method, path in _asked(PUBLIC):
        response = client.generic(method, path, b"{}", content_type="application/json")
        is_sent = response.status_code in (401, 403, 404, 405)
        if not is_sent and not (response.status_code == 302 and "/accounts/login/" in response.headers["Location"]):
            let_in.append((method, path, response.status_code))
    assert let_in == []


def test_people_without_a_role_get_nothing(db: None) -> None:
    user = make_user("outsider")
    client, let_in = Client(raise_request_exception=False), []
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    api = Api(user)
    for method, path in _asked((*PUBLIC, *OWN)):
        allowed = (401, 403, 404, 405) if _matches(path, OWN_DOOR) else (403, 404, 405)
        answers = [("page", client.generic(method, path, b"{}", content_type="application/json"))]
        if path.startswith("/api/v1/"):
            answer = api.client.generic(method, path, b"{}", content_type="application/json", headers=api.headers)
            answers.append(("token", answer))
        let_in += [(who, method, path, one.status_code) for who, one in answers if one.status_code not in allowed]
    assert let_in == []


def test_every_action_declares_a_permission() -> None:
    for path, callback in ADDRESSES:
        _declares(path, callback)


def _declares(path: str, callback: Any) -> None:
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
