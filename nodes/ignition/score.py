"""How close this comes to the real tools: compares with recordings of them and prints a table.

    python -m nodes.ignition.score FOLDER [--differences]

FOLDER holds `butane/` and `ignition/`: one folder a case with input, output, report and exit code of the real tool.
"""

import base64
import gzip
import json
import shutil
import sys
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nodes.ignition.butane import WARNINGS_WITH_STRICT, Conversion, convert
from nodes.ignition.dialects import OTHER_VARIANTS
from nodes.ignition.excerpts import with_excerpts
from nodes.ignition.files import FilesDirectory
from nodes.ignition.ignition import validate_document
from nodes.ignition.paths import path_text
from nodes.ignition.report import Report

Row = tuple[str, str, int, int, str]
BUTANE_MEASURES = ("exit", "output", "bytes", "lines", "columns", "wording", "error", "excerpts", "pretty")
IGNITION_MEASURES = ("exit", "lines", "columns", "wording", "error")


@dataclass
class Score:
    """Of how many cases a measure was taken, and which differ."""

    taken: int = 0
    differ: list[str] = field(default_factory=list)


@dataclass
class Group:
    """The scores of cases of one kind."""

    name: str
    cases: int = 0
    scores: dict[str, Score] = field(default_factory=dict)

    def take(self, measure: str, case: str, *, same: bool) -> None:
        score = self.scores.setdefault(measure, Score())
        score.taken += 1
        if not same:
            score.differ.append(case)


def score_butane(folder: Path) -> list[Group]:
    """The cases of Butane, by variant; what has no variant that is known, and what is refused by name, apart."""
    groups: dict[str, Group] = {}
    for case in _cases(folder):
        recorded = _recorded(case)
        variant = str(recorded["variant"] or "")
        source = (case / "input.bu").read_bytes()
        conversion = convert_case(case, recorded, source)
        if variant in OTHER_VARIANTS:
            group = groups.setdefault("refused by name", Group("refused by name"))
            group.cases += 1
            group.take("error", case.name, same=f"variant {variant} (" in (conversion.error or ""))
            continue
        name = variant if variant in ("fcos", "flatcar") else "no variant, or an unknown one"
        group = groups.setdefault(name, Group(name))
        group.cases += 1
        _score_conversion(group, case, recorded, source, conversion)
        pretty = case / "expected.pretty.ign"
        if pretty.exists():
            output = convert_case(case, recorded, source, pretty=True).output
            group.take("pretty", case.name, same=_same_output(pretty.read_bytes(), output))
    return sorted(groups.values(), key=lambda group: -group.cases)


def convert_case(case: Path, recorded: dict[str, Any], source: bytes, *, pretty: bool = False) -> Conversion:
    """Convert as it was recorded: the files directory was called `files`."""
    if not recorded["files_dir"]:
        return convert(source, pretty=pretty)
    with TemporaryDirectory() as scratch:
        folder = Path(scratch, "files")
        shutil.copytree(case / "files", folder, symlinks=True)
        _restore_links(folder)
        return convert(source, files=FilesDirectory(folder, shown_as="files"), pretty=pretty)


def _restore_links(folder: Path) -> None:
    """Make links again where a copy of the recordings has written their targets into files.

    A file that is meant as a file has a final newline, or holds its own path.
    """
    for path in sorted(folder.rglob("*")):
        if ("link" not in path.name and path.name != "l") or path.is_symlink() or not path.is_file():
            continue
        target = path.read_text(encoding="utf-8")
        if target and not target.endswith("\n") and target != str(path.relative_to(folder)):
            path.parent.chmod(0o755)
            path.unlink()
            path.symlink_to(target)


def _score_conversion(
    group: Group, case: Path, recorded: dict[str, Any], source: bytes, conversion: Conversion
) -> None:
    name = case.name
    exits = (conversion.exit_code(strict=True), conversion.exit_code(strict=False))
    group.take("exit", name, same=exits == (recorded["strict_exit"], recorded["lenient_exit"]))
    output = next((case / part for part in ("expected.ign", "lenient.ign") if (case / part).exists()), None)
    if output is not None:
        expected = output.read_bytes()
        group.take("output", name, same=_same_output(expected, conversion.output))
        group.take("bytes", name, same=expected == _as_bytes(conversion.output))
    _score_report(group, name, recorded, conversion.report)
    expected_error = str(recorded["error"] or "").removeprefix("Error translating config: ")
    strict_error = WARNINGS_WITH_STRICT if conversion.report.entries else ""
    told = (conversion.error or "", conversion.error or strict_error)
    expected_strict = str(recorded["strict_error"] or "").removeprefix("Error translating config: ")
    group.take("error", name, same=told == (expected_error, expected_strict))
    excerpts = case / "expected.pretty.stderr"
    if excerpts.exists() and conversion.report.entries and not recorded["report_order_random"]:
        text = with_excerpts(conversion.report, "input.bu", source).encode("utf-8", "surrogateescape")
        group.take("excerpts", name, same=excerpts.read_bytes().startswith(text))


