"""Which machine it is that fetches with the token of a pool: by the id that it gives, else by its address. Pure."""

from __future__ import annotations

import re

#: What firmware and boot loaders say where nobody filled an id in: many machines share it.
_NOBODY = re.compile(
    r"0+|f+|none|null|unknown|default|machine-?id|to be filled.*|not (settable|specified|available|present).*|"
    r"123456789|0123456789.*|03000200040005000006000700080009|system serial number|chassis serial number",
    re.IGNORECASE,
)
_HEX = re.compile(r"[0-9a-fA-F]{12,32}")
_ID_CHARS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{3,99}")
_KEPT = 20


def checked_id(text: str) -> str | None:
    """The id in one spelling; None where it is none, or one that many machines share."""
    found = text.strip()
    if not _ID_CHARS.fullmatch(found):
        return None
    plain = re.sub(r"[:.-]", "", found)
    if _NOBODY.fullmatch(plain) or _NOBODY.fullmatch(found):
        return None
    # UUIDs and MAC addresses are spelled in many ways.
    return plain.lower() if _HEX.fullmatch(plain) else found


def name_part(instance: str) -> str:
    """What stands for the machine in its name: the end of a UUID or MAC address, else the end of its id or its address."""
    kind, _colon, value = instance.partition(":")
    if kind == "id" and _HEX.fullmatch(value):
        return value[-12:]
    return re.sub(r"[^a-z0-9]+", "-", value.lower())[-_KEPT if kind == "id" else -60 :].strip("-") or "machine"
