"""Variables: declared in the source, set on pools and nodes, and secrets that are in nothing that anybody sees."""

from __future__ import annotations

import json

import pytest

from fleetui.access.principals import SYSTEM
from fleetui.audit.models import AuditEvent
from fleetui.core.errors import Conflict, InvalidInput
from nodes.ignition.variables import VariableType, read_declarations, sample_of
from nodes.models import IgnitionValue, Pool
from nodes.services.ignition.check import check
from nodes.services.ignition.rendering import render
from nodes.services.ignition.values import set_value
from nodes.tests.cast import Cast
from nodes.tests.make import NOW, make_config, make_version

SOURCE = """variant: fcos
version: 1.6.0
# fleetui:variable hostname hostname
# fleetui:variable mode integer = 420 -- Mode of the token
# fleetui:variable join secret -- Token of the cluster
storage:
  files:
    - path: /etc/hostname
      mode: 0644
      contents:
        inline: ${fleetui:hostname}
    - path: /etc/token
      mode: ${fleetui:mode}
      contents:
        inline: "token=${fleetui:join}"
"""
SECRET = "K10-s3cret-of-the-cluster"


class TestDeclarations:
    def test_they_are_read_from_comments(self) -> None:
        found, problems = read_declarations(SOURCE)
        assert [(one.name, str(one.type), one.default, one.description) for one in found] == [
            ("hostname", "hostname", None, ""),
            ("mode", "integer", "420", "Mode of the token"),
            ("join", "secret", None, "Token of the cluster"),
        ]
        assert problems == []

    @pytest.mark.parametrize(
        ("line", "code"),
        [
            ("# fleetui:variable", "declaration_malformed"),
            ("# fleetui:variable a", "declaration_malformed"),
            ("# fleetui:variable a number", "declaration_type"),
        ],
    )
    def test_what_is_none_is_told_with_its_line(self, line: str, code: str) -> None:
        _found, problems = read_declarations(f"a: b\n{line}\n")
        assert [(one.code, one.position.line if one.position else 0) for one in problems] == [(code, 2)]

    def test_a_default_may_stand_in_quotes(self) -> None:
        found, _problems = read_declarations(
            '#fleetui:variable a string = " x " -- y\n# fleetui:variable b string = ""\n'
        )
        assert [one.default for one in found] == [" x ", ""]

    def test_every_type_has_a_sample_that_converts(self) -> None:
        for type_ in VariableType:
            (declaration,), _problems = read_declarations(f"# fleetui:variable a {type_}\n")
            assert sample_of(declaration)
            found = check(
                f"# fleetui:variable a {type_}\nvariant: fcos\nversion: 1.6.0\nstorage:\n  files:\n"
                "    - path: /etc/a\n      contents:\n        inline: ${fleetui:a}\n"
            )
            assert (found.is_valid, [one for one in found.findings if not one["rule"]]) == (True, []), type_


@pytest.mark.django_db
class TestRendering:
    def test_a_node_gets_its_own_values(self, cast: Cast) -> None:
        version = make_version(make_config("edge", cast.web), source=SOURCE)
        assert version.is_valid, version.report
        assert "${fleetui:join}" in json.dumps(json.loads(version.rendered)) or "fleetui" in version.rendered
        set_value(place=cast.web, name="join", value=SECRET, is_secret=True, actor=SYSTEM, now=NOW)
        set_value(place=cast.web, name="mode", value="384", actor=SYSTEM, now=NOW)
        done = render(version, node=cast.web_node)
        hostname, token = json.loads(done.text)["storage"]["files"]
        assert hostname["contents"]["source"] == "data:,web-1", "its own name, where no value is set"
        assert (token["mode"], SECRET in token["contents"]["source"]) == (384, True)
        assert SECRET not in done.shown
        assert "secret" in done.shown
        assert SECRET not in repr(done)
        set_value(place=cast.web_node, name="hostname", value="edge-7", actor=SYSTEM, now=NOW)
        assert "data:,edge-7" in render(version, node=cast.web_node).text
        assert render(version, node=cast.web_node).sha512 != done.sha512

    def test_what_is_missing_is_named_and_no_secret_is_told(self, cast: Cast) -> None:
        # Not approved yet, so that values which do not fit it can be stored.
        version = make_version(make_config("edge", cast.web), source=SOURCE)
        with pytest.raises(Conflict) as refused:
            render(version, pool=cast.web)
        assert refused.value.value == "hostname, join"
        set_value(place=cast.web, name="join", value=SECRET, actor=SYSTEM, now=NOW)
        with pytest.raises(Conflict, match="not kept as one"):
            render(version, node=cast.web_node)
        set_value(place=cast.web, name="join", value=f"{SECRET}\x01", is_secret=True, actor=SYSTEM, now=NOW)
        with pytest.raises(Conflict, match="control characters") as refused:
            render(version, node=cast.web_node)
        assert SECRET not in f"{refused.value.message}{refused.value.value}{refused.value.mend}"
        set_value(place=cast.web, name="join", value=SECRET, is_secret=True, actor=SYSTEM, now=NOW)
        set_value(place=cast.web, name="mode", value="rw", is_secret=False, actor=SYSTEM, now=NOW)
        with pytest.raises(Conflict, match="whole number"):
            render(version, node=cast.web_node)

    def test_a_secret_is_in_no_finding_event_or_row(self, cast: Cast) -> None:
        source = SOURCE.replace("mode: ${fleetui:mode}", "mode: ${fleetui:join}").replace(
            "# fleetui:variable mode integer = 420 -- Mode of the token\n", ""
        )
        version = make_version(make_config("edge", cast.web), source=source)
        set_value(place=cast.web, name="join", value=SECRET, is_secret=True, actor=SYSTEM, now=NOW)
        assert not version.is_valid
        found = check(source, {}, {"hostname": "a", "join": SECRET})
        assert [(one["line"], one["kind"]) for one in found.findings] == [(12, "error")]
        assert SECRET not in json.dumps(found.findings) + found.failure
        assert SECRET[:7] not in json.dumps(found.findings) + found.failure
        assert all(SECRET not in f"{one.before}{one.after}" for one in AuditEvent.objects.all())

    def test_findings_stand_where_they_were_written(self) -> None:
        source = SOURCE + "nonsense: 1\n"
        line = source.count("\n")
        found = check(source, {}, {"hostname": "a" * 60, "join": "several\nlines"})
        assert [one["line"] for one in found.findings if "nonsense" in one["path"]] == [line]

    def test_undeclared_and_misplaced_references_are_told(self) -> None:
        found = check("variant: fcos\nversion: 1.6.0\npasswd:\n  users:\n    - name: ${fleetui:who}\n")
        assert not found.is_valid
        assert [(one["line"], "who is not declared" in one["message"]) for one in found.findings] == [(5, True)]

    def test_without_variables_the_rendering_is_that_of_the_version(self, cast: Cast) -> None:
        version = make_version(make_config("edge", cast.web))
        assert render(version, node=cast.web_node).text == version.rendered
        broken = make_version(version.config, source="variant: fcos\n")
        with pytest.raises(Conflict, match="does not convert"):
            render(broken, pool=cast.web)


