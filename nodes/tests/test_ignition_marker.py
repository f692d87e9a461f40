"""The note on a host: read with its facts, it fills in what nobody knew, and where it differs the page says so."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from nodes.hosts.drivers.born import read_marker
from nodes.hosts.facts import Facts as HostFacts
from nodes.hosts.facts import Ignition
from nodes.hosts.probe import SectionOutput
from nodes.models import Facts, IgnitionVersion, Node, TimelineEvent
from nodes.services.differences import events
from nodes.services.ignition.intent import set_applied
from nodes.services.ignition.marker import take_markers
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast
from nodes.tests.make import NOW, make_config, make_node, make_version, principal
from nodes.tests.pages import signed_in, text_of

LATER = NOW + timedelta(hours=1)


def note(version: IgnitionVersion, **over: Any) -> dict[str, Any]:
    """As FleetUI writes it into the file."""
    return {
        "config": version.config.name,
        "version": version.number,
        "version_id": str(version.pk),
        "source_sha256": version.content_hash,
        "generation": 1,
        **over,
    }


def lines(text: str, others: str = "") -> SectionOutput:
    """As grep -sH prints it, after other files."""
    marked = "".join(f"/etc/fleetui/ignition.json:{line}\n" for line in text.splitlines())
    return SectionOutput(2, (others + marked).encode())


def read(text: str) -> Ignition:
    return read_marker(lines(text, "/sys/class/dmi/id/sys_vendor:Example Inc.\n"))


class TestReading:
    ID = "5f0c1f2e-3c7f-4b0e-9d6e-2f8a4f1f6a10"

    def test_what_we_write(self) -> None:
        said = {"config": "edge", "version": 3, "version_id": self.ID, "source_sha256": "a" * 64, "generation": 2}
        assert read(json.dumps(said)) == Ignition("edge", 3, self.ID, "a" * 64)
        assert read(json.dumps(said, indent=2)) == Ignition("edge", 3, self.ID, "a" * 64)

    def test_none(self) -> None:
        assert read("") == Ignition()
        assert read_marker(SectionOutput(missing=True)) == Ignition()

    @pytest.mark.parametrize(
        "text", ["x", "[]", "{", '{"version_id": 5}', '{"version_id": "../../x"}', "[" * 60_000, '{"version": 1e999}']
    )
    def test_anything_else_is_kept_word_for_word(self, text: str) -> None:
        assert read(text) == Ignition(verbatim=text[:500])

    def test_odd_values_beside_an_id_are_left_out(self) -> None:
        said = {"config": ["x"], "version": True, "version_id": self.ID, "source_sha256": "zz"}
        assert read(json.dumps(said)) == Ignition(version_id=self.ID)


def has_said(node: Node, said: dict[str, Any]) -> Node:
    """The facts of a poll, stored as polls do."""
    document = {"ignition": {"verbatim": None, **{key: said.get(key) for key in ("config", "version", "version_id")}}}
    document["ignition"] |= {"source_sha256": said.get("source_sha256"), "verbatim": said.get("verbatim")}
    row = Facts.objects.create(node=node, generation=1, read_at=LATER, hash="h", document=document, raw=b"")
    Node.objects.filter(pk=node.pk).update(facts=row)
    take_markers({node.pk: document["ignition"]}, LATER)
    return Node.objects.get(pk=node.pk)


@pytest.mark.django_db
class TestTaking:
    @pytest.fixture
    def versions(self, cast: Cast) -> list[IgnitionVersion]:
        config = make_config("edge", cast.web)
        return [make_version(config, state="approved") for _number in range(2)]

    def test_it_fills_in_what_nobody_knew(self, cast: Cast, versions: list[IgnitionVersion]) -> None:
        node = has_said(make_node("old-1", pool=cast.web), note(versions[0]))
        assert (node.applied_version, node.applied_how, node.applied_at) == (versions[0], "marker", LATER)
        assert TimelineEvent.objects.get(node=node, kind="ignition_applied").params["how"] == "marker"
        # Another one: the machine was made anew.
        assert has_said(node, note(versions[1])).applied_version == versions[1]
        take_markers({node.pk: note(versions[1])}, LATER)
        assert TimelineEvent.objects.filter(node=node, kind="ignition_applied").count() == 2
        page = text_of(signed_in(cast.owner).get("/nodes/old-1/ignition/"))
        assert "read from the marker on the host" in page
        assert "The marker on the host says the same." in page

    @pytest.mark.parametrize(
        ("how", "said"), [("fetch", "What was fetched counts"), ("by_hand", "What was noted by hand")]
    )
    def test_what_is_known_better_counts_and_the_page_says_both(
        self, cast: Cast, versions: list[IgnitionVersion], how: str, said: str
    ) -> None:
        node = make_node("old-1", pool=cast.web, applied_version=versions[1], applied_how=how, applied_at=NOW)
        node = has_said(node, note(versions[0]))
        assert (node.applied_version, node.applied_how) == (versions[1], how)
        page = text_of(signed_in(cast.owner).get("/nodes/old-1/ignition/"))
        assert "The marker on the host says edge version 1." in page
        assert said in page
        told = Api(cast.owner).get("nodes/old-1/ignition/").json()["marker"]
        assert (told["verdict"], told["config"], told["number"]) == ("contradicts", "edge", 1)

    @pytest.mark.parametrize("over", [{"version_id": TestReading.ID}, {"source_sha256": "b" * 64}])
    def test_one_that_is_none_of_ours_is_kept_word_for_word(
        self, cast: Cast, versions: list[IgnitionVersion], over: dict[str, Any]
    ) -> None:
        node = has_said(make_node("old-1", pool=cast.web), note(versions[0], **over))
        assert (node.applied_version, node.applied_how) == (None, "")
        page = text_of(signed_in(cast.owner).get("/nodes/old-1/ignition/"))
        assert "The marker on the host says edge 1, which is no version of this FleetUI." in page
        assert next(iter(over.values())) in page
        assert Api(cast.owner).get("nodes/old-1/ignition/").json()["marker"]["verdict"] == "unknown"

    def test_one_that_was_taken_over_and_is_unknown_now(self, cast: Cast, versions: list[IgnitionVersion]) -> None:
        node = has_said(make_node("old-1", pool=cast.web), note(versions[0]))
        node = has_said(node, note(versions[0], version_id=TestReading.ID))
        assert (node.applied_version, node.applied_how, node.applied_at) == (None, "", None)

    def test_one_that_cannot_be_understood(self, cast: Cast) -> None:
        has_said(make_node("old-1", pool=cast.web), {"verbatim": "<b>mine</b>"})
        page = signed_in(cast.owner).get("/nodes/old-1/ignition/").content.decode()
        assert "could not be understood" in page
        assert "&lt;b&gt;mine&lt;/b&gt;" in page

    def test_a_person_has_the_word_over_it(self, cast: Cast, versions: list[IgnitionVersion]) -> None:
        node = has_said(make_node("old-1", pool=cast.web), note(versions[0]))
        set_applied(node=node, version=versions[1], actor=principal(cast.owner), now=LATER)
        assert has_said(node, note(versions[0])).applied_version == versions[1]

    def test_hosts_that_say_nothing_cost_no_query(self, cast: Cast, django_assert_num_queries: Any) -> None:
        with django_assert_num_queries(0):
            take_markers({cast.web_node.pk: {"version_id": None}}, LATER)


def test_a_section_that_was_not_read_before_is_no_change_of_the_host() -> None:
    """After an upgrade of FleetUI every host would else have an event of its own."""
    before = HostFacts().as_json()
    del before["ignition"]
    assert events(before, {**before, "ignition": {"version": 1}}) == []
    after = {**before, "ignition": {"version": 1}}
    assert events(after, {**after, "ignition": {"version": 2}}) == [("facts_changed", {"sections": ["ignition"]})]
