"""Sentences as codes with parameters: what reads a config says them, what shows them words them in a language."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Param = str | int | tuple[str, ...]
Params = Mapping[str, Param]


@dataclass(frozen=True)
class Said:
    """One sentence. Parameters are names, paths, numbers and addresses, never content of files or secrets."""

    code: str
    params: Params = field(default_factory=dict)


def said(code: str, **params: Param | None) -> Said:
    """A sentence with the parameters that are known."""
    return Said(code, {name: value for name, value in params.items() if value is not None})
