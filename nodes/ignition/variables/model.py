"""Variables of a config: what is declared, and what may be wrong with a value or a reference."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from nodes.ignition.report import Position
from nodes.ignition.said import Params

NAME = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")


class VariableType(StrEnum):
    """What a value has to be."""

    STRING = "string"
    HOSTNAME = "hostname"
    ADDRESS = "address"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    SSH_KEY = "ssh_key"
    SECRET = "secret"  # noqa: S105


@dataclass(frozen=True)
class Declaration:
    """A variable that a config may use. One without a default needs a value; a secret has no default."""

    name: str
    type: VariableType = VariableType.STRING
    default: str | None = None
    description: str = ""


@dataclass(frozen=True)
class VariableProblem:
    """Why nothing was substituted. `params` name the variable and its type, never a value.

    Codes: declaration_malformed, declaration_type, declarations_too_many, declaration_name, declaration_twice,
    declaration_default, default_invalid, value_missing, value_unknown, value_invalid (with `reason`),
    value_needs_block, value_does_not_fit, reference_malformed, reference_undeclared, reference_outside_value,
    source_unreadable.
    """

    code: str
    params: Params = field(default_factory=dict)
    position: Position | None = None


class VariablesRefused(ValueError):
    """All that is wrong with declarations, values and references."""

    def __init__(self, problems: list[VariableProblem]) -> None:
        super().__init__("; ".join(sorted({problem.code for problem in problems})))
        self.problems = problems


Values = Mapping[str, str]
