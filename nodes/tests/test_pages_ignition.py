"""Ignition configs in the browser: who sees what, what each page says, and what its buttons do."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from fleetui.access.principals import SYSTEM
from nodes.ignition.effect.model import WEIGHTS
from nodes.models import IgnitionConfig, IgnitionVersion, Node
from nodes.services.ignition import intent
from nodes.services.ignition.comparing import line_hunks
from nodes.services.ignition.embedded import file_of
from nodes.tests.cast import Cast
from nodes.tests.make import BUTANE, NOW, make_config, make_node, make_pool, make_user, make_version
from nodes.tests.pages import signed_in, text_of, url
from nodes.views.ignition.version import TABS
from nodes.wording.configs.effects import WEIGHTS as WEIGHT_WORDS
from nodes.wording.ignition import WEIGHT_LEVELS

pytestmark = pytest.mark.django_db
SOURCE = BUTANE.replace("{motd}", "hello")


class TestList:
    def test_it_teaches_when_there_is_nothing(self, cast: Cast) -> None:
        page = text_of(signed_in(cast.operator).get(url("ignition")))
        assert "No Ignition config yet" in page
        assert url("ignition_add") in page
        page = text_of(signed_in(cast.viewer).get(url("ignition")))
        assert "that you may see" in page
        assert url("ignition_add") not in page
        assert signed_in(cast.outsider).get(url("ignition")).status_code == 403

    def test_configs_with_newest_version_pools_and_nodes(self, cast: Cast) -> None:
        config = make_config("edge", cast.web, cast.db)
        first = make_version(config, state="approved", message="the first")
        make_version(config, state="in_review", message="another motd")
        make_config("other", cast.db)
        intent.intend(pool=cast.web, version=first, actor=SYSTEM, now=NOW)
        Node.objects.filter(pool=cast.web).update(applied_version=first, applied_how="fetch", applied_at=NOW)
        (row,) = signed_in(cast.viewer).get(url("ignition")).context["rows"]
        assert (row["config"].name, row["version"].number, row["config"].approved) == ("edge", 2, 1)
        assert row["pools"] == [{"name": "web", "number": 1}], "the other pool is not theirs to see"
        assert row["born"] == 1
        assert row["born_url"].endswith("?ignition=edge")
        page = text_of(signed_in(cast.owner).get(url("ignition")))
        assert "another motd" in page
        assert "In review" in page

    def test_it_costs_the_same_for_any_number(self, cast: Cast, django_assert_max_num_queries: Any) -> None:
        for number in range(8):
            version = make_version(make_config(f"c-{number}", cast.web, make_pool(f"p-{number}")), state="approved")
            make_node(pool=cast.web, applied_version=version, applied_how="by_hand", applied_at=NOW)
        browser = signed_in(cast.owner)
        for page in (url("ignition"), url("ignition_config", "c-1")):
            with django_assert_max_num_queries(14):
                browser.get(page)


class TestConfig:
    def test_add_edit_delete(self, cast: Cast) -> None:
        browser = signed_in(cast.operator)
        assert "required" in text_of(browser.get(url("ignition_add")))
        refused = browser.post(url("ignition_add"), {"name": "edge"})
        assert refused.status_code == 422, "an operator of a pool names one"
        given = {"name": "edge", "description": "shops", "pools": [str(cast.web.pk)]}
        assert browser.post(url("ignition_add"), given).headers["Location"] == url("ignition_write", "edge")
        assert "exists" in text_of(browser.post(url("ignition_add"), given))
        config = IgnitionConfig.objects.get()
        given = {**given, "description": "all shops", "revision": str(config.revision)}
        assert browser.post(url("ignition_edit", "edge"), given).status_code == 302
        assert browser.post(url("ignition_edit", "edge"), {**given, "description": "x"}).status_code == 412
        assert browser.post(url("ignition_delete", "edge")).status_code == 302
        assert not IgnitionConfig.objects.exists()

    def test_versions_and_pools(self, cast: Cast) -> None:
        config = make_config("edge", cast.web)
        version = make_version(config, state="approved", commit_id="c0ffee" + "0" * 34)
        intent.intend(pool=cast.web, version=version, actor=SYSTEM, now=NOW)
        make_version(config, source="variant: fcos\n")
        page = text_of(signed_in(cast.viewer).get(url("ignition_config", "edge")))
        for words in ("c0ffee", "Mira Chen", "Does not convert", "0 of 1"):
            assert words in page
        assert url("ignition_write", "edge") not in page
        assert url("ignition_write", "edge") in text_of(signed_in(cast.operator).get(url("ignition_config", "edge")))

    def test_rights(self, cast: Cast) -> None:
        make_version(make_config("edge", cast.web), state="in_review")
        make_version(make_config("secret", cast.db))
        viewer = signed_in(cast.viewer)
        for page in ("ignition_config", "ignition_version", "ignition_diff", "ignition_raw", "ignition_write"):
            args = ("secret",) if page in ("ignition_config", "ignition_write") else ("secret", 1)
            status = 403 if page == "ignition_write" else 404
            assert viewer.get(url(page, *args)).status_code == status, page
        assert viewer.get(url("ignition_version", "edge", 99)).status_code == 404
        for page in ("ignition_submit", "ignition_approve", "ignition_withdraw"):
            assert viewer.post(url(page, "edge", 1)).status_code == 403
        assert signed_in(cast.operator).post(url("ignition_approve", "edge", 1)).status_code == 403
        both = signed_in(make_user("both", ("operator", cast.web), ("viewer", cast.db)))
        for page in ("ignition_edit", "ignition_delete", "ignition_write"):
            assert both.post(url(page, "secret"), {}).status_code == 403


class TestVersion:
    def test_every_tab(self, cast: Cast) -> None:
        config = make_config("edge", cast.web)
        version = make_version(config, source=SOURCE + "nonsense: 1\n", message="<b>why</b>")
        make_node("born-1", pool=cast.web, applied_version=version, applied_how="fetch", applied_at=NOW)
        browser = signed_in(cast.viewer)
        pages = {tab: text_of(browser.get(f"{url('ignition_version', 'edge', 1)}?tab={tab}")) for tab in TABS}
        assert "&lt;b&gt;why&lt;/b&gt;" in pages["parts"]
        assert "core signs in with 1 SSH key." in pages["parts"]
        assert "SHA256:" in pages["parts"]
        assert "/etc/motd" in pages["files"]
        assert 'id="L14"' in pages["source"]
        assert "unused key nonsense" in pages["source"]
        assert "&quot;/etc/motd&quot;" in pages["rendered"]
        assert version.sha512 in pages["rendered"]
        assert "born-1" in pages["nodes"]

    def test_findings_stand_at_the_part_that_they_are_about(self, cast: Cast) -> None:
        """A mount unit that sugar makes comes before the units of the source."""
        unit = (
            "systemd:\n  units:\n    - name: app.service\n      enabled: true\n      contents: |\n        [Service]\n"
        )
        unit += "        ExecStart=/usr/bin/podman run registry.example.org/app:1\n        [Install]\n        WantedBy=multi-user.target\n"
        disk = "  filesystems:\n    - device: /dev/disk/by-partlabel/data\n      path: /var/data\n      format: xfs\n"
        disk += "      with_mount_unit: true\n"
        make_version(make_config("edge", cast.web), source=SOURCE + disk + unit)
        page = signed_in(cast.viewer).get(url("ignition_version", "edge", 1))
        units = next(part["items"] for part in page.context["parts"] if part["key"] == "units")
        rules = {item["name"]: {one["rule"] for one in item["findings"]} for item in units}
        assert rules["var-data.mount"] == set()
        assert "container-by-hand" in rules["app.service"]

    def test_network_is_shown_as_network(self, cast: Cast) -> None:
        keyfile = """    - path: /etc/NetworkManager/system-connections/lan.nmconnection
      mode: 0600
      contents:
        inline: |
          [connection]
          id=lan
          type=ethernet
          interface-name=eno1
          [ipv4]
          method=manual
          address1=192.0.2.10/24,198.51.100.1
