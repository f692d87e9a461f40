"""ignition/ of the API: configs, versions, review, the check that stores nothing, and what pools and nodes have."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from django.test import Client

from fleetui.access.models import User
from fleetui.access.principals import SYSTEM
from fleetui.audit.models import AuditEvent
from nodes.models import IgnitionConfig, IgnitionValue, IgnitionVersion, Node, Pool
from nodes.services.ignition import intent, values
from nodes.services.ignition.embedded import file_of
from nodes.tests.cast import Cast
from nodes.tests.make import BUTANE, NOW, make_config, make_token, make_user, make_version

pytestmark = pytest.mark.django_db
SOURCE = BUTANE.replace("{motd}", "hello")
V1 = "/api/v1"
SECRET = "s3cret-of-the-cluster"


class Script:
    """A script with a token of the user."""

    def __init__(self, user: User, scope: str = "admin") -> None:
        self.client = Client(headers={"Authorization": f"Bearer {make_token(user, scope)}"})

    def get(self, path: str, **query: Any) -> Any:
        return self.client.get(f"{V1}{path}", query)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        return self.client.generic(
            method, f"{V1}{path}", b"" if body is None else _json(body), "application/json", headers=headers
        )


def _json(body: Any) -> bytes:
    return orjson.dumps(body)


class TestConfigs:
    def test_add_edit_list_delete(self, cast: Cast) -> None:
        script = Script(cast.operator)
        added = script.send("POST", "/ignition/configs/", {"name": "edge", "pools": ["web"]})
        assert added.status_code == 201, added.content
        assert added.headers["Location"] == f"{V1}/ignition/configs/edge/"
        assert {name: added.json()[name] for name in ("pools", "versions", "approved")} == {
            "pools": ["web"],
            "versions": 0,
            "approved": None,
        }
        edited = script.send(
            "PATCH", "/ignition/configs/edge/", {"description": "shops"}, **{"If-Match": added.headers["ETag"]}
        )
        assert edited.json()["description"] == "shops"
        stale = script.send(
            "PATCH", "/ignition/configs/edge/", {"description": "x"}, **{"If-Match": added.headers["ETag"]}
        )
        assert stale.status_code == 412
        assert [row["name"] for row in script.get("/ignition/configs/", pool="web").json()["results"]] == ["edge"]
        assert script.send("POST", "/ignition/configs/", {"name": "x", "pools": ["db"]}).json()["field"] == "pools"
        assert script.send("POST", "/ignition/configs/", {"name": "x"}).status_code == 403
        assert script.send("DELETE", "/ignition/configs/edge/").status_code == 204
        assert not IgnitionConfig.objects.exists()

    def test_rights(self, cast: Cast) -> None:
        make_config("edge", cast.web)
        make_config("secret", cast.db)
        viewer = Script(cast.viewer)
        assert [row["name"] for row in viewer.get("/ignition/configs/").json()["results"]] == ["edge"]
        assert viewer.get("/ignition/configs/secret/").status_code == 404
        assert viewer.send("DELETE", "/ignition/configs/edge/").status_code == 403
        assert Script(cast.outsider).get("/ignition/configs/").status_code == 403
        assert Script(cast.operator, "read").send("DELETE", "/ignition/configs/edge/").status_code == 403


class TestVersions:
    def test_from_a_script_to_approval(self, cast: Cast) -> None:
        make_config("edge", cast.web)
        script = Script(cast.operator)
        body = {
            "config": "edge",
            "source": SOURCE.replace("inline: hello", "local: motd"),
            "files": {"motd": file_of(b"hi")},
            "message": "by a script",
            "expected_number": 0,
        }
        saved = script.send("POST", "/ignition/versions/", body)
        assert saved.status_code == 201, saved.content
        version = saved.json()
        assert (version["number"], version["is_valid"], version["files"]) == (1, True, ["motd"])
        assert {one["rule"] for one in version["report"]} >= {"zincati-no-strategy"}
        assert version["author"].startswith("token:operator/")
        path = f"/ignition/versions/{version['id']}"
        assert saved.headers["Location"] == f"{V1}{path}/"
        assert script.send("POST", f"{path}/approve/").status_code == 403
        assert script.send("POST", f"{path}/submit/").json()["state"] == "in_review"
        ada = Script(make_user("ada", ("approver", cast.web)))
        assert ada.send("POST", f"{path}/return/", {"reason": "why"}).json()["state"] == "draft"
        assert script.send("POST", f"{path}/submit/").status_code == 200
        assert ada.send("POST", f"{path}/approve/", {"reason": "fine"}).json()["state"] == "approved"
        assert ada.send("POST", f"{path}/approve/").status_code == 409
        listed = script.get("/ignition/versions/", config="edge", state="approved").json()["results"]
        assert [row["id"] for row in listed] == [version["id"]]
        assert "source" not in listed[0]
        assert script.get(f"{path}/", fields="source,number").json() == {"number": 1, "source": body["source"]}
        assert script.send("POST", f"{path}/withdraw/", {"reason": "old"}).json()["state"] == "withdrawn"

    def test_what_does_not_convert_is_stored_with_its_report(self, cast: Cast) -> None:
        make_config("edge", cast.web)
        script = Script(cast.operator)
        saved = script.send("POST", "/ignition/versions/", {"config": "edge", "source": SOURCE.replace("0644", "rw")})
        assert saved.status_code == 201
        version = saved.json()
        assert (version["is_valid"], version["sha512"], version["errors"]) == (False, None, 1)
        assert version["report"][0]["line"] == 11
        path = f"/ignition/versions/{version['id']}"
        assert script.send("POST", f"{path}/submit/").status_code == 409
        assert script.get(f"{path}/rendered/").status_code == 409

    @pytest.mark.parametrize(
        ("change", "status", "field"),
        [
            ({"config": "none"}, 400, "config"),
            ({"source": "x" * (1024 * 1024 + 1)}, 400, "source"),
            ({"source": 7}, 400, "source"),
            ({"files": {"../up": {"base64": ""}}}, 400, "files"),
            ({"files": {"a": {"base64": "?"}}}, 400, "files"),
            ({"files": {"a": {}}}, 400, "files"),
            ({"author": "user:somebody"}, 400, "author"),
            ({"expected_number": 5}, 412, None),
        ],
    )
    def test_mistakes_are_named(self, cast: Cast, change: dict[str, Any], status: int, field: str | None) -> None:
        make_config("edge", cast.web)
        given = {"config": "edge", "source": SOURCE, **change}
        answer = Script(cast.operator).send("POST", "/ignition/versions/", given)
        assert (answer.status_code, answer.json()["field"]) == (status, field), answer.content
        assert answer.json()["mend"]
        assert not IgnitionVersion.objects.exists()

    def test_rendered_with_the_values_of_a_node(self, cast: Cast) -> None:
        source = "# fleetui:variable join secret\n# fleetui:variable hostname hostname\n" + SOURCE.replace(
            "inline: hello", 'inline: "${fleetui:join} ${fleetui:hostname}"'
        )
        version = make_version(make_config("edge", cast.web), source=source)
        path = f"/ignition/versions/{version.pk}/rendered/"
        script = Script(cast.viewer)
        assert script.get(path).json()["sha512"] == version.sha512
        missing = script.get(path, node="web-1")
        assert (missing.status_code, missing.json()["value"]) == (409, "join")
        values.set_value(place=cast.web, name="join", value=SECRET, is_secret=True, actor=SYSTEM, now=NOW)
        shown = script.get(path, node="web-1")
        assert SECRET not in shown.content.decode()
        assert (shown.json()["sha512"], shown.json()["has_secrets"]) == (None, True)
        assert "web-1" in str(shown.json()["ignition"])
        assert script.get(path, node="db-1").json()["field"] == "node"

    def test_diff(self, cast: Cast) -> None:
        config = make_config("edge", cast.web)
        make_version(config)
        second = make_version(config, source=SOURCE.replace("  users:\n", "  users:\n    - name: deploy\n"))
        script = Script(cast.viewer)
        found = script.get(f"/ignition/versions/{second.pk}/diff/", against="1").json()
        assert (found["against"], found["version"], found["files"]) == (1, 2, [])
        assert {"user_added", "file_changed"} <= {one["code"] for one in found["effect"]}
        assert any(line["kind"] == "added" and "deploy" in line["text"] for line in found["source"][0])
        assert found["rendered"]
        assert script.get(f"/ignition/versions/{second.pk}/diff/").json()["against"] == 1
        for wrong in ("9", "x", "-1"):
            assert script.get(f"/ignition/versions/{second.pk}/diff/", against=wrong).json()["field"] == "against"
        broken = make_version(config, source="variant: fcos\n")
        assert script.get(f"/ignition/versions/{broken.pk}/diff/").json()["effect"] is None

    def test_what_one_may_not_see_is_not_there(self, cast: Cast) -> None:
        version = make_version(make_config("secret", cast.db), state="in_review")
        operator = Script(cast.operator)
        for method, what in (
            ("GET", ""),
            ("GET", "rendered/"),
            ("GET", "diff/"),
            ("POST", "submit/"),
            ("POST", "withdraw/"),
        ):
            assert operator.send(method, f"/ignition/versions/{version.pk}/{what}").status_code == 404, what
        assert operator.get("/ignition/versions/").json()["results"] == []

    def test_lists_cost_the_same_for_any_number(self, cast: Cast, django_assert_max_num_queries: Any) -> None:
        for number in range(6):
            config = make_config(f"c-{number}", cast.web)
            make_version(config)
            make_version(config)
        script = Script(cast.owner)
        for path in ("/ignition/configs/", "/ignition/versions/"):
            with django_assert_max_num_queries(8):
                script.get(path)


class TestCheck:
    def test_butane_in_ignition_out(self, cast: Cast) -> None:
        script = Script(cast.viewer)
        found = script.send("POST", "/ignition/check/", {"source": SOURCE + "nonsense: 1\n"}).json()
        assert found["is_valid"]
        assert found["ignition"]["passwd"]["users"][0]["name"] == "core"
        assert found["sha512"].startswith("sha512-")
        assert [(one["kind"], one["line"]) for one in found["report"] if not one["rule"]] == [("warning", 14)]
        broken = script.send("POST", "/ignition/check/", {"source": "a: ["}).json()
        assert (broken["is_valid"], broken["ignition"]) == (False, None)
        assert broken["failure"]
        assert not IgnitionVersion.objects.exists()
        assert not AuditEvent.objects.filter(action__startswith="ignition").exists()

    def test_values_are_filled_in_and_secrets_in_no_finding(self, cast: Cast) -> None:
        source = "# fleetui:variable join secret\n" + SOURCE.replace("mode: 0644", 'mode: "${fleetui:join}"')
        answer = Script(cast.viewer).send("POST", "/ignition/check/", {"source": source, "values": {"join": SECRET}})
        assert not answer.json()["is_valid"]
        assert SECRET not in answer.content.decode()

    def test_a_secret_does_not_come_back(self, cast: Cast) -> None:
        inline = SOURCE.replace("core", "${fleetui:join}")
        sent = {"source": "# fleetui:variable join secret\n" + inline, "values": {"join": SECRET}}
        answer = Script(cast.viewer).send("POST", "/ignition/check/", sent)
        found = answer.json()
        assert found["is_valid"]
        assert found["ignition"]["passwd"]["users"][0]["name"] == "[secret join]"
        assert found["sha512"] is None
        assert SECRET not in answer.content.decode()

    def test_it_needs_a_right(self, cast: Cast) -> None:
        assert Script(cast.outsider).send("POST", "/ignition/check/", {"source": SOURCE}).status_code == 403
        assert Client().post(f"{V1}/ignition/check/", {"source": SOURCE}, "application/json").status_code == 401


class TestPlaces:
    def test_a_pool_chooses_and_a_node_is_noted(self, cast: Cast) -> None:
        config = make_config("edge", cast.web)
        version, draft = make_version(config, state="approved"), make_version(config)
        script = Script(cast.operator)
        chosen = script.send("PUT", "/pools/web/ignition/", {"version": str(version.pk), "reason": "go"})
        assert chosen.json()["intended"] == {"id": str(version.pk), "config": "edge", "number": 1}
        assert script.send("PUT", "/pools/web/ignition/", {"version": str(draft.pk)}).status_code == 409
        assert script.send("PUT", "/nodes/web-1/ignition/", {"version": str(version.pk)}).status_code == 200
        found = Script(cast.viewer).get("/nodes/web-1/ignition/").json()
        assert (found["applied"], found["intended"], found["applied_how"]) == (
            chosen.json()["intended"],
            chosen.json()["intended"],
            "by_hand",
        )
        assert script.send("PUT", "/pools/web/ignition/", {"version": None}).json()["intended"] is None
        assert Pool.objects.get(name="web").intended_version is None
        assert Script(cast.viewer).send("PUT", "/pools/web/ignition/", {"version": None}).status_code == 403
        assert Script(cast.viewer).get("/pools/db/ignition/").status_code == 404
        wrong = script.send("PUT", "/pools/web/ignition/", {"version": str(cast.web.pk)})
        assert (wrong.status_code, wrong.json()["field"]) == (400, "version")

    def test_values(self, cast: Cast) -> None:
        script = Script(cast.operator)
        put = script.send("PUT", "/pools/web/ignition/values/join/", {"value": SECRET, "is_secret": True})
        assert put.json()["value"] is None
        script.send("PUT", "/nodes/web-1/ignition/values/ntp/", {"value": "ntp.example.org"})
        listed = script.get("/pools/web/ignition/values/")
        assert SECRET not in listed.content.decode()
        assert [row["name"] for row in listed.json()["results"]] == ["join"]
        assert script.get("/nodes/web-1/ignition/values/").json()["results"][0]["value"] == "ntp.example.org"
        refused = script.send("PUT", "/pools/web/ignition/values/join/", {"value": [SECRET]})
        assert (refused.status_code, SECRET in refused.content.decode()) == (400, False)
        assert script.send("DELETE", "/pools/web/ignition/values/join/").status_code == 204
        assert IgnitionValue.objects.count() == 1
        assert script.send("PUT", "/pools/web/ignition/values/No/", {"value": "x"}).json()["field"] == "name"
        assert Script(cast.viewer).send("PUT", "/pools/web/ignition/values/a/", {"value": "x"}).status_code == 403

    def test_places_cost_the_same(self, cast: Cast, django_assert_max_num_queries: Any) -> None:
        version = make_version(make_config("edge", cast.web), state="approved")
        intent.intend(pool=cast.web, version=version, actor=SYSTEM, now=NOW)
        Node.objects.filter(pool=cast.web).update(applied_version=version, applied_how="marker", applied_at=NOW)
        script = Script(cast.owner)
        for path in ("/pools/web/ignition/", "/nodes/web-1/ignition/"):
            with django_assert_max_num_queries(8):
                assert script.get(path).status_code == 200
