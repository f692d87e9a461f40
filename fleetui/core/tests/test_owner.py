"""What root makes by hand in the data folder stays writable for the processes of its owner."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fleetui.core.owner import give_to_owner_of_folder
from fleetui.transfer.restore import _put_anchors
from ops.backups.scratch import folder

OWNER = 54321

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def data(tmp_path: Path, settings: pytest.FixtureRequest) -> Path:
    os.chown(tmp_path, OWNER, OWNER)
    settings.DATA_DIR = tmp_path  # type: ignore[attr-defined]
    return tmp_path


def test_restored_anchors_are_the_owners(data: Path) -> None:
    _put_anchors(b"{}\n", 0)
    (made,) = data.glob("audit-anchor*")
    assert made.stat().st_uid == OWNER


def test_the_scratch_folder_is_the_owners(data: Path) -> None:
    with folder(data / "scratch") as place:
        made = {data / "scratch", data / "scratch" / "lock", place}
        assert {path.stat().st_uid for path in made} == {OWNER}


def test_what_a_link_points_to_is_left_alone(data: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    foreign = tmp_path_factory.mktemp("foreign") / "shadow"
    foreign.write_text("")
    (data / "link").symlink_to(foreign)
    give_to_owner_of_folder(data / "link")
    assert foreign.stat().st_uid == 0
