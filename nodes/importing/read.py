"""Choose the reader of a document, and put trusted host keys beside its rows."""

from __future__ import annotations

from collections.abc import Callable

from nodes.importing.ansible import read_ini, read_list, read_yaml
from nodes.importing.rows import MAX_BYTES, N_, SPLIT, TOO_LARGE, Inventory, Refused
from nodes.importing.sshconfig import read_ssh_config
from nodes.importing.table import read_csv

SOURCES: dict[str, Callable[[str], Inventory]] = {
    "csv": read_csv,
    "ansible-ini": read_ini,
    "ansible-yaml": read_yaml,
    "ansible-list": read_list,
    "ssh-config": read_ssh_config,
}


def decode(raw: bytes) -> str:
    """Text of an upload: UTF-8 or, with its mark, UTF-16."""
    if len(raw) > MAX_BYTES:
        raise Refused(TOO_LARGE, SPLIT, limit=MAX_BYTES // 1024 // 1024)
    for encoding in ("utf-16",) if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig",):
        try:
            return raw.decode(encoding).replace("\0", "")
        except UnicodeDecodeError:
            break
    raise Refused(N_("The document is not text."), N_("Save it as UTF-8."))


def detect(text: str, filename: str = "") -> str:
    """The source that a document looks like."""
    start = text.lstrip()
    lines = [line.strip() for line in start.splitlines()[:200] if line.strip() and line.strip()[0] not in "#;"]
    first = lines[0] if lines else ""
    if start.startswith("{"):
        return "ansible-list"
    if filename.lower().endswith((".csv", ".tsv")):
        return "csv"
    if filename.lower().endswith((".yml", ".yaml")) or first == "---" or (first.endswith(":") and " " not in first):
        return "ansible-yaml"
    if any(line.lower().startswith(("host ", "host\t", "host=", "match ")) for line in lines):
        return "ssh-config"
    words = {word.strip().strip('"').lower() for word in first.replace(";", ",").replace("\t", ",").split(",")}
    if "name" in words or (len(words) > 1 and words & {"address", "hostname", "node", "host"}):
        return "csv"
    return "ansible-ini"


def read(text: str, source: str = "", filename: str = "") -> Inventory:
    """The rows of a document; Refused when it cannot be read at all."""
    if len(text) > MAX_BYTES:
        raise Refused(TOO_LARGE, SPLIT, limit=MAX_BYTES // 1024 // 1024)
    source = source or detect(text, filename)
    if source not in SOURCES:
        raise Refused(N_("%(text)s is not a source."), N_("Use %(known)s."), text=source, known=", ".join(SOURCES))
    inventory = SOURCES[source](text)
    if not inventory.rows:
        raise Refused(N_("The document names no host."), N_("Check that it is the right file."))
    return inventory
