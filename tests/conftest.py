"""Fixtures of the tests that cross apps: browser, real services, real hosts. In CI a missing part fails, elsewhere it is skipped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests import browser, services
from tests.rig import Rig, RigMissing, rig_session

# Playwright's own loop makes Django believe that it is called from asynchronous code.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")


def missing(sentence: str) -> None:
    """Skip with a sentence; in CI nothing may be missing, so there it fails."""
    if os.environ.get("CI") == "true":
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, object]:
    if not Path(browser.PROGRAM).exists():
        missing("Chromium is not installed. Install it: apt-get install chromium")
    return browser.launch_args()


@pytest.fixture
def page_faults(page: Page) -> Iterator[browser.PageFaults]:
    """Fails the test for console errors of its page. A test asks for it to allow an error that it provokes."""
    with browser.watched(page) as faults:
        yield faults


@pytest.fixture(autouse=True)
def no_page_faults(request: pytest.FixtureRequest) -> None:
    if "page" in request.fixturenames:
        request.getfixturevalue("page_faults")


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    try:
        with services.postgresql() as url:
            yield url
    except services.ServiceMissing as error:
        missing(str(error))


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    try:
        with services.redis() as url:
            yield url
    except services.ServiceMissing as error:
        missing(str(error))


@pytest.fixture(scope="session")
def rig() -> Iterator[Rig]:
    """The real hosts; `rig.up(1)` boots one in about 2 s, `rig("recreate", "n1")` gives a fresh one in 3 s."""
    try:
        with rig_session() as session:
            yield session
    except RigMissing as error:
        missing(str(error))
