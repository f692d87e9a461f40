"""Choose the reader of a document, and put trusted host keys beside its rows."""

from __future__ import annotations

import re
from collections.abc import Callable

from nodes.importing.ansible import read_ini, read_list
from nodes.importing.rows import MAX_BYTES, N_, SPLIT, TOO_LARGE, Inventory, Refused
from nodes.importing.sshconfig import read_ssh_config
from nodes.importing.table import read_csv
from nodes.importing.yaml_inventory import read_yaml

SOURCES: dict[str, Callable[[str], Inventory]] = {
    "csv": read_csv,
    "ansible-ini": read_ini,
    "ansible-yaml": read_yaml,
    "ansible-list": read_list,
    "ssh-config": read_ssh_config,
}

SAVE_UTF8 = N_("Save it as UTF-8; Excel calls that CSV UTF-8.")
CHOOSE = N_("Choose a table with a column name, an Ansible inventory or an OpenSSH configuration.")
_BINARY = (
    (b"PK\x03\x04", N_("The document is an archive or a workbook, not text."), SAVE_UTF8),
    (b"\x1f\x8b", N_("The document is compressed."), N_("Unpack it first.")),
    (b"%PDF", N_("The document is a PDF, not text."), CHOOSE),
)
_YAML = re.compile(r"""["']?[\w.-]+["']?:(?:\s|$)""")
#: By their first line.
_OTHER_KINDS = (
    (re.compile(r"-----BEGIN "), N_("The document is a key or a certificate, not an inventory."), CHOOSE),
    (
        re.compile(r"\$ANSIBLE_VAULT;"),
        N_("The document is encrypted with Ansible Vault."),
        N_("Decrypt it first: ansible-vault view FILE."),
    ),
    (re.compile(r"<"), N_("The document is HTML or XML, not an inventory."), CHOOSE),
    (
        re.compile(r"(?:@\S+ )?\S+ (?:ssh-|ecdsa-|sk-)\S+ AAAA"),
        N_("The document is a known_hosts file, not an inventory."),
        N_("Give it as known_hosts, beside an inventory."),
    ),
    (re.compile(r"(?:ssh-|ecdsa-|sk-)\S+ AAAA"), N_("The document is a public key, not an inventory."), CHOOSE),
    (
        re.compile(r"[0-9a-fA-F]*[.:][0-9a-fA-F.:]+\s+[^\s=]+(?:\s+[^\s=]+)*\s*$"),
        N_("The document is a hosts file, not an inventory."),
        N_("Write a table: name,address."),
    ),
    (re.compile(r"\[\s*(?:\{|$)"), N_("The document is a JSON list, but no inventory of Ansible."), CHOOSE),
)


def decode(raw: bytes) -> str:
    """Text of an upload: UTF-8 or, with its mark, UTF-16."""
    if len(raw) > MAX_BYTES:
        raise Refused(TOO_LARGE, SPLIT, limit=MAX_BYTES // 1024 // 1024)
    for start, what, mend in _BINARY:
        if raw.startswith(start):
            raise Refused(what, mend)
    for encoding in ("utf-16",) if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig",):
        try:
            return raw.decode(encoding).replace("\0", "")
        except UnicodeDecodeError:
            break
    raise Refused(N_("The document is not UTF-8 text."), SAVE_UTF8)


def detect(text: str, filename: str = "") -> str:
    """The source that a document looks like."""
    start = text.lstrip("\ufeff \t\r\n")
    lines = [line.strip() for line in start.splitlines()[:200] if line.strip() and line.strip()[0] not in "#;"]
    first = lines[0] if lines else ""
    if start.startswith("{"):
        return "ansible-list"
    if filename.lower().endswith((".csv", ".tsv")) or first.lower().startswith("sep="):
        return "csv"
    if filename.lower().endswith((".yml", ".yaml")) or first == "---" or _YAML.match(first):
        return "ansible-yaml"
    if any(line.lower().startswith(("host ", "host\t", "host=", "match ")) for line in lines):
        return "ssh-config"
    words = {word.strip().strip('"').lower() for word in first.replace(";", ",").replace("\t", ",").split(",")}
    if "name" in words or (len(words) > 1 and words & {"address", "hostname", "node", "host"}):
        return "csv"
    if len(words) > 1 and "=" not in first and " " not in first.split(",")[0] and not first.startswith("["):
        # Commas without a header: as a table it is refused with the reason.
        return "csv"
    return "ansible-ini"


def wrong_kind(text: str) -> Refused | None:
    """What a document is that surely is no inventory, in one sentence."""
    start = text.lstrip("\ufeff \t\r\n")[:4000]
    lines = [line for line in start.splitlines() if line.strip() and not line.startswith("#")] or [""]
    for pattern, what, mend in _OTHER_KINDS:
        if pattern.match(lines[0]):
            return Refused(what, mend)
    keys = {line.partition(":")[0] for line in lines}
    if "apiVersion" in keys and "kind" in keys:
        return Refused(N_("The document is a manifest of Kubernetes, not an inventory."), CHOOSE)
    return None


def read(text: str, source: str = "", filename: str = "") -> Inventory:
    """The rows of a document; Refused when it cannot be read at all."""
    if len(text) > MAX_BYTES:
        raise Refused(TOO_LARGE, SPLIT, limit=MAX_BYTES // 1024 // 1024)
    # What Excel and our own files begin with.
    text = text.removeprefix("\ufeff")
    if not source and (wrong := wrong_kind(text)) is not None:
        raise wrong
    source = source or detect(text, filename)
    if source not in SOURCES:
        raise Refused(N_("%(text)s is not a source."), N_("Use %(known)s."), text=source, known=", ".join(SOURCES))
    inventory = SOURCES[source](text)
    inventory.source = source
    if not inventory.rows:
        raise Refused(N_("The document names no host."), N_("Check that it is the right file."))
    return inventory
