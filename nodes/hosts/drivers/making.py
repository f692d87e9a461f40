"""How drivers make commands of kinds and parameters: unknown kinds, unknown parameters and odd values are refused."""

import re
from collections.abc import Callable, Mapping

from nodes.hosts.drivers.base import Command, CommandRefused

#: Takes its parameters out of what is given.
Maker = Callable[[dict[str, object]], Command]


def made(host: str, makers: Mapping[str, Maker], kind: str, params: Mapping[str, object]) -> Command:
    """The argument list of one kind of command; raises CommandRefused. `host` begins the sentence: "A Flatcar host"."""
    maker = makers.get(kind)
    if maker is None:
        raise CommandRefused(f"{host} has no command {kind}.")
    left = dict(params)
    command = maker(left)
    if left:
        raise CommandRefused(f"The command {kind} has no parameter {', '.join(sorted(left))}.")
    return command


def text(params: dict[str, object], name: str, pattern: re.Pattern[str]) -> str | None:
    """Take one parameter that matches the whole pattern; None when it is not there."""
    value = params.pop(name, None)
    if value is None:
        return None
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise CommandRefused(f"The parameter {name} does not have the expected form.")
    return value