"""
        make_version(make_config("edge", cast.web), source=SOURCE + keyfile)
        page = signed_in(cast.viewer).get(url("ignition_version", "edge", 1))
        (interface,) = next(part["items"] for part in page.context["parts"] if part["key"] == "network")
        assert interface["name"] == "eno1"
        assert "192.0.2.10/24" in " ".join(interface["lines"])
        assert interface["findings"], "the gateway is in no network of the interface"

    def test_one_that_does_not_convert_says_why_and_where(self, cast: Cast) -> None:
        make_version(make_config("edge", cast.web), source=SOURCE.replace("0644", "rw"))
        browser = signed_in(cast.operator)
        for tab in TABS:
            page = text_of(browser.get(f"{url('ignition_version', 'edge', 1)}?tab={tab}"))
            assert "does not convert" in page
            assert "Submit for review" not in page
        assert 'data-level="bad"' in text_of(browser.get(f"{url('ignition_version', 'edge', 1)}?tab=source"))
        assert "It writes no files" not in text_of(browser.get(f"{url('ignition_version', 'edge', 1)}?tab=files"))

    def test_an_example_is_not_taken_for_a_value(self, cast: Cast) -> None:
        config = make_config("edge", cast.web)
        make_version(config)
        with_default = SOURCE.replace("hello", "${fleetui:motd}")
        make_version(config, source=f'# fleetui:variable motd string = "hi"\n{with_default}')
        make_version(config, source=f"# fleetui:variable motd string\n{with_default}")
        browser = signed_in(cast.viewer)
        for tab in ("parts", "files"):
            said = [
                "Examples stand" in text_of(browser.get(f"{url('ignition_version', 'edge', n)}?tab={tab}"))
                for n in (1, 2, 3)
            ]
            assert said == [False, False, True], tab

    def test_buttons_are_those_that_work(self, cast: Cast) -> None:
        config = make_config("edge", cast.web)
        approver = make_user("ada", ("approver", cast.web))
        make_version(config)
        page = url("ignition_version", "edge", 1)
        assert "Submit for review" in text_of(signed_in(cast.operator).get(page))
        assert "Submit for review" not in text_of(signed_in(approver).get(page))
        signed_in(cast.operator).post(url("ignition_submit", "edge", 1))
        assert "Approve version 1" in text_of(signed_in(approver).get(page))
        assert "Approve version 1" not in text_of(signed_in(cast.operator).get(page))
        signed_in(approver).post(url("ignition_approve", "edge", 1), {"return": "1", "reason": "rude"})
        returned = text_of(signed_in(cast.operator).get(page))
        assert "rude" in returned
        assert "user:" not in returned, "people know names"
        signed_in(cast.operator).post(url("ignition_submit", "edge", 1))
        signed_in(approver).post(url("ignition_approve", "edge", 1), {"reason": "fine"})
        assert IgnitionVersion.objects.get().state == "approved"
        signed_in(cast.operator).post(url("ignition_withdraw", "edge", 1))
        assert IgnitionVersion.objects.get().state == "withdrawn"
        assert "Withdrawn" in text_of(signed_in(cast.operator).get(page))

    def test_who_approves_is_told_what_was_found(self, cast: Cast) -> None:
        version = make_version(make_config("edge", cast.web), state="in_review")
        page = signed_in(cast.owner).get(url("ignition_version", "edge", 1))
        assert version.warnings
        assert f"{version.errors + version.warnings} error" in page.context["approve_effect"]

    def test_an_author_is_told_to_wait_for_somebody_else(self, cast: Cast) -> None:
        make_version(make_config("edge", cast.web), author="user:owner", state="in_review")
        browser = signed_in(cast.owner)
        page = text_of(browser.get(url("ignition_version", "edge", 1)))
        assert "somebody else has to approve" in page
        assert "Approve version 1" not in page
        answer = browser.post(url("ignition_approve", "edge", 1), follow=True)
        assert "Nobody approves what they wrote" in text_of(answer)
        assert IgnitionVersion.objects.get().state == "in_review"

    def test_raw(self, cast: Cast) -> None:
        version = make_version(make_config("edge", cast.web))
        answer = signed_in(cast.viewer).get(url("ignition_raw", "edge", 1))
        assert answer.content.decode() == version.rendered
        assert answer.headers["Content-Disposition"] == 'attachment; filename="edge-1.ign"'

    def test_no_page_costs_more_for_more_nodes(self, cast: Cast, django_assert_max_num_queries: Any) -> None:
        version = make_version(make_config("edge", cast.web))
        for _ in range(20):
            make_node(pool=cast.web, applied_version=version, applied_how="fetch", applied_at=NOW)
        browser = signed_in(cast.owner)
        for tab in TABS:
            with django_assert_max_num_queries(18):
                browser.get(f"{url('ignition_version', 'edge', 1)}?tab={tab}")


class TestDiff:
    def test_three_views(self, cast: Cast) -> None:
        config = make_config("edge", cast.web)
        make_version(config, files={"a": file_of(b"1")})
        more = SOURCE.replace("  users:\n", "  users:\n    - name: deploy\n", 1).replace("hello", "other")
        make_version(config, source=more, files={"a": file_of(b"2")})
        browser = signed_in(cast.viewer)
        pages = {
            view: text_of(browser.get(f"{url('ignition_diff', 'edge', 2)}?against=1&view={view}"))
            for view in ("effect", "source", "rendered")
        }
        assert "Adds user deploy." in pages["effect"]
        assert "Changes the content of /etc/motd." in pages["effect"]
        assert 'data-kind="added"' in pages["source"]
        assert "- name: deploy" in pages["source"]
        assert "Files beside the source" in pages["source"]
        assert "&quot;name&quot;: &quot;deploy&quot;" in pages["rendered"]
        # A line that only one side has carries no number of the other.
        for view in ("source", "rendered"):
            numbers = re.findall(r'<td class="g-number">(.*?)</td>', pages[view])
            assert "" in numbers
            assert all(number == "" or number.isdecimal() for number in numbers)

    def test_without_difference_and_without_conversion(self, cast: Cast) -> None:
        config = make_config("edge", cast.web)
        make_version(config)
        make_version(config, source="variant: fcos\n")
        make_version(config, source=BUTANE.replace("{motd}", "number 1"), commit_id="a" * 40)
        browser = signed_in(cast.viewer)
        assert "No difference" in text_of(browser.get(f"{url('ignition_diff', 'edge', 3)}?against=1"))
        assert "Version 2 does not convert" in text_of(browser.get(f"{url('ignition_diff', 'edge', 3)}?against=2"))
        assert "version: 1.6.0" in text_of(browser.get(f"{url('ignition_diff', 'edge', 3)}?against=2&view=source"))
        assert browser.get(f"{url('ignition_diff', 'edge', 3)}?against=77").status_code == 404

    def test_the_effect_says_whom_it_concerns(self, cast: Cast) -> None:
        config = make_config("edge", cast.web)
        make_version(config)
        make_version(config, source=SOURCE)
        browser, page = signed_in(cast.viewer), url("ignition_diff", "edge", 2)
        assert "Machines that run stay as they are" in text_of(browser.get(page))
        assert "Machines that run stay as they are" not in text_of(browser.get(f"{page}?view=source"))

    def test_long_texts_are_compared_in_time(self) -> None:
        before, after = ("\n".join(f"line {n % every}" for n in range(19_000)) for every in (150, 149))
        begun = time.process_time()
        assert line_hunks(before, after)
        assert time.process_time() - begun < 4, "12 s where each place of a line is looked at for each"

    def test_one_change_in_a_long_text_is_one_hunk(self) -> None:
        before = [f"line {n % 150}" for n in range(6_000)]
        after = [*before[:3_000], "new", *before[3_000:]]
        hunks = line_hunks("\n".join(before), "\n".join(after))
        assert hunks is not None
        (hunk,) = hunks
        assert [row["text"] for row in hunk if row["kind"] != "same"] == ["new"]

    def test_every_weight_has_words(self) -> None:
        assert set(WEIGHTS) == set(WEIGHT_WORDS) == set(WEIGHT_LEVELS)


class TestEditor:
    def test_the_first_version_starts_from_an_example(self, cast: Cast) -> None:
        make_config("edge", cast.web)
        page = text_of(signed_in(cast.operator).get(url("ignition_write", "edge")))
        assert "variant: fcos" in page
        assert url("ignition_check") in page

    def test_saving_makes_a_draft_with_its_files(self, cast: Cast) -> None:
        make_config("edge", cast.web)
        browser = signed_in(cast.operator)
        source = SOURCE.replace("inline: hello", "local: etc/motd")
        given = {"source": source, "message": "from a file", "base": "0", "folder": "etc"}
        upload = SimpleUploadedFile("motd", b"hello")
        answer = browser.post(url("ignition_write", "edge"), {**given, "uploads": [upload]})
        assert answer.headers["Location"] == url("ignition_version", "edge", 1)
        version = IgnitionVersion.objects.get()
        assert (version.is_valid, version.author, version.message) == (True, "user:operator", "from a file")
        assert "etc/motd" in text_of(browser.get(url("ignition_write", "edge")))
        dropped = browser.post(url("ignition_write", "edge"), {**given, "base": "1", "drop": ["etc/motd"]}, follow=True)
        assert "does not convert" in text_of(dropped)
        assert IgnitionVersion.objects.get(number=2).files == {}

    def test_what_was_typed_is_kept_when_it_is_refused(self, cast: Cast) -> None:
        config = make_config("edge", cast.web)
        make_version(config)
        make_version(config)
        browser = signed_in(cast.operator)
        stale = browser.post(f"{url('ignition_write', 'edge')}?from=1", {"source": "typed: here", "base": "1"})
        assert stale.status_code == 412
        assert "typed: here" in text_of(stale)
        assert "newer version" in text_of(stale)
        same = browser.post(
            url("ignition_write", "edge"), {"source": IgnitionVersion.objects.get(number=2).source, "base": "2"}
        )
        assert same.status_code == 422
        assert "reads the same" in text_of(same)
        assert browser.post(url("ignition_write", "edge"), {"source": "", "base": "2"}).status_code == 422

    def test_what_is_too_large_is_refused_before_it_is_read(self, cast: Cast) -> None:
        make_config("edge", cast.web)
        upload = SimpleUploadedFile("large", bytes(4 * 1024 * 1024 + 1))
        given = {"source": SOURCE, "base": "0", "uploads": [upload]}
        refused = signed_in(cast.operator).post(url("ignition_write", "edge"), given)
        assert refused.status_code == 422
        assert "4,194,304" in str(refused.context["form"].errors["uploads"])

    def test_an_older_version_can_be_the_start_of_the_next(self, cast: Cast) -> None:
        config = make_config("edge", cast.web)
        make_version(config, motd="old one")
        make_version(config)
        page = signed_in(cast.operator).get(f"{url('ignition_write', 'edge')}?from=1")
        assert "old one" in text_of(page)
        assert page.context["form"]["base"].value() == 2

    def test_the_check_stores_nothing(self, cast: Cast) -> None:
        config = make_config("edge", cast.web)
        source = SOURCE.replace("inline: hello", "local: motd")
        make_version(config, source=source, files={"motd": file_of(b"x")})
        browser = signed_in(cast.operator)
        assert "It converts" in text_of(browser.post(url("ignition_check"), {"source": SOURCE}))
        page = text_of(browser.post(url("ignition_check"), {"source": SOURCE + "nonsense: 1\n"}))
        assert 'data-line="14"' in page
        with_files = {"source": source, "config": "edge", "files_of": "1"}
        assert "It converts" in text_of(browser.post(url("ignition_check"), with_files))
        assert "no such file" in text_of(browser.post(url("ignition_check"), {**with_files, "drop": "motd"}))
        assert "cannot be used" in text_of(browser.post(url("ignition_check"), {"source": "a\0b"}))
        assert signed_in(cast.viewer).post(url("ignition_check"), {"source": SOURCE}).status_code == 403
        assert IgnitionVersion.objects.count() == 1


def test_the_wording_of_a_document_is_whole(cast: Cast) -> None:
    """No code is shown in place of words."""
    version = make_version(make_config("edge", cast.web))
    assert json.loads(version.rendered)["passwd"]
    page = text_of(signed_in(cast.viewer).get(url("ignition_version", "edge", 1)))
    assert "user_" not in page
    assert "file_written" not in page
