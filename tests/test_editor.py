"""The editor of Butane in a real browser: what was typed is never lost, and what stands beside the lines is true."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, Route, expect

from tests.browser import PageFaults
from tests.installation import Installation, installation
from tests.test_browser import AXE, faults_of_both_themes, sign_in

pytestmark = [pytest.mark.e2e, pytest.mark.browser]
WRITE = "/ignition/configs/edge/write/"
PUT_BACK = "What you had typed here and not saved was put back."


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installation(tmp_path_factory.mktemp("editor") / "var") as started:
        yield started


@pytest.fixture(scope="module")
def signed_in(fleet: Installation, browser: Browser) -> Any:
    context = browser.new_context()
    page = context.new_page()
    sign_in(page, fleet.url, fleet.password)
    page.goto(f"{fleet.url}/ignition/configs/-/add/")
    page.get_by_label("Name").fill("edge")
    page.get_by_role("button", name="Add config").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Write the first version")
    save(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("edge version 1")
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def context(fleet: Installation, signed_in: Any, browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(storage_state=signed_in, base_url=fleet.url, viewport={"width": 1440, "height": 900})
    yield made
    made.close()


def save(page: Page) -> None:
    page.get_by_role("button", name="Save as draft").click()


def write(page: Page, text: str) -> None:
    """Type at the end of the source."""
    page.locator("#id_source").focus()
    page.keyboard.press("Control+End")
    page.keyboard.type(text)


def source(page: Page) -> str:
    return page.locator("#id_source").input_value()


def asked(page: Page, *, leave: bool) -> list[str]:
    """What the browser asks about leaving from here on, each answered with the same."""
    questions: list[str] = []

    def answer(dialog: Dialog) -> None:
        questions.append(dialog.type)
        if leave:
            dialog.accept()
        else:
            dialog.dismiss()

    page.on("dialog", answer)
    return questions


def test_leaving_asks_and_what_was_typed_is_there_on_the_way_back(page: Page) -> None:
    questions = asked(page, leave=True)
    page.goto(WRITE)
    page.get_by_role("link", name="Nodes").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Nodes")
    assert questions == []
    page.goto(WRITE)
    write(page, "# an hour of work")
    page.get_by_role("link", name="Nodes").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Nodes")
    assert questions == ["beforeunload"]
    page.goto(WRITE)
    expect(page.get_by_text(PUT_BACK)).to_be_visible()
    assert source(page).endswith("# an hour of work")
    page.get_by_role("button", name="Discard it").click()
    expect(page.get_by_text(PUT_BACK)).to_be_hidden()
    assert "an hour" not in source(page)
    page.reload()
    assert "an hour" not in source(page)
    assert questions == ["beforeunload"]


def test_who_stays_loses_nothing(page: Page) -> None:
    page.goto(WRITE)
    write(page, "# half a thought")
    questions = asked(page, leave=False)
    page.get_by_role("link", name="Nodes").first.click(no_wait_after=True)
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("Edit version"))
    assert source(page).endswith("# half a thought")
    assert questions == ["beforeunload"]


def test_cancel_means_it(page: Page) -> None:
    asked(page, leave=True)
    page.goto(WRITE)
    write(page, "# a whim")
    page.get_by_role("link", name="Cancel").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("edge")
    page.goto(WRITE)
    assert "a whim" not in source(page)


def test_the_text_outlives_the_session(page: Page, page_faults: PageFaults, fleet: Installation) -> None:
    """The check of the next key stroke leads to the sign-in page, and so does a save."""
    page_faults.allow("401")
    questions = asked(page, leave=True)

    def sign_in_again() -> None:
        expect(page).to_have_url(re.compile("/accounts/login/"))
        page.locator("input[name=login]").fill("admin")
        page.locator("input[name=password]").fill(fleet.password)
        page.locator("input[name=password]").press("Enter")
        expect(page).to_have_url(re.compile(f"{WRITE}$"))
        expect(page.get_by_text(PUT_BACK)).to_be_visible()

    page.goto(WRITE)
    page.get_by_label("What changes, and why").fill("Because")
    page.context.clear_cookies(name=re.compile("session"))
    write(page, "# typed")
    sign_in_again()
    assert source(page).endswith("# typed")
    expect(page.get_by_label("What changes, and why")).to_have_value("Because")
    page.context.clear_cookies(name=re.compile("session"))
    save(page)
    sign_in_again()
    assert source(page).endswith("# typed")
    assert questions == []


def test_the_text_outlives_a_cut_network(page: Page, page_faults: PageFaults) -> None:
    page_faults.allow("ERR_INTERNET_DISCONNECTED")
    page_faults.allow("htmx:")
    page.goto(WRITE)
    page.context.set_offline(True)
    write(page, "# typed in a tunnel")
    expect(page.locator("#findings")).to_have_attribute("aria-busy", "true")
    save(page)
    expect(page).to_have_url(re.compile("chrome-error"))
    page.context.set_offline(False)
    page.goto(WRITE)
    assert source(page).endswith("# typed in a tunnel")
    save(page)
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("edge version"))
    page.goto(WRITE)
    expect(page.get_by_text(PUT_BACK)).to_be_hidden()


def test_a_refused_save_keeps_the_text_wherever_one_looks(page: Page, page_faults: PageFaults) -> None:
    page_faults.allow("412")
    asked(page, leave=True)
    page.goto(WRITE)
    write(page, "# mine")
    other = page.context.new_page()
    other.goto(WRITE)
    write(other, "# theirs")
    save(other)
    expect(other.get_by_role("heading", level=1)).to_have_text(re.compile("edge version"))
    save(page)
    expect(page.get_by_role("alert")).to_contain_text("newer version")
    page.get_by_role("link", name="See the versions").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("edge")
    page.goto(WRITE)
    assert source(page).endswith("# mine")
    save(page)
    expect(page.get_by_role("alert")).to_contain_text("newer version")


def test_a_save_that_takes_its_time_is_sent_once(page: Page) -> None:
    """Also when the check of the last key stroke is answered meanwhile."""
    held: list[Route] = []
    page.route(f"**{WRITE}", lambda route: held.append(route) if route.request.method == "POST" else route.continue_())
    page.goto(WRITE)
    expect(page.locator("#findings .g-verdict")).to_be_visible()
    box = page.get_by_role("button", name="Save as draft").bounding_box()
    assert box is not None
    write(page, "# once")
    with page.expect_response("**/-/check/"):
        page.mouse.click(box["x"] + 20, box["y"] + 10)
    page.wait_for_timeout(300)
    page.mouse.click(box["x"] + 20, box["y"] + 10)
    page.wait_for_timeout(300)
    assert len(held) == 1
    held[0].continue_()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("edge version"))


def test_the_line_that_is_begun_is_in_sight(page: Page) -> None:
    page.goto(WRITE)
    write(page, "\n" * 60)
    area = page.locator("#id_source")
    assert area.evaluate("one => one.scrollHeight - one.clientHeight - one.scrollTop") < 1


def test_findings_are_marked_as_old_until_the_answer_is_there(page: Page) -> None:
    page.goto(WRITE)
    findings = page.locator("#findings")
    expect(findings.locator(".g-verdict")).to_be_visible()
    write(page, "\nstorag: {}\n")
    expect(findings).to_have_attribute("aria-busy", "true")
    expect(findings).to_contain_text("unused key storag")
    expect(findings).not_to_have_attribute("aria-busy", "true")
    expect(page.locator("[data-editor-gutter] [data-level=warn]")).not_to_have_count(0)


def test_axe_finds_nothing_serious_on_pages_of_ignition(fleet: Installation, signed_in: Any, browser: Browser) -> None:
    context = browser.new_context(
        storage_state=signed_in, base_url=fleet.url, bypass_csp=True, reduced_motion="reduce", color_scheme="light"
    )
    page, found = context.new_page(), []
    edge = "/ignition/configs/edge/"
    for path in ("/ignition/configs/", edge, f"{edge}1/", f"{edge}1/?tab=source", f"{edge}1/?tab=files", WRITE):
        page.goto(path)
        page.wait_for_load_state("networkidle")
        page.evaluate((AXE / "axe.min.js").read_text())
        found += faults_of_both_themes(page)
    context.close()
    assert found == []
