"""The tags of the pages: hostile text stays text, and numbers, times and bars are right."""

from __future__ import annotations

import datetime as dt
from html.parser import HTMLParser
from typing import Any

import pytest
from django.http import QueryDict
from django.template import Context, Template
from django.test import RequestFactory
from django.utils import timezone, translation

from fleetui.core.templatetags import ui
from fleetui.core.templatetags.ui_words import SIGNATURES, STATES, age_words, level_of, signature_words, word_of

HOSTILE = """"><script>alert(1)</script><img src=x onerror='x'>{{ 7|add:7 }}&amp;"""
NOW = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)


class Tags(HTMLParser):
    """Which elements and attributes a piece of HTML really has."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}


def drawn(template: str, query: str = "", **values: Any) -> str:
    request = RequestFactory().get(f"/nodes/?{query}")
    return Template(template).render(Context({"request": request, **values}))


@pytest.mark.parametrize(
    "template",
    [
        "{% icon 'x' label=text classes=text %}",
        "{% state 'health' text text %}",
        "{% state 'health' 'degraded' text url=text %}",
        "{% badge 'bad' text text url=text %}",
        "{% reltime text %}",
        "{% exacttime text %}",
        "{% age_chip text %}",
        "{% copyable text %}",
        "{% copyable text 12 %}",
        "{% copyable 'x' label=text %}",
        "{% short_hash text 12 %}",
        "{% meter 50 text %}",
        "{{ text|middle:20 }}",
        "{% query_url q=text %}",
        "{% query_add 'label' text %}",
        "{% query_remove 'label' text %}",
        "{% sort_header 'name' text classes=text %}",
        "{% segmented text segments url=text %}",
        "{% version_bars rows versions %}",
        "{% boot_order deployments %}",
    ],
)
def test_hostile_text_stays_text(template: str) -> None:
    html = drawn(
        template,
        query="q=%22%3E%3Cscript%3E",
        text=HOSTILE,
        segments=[{"level": HOSTILE, "label": HOSTILE, "count": 3, "url": HOSTILE}],
        rows=[{"label": HOSTILE, "url": HOSTILE, "counts": {HOSTILE: {"count": 2, "url": HOSTILE}}}],
        versions=[{"version": HOSTILE, "age_days": 4, "url": HOSTILE}],
        deployments=[
            {"booted": True, "version": HOSTILE, "checksum": HOSTILE, "origin": HOSTILE, "image": HOSTILE,
             "image_digest": HOSTILE, "signature": HOSTILE, "unlocked": HOSTILE, "timestamp": HOSTILE,
             "layered": [HOSTILE], "local_packages": [HOSTILE], "overrides": [HOSTILE], "removed": [HOSTILE]},
        ],
    )  # fmt: skip
    seen = Tags(html)
    assert not seen.names & {"script", "img"}
    assert not {name for name in seen.attributes if name.startswith("on") or name == "style"}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "now"), (4.9, "now"), (-4, "now"), (5, "5 s ago"), (89, "89 s ago"), (90, "1 min ago"),
        (5399, "89 min ago"), (5400, "1 h ago"), (36 * 3600 - 1, "35 h ago"), (36 * 3600, "1 d ago"),
        (400 * 86400, "400 d ago"), (-60, "in 60 s"), (-600, "in 10 min"), (-7200, "in 2 h"), (-3 * 86400, "in 3 d"),
    ],
)  # fmt: skip
def test_an_age_is_said_in_one_unit(seconds: float, words: str) -> None:
    assert age_words(seconds) == words


def test_relative_time_carries_the_exact_one() -> None:
    html = ui.reltime(NOW - dt.timedelta(minutes=4), NOW)
    assert ">4 min ago</time>" in html
    assert 'datetime="2026-03-01T11:56:00Z"' in html
    assert "data-relative" in html


def test_relative_time_in_the_zone_of_the_person() -> None:
    with timezone.override("Asia/Bangkok"):
        html = ui.reltime(NOW, NOW)
        assert "2026-03-01 19:00:00+07:00 Asia/Bangkok" in html
        assert ">2026-03-01 19:00:00</time>" in ui.exacttime(NOW)


@pytest.mark.parametrize("moment", [None, "", "yesterday", "2026-13-45T00:00:00Z"])
def test_a_time_that_is_none_is_a_dash(moment: str | None) -> None:
    assert ui.reltime(moment) == ui.MISSING
    assert ui.exacttime(moment) == ui.MISSING


def test_a_time_from_facts_is_read_as_text_and_as_utc() -> None:
    assert ">4 min ago<" in ui.reltime("2026-03-01T11:56:00Z", NOW)
    assert ">4 min ago<" in ui.reltime("2026-03-01T11:56:00", NOW)


def test_old_facts_stand_out() -> None:
    assert 'data-stale="false"' in ui.age_chip(timezone.now())
    assert 'data-stale="true"' in ui.age_chip(timezone.now() - dt.timedelta(seconds=400))
    assert "never read" in ui.age_chip(None)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0 B"), (1023, "1,023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (100 * 1024, "100 KiB"),
        (1024**3, "1.0 GiB"), (8 * 1024**4, "8.0 TiB"), (5000 * 1024**5, "5,000 PiB"), ("2048", "2.0 KiB"),
    ],
)  # fmt: skip
def test_sizes_are_binary_with_a_space_that_does_not_break(value: float | str, shown: str) -> None:
    assert str(ui.size(value)).replace(",", "") == shown.replace(" ", "\N{NO-BREAK SPACE}").replace(",", "")


@pytest.mark.parametrize("missing", [None, ""])
def test_a_number_that_is_missing_is_a_dash(missing: str | None) -> None:
    assert ui.size(missing) == ui.MISSING
    assert ui.percent(missing) == ui.MISSING
    assert ui.meter(missing, "Memory") == ui.MISSING


def test_numbers_are_grouped() -> None:
    assert ui.thousands(1204) == "1,204"
    assert ui.thousands(None) == ui.MISSING
    assert ui.count_words(1, "node") == "1 node"
    assert ui.count_words(2500, "node") == "2,500 nodes"
    assert ui.unlocalize_number(12.50) == "12.5"


@pytest.mark.parametrize(
    ("value", "level"),
    [(None, "none"), (0, "ok"), (79.9, "ok"), (80, "warn"), (89.9, "warn"), (90, "bad"), (120, "bad")],
)
def test_levels_of_a_measured_value(value: float | None, level: str) -> None:
    assert ui.level_for(value) == level


@pytest.mark.parametrize(("value", "width"), [(-5, "0"), (0, "0"), (61.25, "61.2"), (100, "100"), (250, "100")])
def test_a_meter_stays_within_its_track(value: float, width: str) -> None:
    assert f'ui-meter-fill" width="{width}"' in ui.meter(value, "/var")


def test_a_meter_keeps_its_point_in_every_language() -> None:
    with translation.override("th"):
        assert 'width="61.2"' in ui.meter(61.25, "/var")


@pytest.mark.parametrize(
    ("text", "length", "shown"),
    [("abcdefgh", 8, "abcdefgh"), ("abcdefghi", 5, "ab…hi"), ("abcdefghi", 4, "ab…i"), ("abc", 2, "abc"), ("", 5, "")],
)
def test_long_text_loses_its_middle(text: str, length: int, shown: str) -> None:
    assert ui.shorten_middle(text, length) == shown


def test_what_is_shortened_is_copied_whole() -> None:
    digest = "sha256:" + "ab" * 32
    html = ui.short_hash(digest, 12)
    assert f'data-copy="{digest}"' in html or f'data-copy="{digest.removeprefix("sha256:")}"' in html
    assert "<code>abababababab</code>" in html
    assert ui.copyable("") == ui.MISSING
    assert ui.copyable(None) == ui.MISSING


def test_every_state_has_shape_word_and_level() -> None:
    for axis, values in STATES.items():
        for value, (level, word) in values.items():
            html = ui.state(axis, value, "why", NOW)
            assert f"#state-{level}" in html
            assert f"<span>{word}</span>" in html
            assert 'title="why"' in html
            assert "ui-state-age" in html


def test_a_state_without_words_is_shown_as_it_is() -> None:
    assert (level_of("health", "on_fire"), word_of("health", "on_fire")) == ("none", "On fire")
    assert word_of("no-axis", "") == "Unknown"


def test_signatures_have_words() -> None:
    for slug, (level, words) in SIGNATURES.items():
        assert signature_words(slug) == (level, str(words))
        assert "_" not in str(words)
    assert signature_words("image_remote:fedora") == ("ok", "Checked with the keys of the remote fedora")
    assert signature_words("something_new") == ("none", "Something new")


def test_small_parts_of_a_bar_stay_visible() -> None:
    places = ui.spread([5000, 1, 0, 1])
    assert [width for _, width in places][1:] == [ui.BAR_SMALLEST, 0, ui.BAR_SMALLEST]
    last_x, last_width = places[-1]
    assert last_x + last_width == pytest.approx(ui.BAR_WIDTH)
    assert ui.spread([0, 0]) == [(0, 0), (0, 0)]
    assert ui.spread([]) == []


def test_a_bar_of_nothing_is_drawn_empty() -> None:
    html = drawn(
        "{% segmented 'Health' segments %}", segments=[{"level": "ok", "label": "Healthy", "count": 0, "url": ""}]
    )
    assert 'data-level="empty"' in html


def test_versions_are_counted_over_the_pools() -> None:
    context = ui.version_bars(
        [
            {"label": "a", "url": "", "counts": {"2": {"count": 3, "url": ""}, "": {"count": 1, "url": ""}}},
            {"label": "b", "url": "", "counts": {"2": {"count": 4, "url": ""}, "1": {"count": 2, "url": ""}}},
        ],
        [
            {"version": "2", "age_days": 1, "url": ""},
            {"version": "1", "age_days": 9, "url": ""},
            {"version": "", "url": ""},
        ],
    )
    assert [(one["count"], one["shade"]) for one in context["versions"]] == [(7, "0"), (2, "1"), (1, "x")]
    assert [row["total"] for row in context["rows"]] == [4, 6]


def test_the_shades_of_versions_do_not_run_out() -> None:
    versions = [{"version": str(n), "age_days": n, "url": ""} for n in range(20)]
    shades = {one["shade"] for one in ui.version_bars([], versions)["versions"]}
    assert shades == {str(n) for n in range(ui.VERSION_SHADES)}


def test_the_boot_order_says_what_boots_next() -> None:
    html = drawn(
        "{% boot_order deployments %}", deployments=[{"staged": True}, {"booted": True}, {"rollback": True}, {}]
    )
    assert [html.index(words) for words in ("Next boot", "Booted", "Rollback", "Kept")] == sorted(
        html.index(words) for words in ("Next boot", "Booted", "Rollback", "Kept")
    )
    assert "Booted, and boots next" in drawn("{% boot_order deployments %}", deployments=[{"booted": True}])
    assert "No deployment was read at the last poll." in drawn("{% boot_order deployments %}", deployments=[])


def test_a_changed_query_starts_at_the_beginning() -> None:
    query = QueryDict("health=degraded&after=abc&before=x&page=2&cursor=q&sort=name")
    assert ui.changed_query(query, {"sort": "-name"}) == "?health=degraded&sort=-name"
    assert ui.changed_query(query, {"health": None, "sort": ""}) == "?"
    assert (
        ui.changed_query(query, {"health": ["degraded", "unknown"], "sort": None}) == "?health=degraded&health=unknown"
    )


def test_values_are_added_and_taken_away_one_by_one() -> None:
    assert drawn("{% query_add 'pool' 'b' %}", "pool=a") == "?pool=a&amp;pool=b"
    assert drawn("{% query_add 'pool' 'a' %}", "pool=a") == "?pool=a"
    assert drawn("{% query_remove 'pool' 'a' %}", "pool=a&pool=b") == "?pool=b"
    assert drawn("{% query_remove 'pool' %}", "pool=a&pool=b") == "?"


@pytest.mark.parametrize(
    ("query", "order", "target"),
    [("", "none", "?sort=name"), ("sort=name", "ascending", "?sort=-name"), ("sort=-name", "descending", "?sort=name")],
)
def test_a_sort_header_turns_on_the_second_click(query: str, order: str, target: str) -> None:
    html = drawn("{% sort_header 'name' 'Name' %}", query)
    assert f'aria-sort="{order}"' in html
    assert f'href="{target}"' in html


def test_attributes_leave_out_what_is_not_set() -> None:
    assert ui.attributes({"a": None, "b": False, "c": '"x"', "d": 0}) == ' c="&quot;x&quot;" d="0"'
    assert ui.attributes(None) == ""


def test_an_icon_without_a_label_is_hidden_from_readers() -> None:
    assert 'aria-hidden="true"' in ui.icon("plus")
    assert 'role="img" aria-label="Add"' in ui.icon("plus", "Add")


def test_backticks_are_code_and_nothing_else_is_let_through() -> None:
    page = drawn("{{ text|codes }}", text=f"Run `manage.py audit verify`. `{HOSTILE}`")
    assert "Run <code>manage.py audit verify</code>." in page
    assert Tags(page).names == {"code"}


@pytest.mark.parametrize(("principal", "name"), [("user:admin", "admin"), ("system:fleetui", "fleetui"), ("", "")])
def test_people_see_the_name_of_a_principal(principal: str, name: str) -> None:
    assert drawn("{{ one|who }}", one=principal) == name
