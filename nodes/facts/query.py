"""Questions about facts, such as `network.interfaces.driver=ixgbe`: text in, a question or a reason out. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from django.utils.translation import gettext as _

from nodes.facts.kernel import kernel_order
from nodes.facts.paths import INDEXED, is_known, near

Operator = Literal["=", "!=", "~", "<", "<=", ">", ">=", "exists", "absent"]
OPERATORS: tuple[Operator, ...] = ("=", "!=", "~", "<", "<=", ">", ">=", "exists", "absent")
MAX_QUESTION_CHARS = 300
_PATH = r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*"
_WITH_VALUE = re.compile(rf"^\s*({_PATH})\s*(!=|<=|>=|=|~|<|>)(.*)\Z", re.DOTALL)
_WITHOUT_VALUE = re.compile(rf"^\s*({_PATH})(?:\s+(exists|absent))?\s*\Z")
_SIZE = re.compile(r"^(-?[0-9]{1,19}(?:\.[0-9]{1,9})?)\s*(?:([KMGT])i?B?)?\Z", re.IGNORECASE)
_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_LARGEST = 2**62


class NotAQuestion(ValueError):
    """What is wrong with a question, and how to mend it."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message)
        self.message, self.mend = message, mend


@dataclass(frozen=True)
class Question:
    """`number` is set where the operator compares by size; for kernels `value` then holds their sortable form."""

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
        return _compared(_path(match[1]), match[2], match[3].strip())  # type: ignore[arg-type]
    if match := _WITHOUT_VALUE.match(text):
        return Question(_path(match[1]), match[2] or "exists")  # type: ignore[arg-type]
    raise NotAQuestion(
        _("%(value)r is not a question about facts.") % {"value": text[:100]},
        _("Write it like network.interfaces.driver=ixgbe or kubernetes.kubelet_version exists."),
    )


def _path(path: str) -> str:
    if is_known(path):
        return path
    meant = near(path)
    mend = (
        _("Did you mean %(paths)s?") % {"paths": ", ".join(meant)}
        if meant
        else _("GET /api/v1/facts/paths/ lists the paths.")
    )
    raise NotAQuestion(_("Facts have no path %(path)s.") % {"path": path}, mend)


def _compared(path: str, operator: Operator, value: str) -> Question:
    if not value:
        raise NotAQuestion(
            _("The question about %(path)s has no value.") % {"path": path},
            _("Give a value, or ask for %(path)s exists or %(path)s absent.") % {"path": path},
        )
    if operator not in ("<", "<=", ">", ">="):
        return Question(path, operator, value)
    if path == "boot.kernel":
        if not kernel_order(value):
            raise NotAQuestion(
                _("%(value)r is not a kernel release.") % {"value": value}, _("Write it like 6.11 or 6.11.5-300.")
            )
        return Question(path, operator, value)
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
