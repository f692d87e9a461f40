"""Ignition versions: kept as they were written, approved by somebody else, and only then intended for a pool."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

import pytest
from django.db import IntegrityError, connection, transaction

from fleetui.access.principals import SYSTEM
from fleetui.audit.models import AuditEvent
from fleetui.core.errors import Conflict, InvalidInput, NotAllowed, StaleEdit
from nodes.ignition.butane import convert
from nodes.models import IgnitionConfig, IgnitionReview, IgnitionValue, IgnitionVersion, Node, Pool, TimelineEvent
from nodes.models.ignition import TRANSITIONS, ReviewState
from nodes.services.ignition import configs, intent, review, values
from nodes.services.ignition.check import MOST_SOURCE_BYTES, check
from nodes.services.ignition.embedded import MOST_FILES, file_of
from nodes.services.ignition.examples import DEMO_NEXT_SOURCE, DEMO_SOURCE, FIRST_SOURCE
from nodes.services.ignition.versions import save_version
from nodes.tests.cast import Cast
from nodes.tests.make import BUTANE, NOW, make_config, make_pool, make_user, make_version, principal
from nodes.wording.ignition import STATE_LEVELS, STATE_SENTENCES, STATE_WORDS

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
DOCS = Path(__file__).resolve().parents[2] / "docs/ignition-configs.md"
SOURCE = BUTANE.replace("{motd}", "hello")
BROKEN = SOURCE.replace("inline: hello", "inline: hello\n        source: https://example.org/motd")


def events(action: str) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(action=action).order_by("seq"))


def test_every_state_has_its_words() -> None:
    states = {state.value for state in ReviewState}
    assert states == set(STATE_WORDS) == set(STATE_SENTENCES) == set(STATE_LEVELS)
    assert set(TRANSITIONS) == set(ReviewState)


def test_the_docs_draw_the_table_of_states() -> None:
    section = DOCS.read_text().split("## States")[1].split("\n## ")[0]
    rows = {
        found[0]: set(re.findall(r"`(\w+)`", found[1]))
        for found in re.findall(r"^\| `(\w+)` \|.*\|(.*)\|$", section, re.M)
    }
    assert rows == {str(state): {str(one) for one in onward} for state, onward in TRANSITIONS.items()}


def test_the_example_of_the_docs_converts() -> None:
    (example,) = re.findall(r"^```yaml\n(.*?)^```", DOCS.read_text(), re.M | re.S)
    found = check(example)
    assert found.is_valid, found.findings
    assert [one.name for one in found.declarations] == ["hostname", "site", "join"]


def test_the_sources_of_the_demo_convert_and_their_findings_are_advice() -> None:
    for source in (DEMO_SOURCE, DEMO_NEXT_SOURCE):
        found = check(source)
        assert found.is_valid, found.findings
        assert {one["kind"] for one in found.findings} == {"advice"}, found.findings
    assert check(FIRST_SOURCE).is_valid


class TestSaving:
    def test_a_version_is_what_butane_makes_of_it(self, cast: Cast) -> None:
        config = make_config("edge", cast.web)
        version = save_version(config=config, source=SOURCE, message="first", actor=principal(cast.operator), now=NOW)
        assert (version.number, version.state, version.is_valid) == (1, "draft", True)
        assert version.rendered == convert(SOURCE).output
        assert version.sha512.startswith("sha512-")
        assert len(version.sha512) == 7 + 128
        assert version.author == "user:operator"
        (event,) = events("ignition.save")
        assert event.subject == "ignition-version:edge/1"
        assert version.content_hash in event.after
        assert "ssh_authorized_keys" not in event.after

    def test_numbers_go_up_and_line_ends_do_not_matter(self, cast: Cast) -> None:
        config = make_config("edge", cast.web)
        first = make_version(config)
        second = save_version(config=config, source=SOURCE.replace("\n", "\r\n"), actor=SYSTEM, now=NOW)
        assert (first.number, second.number) == (1, 2)
        assert "\r" not in second.source
        with pytest.raises(Conflict, match="Version 2 of edge reads the same"):
            save_version(config=config, source=SOURCE, actor=SYSTEM, now=NOW)
        again = save_version(config=config, source=SOURCE, commit_id="c" * 40, actor=SYSTEM, now=NOW)
        assert again.number == 3, "a commit is a version of its own"

    def test_what_does_not_convert_is_kept_with_its_report_and_goes_nowhere(self, cast: Cast) -> None:
        version = save_version(config=make_config("edge"), source=BROKEN, actor=SYSTEM, now=NOW)
        assert not version.is_valid
        assert version.rendered == version.sha512 == ""
        assert version.errors == 1
        (found,) = version.report
        assert found["path"].startswith("$.storage.files.0.contents")
        assert found["line"] == 14
        with pytest.raises(Conflict, match="does not convert"):
            review.submit(version=version, actor=SYSTEM, now=NOW)
        for state in ("in_review", "approved", "superseded"):
            with pytest.raises(IntegrityError), transaction.atomic():
                IgnitionVersion.objects.filter(pk=version.pk).update(state=state)

    def test_files_beside_the_source_are_embedded(self, cast: Cast) -> None:
        source = SOURCE.replace("inline: hello", "local: etc/motd")
        files = {"etc/motd": file_of("from a file ⚓".encode())}
        version = save_version(config=make_config("edge"), source=source, files=files, actor=SYSTEM, now=NOW)
        assert version.is_valid, version.failure
        assert "from%20a%20file" in version.rendered
        missing = save_version(config=make_config("other"), source=source, actor=SYSTEM, now=NOW)
        assert not missing.is_valid

    def test_a_tree_keeps_what_is_executable(self, cast: Cast) -> None:
        source = SOURCE + "  trees:\n    - local: tree\n      path: /opt\n"
        files = {"tree/run.sh": file_of(b"#!/bin/sh\n", executable=True), "tree/note": file_of(b"x")}
        version = save_version(config=make_config("edge"), source=source, files=files, actor=SYSTEM, now=NOW)
        assert version.is_valid, version.failure
        assert '"mode":493' in version.rendered
        assert '"/opt/note"' in version.rendered

    @pytest.mark.parametrize("path", ["../up", "/etc/passwd", "a//b", "a/./b", "", "a\0b", "x" * 400, "a/\ud800"])
    def test_paths_lead_nowhere_but_down(self, path: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            save_version(config=make_config(), source=SOURCE, files={path: file_of(b"x")}, actor=SYSTEM, now=NOW)
        assert refused.value.field == "files"
        assert not IgnitionVersion.objects.exists()

    def test_what_is_too_much_is_refused(self) -> None:
        config = make_config()
        many = {f"f{number}": file_of(b"") for number in range(MOST_FILES + 1)}
        large = {"f": file_of(bytes(5 * 1024 * 1024))}
        for files in (many, large, {"f": {"base64": "?"}}, {"a": file_of(b""), "a/b": file_of(b"")}):
            with pytest.raises(InvalidInput):
                save_version(config=config, source=SOURCE, files=files, actor=SYSTEM, now=NOW)
        for source in ("#" * (MOST_SOURCE_BYTES + 1), "a\0b", "\ud800"):
            with pytest.raises(InvalidInput) as refused:
                save_version(config=config, source=source, actor=SYSTEM, now=NOW)
            assert refused.value.field == "source"

    def test_an_edit_of_an_older_version_is_refused(self) -> None:
        config = make_config()
        make_version(config)
        make_version(config)
        with pytest.raises(StaleEdit):
            save_version(config=config, source=SOURCE, expected_number=1, actor=SYSTEM, now=NOW)

    def test_rights(self, cast: Cast) -> None:
        web, both, nowhere = make_config("web", cast.web), make_config("both", cast.web, cast.db), make_config("none")
        actor = principal(cast.operator)
        assert save_version(config=web, source=SOURCE, actor=actor, now=NOW).number == 1
        for config in (both, nowhere):
            with pytest.raises(NotAllowed):
                save_version(config=config, source=SOURCE, actor=actor, now=NOW)
        with pytest.raises(NotAllowed):
            save_version(config=web, source=BROKEN, actor=principal(cast.viewer), now=NOW)
        assert [config.name for config in IgnitionConfig.objects.visible_to(actor)] == ["both", "web"]
        assert not IgnitionConfig.objects.visible_to(principal(cast.outsider)).exists()
        assert IgnitionVersion.objects.visible_to(principal(cast.viewer)).count() == 1


class TestImmutability:
    @pytest.mark.parametrize(
        "change",
        [
            {"source": "x"},
            {"rendered": "{}"},
            {"files": {"a": {}}},
            {"author": "user:me"},
            {"number": 9},
            {"report": []},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_the_database_keeps_what_was_written(self, change: dict[str, object]) -> None:
        config = make_config()
        version = save_version(config=config, source=SOURCE + "nonsense: 1\n", actor=SYSTEM, now=NOW)
        with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
            IgnitionVersion.objects.filter(pk=version.pk).update(**change)
        IgnitionVersion.objects.filter(pk=version.pk).update(state="in_review", state_by="user:a")

    def test_every_field_but_the_state_is_kept(self) -> None:
        moving = {"id", "state", "state_since", "state_by"}
        columns = {field.attname for field in IgnitionVersion._meta.concrete_fields}
        assert columns - moving == set(IgnitionVersion.FIXED)


class TestReview:
    def test_the_way_from_a_draft_to_approval(self, cast: Cast) -> None:
        config = make_config("edge", cast.web)
        version = save_version(config=config, source=SOURCE, actor=principal(cast.operator), now=NOW)
        approver = principal(make_user("ada", ("approver", cast.web)))
        with pytest.raises(Conflict, match="Version 1 is a draft"):
            review.approve(version=version, actor=approver, now=NOW)
        review.submit(version=version, actor=principal(cast.operator), now=NOW)
        review.give_back(version=version, reason="motd is rude", actor=approver, now=NOW)
        assert version.state == "draft"
        review.submit(version=version, actor=principal(cast.operator), now=NOW)
        review.approve(version=version, reason="looks right", actor=approver, now=NOW)
        stored = IgnitionVersion.objects.get(pk=version.pk)
        assert (stored.state, stored.state_by) == ("approved", "user:ada")
        assert [one.verdict for one in IgnitionReview.objects.order_by("pk")].count("approved") == 1
        assert events("ignition.approve")[0].reason == "looks right"
        assert events("ignition.return")[0].reason == "motd is rude"

    def test_nobody_approves_what_they_wrote(self, cast: Cast) -> None:
        config = make_config("edge", cast.web)
        version = save_version(config=config, source=SOURCE, actor=principal(cast.owner), now=NOW)
        review.submit(version=version, actor=principal(cast.owner), now=NOW)
        with pytest.raises(NotAllowed, match="Nobody approves"):
            review.approve(version=version, actor=principal(cast.owner), now=NOW)
        with pytest.raises(IntegrityError), transaction.atomic():
            IgnitionReview.objects.create(
                version=version, reviewer="user:owner", author="user:owner", verdict="approved", at=NOW
            )

    def test_the_database_takes_in_nothing_that_is_approved_already(self, cast: Cast) -> None:
        version = make_version(make_config("edge", cast.web), author="user:owner", state="approved")
        new = IgnitionVersion.objects.get(pk=version.pk)
        new.pk, new.number, new.source, new._state.adding = uuid.uuid4(), 99, SOURCE + "# mine\n", True
        with pytest.raises(IntegrityError, match="review of somebody"), transaction.atomic():
            new.save(force_insert=True)
        # With a review of somebody else before it, as an archive brings them.
        given = {"version_id": new.pk, "author": "user:owner", "reviewer": "user:ada", "at": NOW}
        with transaction.atomic():
            IgnitionReview.objects.create(verdict="approved", **given)
            new.save(force_insert=True)

    def test_the_database_puts_nothing_in_the_place_of_a_version(self, cast: Cast) -> None:
        version = make_version(make_config("edge", cast.web), state="approved")
        columns = [str(field.column) for field in IgnitionVersion._meta.concrete_fields]
        taken = ", ".join(f"'{SOURCE}'" if name == "source" else name for name in columns)
        put = f"INTO nodes_ignitionversion ({', '.join(columns)}) SELECT {taken} FROM nodes_ignitionversion"
        put = f"INSERT OR REPLACE {put}" if connection.vendor == "sqlite" else f"INSERT {put}"
        with (
            pytest.raises(IntegrityError, match="never changed"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(put)
        assert IgnitionVersion.objects.get(pk=version.pk).source == version.source

    def test_the_database_swaps_no_version_for_another(self, cast: Cast) -> None:
        version = make_version(make_config("edge", cast.web), state="approved")
        with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
            IgnitionVersion.objects.filter(pk=version.pk).update(id=uuid.uuid4())

    def test_the_database_brings_nothing_back_that_is_withdrawn(self, cast: Cast) -> None:
        version = make_version(make_config("edge", cast.web), state="approved")
        review.withdraw(version=version, actor=principal(cast.owner), now=NOW)
        for state in ("approved", "in_review", "draft", "superseded"):
            with pytest.raises(IntegrityError, match="stays withdrawn"), transaction.atomic():
                IgnitionVersion.objects.filter(pk=version.pk).update(state=state)
        IgnitionVersion.objects.filter(pk=version.pk).update(state_by="user:owner")

    def test_the_database_approves_nothing_without_a_review_by_somebody_else(self, cast: Cast) -> None:
        version = make_version(make_config("edge", cast.web), author="user:owner", state="in_review")
        with pytest.raises(IntegrityError, match="review of somebody"), transaction.atomic():
            IgnitionVersion.objects.filter(pk=version.pk).update(state="approved")
        given = {"version": version, "reviewer": "user:ada", "author": "user:ada2", "at": NOW}
        IgnitionReview.objects.create(verdict="returned", **given)
        IgnitionReview.objects.create(verdict="approved", **{**given, "reviewer": "user:owner"})
        with pytest.raises(IntegrityError, match="review of somebody"), transaction.atomic():
            IgnitionVersion.objects.filter(pk=version.pk).update(state="approved")
        IgnitionReview.objects.create(verdict="approved", **given)
        IgnitionVersion.objects.filter(pk=version.pk).update(state="approved")
        assert state_of(version) == "approved"

    @pytest.mark.parametrize(
        ("author", "reviewer"),
        [("user:owner", "token:owner/ci"), ("token:owner/ci", "user:owner"), ("token:owner/ci", "token:owner/a/b")],
    )
    def test_the_database_knows_whose_a_token_is(self, cast: Cast, author: str, reviewer: str) -> None:
        version = make_version(make_config("edge", cast.web), author=author, state="in_review")
        given = {"version": version, "author": author, "verdict": "approved", "at": NOW}
        IgnitionReview.objects.create(reviewer=reviewer, **given)
        with pytest.raises(IntegrityError, match="review of somebody"), transaction.atomic():
            IgnitionVersion.objects.filter(pk=version.pk).update(state="approved")
        IgnitionReview.objects.create(reviewer="token:owner2/ci", **given)
        IgnitionVersion.objects.filter(pk=version.pk).update(state="approved")
        assert state_of(version) == "approved"

    def test_nor_by_a_token_of_theirs_nor_what_they_committed(self, cast: Cast) -> None:
        config = make_config("edge", cast.web)
        by_token = make_version(config, author="token:owner/ci", state="in_review")
        cast.owner.email = "mira@example.org"
        cast.owner.save()
        by_commit = make_version(config, author="Mira Chen <Mira@example.org>", commit_id="a" * 40, state="in_review")
        for version in (by_token, by_commit):
            with pytest.raises(NotAllowed, match="Nobody approves"):
                review.approve(version=version, actor=principal(cast.owner), now=NOW)

    def test_who_may_not_approve_is_refused(self, cast: Cast) -> None:
        version = make_version(make_config("edge", cast.web), state="in_review")
        for user in (cast.operator, cast.viewer, cast.outsider):
            with pytest.raises(NotAllowed):
                review.approve(version=version, actor=principal(user), now=NOW)

    def test_the_newest_approval_supersedes_what_no_pool_should_have(self, cast: Cast) -> None:
        config = make_config("edge", cast.web, cast.db)
        first, second, third = (make_version(config, state="in_review") for _ in range(3))
        approver = principal(cast.owner)
        review.approve(version=first, actor=approver, now=NOW)
        intent.intend(pool=cast.web, version=first, actor=approver, now=NOW)
        review.approve(version=second, actor=approver, now=NOW)
        assert state_of(first) == "approved", "a pool should have it"
        review.approve(version=third, actor=approver, now=NOW)
        assert (state_of(first), state_of(second)) == ("approved", "superseded")
        intent.intend(pool=cast.web, version=third, actor=approver, now=NOW)
        assert state_of(first) == "superseded", "no pool should have it any longer"
        first.state = "superseded"
        review.approve(version=first, actor=approver, now=NOW)
        assert state_of(first) == "approved", "the way back"

    def test_what_changed_meanwhile_is_not_overwritten(self, cast: Cast) -> None:
        version = make_version(make_config(), state="in_review")
        IgnitionVersion.objects.filter(pk=version.pk).update(state="withdrawn")
        with pytest.raises(Conflict, match="Version 1 is withdrawn"):
            review.approve(version=version, actor=SYSTEM, now=NOW)
        assert state_of(version) == "withdrawn"


def state_of(version: IgnitionVersion) -> str:
    return str(IgnitionVersion.objects.values_list("state", flat=True).get(pk=version.pk))


class TestIntent:
    def test_only_an_approved_version_can_be_intended(self, cast: Cast) -> None:
        config = make_config("edge", cast.web)
        for state in ("draft", "in_review", "superseded", "withdrawn"):
            version = make_version(config, state=state)
            with pytest.raises(Conflict, match="not approved"):
                intent.intend(pool=cast.web, version=version, actor=SYSTEM, now=NOW)
            with pytest.raises(IntegrityError), transaction.atomic():
                Pool.objects.filter(pk=cast.web.pk).update(intended_version=version)
            with pytest.raises(IntegrityError), transaction.atomic():
                make_pool(f"new-{state}", intended_version=version)

    def test_what_a_pool_should_have_stays_approved(self, cast: Cast) -> None:
        version = make_version(make_config("edge", cast.web), state="approved")
        intent.intend(pool=cast.web, version=version, reason="rebuild", actor=principal(cast.operator), now=NOW)
        assert Pool.objects.get(pk=cast.web.pk).intended_version == version
        assert events("ignition.intend")[0].reason == "rebuild"
        with pytest.raises(Conflict, match="Nodes of web should have"):
            review.withdraw(version=version, actor=SYSTEM, now=NOW)
        with pytest.raises(IntegrityError), transaction.atomic():
            IgnitionVersion.objects.filter(pk=version.pk).update(state="withdrawn")
        with pytest.raises(Conflict, match="in use"):
            configs.delete_config(config=version.config, actor=SYSTEM, now=NOW)
        with pytest.raises(Conflict, match="web should have"):
            configs.edit_config(config=version.config, changes={"pools": []}, actor=SYSTEM, now=NOW)
        intent.intend(pool=cast.web, version=None, actor=principal(cast.operator), now=NOW)
        review.withdraw(version=version, actor=SYSTEM, now=NOW)
        configs.delete_config(config=version.config, actor=SYSTEM, now=NOW)
        assert not IgnitionVersion.objects.exists()

    def test_a_config_is_for_its_pools(self, cast: Cast) -> None:
        version = make_version(make_config("edge", cast.web), state="approved")
        with pytest.raises(InvalidInput, match="not for the pool db"):
            intent.intend(pool=cast.db, version=version, actor=SYSTEM, now=NOW)
        with pytest.raises(NotAllowed):
            intent.intend(pool=cast.web, version=version, actor=principal(cast.viewer), now=NOW)

    def test_a_node_keeps_what_it_was_born_with(self, cast: Cast) -> None:
        version = make_version(make_config("edge", cast.web), state="withdrawn")
        intent.set_applied(node=cast.web_node, version=version, actor=principal(cast.operator), now=NOW)
        node = Node.objects.get(pk=cast.web_node.pk)
        assert (node.applied_version, node.applied_how, node.applied_at) == (version, "by_hand", NOW)
        assert TimelineEvent.objects.get(kind="ignition_applied").params["version"] == "edge version 1"
        intent.set_applied(node=node, version=version, actor=SYSTEM, now=NOW)
        assert len(events("ignition.apply")) == 1, "the same again is no event"
        with pytest.raises(NotAllowed):
            intent.set_applied(node=node, version=None, actor=principal(cast.viewer), now=NOW)
        with pytest.raises(Conflict, match="web-1"):
            configs.delete_config(config=version.config, actor=SYSTEM, now=NOW)


class TestValues:
    def test_a_nodes_value_comes_before_its_pools(self, cast: Cast) -> None:
        for place, value in ((cast.web, "pool"), (cast.web_node, "node")):
            values.set_value(place=place, name="ntp", value=value, actor=principal(cast.operator), now=NOW)
        values.set_value(place=cast.web, name="zone", value="UTC", actor=SYSTEM, now=NOW)
        found = values.values_of(cast.web, cast.web_node)
        assert {name: (one.text, one.origin) for name, one in found.items()} == {
            "ntp": ("node", "node"),
            "zone": ("UTC", "pool"),
        }
        values.delete_value(place=cast.web_node, name="ntp", actor=SYSTEM, now=NOW)
        assert values.values_of(cast.web, cast.web_node)["ntp"].text == "pool"

    def test_a_secret_is_sealed_and_told_to_nobody(self, cast: Cast) -> None:
        secret = "join-token-12345"
        for text in (secret, secret + "6"):
            values.set_value(place=cast.web, name="join", value=text, is_secret=True, actor=SYSTEM, now=NOW)
        row = IgnitionValue.objects.get()
        assert row.value == ""
        assert secret not in row.sealed_value
        found = values.values_of(cast.web)["join"]
        assert found.text == secret + "6"
        assert secret not in repr(found)
        assert secret not in "".join(f"{one.before}{one.after}" for one in AuditEvent.objects.all())
        with pytest.raises(IntegrityError), transaction.atomic():
            IgnitionValue.objects.filter(pk=row.pk).update(value=secret)

    def test_seals_are_made_anew(self, cast: Cast, settings: object) -> None:
        values.set_value(place=cast.web, name="join", value="s3cret", is_secret=True, actor=SYSTEM, now=NOW)
        row = IgnitionValue.objects.get()
        assert values.rotate_seals() == 0
        settings.ENCRYPTION_KEYS = ["ab" * 32, *settings.ENCRYPTION_KEYS]  # type: ignore[attr-defined]
        assert values.rotate_seals() == 1
        assert IgnitionValue.objects.get().sealed_value != row.sealed_value
        assert values.values_of(cast.web)["join"].text == "s3cret"

    @pytest.mark.parametrize("name", ["", "Upper", "1st", "a-b", "a" * 65, "a b"])
    def test_names(self, cast: Cast, name: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            values.set_value(place=cast.web, name=name, value="x", actor=SYSTEM, now=NOW)
        assert refused.value.field == "name"

    def test_rights(self, cast: Cast) -> None:
        for place in (cast.db, cast.db_node, cast.loose):
            with pytest.raises(NotAllowed):
                values.set_value(place=place, name="a", value="x", actor=principal(cast.operator), now=NOW)


class TestConfigs:
    def test_add_edit_delete(self, cast: Cast) -> None:
        actor = principal(cast.operator)
        config = configs.add_config(name="edge", description="shops", pools=[cast.web], actor=actor, now=NOW)
        assert events("ignition-configs.add")[0].subject == "ignition-config:edge"
        with pytest.raises(Conflict, match="exists"):
            configs.add_config(name="edge", pools=[cast.web], actor=actor, now=NOW)
        with pytest.raises(NotAllowed):
            configs.add_config(name="all", actor=actor, now=NOW)
        with pytest.raises(NotAllowed):
            configs.edit_config(config=config, changes={"pools": [cast.web, cast.db]}, actor=actor, now=NOW)
        configs.edit_config(
            config=config, changes={"name": "edge-2", "pools": [cast.db]}, actor=SYSTEM, now=NOW, expected_revision=1
        )
        stored = IgnitionConfig.objects.get()
        assert (stored.name, stored.revision, list(stored.pools.all())) == ("edge-2", 2, [cast.db])
        with pytest.raises(StaleEdit):
            configs.edit_config(config=stored, changes={"name": "x"}, actor=SYSTEM, now=NOW, expected_revision=1)
        with pytest.raises(InvalidInput):
            configs.add_config(name="no spaces", actor=SYSTEM, now=NOW)
