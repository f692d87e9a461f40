"""The documentation names nothing that is not there: links, commands, variables, permissions, reasons and faults."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import get_commands

from fleetui.access.roles import PERMISSIONS, ROLES, SCOPES
from fleetui.core.keys import KEYS
from nodes.filters import NodeFilter
from nodes.wording.axes import REASONS
from nodes.wording.errors import ERRORS
from simfleet import Fault

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"(?<!!)\[[^\]\n]+\]\(([^)\s]+)\)")
#: Celery's own and Django's variables without our prefix that a page may name.
VARIABLE = re.compile(r"`(FLEETUI_[A-Z_]+|TRUSTED_PROXIES|[A-Z_]+_URL)[`=]")
#: Named on pages for developers; the tests read them, the product does not.
OF_TESTS = {"FLEETUI_CORPUS", "FLEETUI_RIG", "FLEETUI_TEST_PROCESSES"}

#: What may also come as a file.
SECRETS = {*KEYS, "FLEETUI_AUDIT_WEBHOOK_SECRET"}
#: Read by the client for scripts, which shares nothing with the server.
OF_CLIENT = {"FLEETUI_URL", "FLEETUI_TOKEN", "FLEETUI_TOKEN_FILE", "FLEETUI_CA_FILE"}


def name_of(sheet: Path) -> str:
    return sheet.relative_to(ROOT).as_posix()


every_sheet = pytest.mark.parametrize("sheet", PAGES, ids=name_of)


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def prose(text: str) -> str:
    """Without fenced code."""
    return re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(sheet: Path) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    headings = re.findall(r"^#{1,6} (.+)$", prose(sheet.read_text(encoding="utf-8")), flags=re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in plain}


def codes_in_rows(text: str, column: int) -> Iterator[str]:
    """The words in backquotes of one column of all tables."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if len(cells) > column:
            yield from re.findall(r"`([^`]+)`", cells[column])


@every_sheet
def test_every_link_leads_somewhere(sheet: Path) -> None:
    for link in LINK.findall(prose(sheet.read_text(encoding="utf-8"))):
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (sheet.parent / path).resolve() if path else sheet
        assert target.exists(), f"{name_of(sheet)} links to {link}"
        if anchor:
            assert anchor in anchors(target), f"{name_of(sheet)} links to {link}, which has no such heading"


@every_sheet
def test_every_command_exists(sheet: Path) -> None:
    text = sheet.read_text(encoding="utf-8")
    commands = get_commands()
    for command in re.findall(r"manage\.py ([a-z_]+)", text):
        assert command in commands, f"{name_of(sheet)} names manage.py {command}"
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), flags=re.MULTILINE))
    # A command stands in backquotes or begins a line; elsewhere "make" is a verb.
    for target in re.findall(r"(?:`|^|[A-Z]=\S+ )make ([a-z-]+)", text, flags=re.MULTILINE):
        assert target in targets, f"{name_of(sheet)} names make {target}"


@every_sheet
def test_every_file_in_backquotes_exists(sheet: Path) -> None:
    for path in re.findall(
        r"`((?:fleetui|nodes|ops|simfleet|tests|templates|static|docs|scripts|bench)/[a-z_0-9./-]+)`",
        sheet.read_text(encoding="utf-8"),
    ):
        assert (ROOT / path).exists(), f"{name_of(sheet)} names {path}"


def test_every_sheet_is_reached_from_the_index() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        links = LINK.findall(prose(page.read_text(encoding="utf-8")))
        waiting += [
            (page.parent / link.partition("#")[0]).resolve() for link in links if ":" not in link and link[0] != "#"
        ]
    assert [name_of(page) for page in PAGES if page not in seen] == []


def settings_variables() -> set[str]:
    read = set(re.findall(r"env\.\w+\(\s*\"([A-Z_]+)\"", text_of("fleetui/settings.py")))
    assert {"FLEETUI_DATA_DIR", "DATABASE_URL", "TRUSTED_PROXIES"} <= read
    return read | set(KEYS)


def test_every_variable_is_documented() -> None:
    documented = set(codes_in_rows(text_of("docs/configuration.md"), 0))
    assert settings_variables() - documented == set()


@every_sheet
def test_every_variable_named_is_read(sheet: Path) -> None:
    named = set(VARIABLE.findall(sheet.read_text(encoding="utf-8")))
    known = settings_variables()
    assert named - known - {f"{key}_FILE" for key in SECRETS} - OF_TESTS - OF_CLIENT == set()


