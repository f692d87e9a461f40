"""Whether a value is what its type says."""

import re
from collections.abc import Callable
from ipaddress import ip_interface

from nodes.ignition.sshkeys import read_key
from nodes.ignition.variables.model import VariableType

_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)\Z")
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})\Z")
_HOSTNAME_CHARACTERS, _STRING_CHARACTERS, _SECRET_CHARACTERS = 253, 4096, 65536
# What would end a line or change how it reads; tabs are text.
_CONTROL = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


def _string(value: str) -> str | None:
    if len(value) > _STRING_CHARACTERS:
        return "too_long"
    return "control_characters" if _CONTROL.search(value) else None


def _hostname(value: str) -> str | None:
    if not 0 < len(value) <= _HOSTNAME_CHARACTERS:
        return "length"
    return None if all(_LABEL.match(label) for label in value.split(".")) else "labels"


def _address(value: str) -> str | None:
    if "/" not in value:
        return "no_prefix"
    if not value.rpartition("/")[2].isdigit() or "%" in value:
        return "no_address"
    try:
        ip_interface(value)
    except ValueError:
        return "no_address"
    return None


def _integer(value: str) -> str | None:
    return None if _INTEGER.match(value) and value.isascii() else "no_integer"


def _boolean(value: str) -> str | None:
    return None if value in ("true", "false") else "no_boolean"


def _ssh_key(value: str) -> str | None:
    if _string(value):
        return _string(value)
    key = read_key(value)
    return None if key is not None and key.problem is None and value == value.strip() else "no_key"


def _secret(value: str) -> str | None:
    if not value:
        return "empty"
    if len(value) > _SECRET_CHARACTERS:
        return "too_long"
    # A secret may have lines: private keys do.
    return "control_characters" if _CONTROL.search(value.replace("\n", "")) else None


_CHECKS: dict[VariableType, Callable[[str], str | None]] = {
    VariableType.STRING: _string,
    VariableType.HOSTNAME: _hostname,
    VariableType.ADDRESS: _address,
    VariableType.INTEGER: _integer,
    VariableType.BOOLEAN: _boolean,
    VariableType.SSH_KEY: _ssh_key,
    VariableType.SECRET: _secret,
}
REASONS = (
    *("too_long", "control_characters", "length", "labels", "no_prefix", "no_address"),
    *("no_integer", "no_boolean", "no_key", "empty"),
)


def value_problem(type_: VariableType, value: str) -> str | None:
    """A word for what is wrong with a value; None when it fits."""
    return _CHECKS[type_](value)
