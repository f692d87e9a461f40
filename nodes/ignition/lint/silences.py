"""Comments that allow what a rule finds: `# fleetui: allow RULE reason`, or `allow-file` for the whole file.

A comment at the end of a line is for that line and what is nested below it, one on a line of its own for the
next line. A silence needs a reason, and one that silences nothing is told too.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nodes.ignition.lint.model import CORE, Finding, Found, Rule, Severity, Subject, example
from nodes.ignition.report import Position

_COMMENT = re.compile(
    r"(?:^|(?<=\s))#\s*fleetui:\s*allow(?P<file>-file)?(?:[ \t]+(?P<rule>\S+))?(?:[ \t]+(?P<why>\S.*))?"
)
_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
UNKNOWN, UNNEEDED, WITHOUT_REASON = "silence-unknown-rule", "silence-unneeded", "silence-without-reason"


@dataclass(frozen=True)
class Silence:
    """One comment. `line` is the line that it is for; None for the whole file."""

    rule: str
    reason: str
    position: Position
    line: int | None


def read_silences(source: str) -> list[Silence]:
    """The comments of a source, in its order."""
    lines = _BREAK.split(source)
    following = _following_lines(lines)
    found: list[Silence] = []
    for number, text in enumerate(lines, start=1):
        match = _COMMENT.search(text)
        if match is None:
            continue
        target: int | None = number
        if match["file"]:
            target = None
        elif not text[: match.start()].strip():
            target = following[number - 1]
        reason = (match["why"] or "").strip()
        found.append(Silence(match["rule"] or "", reason, Position(number, match.start() + 1), target))
    return found


def _following_lines(lines: list[str]) -> list[int]:
    """For each line the next one that is neither empty nor a comment; itself where there is none."""
    following: list[int] = []
    found: int | None = None
    for number in range(len(lines), 0, -1):
        following.append(number if found is None else found)
        text = lines[number - 1].strip()
        if text and not text.startswith("#"):
            found = number
    return following[::-1]


def apply_silences(
    findings: list[Finding], silences: list[Silence], lines_of: Callable[[Finding], set[int]], known: set[str]
) -> tuple[list[Finding], list[Finding]]:
    """What is left with what is wrong with silences, and what was silenced."""
    by_place: dict[tuple[str, int | None], list[Silence]] = {}
    for silence in silences:
        by_place.setdefault((silence.rule, silence.line), []).append(silence)
    used: set[Silence] = set()
    left: list[Finding] = []
    silenced: list[Finding] = []
    for finding in findings:
        places = (None, *lines_of(finding))
        covering = [one for line in places for one in by_place.get((finding.rule, line), ())]
        used.update(covering)
        (silenced if covering else left).append(finding)
    return [*left, *_problems(silences, used, known)], silenced


def _problems(silences: list[Silence], used: set[Silence], known: set[str]) -> Iterator[Finding]:
    for silence in silences:
        params = {"silenced": silence.rule or "-"}
        if silence.rule not in known:
            yield Finding(UNKNOWN, Severity.WARNING, params, position=silence.position)
        elif silence not in used:
            yield Finding(UNNEEDED, Severity.WARNING, params, position=silence.position)
        elif not silence.reason:
            yield Finding(WITHOUT_REASON, Severity.WARNING, params, position=silence.position)


def _nothing(subject: Subject) -> Iterator[Found]:
    """Silences are looked at when all other rules have ended."""
    return iter(())


_FILE_SILENCE = "# fleetui: allow-file hostname-missing {}\n"
RULES = (
    Rule(
        UNKNOWN,
        Severity.WARNING,
        _nothing,
        example(CORE + _FILE_SILENCE.format("names come from DHCP")),
        example(CORE + "# fleetui: allow-file hostname-mising names come from DHCP\n"),
    ),
    Rule(
        UNNEEDED,
        Severity.WARNING,
        _nothing,
        example(CORE + _FILE_SILENCE.format("names come from DHCP")),
        example(CORE + "# fleetui: allow-file no-ssh-key nobody signs in\n"),
    ),
    Rule(
        WITHOUT_REASON,
        Severity.WARNING,
        _nothing,
        example(CORE + _FILE_SILENCE.format("names come from DHCP")),
        example(CORE + "# fleetui: allow-file hostname-missing\n"),
    ),
)
