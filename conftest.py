"""What every test stands on, wherever it lives."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.cache import cache
from django.utils import translation
from hypothesis import HealthCheck, settings

from fleetui.core.translations import compile_stale

# How long an example takes says how busy the machine is, and nothing of the code.
settings.register_profile("fleetui", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("fleetui")


def pytest_configure(config: pytest.Config) -> None:
    """A clone holds no compiled catalogs: `up` makes them, and so does a test run, before its processes start."""
    if not hasattr(config, "workerinput"):
        compile_stale(Path(__file__).parent / "locale")
    gc.disable()


def pytest_collection_finish() -> None:
    """The tests stay until the end: nobody needs to search them for garbage again and again."""
    gc.freeze()
    gc.enable()


def is_of_pages(path: Path) -> bool:
    """Pages show what services found, which are tried on both databases; lists ask the database themselves."""
    return path.name.startswith("test_pages") and path.name != "test_pages_list.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what touches the database, since only that is run again on the other one."""
    # Processes that divide tests by name would run one of those that share it, and nobody would miss the others.
    if doubled := [name for name, times in Counter(item.nodeid for item in items).items() if times > 1]:
        raise pytest.UsageError(f"Several tests have one name: {', '.join(doubled[:5])}")
    for item in items:
        if is_of_pages(item.path) or item.path.parent.name == "git":
            item.add_marker("one_database")
        fixtures = getattr(item, "fixturenames", ())
        if item.get_closest_marker("django_db") or {"db", "transactional_db", "live_server"}.intersection(fixtures):
            item.add_marker("database")


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    """A request leaves its language in its thread, which tests share: each begins in English."""
    with translation.override("en"):
        yield


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    """Throttles, counts and views are kept longer than the rows of a test last."""
    from nodes.services.releases import view_of

    cache.clear()
    view_of.cache.clear()
