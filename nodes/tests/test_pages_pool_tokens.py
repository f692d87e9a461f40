"""Provisioning tokens on the page of a pool and over the API: shown once, with what boots machines by them."""

from __future__ import annotations

import json
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from nodes.models import IgnitionVersion, Node, Pool, PoolToken
from nodes.services.provisioning.snippets import pool_snippets
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast
from nodes.tests.make import make_config, make_version
from nodes.tests.pages import signed_in

pytestmark = pytest.mark.django_db
ADD = "/pools/web/provisioning/add/"
FORM: dict[str, Any] = {
    "name": "asg",
    "days": 30,
    "max_uses": 50,
    "networks": "10.0.0.0/8",
    "name_pattern": "{pool}-{id}",
    "arrive_within_minutes": 30,
}


@pytest.fixture
def version(cast: Cast) -> IgnitionVersion:
    found = make_version(make_config("edge", cast.web), state="approved")
    Pool.objects.filter(pk=cast.web.pk).update(intended_version=found)
    return found


def test_it_is_shown_once_with_what_machines_need(cast: Cast, version: IgnitionVersion) -> None:
    client = signed_in(cast.owner)
    assert "No machine is provisioned by a token here" in client.get("/pools/web/").content.decode()
    assert client.get(ADD).status_code == 200
    response = client.post(ADD, FORM)
    page = unescape(response.content.decode())
    assert (response.status_code, "no-store" in response["Cache-Control"]) == (200, True)
    token = PoolToken.objects.get()
    assert (token.max_uses, token.networks, token.arrive_within_s, token.needs_id) == (50, ["10.0.0.0/8"], 1800, False)
    start = f"http://testserver/ignition/fleetui-pool_{token.prefix}_"
    assert page.count(start) >= 5
    assert "?id=${uuid}" in page
    assert "verification" not in page
    assert "This page came without TLS" in page
    listed = client.get("/pools/web/").content.decode()
    assert f"fleetui-pool_{token.prefix}_…" in listed
    assert "50 left" in listed
    secret = page.split(start, 1)[1].split('"')[0].split("<")[0]
    assert secret not in listed
    client.post(f"/pools/web/provisioning/{token.pk}/revoke/")
    assert "Revoked" in client.get("/pools/web/").content.decode()


def test_mistakes_stand_at_their_fields(cast: Cast) -> None:
    client = signed_in(cast.owner)
    wrong = client.post(ADD, {**FORM, "name_pattern": "{pool}", "networks": "here"})
    assert wrong.status_code == 422
    assert "“here” is not a network" in wrong.content.decode()
    named = client.post(ADD, {**FORM, "name_pattern": "{pool}"})
    assert named.status_code == 422
    assert "gives every machine the same name" in unescape(named.content.decode())
    assert not PoolToken.objects.exists()


def test_a_pool_without_a_version_says_that_machines_wait(cast: Cast) -> None:
    client = signed_in(cast.owner)
    assert "Nothing is chosen for this pool yet" in client.get(ADD).content.decode()
    client.post(ADD, FORM)
    assert "machines that fetch wait until" in client.get("/pools/web/").content.decode()


def test_who_may(cast: Cast, version: IgnitionVersion) -> None:
    made = Api(cast.owner).post("pools/web/provisioning-tokens/", {"name": "asg"}).json()
    assert signed_in(cast.viewer).get(ADD).status_code == 403
    assert signed_in(cast.viewer).post(f"/pools/web/provisioning/{made['id']}/revoke/").status_code == 403
    assert signed_in(cast.owner).post(f"/pools/db/provisioning/{made['id']}/revoke/").status_code == 404
    assert "Create provisioning token" not in signed_in(cast.viewer).get("/pools/web/").content.decode()
    assert Api(cast.viewer).post("pools/web/provisioning-tokens/", {"name": "b"}).status_code == 403
    assert Api(cast.outsider).get("pools/web/provisioning-tokens/").status_code in (403, 404)


