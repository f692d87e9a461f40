"""Pages refuse in the language of the person; the API answers in English, whatever is asked for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import translation

from fleetui.access.models import User
from fleetui.core import translations
from fleetui.core.errors import FleetError
from fleetui.core.form_errors import sentence
from nodes.hosts.ssh import generate_identity
from nodes.models import Cluster, Pool
from nodes.services.changes import checked
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast
from nodes.tests.pages import signed_in

pytestmark = pytest.mark.django_db
THAI = re.compile("[\u0e00-\u0e7f]")


@pytest.fixture(autouse=True)
def _compiled() -> None:
    translations.compile_stale(Path(settings.BASE_DIR) / "locale")


def thai(user: User) -> Client:
    browser = signed_in(user)
    browser.cookies["django_language"] = "th"
    return browser


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "nodes/", {"name": "new-1", "address": "core@host"}),
        ("POST", "nodes/", {"name": "new 1", "address": "10.0.0.1"}),
        ("POST", "nodes/", {"name": "", "address": "10.0.0.1", "port": 70000}),
        ("POST", "nodes/", {"name": "web-1", "address": "10.0.0.1"}),
        ("POST", "users/", {"username": "somebody", "password": "12345678"}),
        ("POST", "tokens/", {"name": "t", "scopes": ["nonsense"], "days": 3}),
        ("POST", "credentials/", {"name": "c", "private_key": "nonsense"}),
        ("POST", "releases/import/", {"text": '{"stream": "stable", "releases": [{}]}'}),
        ("DELETE", "pools/web/", None),
        ("GET", "nodes/?limit=x", None),
        ("GET", "nodes/nowhere/", None),
        ("TRACE", "nodes/", None),
        ("GET", "nothing/", None),
    ],
)
def test_the_api_answers_in_english(cast: Cast, method: str, path: str, body: Any) -> None:
    answer = Api(cast.owner).call(method, path, body, Accept_Language="th")
    assert answer.status_code >= 400
    assert answer.headers["Content-Language"] == "en"
    assert answer.json()["detail"]
    assert answer.json()["mend"]
    assert not THAI.search(answer.content.decode())


def test_the_schema_of_the_api_is_english(cast: Cast) -> None:
    answer = Api(cast.owner).get("schema/", Accept_Language="th")
    assert answer.status_code == 200
    assert not THAI.search(answer.content.decode())


@pytest.mark.parametrize(
    ("path", "typed"),
    [
        (reverse("nodes:add"), {"name": "new-1", "address": "core@host", "port": "22"}),
        (reverse("nodes:releases_import"), {"os_family": "fcos", "document": "{nope"}),
        (reverse("nodes:releases_import"), {"os_family": "fcos", "document": '{"stream": "a", "releases": [{}]}'}),
        (reverse("nodes:pool_add"), {"name": "web"}),
        (reverse("nodes:credential_add"), {"name": "c", "username": "core", "source": "bring", "private_key": "no"}),
        (
            reverse("nodes:credential_add"),
            {
                "name": "c",
                "username": "core",
                "source": "bring",
                "private_key": generate_identity()[0],
                "certificate": "no",
            },
        ),
    ],
)
def test_a_form_refuses_in_thai(cast: Cast, path: str, typed: dict[str, str]) -> None:
    answer = thai(cast.owner).post(path, typed)
    assert answer.status_code == 422
    errors = [text for found in answer.context["form"].errors.values() for text in found]
    assert errors
    assert all(THAI.search(text) for text in errors), errors


@pytest.mark.parametrize(
    ("row", "english"),
    [
        (Cluster(name=""), "The name is empty. Give a value."),
        (Cluster(name="a b"), "The name cannot be used. Use letters, digits, dots and hyphens only."),
        (Pool(name="p", role="x" * 51), "The role cannot be used. Ensure this value has at most 50 characters"),
        (Cluster(name="a\nb"), "The name cannot be used. Leave line ends and control characters out."),
    ],
)
def test_a_refused_field_is_named_and_its_mend_said_once(row: Any, english: str) -> None:
    with pytest.raises(FleetError) as caught:
        checked(row)
    assert sentence(caught.value).startswith(english)
    with translation.override("th"), pytest.raises(FleetError) as caught:
        checked(row)
    assert THAI.search(caught.value.message)
    assert THAI.search(caught.value.mend)
