"""References to values: found, checked, replaced, and mapped back."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from nodes.ignition.limits import DEFAULT, Limits, Refused
from nodes.ignition.report import Position
from nodes.ignition.source.failure import YamlFailure
from nodes.ignition.variables.masking import Masking
from nodes.ignition.variables.model import NAME, Declaration, Values, VariableProblem, VariablesRefused, VariableType
from nodes.ignition.variables.scalars import Scalar, Scalars, in_double_quotes, in_single_quotes, read_scalars
from nodes.ignition.variables.values import value_problem

_REFERENCE = re.compile(r"\$\{fleetui:([^}\r\n]*)(\}?)")
_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_COMMENT = re.compile(r"(?:^|[ \t])#")
_BARE = (VariableType.INTEGER, VariableType.BOOLEAN)


@dataclass(frozen=True)
class Reference:
    """A place where a source names a variable."""

    name: str
    position: Position
    start: int = field(repr=False)
    end: int = field(repr=False)


@dataclass(frozen=True)
class _Edit:
    """A part of the source that becomes another text."""

    start: int
    end: int
    text: str = field(repr=False)


class _Lines:
    """Offsets to lines and columns, and back."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(match.end() for match in _BREAK.finditer(text))]
        self._size = len(text)

    def position(self, index: int) -> Position:
        line = bisect_right(self._starts, index)
        return Position(line, index - self._starts[line - 1] + 1)

    def index(self, position: Position) -> int:
        line = min(max(position.line, 1), len(self._starts))
        return min(self._starts[line - 1] + max(position.column - 1, 0), self._size)


@dataclass(frozen=True)
class Substituted:
    """A source with values. `redacted` is the same with `[secret NAME]` for secrets, and may be shown."""

    text: str = field(repr=False)
    redacted: str = field(repr=False)
    references: tuple[Reference, ...] = ()
    _source: str = field(default="", repr=False)
    _edits: tuple[_Edit, ...] = field(default=(), repr=False)
    _shown_edits: tuple[_Edit, ...] = field(default=(), repr=False)
    _secrets: tuple[str, ...] = field(default=(), repr=False)

    def to_source(self, position: Position) -> Position:
        """The position in the source of a position in `text`; of a value, where its reference begins."""
        return self._back(position, self._text_lines, self._edits)

    def redacted_to_source(self, position: Position) -> Position:
        """The same for a position in `redacted`."""
        return self._back(position, self._redacted_lines, self._shown_edits)

    # A report has hundreds of positions, and a text thousands of lines: they are counted once.
    @cached_property
    def _source_lines(self) -> _Lines:
        return _Lines(self._source)

    @cached_property
    def _text_lines(self) -> _Lines:
        return _Lines(self.text)

    @cached_property
    def _redacted_lines(self) -> _Lines:
        return _Lines(self.redacted)

    def _back(self, position: Position, lines: _Lines, edits: tuple[_Edit, ...]) -> Position:
        index = lines.index(position)
        shift = 0
        for edit in edits:
            begins = edit.start + shift
            if index < begins:
                break
            if index < begins + len(edit.text):
                return self._source_lines.position(edit.start)
            shift += len(edit.text) - (edit.end - edit.start)
        return self._source_lines.position(min(max(index - shift, 0), len(self._source)))

    @cached_property
    def masked(self) -> Masking:
        """Takes the secrets out of a report about `text`."""
        return Masking(self._secrets)


def references(source: str) -> list[Reference]:
    """The references of a source, those in comments too. Malformed ones are left out."""
    source = source.removeprefix("\ufeff")
    lines = _Lines(source)
    return [
        Reference(match[1], lines.position(match.start()), match.start(), match.end())
        for match in _REFERENCE.finditer(source)
        if match[2] and NAME.match(match[1])
    ]