def test_over_the_api(cast: Cast, version: IgnitionVersion) -> None:
    api = Api(cast.owner)
    body = {"name": "asg", "days": 3, "max_uses": 2, "needs_id": True, "arrive_within_minutes": 15}
    made = api.post("pools/web/provisioning-tokens/", body)
    assert made.status_code == 201, made.content
    told = made.json()
    path = told["url"].removeprefix("http://testserver")
    assert path.startswith("/ignition/fleetui-pool_")
    assert (told["state"], told["uses"], told["name_pattern"]) == ("active", 0, "{pool}-{id}")
    machine = Client(REMOTE_ADDR="10.0.7.9")
    assert machine.get(path, secure=True).status_code == 400
    first = machine.get(f"{path}?id=i-0001", secure=True)
    assert json.loads(first.content)["ignition"]["version"]
    assert machine.get(f"{path}?id=i-0001", secure=True).content == first.content
    (listed,) = api.get("pools/web/provisioning-tokens/").json()["results"]
    assert ("url" in listed, listed["uses"], listed["arrive_within_minutes"]) == (False, 1, 15)
    (offer,) = api.get("nodes/web-i-0001/provisionings/").json()["results"]
    assert (offer["state"], offer["fetches"], offer["last_address"]) == ("fetched", 2, "10.0.7.9")
    one = f"pools/web/provisioning-tokens/{told['id']}/"
    assert api.get(one).json()["needs_id"] is True
    assert api.delete(one).status_code == 204
    assert machine.get(f"{path}?id=i-0001", secure=True).status_code == 410
    assert api.get(one).json()["state"] == "revoked"
    assert Node.objects.filter(name="web-i-0001", lifecycle="active").exists()
    assert api.post("pools/web/provisioning-tokens/", {"name": "c", "name_pattern": "x"}).status_code == 400


def test_the_page_of_the_node_says_that_it_is_coming(cast: Cast, version: IgnitionVersion) -> None:
    url = Api(cast.owner).post("pools/web/provisioning-tokens/", {"name": "asg"}).json()["url"]
    Client(REMOTE_ADDR="10.0.7.9").get(url.removeprefix("http://testserver") + "?id=i-0001", secure=True)
    client = signed_in(cast.owner)
    assert "Its machine has fetched the config" in client.get("/nodes/web-i-0001/").content.decode()
    assert "provisioning" in client.get("/nodes/?q=web-i-0001").content.decode()
    assert "fetched, not seen yet" in client.get("/nodes/web-i-0001/provision/").content.decode()
    timeline = client.get("/nodes/web-i-0001/?tab=timeline").content.decode()
    assert "Made by the token asg: a machine at 10.0.7.9 fetched edge version 1" in timeline


def test_the_page_of_a_pool_asks_as_often_whatever_it_holds(cast: Cast, version: IgnitionVersion) -> None:
    client, api = signed_in(cast.owner), Api(cast.owner)

    def asked() -> int:
        client.get("/pools/web/")
        with CaptureQueriesContext(connection) as found:
            client.get("/pools/web/")
        return len(found)

    api.post("pools/web/provisioning-tokens/", {"name": "one"})
    few = asked()
    for number in range(5):
        api.post("pools/web/provisioning-tokens/", {"name": f"t-{number}"})
    assert asked() == few > 0


@pytest.mark.parametrize("family", ["fcos", "flatcar"])
def test_no_snippet_holds_a_hash(cast: Cast, family: str) -> None:
    variant = f"variant: {family}\nversion: {'1.6.0' if family == 'fcos' else '1.1.0'}\n"
    source = f"{variant}storage:\n  files:\n    - path: /etc/motd\n      contents:\n        inline: hi\n"
    version = make_version(make_config("edge", cast.web), source=source, state="approved")
    url = "https://fleet.example/ignition/fleetui-pool_0123456789ab_t"
    plain, demanded = (pool_snippets(version, url=url, needs_id=needs_id) for needs_id in (False, True))
    assert json.loads(plain.pointer)["ignition"]["config"]["replace"] == {"source": url}
    assert json.loads(demanded.pointer)["ignition"]["config"]["replace"] == {"source": f"{url}?id=MACHINE-ID"}
    assert plain.kernel_arguments.endswith(f"ignition.config.url={url}")
    assert f"{url}?id=${{uuid}}" in plain.ipxe
    assert (plain.install == "") is (family == "flatcar")
    assert "hash" not in str(plain)
    if plain.install:
        assert plain.install == (
            f'sudo coreos-installer install /dev/sda --ignition-url "{url}?id=$(sudo cat /sys/class/dmi/id/product_uuid)"'
        )
