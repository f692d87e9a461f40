"""Versions that are bad, on real hosts: one that fails its health check, and one that does not boot."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rig import Rig
from tests.test_operations_rig import Fleet, fleet, name, nothing_left

pytestmark = [pytest.mark.soak, pytest.mark.rig]
__all__ = ["fleet", "name"]


@pytest.fixture(scope="module", autouse=True)
def a_good_head(rig: Rig) -> Iterator[None]:
    """What is published stays the head of the branch, for other tests too: the last one is good again."""
    yield
    rig("publish", "43.20260130.3.0")


def test_a_bad_version_goes_back_by_itself(fleet: Fleet, rig: Rig, name: str) -> None:
    before = fleet.node(name)["booted"]["version"]
    rig("publish", "43.20260110.3.0", "--bad", "unit")
    fleet.known_releases()
    done = fleet.end(fleet.start("upgrade", name, version="43.20260110.3.0", soak_s=3, roll_back=True), 400)
    assert (done["state"], done["result"]) == ("failed", "went_back"), (done, fleet.log(done["id"]))
    assert fleet.polled(name)["booted"]["version"] == before
    assert "rig-app.service" in done["result_sentence"]
    assert nothing_left(rig, name)


def test_a_version_that_does_not_boot_is_recognised_as_a_fall_back(fleet: Fleet, rig: Rig, name: str) -> None:
    before = fleet.node(name)["booted"]["version"]
    rig("publish", "43.20260115.3.0", "--bad", "noboot")
    fleet.known_releases()
    done = fleet.end(fleet.start("upgrade", name, version="43.20260115.3.0", soak_s=3), 300)
    assert (done["state"], done["result"]) == ("failed", "fell_back"), (done, fleet.log(done["id"]))
    assert fleet.polled(name)["booted"]["version"] == before
    assert nothing_left(rig, name)
