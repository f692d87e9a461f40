"""Two versions compared: line by line, file by file, and by what a machine born with the second does otherwise."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from typing import Any

from nodes.ignition.effect import Effect, effect
from nodes.ignition.sections import Sections, UnreadableDocument, sections
from nodes.models import IgnitionVersion

CONTEXT_LINES = 3
#: Beyond this the comparison of lines would take too long.
MOST_LINES = 20_000
#: In long texts a line that stands there more often is matched only beside another one: each of its places would be looked
#: at for each of its places.
MANY_LINES, OFTEN = 5_000, 50


def read_sections(rendered: str) -> Sections | None:
    """The parts of a rendering; None when there is none."""
    if not rendered:
        return None
    try:
        return sections(rendered)
    except UnreadableDocument:
        return None


def effects_of(before: IgnitionVersion, after: IgnitionVersion) -> list[Effect] | None:
    """What changes for a machine; None when one of the two does not convert."""
    old, new = read_sections(before.rendered), read_sections(after.rendered)
    return None if old is None or new is None else effect(old, new)


def pretty(rendered: str) -> str:
    """The Ignition JSON with a line for each value."""
    return json.dumps(json.loads(rendered), indent=2, ensure_ascii=False) if rendered else ""


def changed_files(before: IgnitionVersion, after: IgnitionVersion) -> list[dict[str, str]]:
    """Files beside the source that are not the same in both."""
    found = []
    for path in sorted({*before.files, *after.files}):
        old, new = before.files.get(path), after.files.get(path)
        if old != new:
            kind = "added" if old is None else "removed" if new is None else "changed"
            found.append({"path": path, "kind": kind})
    return found


def line_hunks(before: str, after: str) -> list[list[dict[str, Any]]] | None:
    """Runs of changed lines with a few around them: {kind, old, new, text}. None when there are too many lines."""
    old, new = before.splitlines(), after.splitlines()
    if max(len(old), len(new)) > MOST_LINES:
        return None
    hunks = []
    for group in _matcher(old, new).get_grouped_opcodes(CONTEXT_LINES):
        rows: list[dict[str, Any]] = []
        for tag, from_old, to_old, from_new, to_new in group:
            if tag == "equal":
                both = enumerate(old[from_old:to_old], 1)
                rows += [
                    {"kind": "same", "old": from_old + at, "new": from_new + at, "text": text} for at, text in both
                ]
                continue
            gone, come = enumerate(old[from_old:to_old], from_old + 1), enumerate(new[from_new:to_new], from_new + 1)
            rows += [{"kind": "removed", "old": at, "new": None, "text": text} for at, text in gone]
            rows += [{"kind": "added", "old": None, "new": at, "text": text} for at, text in come]
        hunks.append(rows)
    return hunks


def _matcher(old: list[str], new: list[str]) -> difflib.SequenceMatcher[str]:
    if len(new) <= MANY_LINES:
        return difflib.SequenceMatcher(None, old, new)
    times = Counter(new)
    return difflib.SequenceMatcher(lambda line: times[line] > OFTEN, old, new, autojunk=False)
