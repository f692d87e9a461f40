"""Adding a node: checked first, then the key that the host shows is compared, and only then anything is stored."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core import signing
from django.urls import reverse

from nodes.hosts.errors import ConnectionRefused
from nodes.hosts.ssh import HostKey
from nodes.models import HostKey as HostKeyRow
from nodes.models import Node
from nodes.services import host_keys
from nodes.tests.cast import Cast
from nodes.tests.make import make_credential, make_node, make_user
from nodes.tests.pages import signed_in
from nodes.views.add import OFFER_SALT

pytestmark = pytest.mark.django_db
URL = reverse("nodes:add")
KEY = HostKey.parse("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl")


@pytest.fixture
def shows_key(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Every host shows KEY; the asked places are noted."""
    asked: list[tuple[str, int]] = []

    def scan(*, address: str, port: int, **_: object) -> tuple[HostKey, None]:
        asked.append((address, port))
        return KEY, None

    monkeypatch.setattr(host_keys, "scan", scan)
    return asked


def typed(cast: Cast, **over: Any) -> dict[str, Any]:
    given = {"name": "web-9", "address": "10.1.2.3", "port": "2222", "pool": str(cast.web.pk), "credential": "", **over}
    return {"os_family_given": "", "labels": "rack=r1", **given}


def test_the_key_is_shown_then_pinned_with_the_node(cast: Cast, shows_key: list[tuple[str, int]]) -> None:
    browser = signed_in(cast.operator)
    page = browser.post(URL, typed(cast))
    assert shows_key == [("10.1.2.3", 2222)]
    assert KEY.fingerprint in page.content.decode()
    assert "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" in page.content.decode()
    assert not Node.objects.filter(name="web-9").exists()
    done = browser.post(URL, {"step": "accept", "offer": page.context["offer"]})
    assert done.status_code == 302
    assert done["Location"] == reverse("nodes:detail", args=["web-9"])
    node = Node.objects.get(name="web-9")
    assert (node.address, node.port, node.pool, node.labels) == ("10.1.2.3", 2222, cast.web, {"rack": "r1"})
    pinned = HostKeyRow.objects.get(node=node)
    assert (pinned.state, pinned.fingerprint) == ("pinned", KEY.fingerprint)


def test_back_to_the_form_loses_nothing_that_was_typed(cast: Cast, shows_key: list[tuple[str, int]]) -> None:
    browser = signed_in(cast.operator)
    page = browser.post(URL, typed(cast))
    form = browser.post(URL, {"step": "back", "offer": page.context["offer"]}).content.decode()
    for text in ("web-9", "10.1.2.3", "2222", "rack=r1"):
        assert text in form


@pytest.mark.parametrize(
    "spoil",
    [
        lambda offer: offer[:-2] + "xx",
        lambda offer: "",
        lambda offer: signing.dumps({"typed": {}, "key": KEY.line, "by": -1}, salt=OFFER_SALT, compress=True),
    ],
)
def test_an_offer_that_is_not_ours_adds_nothing(
    cast: Cast, shows_key: list[tuple[str, int]], spoil: Callable[[str], str]
) -> None:
    browser = signed_in(cast.operator)
    page = browser.post(URL, typed(cast))
    done = browser.post(URL, {"step": "accept", "offer": spoil(page.context["offer"])})
    assert done["Location"] == URL
    assert not Node.objects.filter(name="web-9").exists()


def test_an_offer_ends_after_ten_minutes(
    cast: Cast, shows_key: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = signed_in(cast.operator)
    page = browser.post(URL, typed(cast))
    late = signing.time.time() + timedelta(minutes=11).total_seconds()  # type: ignore[attr-defined]
    monkeypatch.setattr(signing.time, "time", lambda: late)  # type: ignore[attr-defined]
    browser.post(URL, {"step": "accept", "offer": page.context["offer"]})
    assert not Node.objects.filter(name="web-9").exists()


def test_a_host_that_does_not_answer_can_be_added_anyway(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    def scan(*, address: str, port: int, **_: object) -> tuple[HostKey, None]:
        raise ConnectionRefused(address, port)

    monkeypatch.setattr(host_keys, "scan", scan)
    browser = signed_in(cast.operator)
    page = browser.post(URL, typed(cast)).content.decode()
    assert "refused the connection on port 2222" in page
    assert "Add it anyway" in page
    assert "rack=r1" in page
    assert browser.post(URL, typed(cast, step="anyway")).status_code == 302
    assert not HostKeyRow.objects.filter(node__name="web-9").exists()


@pytest.mark.parametrize(
    ("field", "value", "mend"),
    [
        ("name", "bad name!", "Use letters, digits"),
        ("name", "web-1", "Choose another name"),
        ("address", "core@host", "without user and port"),
        ("labels", "justtext", "write key=value"),
        ("port", "70000", "65535"),
    ],
)
def test_a_wrong_value_is_told_at_its_field_before_any_contact(
    cast: Cast, shows_key: list[tuple[str, int]], field: str, value: str, mend: str
) -> None:
    Node.objects.filter(pool=cast.web).update(name="web-1")
    page = signed_in(cast.operator).post(URL, typed(cast, **{field: value}))
    assert page.status_code == 422
    assert mend in str(page.context["form"].errors[field])
    assert value in page.content.decode()
    assert shows_key == []


def test_an_operator_of_one_pool_adds_there_only(cast: Cast, shows_key: list[tuple[str, int]]) -> None:
    browser = signed_in(make_user("only-web", ("operator", cast.web)))
    assert browser.post(URL, typed(cast, pool=str(cast.db.pk))).status_code == 422
    assert browser.post(URL, typed(cast, pool="")).status_code == 422
    assert browser.post(URL, typed(cast)).status_code == 200
    assert signed_in(cast.viewer).get(URL).status_code == 403


def test_the_public_key_of_the_chosen_credential_is_shown(cast: Cast) -> None:
    credential = make_credential("fleet", public_key="ssh-ed25519 AAAApublic")
    cast.web.credential = credential
    cast.web.save()
    hint = reverse("nodes:public_key")
    browser = signed_in(cast.owner)
    assert "AAAApublic" in browser.get(hint, {"pool": str(cast.web.pk)}).content.decode()
    assert "AAAApublic" in browser.get(hint, {"credential": str(credential.pk)}).content.decode()
    assert "AAAApublic" not in browser.get(hint, {"pool": "nonsense"}).content.decode()


def test_an_address_that_another_node_has_is_asked_about_before_the_host_is(
    cast: Cast, shows_key: list[tuple[str, int]]
) -> None:
    make_node("old", address="10.1.2.3", port=2222, pool=cast.web)
    browser = signed_in(cast.operator)
    page = browser.post(URL, typed(cast))
    assert page.status_code == 422
    assert "The node old has this address and port already." in page.content.decode()
    assert 'name="allow_same_address"' in page.content.decode()
    assert shows_key == []
    offered = browser.post(URL, typed(cast, allow_same_address="on"))
    assert browser.post(URL, {"step": "accept", "offer": offered.context["offer"]}).status_code == 302
    assert Node.objects.filter(address="10.1.2.3", port=2222).count() == 2


def test_no_node_that_one_may_not_see_is_told_by_its_address(cast: Cast, shows_key: list[tuple[str, int]]) -> None:
    make_node("not-yours", address="10.1.2.3", port=2222, pool=cast.db)
    page = signed_in(cast.operator).post(URL, typed(cast))
    assert page.status_code == 200
    assert "not-yours" not in page.content.decode()
    assert 'name="allow_same_address"' not in signed_in(cast.operator).get(URL).content.decode()
