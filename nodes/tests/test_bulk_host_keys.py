"""Many host keys at once: compared with a list that a person trusts, ticked one by one, a changed one only by its own tick."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from fleetui.audit.models import AuditEvent
from fleetui.core.errors import InvalidInput
from nodes.hosts.ssh import HostKey as SshHostKey
from nodes.importing.rows import Refused
from nodes.importing.trusted import Trusted
from nodes.models import HostKey, Node
from nodes.services.host_keys import MOST_KEYS, accept_many
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast
from nodes.tests.enrolling import key_of
from nodes.tests.make import NOW, make_host_key, make_node, principal
from nodes.tests.pages import signed_in

PAGE = "/nodes/-/host-keys/"


def offered(node: Node, seed: str = "", kind: str = "ssh-ed25519") -> HostKey:
    key = SshHostKey.parse(key_of(seed or node.name, kind))
    return make_host_key(node, "offered", type=key.type, public_key=key.base64, fingerprint=key.fingerprint)


def print_of(seed: str, kind: str = "ssh-ed25519") -> str:
    return SshHostKey.parse(key_of(seed, kind)).fingerprint


def verdict(text: str, **over: Any) -> str:
    given: dict[str, Any] = {
        "name": "web-1",
        "address": "10.0.0.1",
        "port": 22,
        "key_type": "ssh-ed25519",
        "fingerprint": print_of("web-1"),
    }
    return Trusted.parse(text).verdict(**{**given, **over})


class TestList:
    """What a pasted list says of the key that web-1 at 10.0.0.1 offers."""

    @pytest.mark.parametrize(
        "line",
        [
            f"{print_of('web-1')}",
            f"256 {print_of('web-1')} root@web-1 (ED25519)",
            f"256 {print_of('web-1')} no comment (ED25519)",
            f"256 {print_of('web-1')} 10.0.0.1 (ED25519)",
            f"web-1 {print_of('web-1')}",
            f"web-1,10.0.0.1 {key_of('web-1')}",
            f"# a comment\n\n10.0.0.1 {key_of('web-1')}",
            f"web-1 {key_of('web-1', 'ssh-rsa')}\nweb-1 {key_of('web-1')}",
        ],
    )
    def test_match(self, line: str) -> None:
        assert verdict(line) == "match"

    @pytest.mark.parametrize(
        "line",
        [
            f"256 {print_of('thief')} root@web-1 (ED25519)",
            f"web-1 {print_of('thief')}",
            f"10.0.0.1 {key_of('thief')}",
        ],
    )
    def test_mismatch(self, line: str) -> None:
        assert verdict(line) == "mismatch"

    @pytest.mark.parametrize(
        "line",
        [
            "",
            f"256 {print_of('web-1')} root@web-2 (ED25519)",
            f"web-2 {key_of('web-1')}",
            f"web-1 {key_of('other', 'ssh-rsa')}",
            f"3072 {print_of('other')} root@web-1 (RSA)",
            f"[10.0.0.1]:2222 {key_of('web-1')}",
            f"@revoked web-1 {key_of('web-1')}",
        ],
    )
    def test_not_listed(self, line: str) -> None:
        """A key of another host, of another type or on another port says nothing."""
        assert verdict(line) == "unknown"

    def test_another_port(self) -> None:
        assert verdict(f"[10.0.0.1]:2222 {key_of('web-1')}", port=2222) == "match"
        assert verdict(f"256 {print_of('web-1')} [10.0.0.1]:2222 (ED25519)", port=2222) == "match"

    def test_what_cannot_be_read_is_counted(self) -> None:
        assert Trusted.parse(f"nonsense\n{print_of('a')}\nweb-1 {key_of('a')}").unread == 1

    @pytest.mark.parametrize("text", ["nonsense", "this is no list", "# only a comment"])
    def test_a_list_of_nothing_is_told(self, text: str) -> None:
        with pytest.raises(Refused, match="neither a fingerprint nor a host key"):
            Trusted.parse(text)
        assert Trusted.parse(" \n").unread == 0


@pytest.mark.django_db
class TestAccept:
    def test_each_is_pinned_polled_and_recorded(self, cast: Cast) -> None:
        keys = [offered(make_node(f"n{number}", pool=cast.web)) for number in range(3)]
        pairs = [(key.pk, key.fingerprint) for key in keys]
        done = accept_many(keys=pairs, reason="compared", actor=principal(cast.operator), now=NOW)
        assert (sorted(done.accepted), done.left) == (["n0", "n1", "n2"], [])
        assert {(key.state, key.decided_by, key.reason) for key in HostKey.objects.all()} == {
            ("pinned", "user:operator", "compared")
        }
        assert Node.objects.filter(poll_requested_at=NOW).count() == 3
        events = AuditEvent.objects.filter(action="nodes.accept_key")
        assert sorted(event.subject for event in events) == ["node:n0", "node:n1", "node:n2"]
        again = accept_many(keys=pairs, reason="", actor=principal(cast.operator), now=NOW)
        assert {why for _pk, _name, why in again.left} == {"not_offered"}

    def test_a_changed_key_needs_its_own_place(self, cast: Cast) -> None:
        old = make_host_key(cast.web_node, "pinned")
        key = offered(cast.web_node)
        given: dict[str, Any] = {"reason": "", "actor": principal(cast.operator), "now": NOW}
        pair = (key.pk, key.fingerprint)
        assert accept_many(keys=[pair], **given).left == [(key.pk, "web-1", "changed_key")]
        old.refresh_from_db()
        assert old.state == "pinned"
        assert accept_many(keys=[], changed=[pair], **given).accepted == ["web-1"]
        old.refresh_from_db()
        assert old.state == "replaced"
        event = AuditEvent.objects.get()
        assert old.fingerprint in event.before
        assert key.fingerprint in event.after

    def test_what_is_left_and_why(self, cast: Cast) -> None:
        mine, foreign = offered(cast.web_node), offered(cast.db_node)
        nobody = uuid.uuid4()
        given: dict[str, Any] = {"reason": "", "now": NOW}
        pairs = [(mine.pk, "SHA256:another"), (foreign.pk, foreign.fingerprint), (nobody, "SHA256:x")]
        done = accept_many(keys=pairs, actor=principal(cast.operator), **given)
        assert done.left == [
            (mine.pk, "web-1", "other_fingerprint"),
            (foreign.pk, "", "not_found"),
            (nobody, "", "not_found"),
        ]
        seen = accept_many(keys=[(mine.pk, mine.fingerprint)], actor=principal(cast.viewer), **given)
        assert seen.left == [(mine.pk, "web-1", "not_allowed")]
        assert not HostKey.objects.filter(state="pinned").exists()
        many = [(uuid.uuid4(), "x") for _number in range(MOST_KEYS + 1)]
        with pytest.raises(InvalidInput):
            accept_many(keys=many, actor=principal(cast.owner), **given)

    def test_a_constant_number_of_queries(self, cast: Cast, django_assert_max_num_queries: Any) -> None:
        keys = [offered(make_node(f"n{number}")) for number in range(50)]
        with django_assert_max_num_queries(22):
            done = accept_many(
                keys=[(key.pk, key.fingerprint) for key in keys], reason="", actor=principal(cast.owner), now=NOW
            )
        assert len(done.accepted) == 50

    def test_over_the_api(self, cast: Cast) -> None:
        key, other = offered(cast.web_node), offered(cast.db_node)
        api = Api(cast.operator)
        body = {"keys": [{"id": str(one.pk), "fingerprint": one.fingerprint} for one in (key, other)], "reason": "list"}
        answer = api.post("host-keys/accept/", body)
        assert answer.status_code == 200, answer.content
        left = [{"id": str(other.pk), "node": None, "why": "not_found"}]
        assert answer.json() == {"accepted": ["web-1"], "left": left}
        assert api.post("host-keys/accept/", {}).status_code == 400
        assert api.post("host-keys/accept/", {"keys": [{"id": str(key.pk)}]}).status_code == 400
        assert Api(cast.viewer).post("host-keys/accept/", body).status_code == 403

    def test_the_filter_of_the_list(self, cast: Cast) -> None:
        offered(cast.web_node)
        assert Api(cast.owner).names("nodes/?host_key_waits=true") == ["web-1"]
        assert Api(cast.owner).names("nodes/?host_key_waits=false") == ["db-1", "loose-1"]


@pytest.mark.django_db
class TestPage:
    def test_matching_keys_are_ticked_and_changed_ones_never(self, cast: Cast) -> None:
        key, thief, changed = offered(cast.web_node), offered(cast.db_node, "thief"), offered(cast.loose)
        make_host_key(cast.loose, "pinned")
        client = signed_in(cast.owner)
        page = client.get(PAGE).content.decode()
        assert "3 host keys wait" in page
        assert " checked" not in page
        text = f"web-1 {key_of('web-1')}\ndb-1 {key_of('db-1')}\nloose-1 {key_of('loose-1')}"
        page = client.post(PAGE, {"step": "check", "trusted": text}).content.decode()
        assert "2 match and are ticked. 1 contradicts the list. 0 are not listed." in page
        assert f'value="{key.pk} {key.fingerprint}" aria-label="Accept the key of web-1" checked' in page
        assert page.count(" checked") == 1
        assert f'name="changed" value="{changed.pk} ' in page
        assert page.index("db-1</a>") < page.index("web-1</a>")
        assert thief.fingerprint in page

    def test_the_ticked_ones_are_accepted(self, cast: Cast) -> None:
        key, changed = offered(cast.web_node), offered(cast.loose)
        make_host_key(cast.loose, "pinned")
        client = signed_in(cast.owner)
        form = {"step": "accept", "key": f"{key.pk} {key.fingerprint}", "reason": "list"}
        assert client.post(PAGE, form).status_code == 302
        assert HostKey.objects.get(pk=key.pk).state == "pinned"
        assert HostKey.objects.get(pk=changed.pk).state == "offered"
        sneaked = {"step": "accept", "key": f"{changed.pk} {changed.fingerprint}"}
        after = client.post(PAGE, sneaked, follow=True).content.decode()
        assert "loose-1 (another key is trusted)" in after
        own = {"step": "accept", "changed": f"{changed.pk} {changed.fingerprint}"}
        assert client.post(PAGE, own).status_code == 302
        assert HostKey.objects.get(pk=changed.pk).state == "pinned"
        assert client.post(PAGE, {"step": "accept"}).status_code == 422

    def test_above_ten_the_count_is_typed(self, cast: Cast) -> None:
        keys = [offered(make_node(f"n{number}")) for number in range(11)]
        client = signed_in(cast.owner)
        form: dict[str, Any] = {"step": "accept", "key": [f"{key.pk} {key.fingerprint}" for key in keys]}
        page = client.post(PAGE, {**form, "count": "10"})
        assert page.status_code == 422
        assert "11 keys are ticked. Type that number" in page.content.decode()
        assert page.content.decode().count(" checked") == 11
        assert client.post(PAGE, {**form, "count": "11"}).status_code == 302
        assert HostKey.objects.filter(state="pinned").count() == 11

    def test_a_selection_and_a_filter_narrow_it(self, cast: Cast) -> None:
        offered(cast.web_node)
        offered(cast.db_node)
        client = signed_in(cast.owner)
        page = client.post(PAGE, {"id": [str(cast.web_node.pk)]}).content.decode()
        assert "1 host key waits" in page
        assert f'name="ids" value="{cast.web_node.pk}"' in page
        again = client.post(PAGE, {"step": "check", "ids": str(cast.web_node.pk), "trusted": "x"}).content.decode()
        assert "1 host key waits" in again
        assert "1 host key waits" in client.get(f"{PAGE}?pool=db").content.decode()
        assert "No host key waits" in client.post(PAGE, {"id": ["nonsense"]}).content.decode()

    def test_who_sees_what(self, cast: Cast) -> None:
        offered(cast.web_node)
        offered(cast.db_node)
        assert "1 host key waits" in signed_in(cast.operator).get(PAGE).content.decode()
        assert signed_in(cast.viewer).get(PAGE).status_code == 403
        below = signed_in(cast.owner).get("/nodes/-/duplicates/count/").content.decode()
        assert "2 host keys wait to be accepted" in below
        assert "wait" not in signed_in(cast.viewer).get("/nodes/-/duplicates/count/").content.decode()

    def test_a_list_that_is_too_large_is_refused(self, cast: Cast) -> None:
        offered(cast.web_node)
        lines = "\n".join(f"|1|c2FsdA==|{number:027}= {key_of('a')}" for number in range(5_100))
        page = signed_in(cast.owner).post(PAGE, {"step": "check", "trusted": lines})
        assert page.status_code == 422
        assert "hashed or wildcard lines" in page.content.decode()
