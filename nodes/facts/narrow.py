"""Nodes that answer a question about facts: by terms where the path is indexed, else by the JSON of the newest facts."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from django.db.models import BooleanField, Exists, F, Func, OuterRef, Q, QuerySet

from nodes.facts.kernel import kernel_order
from nodes.facts.paths import MAX_VALUE_CHARS, readings
from nodes.facts.query import Question
from nodes.models import Facts, FactTerm

_LOOKUPS = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}


def asked(rows: QuerySet[Any], question: Question) -> QuerySet[Any]:
    """The nodes for which the answer is yes. Nodes without facts never answer."""
    if question.operator in _LOOKUPS and question.path == "boot.kernel":
        return by_kernel(rows, _LOOKUPS[question.operator], question.value)
    if question.operator in ("!=", "absent"):
        positive = Question(question.path, "=" if question.operator == "!=" else "exists", question.value)
        return rows.filter(~_holds(positive, anti=True), facts__isnull=False)
    return rows.filter(_holds(question, anti=False))


def by_kernel(rows: QuerySet[Any], lookup: str, release: str) -> QuerySet[Any]:
    """Nodes whose kernel is older (lt) or newer (gt) than a release."""
    return rows.filter(Q(kernel_order__gt=""), **{f"kernel_order__{lookup}": kernel_order(release)})


def term(rows: QuerySet[Any], path: str, values: list[str]) -> QuerySet[Any]:
    """Nodes with any of the values at an indexed path."""
    found = FactTerm.objects.filter(path=path, value__in=[value[:MAX_VALUE_CHARS] for value in values])
    return rows.filter(pk__in=found.values("node"))


def at_least(rows: QuerySet[Any], path: str, number: int) -> QuerySet[Any]:
    return rows.filter(pk__in=FactTerm.objects.filter(path=path, number__gte=number).values("node"))


def _holds(question: Question, *, anti: bool) -> Any:
    if not question.is_indexed:
        documents = Facts.objects.order_by().filter(_In(F("document"), question))
        return Exists(documents.filter(pk=OuterRef("facts_id")))
    terms = FactTerm.objects.filter(path=question.path)
    if question.operator == "=":
        terms = terms.filter(value=question.value[:MAX_VALUE_CHARS])
    elif question.operator == "~":
        terms = terms.filter(value__icontains=question.value)
    elif question.operator in _LOOKUPS:
        terms = terms.filter(**{f"number__{_LOOKUPS[question.operator]}": question.number})
    # A list of ids lets the database start from the terms; "none of them" starts from the nodes.
    return Exists(terms.filter(node=OuterRef("pk"))) if anti else Q(pk__in=terms.values("node"))


class _In(Func):
    """Whether a document answers a question. Paths and values are parameters of the statement, never part of it."""

    output_field = BooleanField()

    def __init__(self, document: Any, question: Question) -> None:
        super().__init__(document)
        self.question = question

    def as_postgresql(self, compiler: Any, connection: Any, **_context: Any) -> tuple[str, list[Any]]:
        document, params = compiler.compile(self.source_expressions[0])
        test, given = _jsonpath(self.question)
        sql, values = [], []
        for steps in readings(self.question.path):
            path = "$" + "".join(f".{json.dumps(name)}" for name in steps) + "[*]"
            sql.append(f"jsonb_path_exists({document}, %s::jsonpath, %s::jsonb)")
            values += [*params, f"{path} ? ({test})", given]
        return f"({' OR '.join(sql)})", values

    def as_sqlite(self, compiler: Any, connection: Any, **_context: Any) -> tuple[str, tuple[Any, ...]]:
        document, params = compiler.compile(self.source_expressions[0])
        test, given = _sqlite(self.question)
        text = "CASE type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' ELSE CAST(atom AS TEXT) END"
        sql, values = [], []
        for steps in readings(self.question.path):
            # Only the section is walked, and GLOB, which is native, leaves few keys to the regular expression in Python.
            where = f"fullkey GLOB %s AND fullkey REGEXP %s AND {test.replace('TEXT_OF', text)}"
            # The document is a column and the test one of a few texts of ours; what a person wrote is a parameter.
            sql.append(f"EXISTS (SELECT 1 FROM json_tree({document}, %s) WHERE {where})")  # noqa: S608
            parts = (rf'\.(?:{re.escape(name)}|"{re.escape(name)}")(?:\[[0-9]+\])*' for name in steps)
            glob = "".join(f"*{name}" for name in steps)
            values += [*params, f"$.{steps[0]}", f"{glob}*", rf"^\${''.join(parts)}$", *given]
        return f"({' OR '.join(sql)})", tuple(values)


def _jsonpath(question: Question) -> tuple[str, str]:
    """The test on one value, and its variables."""
    value = question.value
    if question.operator == "exists":
        scalar = '@.type() == "number" || @.type() == "boolean" || (@.type() == "string" && @ != "")'
        return f'{scalar} || (@.type() == "object" && exists(@.*))', "{}"
    if question.operator == "~":
        return f'@ like_regex {json.dumps(value)} flag "iq"', "{}"
    if question.operator in _LOOKUPS:
        return f"@ {question.operator} $v", json.dumps({"v": question.number})
    return "@ == $v || @ == $w", json.dumps({"v": value, "w": _as_json(value)})


def _as_json(value: str) -> Any:
    """Numbers and flags as they stand in a document."""
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return value
    if isinstance(found, float):
        return found if math.isfinite(found) else value
    is_plain = isinstance(found, bool) or (isinstance(found, int) and abs(found) < 2**63)
    return found if is_plain else value


def _sqlite(question: Question) -> tuple[str, list[Any]]:
    if question.operator == "exists":
        return "((atom IS NOT NULL AND atom <> '') OR (type = 'object' AND value <> '{}'))", []
    if question.operator == "~":
        return "(type = 'text' AND instr(lower(atom), lower(%s)) > 0)", [question.value]
    if question.operator in _LOOKUPS:
        return f"(type IN ('integer', 'real') AND atom {question.operator} %s)", [question.number]
    return "TEXT_OF = %s", [question.value]
