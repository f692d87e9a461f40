"""Secrets taken out of what is said about a text that holds them."""

import re
from collections.abc import Iterable

from nodes.ignition.gotext import quote
from nodes.ignition.variables.scalars import in_double_quotes

_MASK, _BUTANE_CUTS_AT, _SHORTEST_CUT, _SHORTEST_PART = "[secret]", 7, 3, 6
# Whoever reads a value in parts quotes parts of it.
_PARTS_ARE_SPLIT_AT = re.compile(r"[\s,;:=/]+")


class Masking:
    """Finds secrets in reports: whole, by line, by the parts that a reader of the value may quote, and as butane cuts values.

    What was to be found is laid out once by its first characters: a secret may have thousands of lines, and a report
    hundreds of entries.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._short: list[str] = []
        self._by_beginning: dict[str, list[str]] = {}
        for form in sorted({form for secret in secrets for form in _forms(secret)}, key=len, reverse=True):
            if len(form) < _SHORTEST_PART:
                self._short.append(form)
            else:
                self._by_beginning.setdefault(form[:_SHORTEST_PART], []).append(form)

    def __call__(self, text: str) -> str:
        """The text with `[secret]` for each stretch that secrets cover."""
        parts: list[str] = []
        at = 0
        for start, end in self._covered(text):
            parts.extend((text[at:start], _MASK))
            at = end
        return "".join((*parts, text[at:]))

    def _covered(self, text: str) -> list[tuple[int, int]]:
        """Stretches in order; those that overlap are one."""
        found = [match.span() for form in self._short for match in re.finditer(re.escape(form), text)]
        if self._by_beginning:
            for start in range(len(text) - _SHORTEST_PART + 1):
                for form in self._by_beginning.get(text[start : start + _SHORTEST_PART], ()):
                    if text.startswith(form, start):
                        found.append((start, start + len(form)))
                        break
        covered: list[tuple[int, int]] = []
        for start, end in sorted(found):
            if covered and start < covered[-1][1]:
                covered[-1] = (covered[-1][0], max(end, covered[-1][1]))
            else:
                covered.append((start, end))
        return covered


def _forms(secret: str) -> Iterable[str]:
    """The ways in which a secret may stand in a report."""
    whole = secret.strip()
    parts = [*(line.strip() for line in secret.split("\n")), *_PARTS_ARE_SPLIT_AT.split(secret)]
    for part in {whole, *(part for part in parts if len(part) >= _SHORTEST_PART)}:
        if part:
            yield from (part, quote(part)[1:-1], in_double_quotes(part))
    # Cut off behind so many bytes, of which some may be what stands before the secret.
    cut = secret.encode()[:_BUTANE_CUTS_AT].decode("utf-8", "ignore")
    yield from (f"{cut[:length]}..." for length in range(min(_SHORTEST_CUT, len(cut)), len(cut) + 1) if length)
