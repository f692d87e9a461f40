"""The pages in a real browser with the demo fleet: keyboard, selection, live refresh, themes, languages, phone, no errors anywhere."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from tests.browser import PageFaults
from tests.installation import Installation, installation

pytestmark = [pytest.mark.e2e, pytest.mark.browser]
NODES = 66
#: Waits are for a condition, and a busy machine may take its time.
expect.set_options(timeout=60_000)
LIVE_MS = 11_000
PAGES = (
    "/",
    "/nodes/",
    "/nodes/?q=nothing-has-this-name",
    "/nodes/add/",
    "/nodes/db-05/",
    "/nodes/db-05/?tab=storage",
    "/nodes/db-05/?tab=network",
    "/nodes/k8s-workers-04/?tab=containers",
    "/nodes/edge-12/?tab=timeline",
    "/nodes/edge-09/?tab=host-key",
    "/nodes/web-14/?tab=raw",
    "/nodes/web-03/edit/",
    "/pools/",
    "/pools/web/",
    "/pools/-/add/",
    "/credentials/",
    "/credentials/add/",
    "/tokens/",
    "/tokens/add/",
    "/audit/",
    "/audit/30/",
    "/settings/",
    "/settings/users/",
    "/settings/users/admin/",
    "/settings/releases/",
    "/settings/preferences/",
    "/accounts/2fa/",
    "/accounts/logout/",
    "/api/docs/",
)

AXE = Path(__file__).parent / "vendor" / "axe"
#: Rules whose answer depends on the theme; all others are asked once.
COLOURS = ["color-contrast", "link-in-text-block"]
#: Fewer rows say the same to axe in less time. Swagger's own markup is not ours.
INSTEAD = {"/nodes/": "/nodes/?health=degraded,unknown", "/audit/": "/audit/?action=sign_in", "/api/docs/": ""}


def sign_in(page: Page, url: str, password: str) -> None:
    page.goto(f"{url}/accounts/login/")
    page.locator("input[name=login]").fill("admin")
    page.locator("input[name=password]").fill(password)
    page.locator("input[name=password]").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installation(tmp_path_factory.mktemp("browser") / "var", "--demo") as started:
        token = started.token()
        started.wait_for(lambda: looked_at(started, token) >= NODES - 4)
        yield started


def looked_at(fleet: Installation, token: str) -> int:
    """How many nodes answered; four of the demo never do."""
    found: dict[str, Any] = fleet.get("/api/v1/nodes/?reachability=reachable&limit=100&fields=name", token)
    return len(found["results"])


@pytest.fixture(scope="module")
def signed_in(fleet: Installation, browser: Browser) -> Any:
    context = browser.new_context()
    sign_in(context.new_page(), fleet.url, fleet.password)
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def context(fleet: Installation, signed_in: Any, browser: Browser) -> Iterator[BrowserContext]:
    """Signed in, with addresses that need no host."""
    made = browser.new_context(storage_state=signed_in, base_url=fleet.url, viewport={"width": 1440, "height": 900})
    yield made
    made.close()


def heading(page: Page, text: str | re.Pattern[str]) -> None:
    """The page is there, and its scripts listen."""
    expect(page.get_by_role("heading", level=1)).to_have_text(text)
    page.wait_for_load_state()


def test_no_page_reports_an_error(page: Page) -> None:
    """Errors of scripts and of the Content-Security-Policy fail this test through `page_faults`."""
    for path in PAGES:
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == 200, path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than the window"
        displays = set(
            page.evaluate("[...document.querySelectorAll('td, th')].map(one => getComputedStyle(one).display)")
        )
        assert displays <= {"table-cell", "none"}, f"{path} has cells that do not grow with their row"


def test_the_frame_stays_in_sight_on_a_long_page(page: Page) -> None:
    page.goto("/nodes/")
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    assert page.evaluate("scrollY") > 0
    for frame in (".ui-top", ".ui-rail"):
        assert page.locator(frame).evaluate("one => one.getBoundingClientRect().top") == 0


def test_keyboard_reaches_pages_nodes_and_rows(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.press("Escape")
    page.locator("#main").focus()
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Go to a page or node").fill("no such thing")
    expect(page.get_by_role("option")).to_have_text(["Search for no such thing"])
    page.get_by_role("combobox", name="Go to a page or node").fill("web-07")
    expect(page.get_by_role("option", name=re.compile("web-07")).first).to_be_visible()
    page.keyboard.press("Enter")
    heading(page, "web-07")

    page.keyboard.press("g")
    page.keyboard.press("n")
    heading(page, "Nodes")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.locator("tr[data-selected]")).to_have_count(1)
    page.keyboard.press("k")
    first = page.locator("tr[data-id]").first
    expect(first).to_have_attribute("data-cursor", "")
    page.keyboard.press("Enter")
    heading(page, "db-01")

    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_hidden()


def test_the_first_tab_stop_skips_to_the_content(page: Page) -> None:
    page.goto("/nodes/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_a_selection_spans_pages_and_is_polled(page: Page) -> None:
    page.goto("/nodes/")
    page.get_by_label("Select this page").check()
    bar = page.locator("[data-bulk]")
    # Another test deletes a node, before or after this one.
    total = int(bar.get_attribute("data-total") or 0)
    expect(bar).to_contain_text(f"50 selected of {total} matching")
    page.get_by_role("link", name="Next").click()
    page.get_by_label("Select web-20").check()
    expect(bar).to_contain_text(f"51 selected of {total} matching")
    bar.get_by_role("button", name=f"Select all {total} matching").click()
    page.get_by_label("Select web-20").uncheck()
    expect(bar).to_contain_text(f"{total - 1} selected of {total} matching")
    bar.get_by_role("button", name="Poll now").click()
    expect(page.locator("main")).to_contain_text(f"{total - 1} nodes are polled now.")


def test_a_selection_leads_back_to_the_list_that_it_came_from(page: Page) -> None:
    page.goto("/nodes/?pool=web&per_page=25&sort=-name")
    page.get_by_label("Select web-20").check()
    page.locator("[data-bulk]").get_by_role("button", name="Change…").click()
    expect(page.get_by_role("link", name="Cancel")).to_have_attribute("href", "/nodes/?pool=web&per_page=25&sort=-name")


def test_a_selection_that_was_changed_is_over(page: Page) -> None:
    page.goto("/nodes/?q=edge-11")
    bar = page.locator("[data-bulk]")
    page.get_by_label("Select edge-11").check()
    bar.get_by_role("button", name="Change…").click()
    page.get_by_label("Labels").fill("rack=r7")
    page.get_by_role("button", name="Change 1 node").click()
    expect(page.locator("main")).to_contain_text("1 node was changed.")
    expect(bar).to_be_hidden()
    expect(page.get_by_label("Select edge-11")).not_to_be_checked()


def test_what_was_confirmed_is_sent_though_the_page_drew_itself_anew(page: Page) -> None:
    page.goto("/pools/db/key/")
    page.get_by_label("Make a new ed25519 key here").check()
    page.get_by_role("button", name="Try it on").click()
    stop = page.get_by_role("button", name="Stop").element_handle()
    page.get_by_role("button", name="Stop").click()
    # The progress of the trials takes the place of the form that opened the dialog.
    page.wait_for_function("stop => !stop.isConnected", arg=stop, timeout=60_000)
    page.locator("dialog[open] [data-confirm-go]").click()
    expect(page.locator("main")).to_contain_text("The trial was stopped; db keeps its credential.")


def test_a_live_refresh_keeps_selection_and_place(page: Page) -> None:
    page.clock.install()
    page.goto("/nodes/")
    page.get_by_label("Select edge-04").check()
    page.evaluate("scrollTo(0, 420)")
    page.get_by_role("link", name="edge-06", exact=True).focus()
    with page.expect_response(lambda answer: answer.request.headers.get("x-fleetui-live") == "1") as refreshed:
        page.clock.fast_forward(LIVE_MS)
    assert refreshed.value.status == 200
    refreshed.value.finished()
    expect(page.get_by_label("Select edge-04")).to_be_checked()
    expect(page.get_by_role("link", name="edge-06", exact=True)).to_be_focused()
    assert page.evaluate("scrollY") == 420


def test_what_has_the_focus_does_not_keep_the_rest_of_a_page_old(page: Page) -> None:
    def with_another_part(route: Route) -> None:
        text = re.sub('(data-live-key="[^"]+"[^>]*>)', r"\1<i class='fresh'></i>", (answer := route.fetch()).text())
        route.fulfill(response=answer, body=re.sub('(id="overview"[^>]*>)', r"\1<p data-live-key='came'></p>", text))

    page.clock.install()
    page.goto("/")
    (link := page.locator("#overview a").first).focus()
    page.route(re.compile(r":[0-9]+/$"), with_another_part)
    page.clock.fast_forward(LIVE_MS)
    expect(page.locator("#overview .fresh").first).to_be_attached()
    expect(link).to_be_focused()


def test_escape_gives_the_focus_back_though_the_page_drew_itself_anew(page: Page) -> None:
    page.goto("/operations/")
    (stop := page.locator("main").get_by_role("button", name="Stop all")).press("Enter")
    stop.locator("xpath=ancestor::form").evaluate("form => { form.outerHTML = form.outerHTML; }")
    page.keyboard.press("Escape")
    expect(stop).to_be_focused()


def test_that_nobody_answers_is_said_until_somebody_does(page: Page, page_faults: PageFaults) -> None:
    page_faults.allow("ERR_FAILED")
    page.clock.install()
    page.goto("/nodes/")
    notice = page.locator("[data-offline]")
    page.route("**/nodes/**", lambda route: route.abort())
    for wait_ms in (LIVE_MS, 4_000):
        expect(notice).to_be_hidden()
        with page.expect_event("requestfailed"):
            page.clock.fast_forward(wait_ms)
    expect(notice).to_contain_text("FleetUI does not answer.")
    page.unroute("**/nodes/**")
    page.clock.fast_forward(LIVE_MS)
    expect(notice).to_be_hidden()


def test_filters_stand_in_the_address_and_back_works(page: Page) -> None:
    page.goto("/nodes/")
    page.get_by_text("Add filter").click()
    page.locator("[data-filter-option]").filter(has_text="Degraded").click()
    expect(page).to_have_url(re.compile(r"[?&]health=degraded"))
    expect(page.locator("tr[data-id]")).to_have_count(3)
    page.get_by_role("link", name="Version", exact=True).click()
    expect(page).to_have_url(re.compile(r"health=degraded&sort=-version"))
    page.go_back()
    page.go_back()
    expect(page.locator(".ui-chip")).to_have_count(0)
    expect(page.locator("tr[data-id]")).to_have_count(50)
    page.get_by_role("combobox", name="Filter by text, or pick a field").press_sequentially("degraded")
    page.get_by_role("option", name="Health: Degraded").click()
    expect(page).to_have_url(re.compile(r"[?&]health=degraded"))


def test_the_form_of_facts_completes_values_and_wants_none_where_there_is_none(page: Page) -> None:
    page.goto("/nodes/")
    page.get_by_text("Add filter").click()
    page.get_by_label("Field or path of facts").fill("network.interfaces.driver")
    page.get_by_label("Value", exact=True).press_sequentially("virtio")
    expect(page.locator("#fact-values option[value=virtio_net]")).to_be_attached()
    page.get_by_label("Comparison").select_option("exists")
    expect(page.get_by_label("Value", exact=True)).to_be_disabled()
    # A field that is no path has its own comparison.
    page.get_by_label("Field or path of facts").fill("nic_driver")
    expect(page.get_by_label("Comparison")).to_be_disabled()
    expect(page.get_by_label("Value", exact=True)).to_be_enabled()


@pytest.mark.parametrize("width", [1280, 1377, 1400, 1440, 1700])
def test_the_names_of_nodes_are_whole_on_a_desk(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto("/nodes/?pool=k8s-workers")
    cut = "names => names.filter(name => name.scrollWidth > name.clientWidth).map(name => name.textContent)"
    expect(page.locator("#node-list .n-head").first).to_be_visible()
    assert page.locator("#node-list .n-head").evaluate_all(cut) == []


def test_the_palette_says_when_nothing_has_the_name(page: Page) -> None:
    page.goto("/audit/")
    page.keyboard.press("Control+k")
    page.get_by_role("dialog").get_by_role("combobox").fill("nothing-has-this-name")
    expect(page.get_by_role("option", name="Search for nothing-has-this-name")).to_be_visible()
    expect(page.get_by_role("dialog").get_by_role("status")).to_have_text("Nothing matches.")


def test_the_dark_theme_is_there_before_the_first_paint(page: Page) -> None:
    page.goto("/")
    page.locator("summary[title=Theme]").click()
    page.locator("summary[title=Theme] ~ * [data-theme-set=dark]").click()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    page.add_init_script(
        """new MutationObserver((_, seen) => {
          if (!document.body) return;
          window.themeAtBody = document.documentElement.dataset.bsTheme;
          seen.disconnect();
        }).observe(document, { childList: true, subtree: true });"""
    )
    page.goto("/nodes/")
    assert page.evaluate("window.themeAtBody") == "dark"


def test_the_language_is_switched_where_one_stands(page: Page) -> None:
    page.goto("/nodes/?health=degraded")
    page.locator("summary[title=Language]").click()
    page.locator(".ui-top button[lang=th]").click()
    expect(page.locator("html")).to_have_attribute("lang", "th")
    heading(page, re.compile("[\u0e01-\u0e5b]+"))
    expect(page).to_have_url(re.compile("health=degraded"))
    page.locator(".ui-top summary:has(+ form button[lang=en])").click()
    page.locator(".ui-top button[lang=en]").click()
    heading(page, "Nodes")


def test_the_menu_of_a_phone_opens_and_closes(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/nodes/")
    rail = page.get_by_role("navigation", name="Main")
    expect(rail).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    expect(rail.get_by_role("link", name="Pools")).to_be_visible()
    page.keyboard.press("Escape")
    expect(rail).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    rail.get_by_role("link", name="Pools").click()
    heading(page, "Pools")
    for path, name in (("/nodes/web-18/", "More actions"), ("/nodes/web-18/", "Operate"), ("/nodes/", "Add filter")):
        page.goto(path)
        summary = page.locator("main summary").filter(has_text=name).or_(page.get_by_label(name, exact=True))
        summary.click()
        box = summary.locator("~ .ui-menu-panel").bounding_box()
        assert box is not None
        assert box["x"] >= 0, f"{name} of {path} leaves a phone"
        assert box["x"] + box["width"] <= 390, f"{name} of {path} leaves a phone"
    for path in PAGES[1:15]:
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than a phone"


def test_a_session_that_ends_leads_to_the_sign_in_page_and_back(
    page: Page, page_faults: PageFaults, fleet: Installation
) -> None:
    page_faults.allow("401")
    page.clock.install()
    page.goto("/nodes/?health=degraded")
    page.context.clear_cookies(name=re.compile("session"))
    page.clock.fast_forward(LIVE_MS)
    expect(page).to_have_url(re.compile(r"/accounts/login/\?next=.*health"))
    page.locator("input[name=login]").fill("admin")
    page.locator("input[name=password]").fill(fleet.password)
    page.locator("input[name=password]").press("Enter")
    expect(page).to_have_url(re.compile(r"/nodes/\?health=degraded$"))


def test_deleting_asks_for_the_name(page: Page, page_faults: PageFaults) -> None:
    page_faults.allow("404")
    page.goto("/nodes/web-19/")
    page.get_by_label("More actions").click()
    page.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Delete web-19")
    page.keyboard.press("Escape")
    expect(page.get_by_label("More actions")).to_be_focused()
    page.get_by_label("More actions").click()
    page.get_by_role("button", name="Delete").click()
    go = dialog.locator("[data-confirm-go]")
    expect(go).to_be_disabled()
    dialog.get_by_label("To go on, type").fill("web-1")
    expect(go).to_be_disabled()
    dialog.get_by_label("To go on, type").fill("web-19")
    dialog.get_by_label("Reason").fill("taken out of the rack")
    go.click()
    heading(page, "Nodes")
    gone = page.goto("/nodes/web-19/")
    assert gone is not None
    assert gone.status == 404
    heading(page, "Not found")
    page.get_by_role("link", name="Go to the overview").click()
    heading(page, "Overview")
    page.goto("/audit/?action=nodes.delete")
    expect(page.locator("main")).to_contain_text("web-19")


def faults_of(page: Page, rules: list[str] | None = None) -> list[str]:
    """What axe calls serious or critical on a page."""
    run = {"type": "rule", "values": rules} if rules else ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    found = page.evaluate("run => axe.run(document, {runOnly: run, resultTypes: ['violations']})", run)
    return [
        f"{page.url}: {fault['id']}: {node['html'][:200]}: {node['failureSummary']}"
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"][:3]
    ]


def faults_of_both_themes(page: Page) -> list[str]:
    """Colours are all that differs in the dark one. The page is light before and after."""
    found = faults_of(page)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("document.documentElement.dataset.bsTheme === 'dark'")
    # Colours change over some frames, however short that is.
    page.wait_for_function("!document.getAnimations().some((one) => one instanceof CSSTransition)")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    found += faults_of(page, COLOURS)
    page.emulate_media(color_scheme="light")
    return found


def test_axe_finds_nothing_serious_in_either_theme(fleet: Installation, signed_in: Any, browser: Browser) -> None:
    """Policies of the page would keep the checker out, so that this test alone is without them."""
    source = (AXE / "axe.min.js").read_bytes()
    assert hashlib.sha256(source).hexdigest() == json.loads((AXE / "VENDOR.json").read_text())[0]["sha256"]
    context = browser.new_context(
        storage_state=signed_in, base_url=fleet.url, bypass_csp=True, reduced_motion="reduce", color_scheme="light"
    )
    page, found = context.new_page(), []
    paths = [one for path in (*PAGES, "/nodes/no-such-node/") if (one := INSTEAD.get(path, path))]
    for path in paths:
        page.goto(path)
        page.evaluate(source.decode())
        found += faults_of_both_themes(page)
    context.clear_cookies()
    page.goto("/accounts/login/")
    page.evaluate(source.decode())
    found += faults_of(page)
    context.close()
    assert found == []