def substitute(
    source: str, declarations: Iterable[Declaration], values: Values, *, limits: Limits = DEFAULT
) -> Substituted:
    """The source with a value for each reference. Raises VariablesRefused with everything that is wrong.

    References in comments stay as they are. Every value must be declared; a declared variable need not be used.
    """
    source = source.removeprefix("\ufeff")
    declared = list(declarations)
    problems = [*_declaration_problems(declared), *_value_problems(declared, values)]
    types = {one.name: one.type for one in declared}
    known = {one.name: one.default for one in declared if one.default is not None} | dict(values)
    found = _Source(source, types, limits)
    problems.extend(found.problems)
    missing = {one.name for one in found.references if one.name in types and one.name not in known}
    problems.extend(
        VariableProblem("value_missing", {"variable": name, "type": str(types[name])}) for name in sorted(missing)
    )
    if problems:
        raise VariablesRefused(problems)
    edits = found.edits(known)
    secret_names = [name for name, type_ in types.items() if type_ is VariableType.SECRET and name in known]
    text = _applied(source, edits)
    found.check_result(text, known)
    shown = known | {name: f"[secret {name}]" for name in secret_names}
    shown_edits = found.edits(shown)
    return Substituted(
        text,
        _applied(source, shown_edits),
        tuple(found.references),
        source,
        tuple(edits),
        tuple(shown_edits),
        tuple(known[name] for name in secret_names),
    )


def _declaration_problems(declared: list[Declaration]) -> Iterable[VariableProblem]:
    seen: set[str] = set()
    for one in declared:
        told = {"variable": one.name, "type": str(one.type)}
        if not NAME.match(one.name):
            yield VariableProblem("declaration_name", told)
        if one.name in seen:
            yield VariableProblem("declaration_twice", told)
        seen.add(one.name)
        if one.default is None:
            continue
        if one.type is VariableType.SECRET:
            yield VariableProblem("declaration_default", told)
        elif (reason := value_problem(one.type, one.default)) is not None:
            yield VariableProblem("default_invalid", told | {"reason": reason})


def _value_problems(declared: list[Declaration], values: Values) -> Iterable[VariableProblem]:
    types = {one.name: one.type for one in declared}
    for name, value in values.items():
        if name not in types:
            yield VariableProblem("value_unknown", {"variable": name})
        elif (reason := value_problem(types[name], value)) is not None:
            yield VariableProblem("value_invalid", {"variable": name, "type": str(types[name]), "reason": reason})