def score_ignition(folder: Path) -> list[Group]:
    """The cases of Ignition documents, by verdict."""
    groups: dict[str, Group] = {}
    for case in _cases(folder):
        recorded = _recorded(case)
        group = groups.setdefault(recorded["verdict"], Group(recorded["verdict"]))
        group.cases += 1
        validation = validate_document((case / "input.ign").read_bytes())
        group.take("exit", case.name, same=validation.exit_code == recorded["exit"])
        _score_report(group, case.name, recorded, validation.report)
        told = f"couldn't parse config: {validation.error}" if validation.error else ""
        group.take("error", case.name, same=told == str(recorded.get("stderr") or "").strip())
    return sorted(groups.values(), key=lambda group: -group.cases)


def _score_report(group: Group, case: str, recorded: dict[str, Any], report: Report) -> None:
    expected = [
        (row["kind"], row["path"] or "", row["line"] or 0, row["col"] or 0, row["message"])
        for row in recorded["report"]
    ]
    actual = [_row(entry) for entry in report.entries]
    if recorded["report_order_random"]:
        expected, actual = sorted(expected), sorted(actual)
    parts: dict[str, Callable[[Row], tuple[object, ...]]] = {
        "lines": lambda row: row[:3],
        "columns": lambda row: row[:4],
        "wording": lambda row: (*row[:3], row[4]),
    }
    for measure, part in parts.items():
        group.take(measure, case, same=list(map(part, expected)) == list(map(part, actual)))


def _row(entry: Any) -> Row:
    position = entry.position or (0, 0)
    return (str(entry.kind), path_text(entry.path) if entry.path else "", *position, entry.message)


def _cases(folder: Path) -> Iterator[Path]:
    return iter(sorted(path.parent for path in folder.glob("*/case.json")))


def _recorded(case: Path) -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads((case / "case.json").read_text(encoding="utf-8"))
    return recorded


def _as_bytes(output: str | None) -> bytes:
    return (output + "\n").encode("utf-8") if output is not None else b""


def _same_output(expected: bytes, output: str | None) -> bool:
    """Equal, or equal once gzip bodies are unpacked: their bytes depend on the release of the compressor."""
    actual = _as_bytes(output)
    if expected == actual or not actual:
        return expected == actual
    return bool(_unpacked(json.loads(expected)) == _unpacked(json.loads(actual)))


def _unpacked(value: Any) -> Any:
    if isinstance(value, list):
        return [_unpacked(item) for item in value]
    if not isinstance(value, dict):
        return value
    source = value.get("source")
    if value.get("compression") == "gzip" and isinstance(source, str) and source.startswith("data:"):
        head, _, body = source.partition(",")
        packed = base64.b64decode(body) if head.endswith(";base64") else urllib.parse.unquote_to_bytes(body)
        try:
            value = {**value, "source": gzip.decompress(packed).hex()}
        except (OSError, EOFError):  # the config itself says gzip of what is none
            value = {**value, "source": packed.hex()}
    return [[key, _unpacked(item)] for key, item in value.items()]


def as_table(groups: list[Group], measures: tuple[str, ...]) -> str:
    """Markdown: equal cases of those that have the measure."""
    rows = [["cases", "", *measures], ["---"] * (len(measures) + 2)]
    for group in groups:
        cells = [group.name, str(group.cases)]
        for measure in measures:
            score = group.scores.get(measure)
            cells.append(f"{score.taken - len(score.differ)} of {score.taken}" if score else "")
        rows.append(cells)
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def differences(groups: list[Group]) -> str:
    """The cases that differ, by group and measure."""
    lines = []
    for group in groups:
        for measure, score in group.scores.items():
            if score.differ:
                lines.append(f"{group.name}, {measure}: {' '.join(score.differ)}\n")
    return "".join(lines)


def main(arguments: list[str]) -> int:
    """Print both tables."""
    folders = [argument for argument in arguments if not argument.startswith("--")]
    if len(folders) != 1 or not Path(folders[0], "butane").is_dir():
        sys.stderr.write((__doc__ or "") + "\n")
        return 2
    for title, groups, measures in (
        ("Butane", score_butane(Path(folders[0], "butane")), BUTANE_MEASURES),
        ("Ignition", score_ignition(Path(folders[0], "ignition")), IGNITION_MEASURES),
    ):
        sys.stdout.write(f"{title}\n\n{as_table(groups, measures)}\n")
        if "--differences" in arguments:
            sys.stdout.write(differences(groups) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
