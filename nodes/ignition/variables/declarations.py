"""Variables that a source declares, in comments of its own, so that it stays one file for editors, Git and the API.

# fleetui:variable NAME TYPE [= DEFAULT] [-- DESCRIPTION]
"""

import re
from collections.abc import Iterable

from nodes.ignition.report import Position
from nodes.ignition.variables.model import Declaration, VariableProblem, VariableType

#: More than any config has.
MOST_VARIABLES = 200
_LINE = re.compile(r"(?m)^[ \t]*#[ \t]*fleetui:variable\b[ \t]*(.*?)[ \t\r]*$")
_REST = re.compile(r"(\S+)[ \t]+(\S+?)(?:[ \t]*=[ \t]*(.*?))?(?:[ \t]+--[ \t]*(.*))?\Z")


def read_declarations(source: str) -> tuple[list[Declaration], list[VariableProblem]]:
    """What is declared, and what is no declaration though it begins as one."""
    found: list[Declaration] = []
    problems: list[VariableProblem] = []
    types = {one.value for one in VariableType}
    for match in _LINE.finditer(source):
        position = Position(source.count("\n", 0, match.start()) + 1, 1)
        if len(found) >= MOST_VARIABLES:
            problems.append(VariableProblem("declarations_too_many", {"limit": MOST_VARIABLES}, position))
            break
        parts = _REST.match(match[1])
        if parts is None:
            problems.append(VariableProblem("declaration_malformed", {}, position))
        elif parts[2] not in types:
            params = {"variable": parts[1][:64], "type": parts[2][:64], "types": tuple(sorted(types))}
            problems.append(VariableProblem("declaration_type", params, position))
        else:
            default, description = parts[3], (parts[4] or "").strip()[:200]
            found.append(Declaration(parts[1], VariableType(parts[2]), _unquoted(default), description))
    return found, problems


def _unquoted(default: str | None) -> str | None:
    """A default may stand in double quotes, so that it can begin or end with spaces, or be empty."""
    if default is None:
        return None
    text = default.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


#: What may stand for a value that is not known yet. Addresses are those of examples.
_SAMPLES = {
    VariableType.HOSTNAME: "hostname.example",
    VariableType.ADDRESS: "192.0.2.10/24",
    VariableType.INTEGER: "0",
    VariableType.BOOLEAN: "false",
    VariableType.SSH_KEY: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA example",
}


def sample_of(declaration: Declaration) -> str:
    """A value of the right type; of texts and secrets the reference itself."""
    return _SAMPLES.get(declaration.type, f"${{fleetui:{declaration.name}}}")


def samples_for(declarations: Iterable[Declaration]) -> dict[str, str]:
    """For each variable that has no default."""
    return {one.name: sample_of(one) for one in declarations if one.default is None}