def test_defaults_are_those_of_the_settings() -> None:
    found = re.findall(r"env\.int\(\"([A-Z_]+)\", (\d+)[,)]", text_of("fleetui/settings.py"))
    rows = [line for line in text_of("docs/configuration.md").splitlines() if line.startswith("|")]
    assert len(found) >= 3
    for variable, default in found:
        assert any(f"`{variable}`" in row and row.endswith(f"| `{default}` |") for row in rows), variable


def test_every_unsafe_mix_is_documented() -> None:
    ids = set(re.findall(r"id=\"(fleetui\.[EW]\d+)\"", text_of("fleetui/core/checks.py")))
    assert ids == set(codes_in_rows(text_of("docs/configuration.md"), 0)) & {
        f"fleetui.{kind}{n:03}" for kind in "EW" for n in range(100)
    }


@pytest.mark.parametrize("axis", sorted(REASONS))
def test_every_reason_has_a_row(axis: str) -> None:
    documented = set(codes_in_rows(text_of("docs/nodes-and-states.md"), 1))
    values = set(codes_in_rows(text_of("docs/nodes-and-states.md"), 0))
    assert {reason for _, reason in REASONS[axis] if reason} - documented == set()
    assert {value for value, _ in REASONS[axis]} - values == set()


def test_every_kind_of_failure_has_a_row() -> None:
    documented = set(codes_in_rows(text_of("docs/add-a-node.md"), 0))
    # host_error stands for a fault of ours.
    assert set(ERRORS) - documented == {"host_error"}


def test_every_permission_and_scope_has_a_row() -> None:
    documented = set(codes_in_rows(text_of("docs/access.md"), 0))
    assert set(PERMISSIONS) - documented == set()
    assert set(SCOPES) - documented == set()


def test_the_tables_of_roles_and_scopes_are_those_of_the_code() -> None:
    """A reader decides by them whom to give what."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text_of("docs/access.md").splitlines()]
    (roles,) = [row[1:] for row in rows if row[0] == "permission"]
    said = {
        role: {
            name for row in rows if row[-1] == "yes" and row[at] == "yes" for name in re.findall(r"`([^`]+)`", row[0])
        }
        for at, role in enumerate(roles, start=1)
    }
    assert said == {role: set(permissions) for role, permissions in ROLES.items()}
    (operate,) = [row for row in rows if row[0] == "`operate`"]
    assert set(re.findall(r"`([^`]+)`", operate[1])) == SCOPES["operate"] - SCOPES["read"]


def test_every_filter_of_nodes_is_named() -> None:
    text = text_of("docs/api.md")
    assert [name for name in NodeFilter.base_filters if f"`{name}`" not in text] == []


def test_every_fault_has_a_row() -> None:
    documented = set(codes_in_rows(text_of("docs/simulated-fleet.md"), 0))
    assert {fault.value for fault in Fault} - documented == set()


def test_the_make_list_is_documented() -> None:
    listed = set(re.findall(r"^([a-z-]+):.*## ", text_of("Makefile"), flags=re.MULTILINE)) - {"help", "demo", "run"}
    named = set(re.findall(r"^\| `make ([a-z-]+)`", text_of("CONTRIBUTING.md"), flags=re.MULTILINE))
    assert listed == named


def test_the_licence_is_the_one_that_the_package_names() -> None:
    assert 'license = "Apache-2.0"' in text_of("pyproject.toml")
    assert "Version 2.0, January 2004" in text_of("LICENSE")


@every_sheet
def test_the_tone_is_plain(sheet: Path) -> None:
    text = prose(sheet.read_text(encoding="utf-8"))
    words = re.findall(
        r"\b(?:please|simply|powerful|seamless\w*|successfully|blazing\w*)\b|!(?=\s|$)", text, flags=re.IGNORECASE
    )
    assert words == []


def test_scripts_named_on_pages_parse() -> None:
    """The shell lines of the quick start are at least shell."""
    blocks = re.findall(r"^ *```\n(.*?)^ *```", text_of("docs/configuration.md"), flags=re.MULTILINE | re.DOTALL)
    shell = [block for block in blocks if re.match(r"\s*(export|cp|python3|\.venv)", block)]
    assert shell
    for block in shell:
        assert subprocess.run(["bash", "-n"], input=block, text=True, check=False).returncode == 0, block
