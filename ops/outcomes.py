"""What a step says when it has looked, and perhaps done one thing. Pure.

Reasons are codes with parameters; ops.wording has the sentence of each. `memory` is what later steps have to know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

Params: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Done:
    """The step has nothing left to do. `skip_to` names another step to go on with; `finish` ends the operation well, with this result."""

    reason: str = ""
    params: Params = field(default_factory=dict)
    memory: Params = field(default_factory=dict)
    skip_to: str = ""
    finish: bool = False


@dataclass(frozen=True)
class Wait:
    """Look again at `until`. `reason` says what it waits for; `since` starts anew when the reason changes."""

    until: datetime
    reason: str
    params: Params = field(default_factory=dict)
    memory: Params = field(default_factory=dict)


@dataclass(frozen=True)
class Fail:
    """It cannot go on. `again` allows another attempt of the step; `attention` leaves the rest to a person."""

    reason: str
    params: Params = field(default_factory=dict)
    memory: Params = field(default_factory=dict)
    again: bool = False
    attention: bool = False


Outcome: TypeAlias = Done | Wait | Fail