class _Source:
    """A source and the scalars in which its references stand."""

    def __init__(self, source: str, types: Mapping[str, VariableType], limits: Limits) -> None:
        self._source = source
        self._types = types
        self._limits = limits
        self._lines = _Lines(source)
        self._in_scalars: dict[Scalar, list[Reference]] = {}
        self._scalars = Scalars([], [])
        self.references: list[Reference] = []
        self.problems: list[VariableProblem] = []
        if "${fleetui:" in source:
            try:
                self._scalars = read_scalars(source, limits)
            except (YamlFailure, Refused) as failure:
                self.problems.append(VariableProblem("source_unreadable", {"why": str(failure)}))
                return
            for match in _REFERENCE.finditer(source):
                self._take(match)

    def _take(self, match: re.Match[str]) -> None:
        position = self._lines.position(match.start())
        scalar = self._scalars.at(match.start())
        name = match[1]
        if scalar is None and self._is_comment(match.start(), position):
            return
        if not match[2] or not NAME.match(name):
            self.problems.append(VariableProblem("reference_malformed", {"reference": match[0][:80]}, position))
        elif name not in self._types:
            self.problems.append(VariableProblem("reference_undeclared", {"variable": name}, position))
        elif scalar is None or scalar.is_key or self._is_folded_plain(scalar):
            self.problems.append(VariableProblem("reference_outside_value", {"variable": name}, position))
        else:
            reference = Reference(name, position, match.start(), match.end())
            self.references.append(reference)
            self._in_scalars.setdefault(scalar, []).append(reference)

    def _is_comment(self, index: int, position: Position) -> bool:
        return bool(_COMMENT.search(self._source[index - position.column + 1 : index]))

    def _is_folded_plain(self, scalar: Scalar) -> bool:
        return not scalar.style and bool(_BREAK.search(self._source[scalar.start : scalar.end]))

    def edits(self, values: Mapping[str, str]) -> list[_Edit]:
        """What is to be replaced, in order. Raises VariablesRefused for lines where only one may stand."""
        edits: list[_Edit] = []
        for scalar, references in self._in_scalars.items():
            if scalar.style in ("'", ">"):
                self._refuse_lines(references, values)
            if scalar.style:
                edits.extend(
                    _Edit(one.start, one.end, self._within(scalar, one, values[one.name])) for one in references
                )
            else:
                edits.extend(self._plain(scalar, references, values))
        return edits

    def _refuse_lines(self, references: list[Reference], values: Mapping[str, str]) -> None:
        problems = [
            VariableProblem("value_needs_block", {"variable": one.name}, one.position)
            for one in references
            if "\n" in values[one.name]
        ]
        if problems:
            raise VariablesRefused(problems)

    def _within(self, scalar: Scalar, reference: Reference, value: str) -> str:
        if scalar.style == '"':
            return in_double_quotes(value)
        if scalar.style == "'":
            return in_single_quotes(value)
        line = self._source[reference.start - reference.position.column + 1 : reference.start]
        return _with_indent(value, line)

    def _plain(self, scalar: Scalar, references: list[Reference], values: Mapping[str, str]) -> list[_Edit]:
        """Numbers and flags stand as they are; anything else makes the scalar a quoted one."""
        whole = references[0] if (references[0].start, references[0].end) == (scalar.start, scalar.end) else None
        if whole is not None:
            value = values[whole.name]
            is_bare = self._types[whole.name] in _BARE
            return [_Edit(whole.start, whole.end, value if is_bare else f'"{in_double_quotes(value)}"')]
        edits = [_Edit(scalar.start, scalar.start, '"')]
        at = scalar.start
        for reference in (*references, None):
            end = reference.start if reference else scalar.end
            edits.extend(
                _Edit(index, index + 1, in_double_quotes(self._source[index]))
                for index in range(at, end)
                if self._source[index] in '"\\\t'
            )
            if reference:
                edits.append(_Edit(reference.start, reference.end, in_double_quotes(values[reference.name])))
                at = reference.end
        return [*edits, _Edit(scalar.end, scalar.end, '"')]

    def check_result(self, text: str, values: Mapping[str, str]) -> None:
        """Nothing but the values changed: the result is read again, and each scalar is compared."""
        if not self.references:
            return
        try:
            result = read_scalars(text, self._limits)
        except (YamlFailure, Refused):
            result = Scalars([], [])
        is_same_shape = result.shape == self._scalars.shape
        problems: list[VariableProblem] = []
        for before, after in zip(self._scalars, result, strict=False):
            used = self._in_scalars.get(before, [])
            expected = _expected(before, values) if used else before.value
            if after.value != expected:
                problems.extend(
                    VariableProblem("value_does_not_fit", {"variable": one.name}, one.position) for one in used
                )
                break
        if problems or not is_same_shape:
            raise VariablesRefused(
                problems
                or [
                    VariableProblem(
                        "value_does_not_fit", {"variable": self.references[0].name}, self.references[0].position
                    )
                ]
            )


def _expected(scalar: Scalar, values: Mapping[str, str]) -> str:
    """What a scalar of the result has to be read as."""

    def value(match: re.Match[str]) -> str:
        if scalar.style != "|":
            return values[match[1]]
        return _with_indent(
            values[match[1]], match.string[match.string.rfind("\n", 0, match.start()) + 1 : match.start()]
        )

    return _REFERENCE.sub(value, scalar.value)


def _with_indent(value: str, before: str) -> str:
    """A value in a block: its further lines begin where the line begins on which it stands.

    A line end behind the last one is left out, because that line has its own.
    """
    indent = before[: len(before) - len(before.lstrip(" "))]
    first, *rest = value.removesuffix("\n").split("\n")
    return "\n".join([first, *(indent + line if line else "" for line in rest)])


def _applied(source: str, edits: list[_Edit]) -> str:
    parts: list[str] = []
    at = 0
    for edit in edits:
        parts.extend((source[at : edit.start], edit.text))
        at = edit.end
    return "".join((*parts, source[at:]))
