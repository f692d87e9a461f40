"""Which path of the source each path of the result came from."""

from collections.abc import Iterator

from nodes.ignition.paths import ROOT, Path
from nodes.ignition.record import Record

SourceMap = dict[Path, Path]


def paths_below(record: Record) -> Iterator[Path]:
    """The paths of all fields of a record, also of those that are not set."""
    for field in record.type.fields:
        value = record.values.get(field.key)
        if isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, Record):
                    yield from ((field.key, index, *rest) for rest in paths_below(item))
                yield (field.key, index)
        elif field.target.record is not None and (value is not None or not field.target.is_optional):
            yield from ((field.key, *rest) for rest in paths_below(record.record(field.key)))
        yield (field.key,)


def add_from_one(sources: SourceMap, origin: Path, place: Path, record: Record) -> None:
    """Let a record and all that is in it come from one path."""
    for rest in paths_below(record):
        sources[place + rest] = origin
    sources[place] = origin


def add_prefixed(sources: SourceMap, added: SourceMap, origin: Path = ROOT, place: Path = ROOT) -> None:
    """Take over a map whose paths start at `origin` and `place`."""
    for to, source in added.items():
        sources[place + to] = origin + source
