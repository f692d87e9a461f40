"""Where the values of a YAML text stand, and how a text is written into one without changing what is around it."""

import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from nodes.ignition.limits import Limits, Refused
from nodes.ignition.source.failure import YamlFailure

_Loader: Any = getattr(yaml, "CLoader", yaml.Loader)
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")
_COLLECTIONS = (yaml.MappingStartEvent, yaml.SequenceStartEvent)


@dataclass(frozen=True, slots=True)
class Scalar:
    """A scalar of the text, from `start` to `end`. `style` is '', ', ", | or >."""

    start: int
    end: int
    style: str
    value: str
    is_key: bool


class Scalars:
    """The scalars of a text, and what stands between them."""

    def __init__(self, scalars: list[Scalar], shape: list[str]) -> None:
        self._scalars = scalars
        self.shape = shape
        self._starts = [scalar.start for scalar in scalars]

    def __iter__(self) -> Iterator[Scalar]:
        return iter(self._scalars)

    def at(self, index: int) -> Scalar | None:
        """The scalar in which a character stands; None in comments and between scalars."""
        place = bisect_right(self._starts, index) - 1
        if place < 0:
            return None
        scalar = self._scalars[place]
        return scalar if index < scalar.end else None


def read_scalars(text: str, limits: Limits) -> Scalars:
    """All scalars. Raises YamlFailure or Refused for what cannot be read."""
    if len(text) > limits.source_bytes:
        raise Refused(f"the config is longer than {limits.source_bytes} bytes")
    loader = _Loader(text)
    scalars: list[Scalar] = []
    shape: list[str] = []
    # For each open collection: whether a key is next; None in lists.
    open_: list[bool | None] = []
    count = 0
    try:
        while (event := loader.get_event()) is not None:
            count += 1
            if count > 2 * limits.values:
                raise Refused(f"the config has more than {limits.values} values")
            is_key = bool(open_) and open_[-1] is True
            if isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                open_.pop()
                shape.append("end")
                continue
            if isinstance(event, yaml.ScalarEvent) and event.start_mark and event.end_mark:
                start, end = _behind_properties(text, event.start_mark.index), event.end_mark.index
                scalars.append(Scalar(start, end, event.style or "", event.value, is_key))
                shape.append("scalar")
            elif isinstance(event, (*_COLLECTIONS, yaml.AliasEvent)):
                shape.append(type(event).__name__)
            else:
                continue
            if open_ and open_[-1] is not None:
                open_[-1] = not open_[-1]
            if isinstance(event, _COLLECTIONS):
                open_.append(True if isinstance(event, yaml.MappingStartEvent) else None)
                if len(open_) > limits.depth:
                    raise Refused(f"the config is nested more than {limits.depth} levels deep")
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise YamlFailure(f"{where}{getattr(error, 'problem', None) or error}") from error
    finally:
        loader.dispose()
    return Scalars(scalars, shape)


def _behind_properties(text: str, start: int) -> int:
    """Where a scalar begins behind its anchor and tag."""
    match = _PROPERTIES.match(text, start)
    return match.end() if match else start


def in_double_quotes(value: str) -> str:
    """The text within double quotes."""
    return json.dumps(value, ensure_ascii=False)[1:-1]


def in_single_quotes(value: str) -> str:
    return value.replace("'", "''")
