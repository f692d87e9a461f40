"""What every reader gives: rows, each with the problems that were found in it."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as dataclass_field

from nodes.hosts.errors import N_ as N_

MAX_BYTES = 20 * 1024 * 1024
MAX_ROWS = 50_000
MAX_GROUPS = 2_000


TOO_MANY_HOSTS = N_("The document has more than %(limit)s hosts.")
TOO_LARGE = N_("The document is larger than %(limit)s MB.")
OPEN_QUOTE = N_("Line %(line)s has a quote that does not end.")
CLOSE_IT = N_("Close the quote.")
SPLIT = N_("Split it into several.")
USE_LIST = N_("Give the output of ansible-inventory --list.")


class Refused(ValueError):
    """The document cannot be read at all: `message` says why, `mend` what to do; both are filled from `params`."""

    def __init__(self, message: str, mend: str, **params: object) -> None:
        self.params = {key: str(value)[:100] for key, value in params.items()}
        super().__init__(message % self.params)
        self.message, self.mend = message, mend


@dataclass(frozen=True)
class Problem:
    """Why a row cannot be taken: the field, its value and the mend, which is filled from `params`."""

    field: str
    value: str
    mend: str
    params: dict[str, str] = dataclass_field(default_factory=dict)


@dataclass
class Row:
    """One host. What the document does not say is None, and stays as it is on a node that exists."""

    place: str
    name: str
    address: str | None = None
    port: int | None = None
    pool: str | None = None
    credential: str | None = None
    #: By its name here; `jump_hosts` is a way that may be none of ours.
    jump_host: str | None = None
    jump_hosts: tuple[str, ...] = ()
    os_family: str | None = None
    labels: dict[str, str] | None = None
    host_key: str | None = None
    groups: tuple[str, ...] = ()
    problems: list[Problem] = dataclass_field(default_factory=list)

    def set_port(self, text: object) -> None:
        """A port from text or a number; anything else is a problem of the row."""
        word = str(text).strip()
        if word.isascii() and word.isdigit() and len(word) < 6 and 0 < int(word) < 65536:
            self.port = int(word)
        else:
            self.problems.append(Problem("port", word[:60], N_("Give a number from 1 to 65535.")))


@dataclass(frozen=True)
class Note:
    """What the preview says of the whole document; `message` is filled from `params`."""

    message: str
    params: dict[str, str] = dataclass_field(default_factory=dict)


@dataclass
class Inventory:
    """All rows of a document, in its order, and notes on what was left out; `source` is how it was read."""

    source: str = ""
    rows: list[Row] = dataclass_field(default_factory=list)
    notes: list[Note] = dataclass_field(default_factory=list)

    def add(self, row: Row) -> None:
        if len(self.rows) >= MAX_ROWS:
            raise Refused(TOO_MANY_HOSTS, SPLIT, limit=MAX_ROWS)
        self.rows.append(row)
