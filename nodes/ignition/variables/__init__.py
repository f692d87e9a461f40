"""Declared, typed variables in a Butane source: `${fleetui:name}` is replaced by a value, and nothing else happens.

The form is a text of YAML as it stands, so that a source with variables can still be read by every tool. Nothing
else means it: systemd expands `${NAME}` and `%n`, shells `${name}`, Zincati `${basearch}`, Podman and Go templates
`{{name}}`, and none of them has a name with a colon in it. (A shell would take `${fleetui:...}` for a part of a
variable that is itself called fleetui.) There are no conditions, loops, filters or nested references.

A value never changes the structure of the file: it stands where a scalar stands, written as that scalar needs it.

declarations, problems = read_declarations(source)
done = substitute(source, declarations, {"hostname": "edge-01"})
done.text, done.redacted, done.to_source(Position(12, 3)), done.masked(report)
"""

from nodes.ignition.variables.declarations import read_declarations, sample_of, samples_for
from nodes.ignition.variables.model import (
    Declaration,
    Values,
    VariableProblem,
    VariablesRefused,
    VariableType,
)
from nodes.ignition.variables.substitution import Reference, Substituted, references, substitute
from nodes.ignition.variables.values import REASONS, value_problem

__all__ = [
    "REASONS",
    "Declaration",
    "Reference",
    "Substituted",
    "Values",
    "VariableProblem",
    "VariableType",
    "VariablesRefused",
    "read_declarations",
    "references",
    "sample_of",
    "samples_for",
    "substitute",
    "value_problem",
]
