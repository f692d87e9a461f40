"""What a host printed, section by section, and why a part of it was not understood."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from fleetui.access.guards import needs
from nodes.hosts.probe import read_frames
from nodes.models import Facts, Node
from nodes.views.subject import visible_node
from nodes.wording import unread_word

_FRAME = re.compile(rb"@@FLEETUI ([A-Za-z0-9]{8,64}) ")
#: A page shows this much of a section; the download has all of it.
SHOWN_CHARACTERS = 20_000
MAX_RAW_BYTES = 16 * 1024 * 1024


def raw_output(node: Node) -> bytes:
    """The last output that changed the facts, as the host printed it."""
    stored = Facts.objects.filter(pk=node.facts_id).values_list("raw", flat=True).first() if node.facts_id else None
    if not stored:
        return b""
    try:
        return zlib.decompressobj().decompress(bytes(stored), MAX_RAW_BYTES)
    except zlib.error:
        return b""


def sections_of(node: Node, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Sections of the stored output, and what could not be read, which also stands without any output."""
    output = raw_output(node)
    nonce = _FRAME.search(output)
    frames = read_frames(output, nonce[1].decode()) if nonce else None
    unread = [{**one, "word": unread_word(str(one.get("reason", "")))} for one in facts.get("unread") or []]
    by_name = {one.get("section"): one for one in unread}
    sections = [
        {
            "name": name,
            "exit_status": section.exit_status,
            "text": section.stdout[:SHOWN_CHARACTERS],
            "stderr": section.stderr[:SHOWN_CHARACTERS],
            "size_bytes": len(section.stdout_raw),
            "is_cut": section.cut,
            "is_shortened": len(section.stdout) > SHOWN_CHARACTERS,
            "unread": by_name.get(name),
        }
        for name, section in (frames.sections.items() if frames else ())
    ]
    sections.sort(key=lambda one: one["unread"] is None)
    return {
        "sections": sections,
        "unread": unread,
        "raw_size_bytes": len(output),
        "raw_problem": frames.problem if frames else "",
        "loose_text": "" if frames or not output else output.decode("utf-8", "replace")[:SHOWN_CHARACTERS],
    }


@require_safe
@needs("nodes.read")
def download(request: HttpRequest, name: str) -> HttpResponse:
    """The stored output as a file; never shown by the browser, whatever it holds."""
    node = visible_node(request, name)
    output = raw_output(node)
    if not output:
        raise Http404(name)
    response = HttpResponse(output, content_type="application/octet-stream")
    response["Content-Disposition"] = f'attachment; filename="{node.name}.txt"'
    response["X-Content-Type-Options"] = "nosniff"
    return response
