"""Alert rules, dashboard and example configuration: valid by promtool, and about series that /metrics really has."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from fleetui.core import clock
from nodes.models import Sample
from nodes.services.polling import Outcome
from nodes.services.polling.durations import count_durations
from nodes.tests.make import make_heartbeat, make_host_key, make_node, make_pool, make_running, make_token, make_user
from tests.conftest import missing

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "prometheus"
DASHBOARD = FOLDER / "fleetui-dashboard.json"
SERIES = re.compile(r"\bfleetui_[a-z_]+")
SELECTOR = re.compile(r"(fleetui_[a-z_]+)\{([^}]*)\}")


def promtool(*arguments: str, folder: Path = FOLDER) -> str:
    program = shutil.which("promtool")
    if not program:
        missing("promtool is not installed. Install it: apt-get install prometheus")
    done = subprocess.run([str(program), *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return found


def panels() -> list[dict[str, Any]]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def expressions() -> dict[str, str]:
    """Everything that is asked of Prometheus, by where it stands."""
    rules = re.findall(r"expr: (?:>-\n)?((?:.+\n)(?: {10,}.+\n)*)", (FOLDER / "fleetui-alerts.yml").read_text())
    found = {f"rule {number}": text for number, text in enumerate(rules)}
    for panel in panels():
        found |= {f"{panel['title']} {target['refId']}": target["expr"] for target in panel["targets"]}
    return found


@pytest.fixture
def series(db: None) -> dict[str, set[str]]:
    """The series of /metrics, each with its labels, where every kind of thing exists."""
    make_running()
    make_heartbeat("worker", document={"disk_free_bytes": 1, "disk_total_bytes": 2})
    make_heartbeat("job", name="audit-verify", document={"good": True})
    node = make_node("a", pool=make_pool("web"), failures=1, last_error_kind="refused")
    make_host_key(node)
    count_durations([Outcome(node.pk, duration_s=0.2)])
    Sample.objects.create(at=clock.now(), resolution_s=60, kind="version", value="1", nodes=1)
    token = make_token(make_user("anna", "admin"), "read")
    text = Client().get("/metrics", headers={"Authorization": f"Bearer {token}"}).content.decode()
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, labels = re.match(r"([a-z_]+)(?:\{(.*)\})? ", line).groups()  # type: ignore[union-attr]
            found.setdefault(name, set()).update(re.findall(r'([a-z]+)="', labels or ""))
    return found


def test_the_rules_are_valid_and_do_what_they_say() -> None:
    assert "rules found" in promtool("check", "rules", "fleetui-alerts.yml")
    promtool("test", "rules", "fleetui-alerts.test.yml")


def test_every_rule_is_tested() -> None:
    alerts = re.findall(r"- alert: (\w+)", (FOLDER / "fleetui-alerts.yml").read_text())
    tests = (FOLDER / "fleetui-alerts.test.yml").read_text()
    assert [name for name in alerts if name not in tests] == []


def test_the_example_configuration_is_valid(tmp_path: Path) -> None:
    text = (FOLDER / "prometheus.yml").read_text()
    token = tmp_path / "token"
    token.write_text("fleetui_x")
    (tmp_path / "prometheus.yml").write_text(text.replace("/etc/prometheus/fleetui.token", str(token)))
    shutil.copy(FOLDER / "fleetui-alerts.yml", tmp_path)
    assert "SUCCESS" in promtool("check", "config", "prometheus.yml", folder=tmp_path)


def test_metrics_are_valid(db: None) -> None:
    program = shutil.which("promtool")
    if not program:
        missing("promtool is not installed. Install it: apt-get install prometheus")
    make_running()
    token = make_token(make_user("anna", "admin"), "read")
    text = Client().get("/metrics", headers={"Authorization": f"Bearer {token}"}).content
    done = subprocess.run([str(program), "check", "metrics"], input=text, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_every_series_that_is_asked_for_exists(series: dict[str, set[str]]) -> None:
    asked = expressions()
    assert len(asked) > 30
    for place, expression in asked.items():
        for name in SERIES.findall(re.sub(r'"[^"]*"', '""', expression)):
            assert name in series, f"{place} asks for {name}"
        for name, labels in SELECTOR.findall(expression):
            named = set(re.findall(r"([a-z]+)\s*(?:=|!)", re.sub(r'"[^"]*"', "", labels)))
            assert named <= series[name], f"{place} asks for {named - series[name]} of {name}"


def test_the_test_names_no_series_that_does_not_exist(series: dict[str, set[str]]) -> None:
    for name in SERIES.findall((FOLDER / "fleetui-alerts.test.yml").read_text()):
        assert name in series


def test_every_series_is_documented(series: dict[str, set[str]]) -> None:
    text = (FOLDER.parent / "monitoring.md").read_text()
    stems = {re.sub(r"_(bucket|sum|count)$", "", name) for name in series}
    assert [name for name in sorted(stems) if f"`{name}" not in text] == []


def test_the_dashboard_has_a_data_source_to_choose() -> None:
    board = dashboard()
    variables = {one["name"]: one for one in board["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    for panel in panels():
        assert panel["datasource"]["uid"] == "${datasource}"
        assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])
    assert board["uid"] == "fleetui"
    assert "id" not in board


def test_the_dashboard_is_whole_and_nothing_overlaps() -> None:
    board = dashboard()
    identities = [panel["id"] for panel in board["panels"]]
    assert len(identities) == len(set(identities))
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    asked = " ".join(expressions().values())
    for topic in ("axis=", "fleetui_pool_nodes", "fleetui_version_nodes", "fleetui_poll_duration_seconds_bucket"):
        assert topic in asked
