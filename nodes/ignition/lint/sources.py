"""What is fetched at first boot."""

from collections.abc import Iterator

from nodes.ignition.contents import shown_url
from nodes.ignition.lint.model import Found, Rule, Severity, Subject, example
from nodes.ignition.paths import Path
from nodes.ignition.record import Record

_HASH = "sha256-" + "0123456789abcdef" * 4
_RESOURCES = ("Resource", "FileContents", "ConfigReference", "CaReference")
_REMOTE = ("http://", "https://", "tftp://", "s3://", "gs://", "arn:")
_PLAIN = ("http://", "tftp://")


def _remote(subject: Subject) -> Iterator[tuple[Path, Record, str]]:
    """Every resource that is fetched, with its path and URL."""
    pending: list[tuple[Path, Record]] = [((), subject.config)]
    while pending:
        path, record = pending.pop(0)
        source = record.text("source") if record.type.name in _RESOURCES else None
        if source and source.lower().startswith(_REMOTE):
            yield path, record, source
        for key, value in record.values.items():
            if isinstance(value, Record):
                pending.append(((*path, key), value))
            elif isinstance(value, list):
                pending.extend(((*path, key, n), one) for n, one in enumerate(value) if isinstance(one, Record))


def _no_hash(subject: Subject) -> Iterator[Found]:
    for path, record, source in _remote(subject):
        if record.record("verification").text("hash") is None:
            yield Found((*path, "source"), {"url": shown_url(source)})


def _plain(subject: Subject) -> Iterator[Found]:
    for path, _, source in _remote(subject):
        if source.lower().startswith(_PLAIN):
            yield Found((*path, "source"), {"url": shown_url(source), "scheme": source.partition(":")[0].lower()})


def _secret_in_url(subject: Subject) -> Iterator[Found]:
    for path, record, source in _remote(subject):
        authority = source.partition("://")[2].partition("/")[0]
        if "@" in authority and ":" in authority.rpartition("@")[0]:
            yield Found((*path, "source"), {"url": shown_url(source)})
        for number, header in enumerate(record.records("httpHeaders")):
            if header.string("name").lower() in ("authorization", "x-api-key", "private-token"):
                yield Found((*path, "httpHeaders", number), {"url": shown_url(source), "header": header.string("name")})


def _fetched(url: str, more: str = "") -> str:
    return example(
        f"storage:\n  files:\n    - path: /var/lib/app/seed.tar\n      contents:\n        source: {url}\n{more}"
    )


_VERIFIED = f"        verification:\n          hash: {_HASH}\n"
RULES = (
    Rule(
        "source-no-hash",
        Severity.WARNING,
        _no_hash,
        _fetched("https://files.example.com/seed.tar", _VERIFIED),
        _fetched("https://files.example.com/seed.tar"),
    ),
    Rule(
        "source-http",
        Severity.WARNING,
        _plain,
        _fetched("https://files.example.com/seed.tar", _VERIFIED),
        _fetched("http://files.example.com/seed.tar", _VERIFIED),
    ),
    Rule(
        "source-secret",
        Severity.WARNING,
        _secret_in_url,
        _fetched("https://files.example.com/seed.tar", _VERIFIED),
        _fetched("https://user:word@files.example.com/seed.tar", _VERIFIED),
    ),
)
