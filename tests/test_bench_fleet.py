"""bench/fleet.py as its page says to start it: by hand, with no settings in the environment."""

from __future__ import annotations

import os
import sys

import django
import pytest

from bench import fleet


@pytest.mark.one_database
def test_it_names_the_settings_itself(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[object] = []
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)
    monkeypatch.setattr(django, "setup", lambda: seen.append(os.environ.get("DJANGO_SETTINGS_MODULE")))
    monkeypatch.setattr(fleet, "fill", seen.append)
    monkeypatch.setattr(sys, "argv", ["bench.fleet", "7"])
    fleet.main()
    assert seen == ["fleetui.settings", 7]
    assert capsys.readouterr().out.startswith("7 nodes in ")
