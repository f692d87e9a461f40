"""What is the same in both: field by field, and the sugar that stands within one record."""

from nodes.ignition.dataurl import Encoder
from nodes.ignition.dialects import Dialect
from nodes.ignition.files import NO_DIRECTORY, FilesDirectory, LocalFailure
from nodes.ignition.paths import Path
from nodes.ignition.record import Item, Record, Value
from nodes.ignition.report import Report
from nodes.ignition.schema import RecordType, Target
from nodes.ignition.translate.merge import Translated
from nodes.ignition.translate.names import camel
from nodes.ignition.translate.sourcemap import SourceMap

# Keys that no field of the result has.
_SUGAR = frozenset(
    (
        *("variant", "version", "inline", "local", "contents_local", "ssh_authorized_keys_local"),
        *("with_mount_unit", "trees", "quadlets", "boot_device", "grub"),
    )
)
# Records that come from something as soon as anything in them does; others only when something is set.
_MAPPED_WHEN_FILLED = frozenset(
    ("Ignition", "File", "Directory", "Link", "Resource", "FileContents", "PasswdUser", "Unit", "Dropin")
)
_MAPPED_BEFORE_1_5 = frozenset(("PasswdUser", "Unit", "Dropin"))


def translate_plain(
    config: Record, dialect: Dialect, files: FilesDirectory | None, encoder: Encoder
) -> tuple[Translated, Report]:
    """The config without the sugar that makes new records."""
    return _Translation(dialect, files, encoder).run(config)


def local_text(content: bytes) -> str:
    """The content of a local file as a text of the config."""
    return content.decode("utf-8", "surrogateescape")


def read_local(files: FilesDirectory | None, local: str) -> bytes:
    """A local file, or the failure that there is no directory for it."""
    if files is None:
        raise LocalFailure(NO_DIRECTORY)
    return files.read(local)


class _Translation:
    def __init__(self, dialect: Dialect, files: FilesDirectory | None, encoder: Encoder) -> None:
        self._dialect = dialect
        self._files = files
        self._encoder = encoder
        self._sources: SourceMap = {}
        self._report = Report()
        self._mapped_when_filled = (
            _MAPPED_WHEN_FILLED if dialect.base >= 5 else _MAPPED_WHEN_FILLED - _MAPPED_BEFORE_1_5
        )

    def run(self, config: Record) -> tuple[Translated, Report]:
        result = Record(self._dialect.target.root)
        self._fields(config, result, (), ())
        ignition = result.record("ignition")
        ignition.values["version"] = self._dialect.spec.version
        result.values["ignition"] = ignition
        self._sources["ignition", "version"] = ("version",)
        self._sources["ignition",] = ("ignition",)
        return Translated(result, self._sources), self._report

    def _record(self, source: Record, type_: RecordType, origin: Path, place: Path) -> Record:
        result = Record(type_)
        before = len(self._sources)
        self._fields(source, result, origin, place)
        name = source.type.name
        if name in ("Resource", "FileContents"):
            self._embed(source, result, origin, place)
        elif name == "PasswdUser":
            self._add_local_keys(source, result, origin, place)
        elif name in ("Unit", "Dropin"):
            self._add_local_contents(source, result, origin, place)
        is_mapped = len(self._sources) > before if name in self._mapped_when_filled else not source.is_zero
        if is_mapped:
            self._sources[place] = origin
        return result

    def _fields(self, source: Record, result: Record, origin: Path, place: Path) -> None:
        for field in source.type.fields:
            if field.key in _SUGAR:
                continue
            key = camel(field.key)
            value = source.values.get(field.key)
            from_, to = (*origin, field.key), (*place, key)
            if field.target.scalar is not None and not field.target.is_optional:
                self._sources[to] = from_
                if value is not None:
                    result.values[key] = value
            elif value is not None:
                result.values[key] = self._value(value, _record_type(result.type.by_key[key].target), from_, to)

    def _value(self, value: Value, type_: RecordType | None, origin: Path, place: Path) -> Value:
        if isinstance(value, Record) and type_ is not None:
            return self._record(value, type_, origin, place)
        if isinstance(value, list):
            items: list[Item] = []
            for index, item in enumerate(value):
                if isinstance(item, Record) and type_ is not None:
                    items.append(self._record(item, type_, (*origin, index), (*place, index)))
                else:
                    self._sources[(*place, index)] = (*origin, index)
                    items.append(item)
            self._sources[place] = origin
            return items
        self._sources[place] = origin
        return value

    def _embed(self, source: Record, result: Record, origin: Path, place: Path) -> None:
        """`local` and `inline` to a data URL."""
        local, inline = source.text("local"), source.text("inline")
        if local is not None:
            try:
                content = read_local(self._files, local)
            except LocalFailure as error:
                self._report.error((*origin, "local"), str(error))
                return
            self._set_content(content, result, (*origin, "local"), place)
        if inline is not None:
            self._set_content(inline.encode("utf-8", "surrogateescape"), result, (*origin, "inline"), place)

    def _set_content(self, content: bytes, result: Record, origin: Path, place: Path) -> None:
        encoded = self._encoder.encode(content, result.text("compression"))
        result.values["source"] = encoded.url
        self._sources[(*place, "source")] = origin
        if encoded.compression is not None:
            result.values["compression"] = encoded.compression
            self._sources[(*place, "compression")] = origin

    def _add_local_keys(self, source: Record, result: Record, origin: Path, place: Path) -> None:
        names = source.texts("ssh_authorized_keys_local")
        if not names:
            return
        from_, to = (*origin, "ssh_authorized_keys_local"), (*place, "sshAuthorizedKeys")
        self._sources[to] = from_
        if self._files is None:
            self._report.error(from_, NO_DIRECTORY)
            return
        keys: list[Item] = list(result.items("sshAuthorizedKeys"))
        for index, name in enumerate(names):
            try:
                added = self._files.read_keys(name)
            except LocalFailure as error:
                self._report.error((*from_, index), str(error))
                continue
            for key in added:
                self._sources[(*to, len(keys))] = (*from_, index)
                keys.append(key)
        if keys:
            result.values["sshAuthorizedKeys"] = keys

    def _add_local_contents(self, source: Record, result: Record, origin: Path, place: Path) -> None:
        local = source.text("contents_local")
        if not local:
            return
        from_ = (*origin, "contents_local")
        try:
            content = read_local(self._files, local)
        except LocalFailure as error:
            self._report.error(from_, str(error))
            return
        result.values["contents"] = local_text(content)
        self._sources[(*place, "contents")] = from_


def _record_type(target: Target) -> RecordType | None:
    return target.element.record if target.element is not None else target.record
