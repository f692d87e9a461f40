"""`scripts/setup.sh`, with which every `make` target begins: what it refuses, in one line."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SETUP = Path(__file__).resolve().parent.parent / "scripts" / "setup.sh"


@pytest.mark.parametrize("python", ["/bin/false", "/nonexistent/python3"])
def test_a_python_that_is_named_and_no_good_is_refused_and_not_replaced(tmp_path: Path, python: str) -> None:
    (tmp_path / "scripts").mkdir()
    shutil.copy(SETUP, tmp_path / "scripts")
    (tmp_path / "requirements.txt").touch()
    done = subprocess.run(
        [tmp_path / "scripts" / "setup.sh", "run"],
        env={"PATH": "/usr/bin:/bin", "PYTHON": python},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"PYTHON={python} is not a Python 3.11 or newer. Name one that is, or leave PYTHON out to have one found.\n"
    )
    assert not (tmp_path / ".venv").exists()
