"""How much a hostile or careless input may cost."""

from dataclasses import dataclass

_MIB = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """Bounds of one conversion. A host's config is a few kilobytes; the defaults leave room for embedded files.

    `rescanned_bytes` is how far a source may be scanned again where scanners differ, beyond four times its own length.
    `compression_looks` is how long bodies are compressed as Go does it: a million takes seconds. Beyond it zlib does it.
    """

    source_bytes: int = 8 * _MIB
    depth: int = 100
    values: int = 100_000
    directives: int = 100
    rescanned_bytes: int = _MIB
    mirror_devices: int = 1_000
    errors: int = 1_000
    local_file_bytes: int = 32 * _MIB
    local_total_bytes: int = 64 * _MIB
    local_keys: int = 10_000
    tree_nodes: int = 10_000
    compression_looks: int = 2_000_000


DEFAULT = Limits()


class Refused(Exception):
    """The input goes beyond a bound. The text is a sentence that says which."""