def test_the_log_says_what_was_there_before(cast: Cast) -> None:
    set_value(place=cast.web, name="join", value=SECRET, is_secret=True, actor=SYSTEM, now=NOW)
    set_value(place=cast.web, name="join", value="plain", actor=SYSTEM, now=NOW)
    event = AuditEvent.objects.filter(action="ignition.set_value").latest("seq")
    assert (json.loads(event.before), json.loads(event.after)) == ({"join": "(secret)"}, {"join": "plain"})


class TestWhatDoesNotFit:
    """A value that no machine could be given is refused when it is set, not when the machine asks."""

    @pytest.mark.parametrize(
        ("name", "value", "is_secret", "why"),
        [
            ("mode", "rw", False, "whole number"),
            ("hostname", "no name", False, "does not fit"),
            ("join", SECRET, False, "not kept as one"),
            ("join", f"{SECRET}\x01", True, "control characters"),
            ("mode", "420", True, "declared as integer"),
        ],
    )
    @pytest.mark.parametrize("place", ["web", "web_node"])
    def test_it_is_refused(self, cast: Cast, place: str, name: str, value: str, is_secret: bool, why: str) -> None:
        make_version(make_config("edge", cast.web), source=SOURCE, state="approved")
        with pytest.raises(InvalidInput, match=why) as refused:
            set_value(place=getattr(cast, place), name=name, value=value, is_secret=is_secret, actor=SYSTEM, now=NOW)
        assert (refused.value.field, refused.value.value) == ("value", None)
        assert SECRET not in f"{refused.value.message}{refused.value.mend}"
        assert not IgnitionValue.objects.exists()

    def test_a_version_in_review_counts(self, cast: Cast) -> None:
        make_version(make_config("edge", cast.web), source=SOURCE, state="in_review")
        with pytest.raises(InvalidInput, match="not kept as one"):
            set_value(place=cast.web, name="join", value=SECRET, actor=SYSTEM, now=NOW)
        assert SECRET not in "".join(one.after for one in AuditEvent.objects.all())

    def test_what_fits_or_is_not_declared_is_kept(self, cast: Cast) -> None:
        make_version(make_config("edge", cast.web), source=SOURCE, state="approved")
        for name, value, is_secret in (("mode", "384", False), ("join", SECRET, True), ("other", "rw", False)):
            set_value(place=cast.web, name=name, value=value, is_secret=is_secret, actor=SYSTEM, now=NOW)
        assert IgnitionValue.objects.count() == 3

    def test_the_next_version_may_be_prepared(self, cast: Cast) -> None:
        config = make_config("edge", cast.web)
        first = make_version(config, source=SOURCE, state="approved")
        Pool.objects.filter(pk=cast.web.pk).update(intended_version=first)
        cast.web.refresh_from_db()
        with pytest.raises(InvalidInput):
            set_value(place=cast.web, name="hostname", value="no name", actor=SYSTEM, now=NOW)
        make_version(config, source=SOURCE.replace("hostname hostname", "hostname string"), state="approved")
        set_value(place=cast.web, name="hostname", value="no name", actor=SYSTEM, now=NOW)
        assert IgnitionValue.objects.get().value == "no name"
