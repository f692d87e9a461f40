"""Questions about facts, such as `network.interfaces.driver=ixgbe`: text in, a question or a reason out. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from django.utils.translation import gettext as _

from nodes.facts.kernel import kernel_order
from nodes.facts.paths import INDEXED, kind_of, near

Operator = Literal["=", "!=", "~", "<", "<=", ">", ">=", "exists", "absent"]
OPERATORS: tuple[Operator, ...] = ("=", "!=", "~", "<", "<=", ">", ">=", "exists", "absent")
MAX_QUESTION_CHARS = 300
_PATH = r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_/-]+)*"
_WITH_VALUE = re.compile(rf"^\s*({_PATH})\s*(!=|<=|>=|=|~|<|>)(.*)\Z", re.DOTALL)
_WITHOUT_VALUE = re.compile(rf"^\s*({_PATH})(?:\s+(exists|absent))?\s*\Z")
_SIZE = re.compile(r"^(-?[0-9]{1,19}(?:\.[0-9]{1,9})?)\s*(?:([KMGT])i?B?)?\Z", re.IGNORECASE)
_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_LARGEST = 2**62


def operators_of(path: str) -> tuple[Operator, ...]:
    """The operators that make sense at a path."""
    kind = kind_of(path)
    by_text = kind in ("text", "any")
    by_size = kind in ("number", "any") or path == "boot.kernel"
    return tuple(one for one in OPERATORS if (by_text or one != "~") and (by_size or one[0] not in "<>"))


class NotAQuestion(ValueError):
    """What is wrong with a question, and how to mend it."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message)
        self.message, self.mend = message, mend


@dataclass(frozen=True)
class Question:
    """`number` is set where the operator compares by size, except of kernels."""

    path: str
    operator: Operator
    value: str = ""
    number: int | None = None

    @property
    def is_indexed(self) -> bool:
        return self.path in INDEXED

    @property
    def text(self) -> str:
        """The question as it is written in an address."""
        if self.operator in ("exists", "absent"):
            return f"{self.path} {self.operator}"
        return f"{self.path}{self.operator}{self.value}"


def parse(text: str) -> Question:
    """The question that a text asks; raises NotAQuestion."""
    if len(text) > MAX_QUESTION_CHARS or "\0" in text:
        raise NotAQuestion(
            _("This question about facts is too long or holds a NUL character."),
            _("Give at most %(limit)s characters.") % {"limit": MAX_QUESTION_CHARS},
        )
    if match := _WITH_VALUE.match(text):
        return _compared(known_path(match[1]), match[2], match[3].strip())  # type: ignore[arg-type]
    if match := _WITHOUT_VALUE.match(text):
        return Question(known_path(match[1]), match[2] or "exists")  # type: ignore[arg-type]
    raise NotAQuestion(
        _("%(value)r is not a question about facts.") % {"value": text[:100]},
        _("Write it like network.interfaces.driver=ixgbe or kubernetes.kubelet_version exists."),
    )


def known_path(path: str) -> str:
    """The path itself; raises NotAQuestion when facts have no such path."""
    if len(path) <= MAX_QUESTION_CHARS and re.fullmatch(_PATH, path) and kind_of(path):
        return path
    meant = near(path[:MAX_QUESTION_CHARS])
    mend = (
        _("Did you mean %(paths)s?") % {"paths": ", ".join(meant)}
        if meant
        else _("Every path is listed at /api/v1/facts/paths/.")
    )
    raise NotAQuestion(_("Facts have no path %(path)s.") % {"path": path[:100]}, mend)


def _compared(path: str, operator: Operator, value: str) -> Question:
    if not value:
        raise NotAQuestion(
            _("The question about %(path)s has no value.") % {"path": path},
            _("Give a value, or ask for %(path)s exists or %(path)s absent.") % {"path": path},
        )
    kind = kind_of(path)
    if operator in ("<", "<=", ">", ">="):
        return _ordered(path, operator, value)
    if kind == "flag" and value not in ("true", "false"):
        raise NotAQuestion(
            _("%(path)s is true or false, and not %(value)r.") % {"path": path, "value": value},
            _("Write %(path)s=true or %(path)s=false.") % {"path": path},
        )
    if operator == "~" and kind in ("number", "flag"):
        raise NotAQuestion(
            _("%(path)s holds no text that could contain something.") % {"path": path}, _("Compare it with = or !=.")
        )
    return Question(path, operator, str(number_of(value)) if kind == "number" else value)


def _ordered(path: str, operator: Operator, value: str) -> Question:
    if path == "boot.kernel":
        if not kernel_order(value):
            raise NotAQuestion(
                _("%(value)r is not a kernel release.") % {"value": value}, _("Write it like 6.11 or 6.11.5-300.")
            )
        return Question(path, operator, value)
    if kind_of(path) in ("text", "flag"):
        raise NotAQuestion(
            _("%(path)s holds no numbers that could be compared by size.") % {"path": path},
            _("Use =, != or ~ (contains). Kernels are compared at boot.kernel."),
        )
    return Question(path, operator, value, number_of(value))


def number_of(text: str) -> int:
    """A whole number, perhaps with a unit: 8, 64GiB, 1.5T (units of 1024); raises NotAQuestion."""
    match = _SIZE.match(text.strip())
    number = float(match[1]) * _UNITS[(match[2] or "").lower()] if match else 0.0
    if not match or abs(number) > _LARGEST:
        raise NotAQuestion(
            _("%(value)r is not a number that can be compared.") % {"value": text},
            _("Write it like 8 or 64GiB; for texts use =, != or ~."),
        )
    whole = "." not in match[1]
    return int(match[1]) * _UNITS[(match[2] or "").lower()] if whole else round(number)
