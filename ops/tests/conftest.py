"""A simulated fleet for the tests of the engine, one for each module."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fleet import simulated_fleet


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("ops-fleet")
    quick = ("--reboot-seconds", "1", "--transaction-seconds", "0.5")
    with simulated_fleet(folder, 40, net=f"127.{20 + os.getpid() % 40}", options=quick) as manifest:
        yield folder, manifest
