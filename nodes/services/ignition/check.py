"""A source looked at: what it becomes, and what is found in it. Nothing is stored here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from fleetui.core.errors import InvalidInput
from fleetui.core.text import clean
from nodes.ignition.butane import Conversion, convert
from nodes.ignition.limits import Limits
from nodes.ignition.paths import path_text
from nodes.ignition.report import Entry
from nodes.services.ignition.embedded import MOST_FILES_BYTES, Files, laid_out

MOST_SOURCE_BYTES = 1024 * 1024
#: More findings than anybody reads.
MOST_FINDINGS = 500
#: Tighter than those of the command line: these come over the network, and many may come at once.
LIMITS = Limits(
    source_bytes=MOST_SOURCE_BYTES,
    values=50_000,
    errors=MOST_FINDINGS,
    local_file_bytes=MOST_FILES_BYTES,
    local_total_bytes=2 * MOST_FILES_BYTES,
    tree_nodes=2_000,
)


@dataclass(frozen=True)
class Checked:
    """What became of a source. Without a failure there is a rendering; findings may be there either way."""

    rendered: str
    failure: str
    findings: list[dict[str, Any]]

    @property
    def is_valid(self) -> bool:
        return not self.failure

    @property
    def sha512(self) -> str:
        """In Ignition's own form; empty when there is no rendering."""
        return ignition_hash(self.rendered) if self.rendered else ""

    def count(self, kind: str) -> int:
        return sum(finding["kind"] == kind for finding in self.findings)


def ignition_hash(rendered: str) -> str:
    """As `verification.hash` of Ignition writes it."""
    return f"sha512-{hashlib.sha512(rendered.encode()).hexdigest()}"


def checked_source(source: str) -> str:
    """The text with line ends of one kind, if it can be kept."""
    try:
        size = len(source.encode())
    except UnicodeEncodeError as error:
        raise _refused(_("It holds bytes that are no text. Save it as UTF-8.")) from error
    if size > MOST_SOURCE_BYTES:
        raise InvalidInput(
            _("The source has %(size)s bytes.") % {"size": f"{size:,}"},
            field="source",
            value=size,
            mend=_("Give at most %(limit)s, and keep large contents in files beside it.")
            % {"limit": f"{MOST_SOURCE_BYTES:,}"},
        )
    if "\0" in source:
        raise _refused(_("It holds a NUL character. Take it out."))
    return source.replace("\r\n", "\n")


def _refused(mend: str) -> InvalidInput:
    return InvalidInput(_("The source cannot be used."), field="source", mend=mend)


def check(source: str, files: Files | None = None) -> Checked:
    """Convert a source as it was checked, with its files."""
    with laid_out(files or {}, LIMITS) as directory:
        conversion = convert(source, files=directory, limits=LIMITS)
    return Checked(conversion.output or "", clean(conversion.error or ""), findings_of(conversion))


def findings_of(conversion: Conversion) -> list[dict[str, Any]]:
    """What the translator found, in the order of the source."""
    found = [_finding(entry) for entry in conversion.report.entries[:MOST_FINDINGS]]
    return sorted(found, key=lambda one: (one["line"] or 0, one["column"] or 0))


def _finding(entry: Entry) -> dict[str, Any]:
    line, column = entry.position or (None, None)
    return {
        "kind": str(entry.kind),
        "message": clean(entry.message)[:1000],
        "path": clean(path_text(entry.path))[:500] if entry.path else "",
        "line": line,
        "column": column,
    }
