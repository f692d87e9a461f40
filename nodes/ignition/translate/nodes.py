"""The files, directories and links of a config by path, to which sugar adds."""

from nodes.ignition.dataurl import Encoder
from nodes.ignition.paths import Path
from nodes.ignition.record import Record, Value
from nodes.ignition.schema import RecordType
from nodes.ignition.translate.merge import Translated
from nodes.ignition.translate.sourcemap import SourceMap, add_from_one

EXISTS = "matching filesystem node has existing contents or different type"
FILE_MODE, EXECUTABLE_MODE = 0o644, 0o755
_LISTS = {"files": "File", "directories": "Directory", "links": "Link"}


class Nodes:
    """Finds and adds nodes."""

    def __init__(self, translated: Translated, types: dict[str, RecordType], encoder: Encoder) -> None:
        self._encoder = encoder
        self._types = types
        self.sources: SourceMap = translated.sources
        storage = translated.config.record("storage")
        translated.config.values["storage"] = storage
        self._storage = storage
        self._by_path: dict[str, dict[str, int]] = {
            key: {node.string("path"): index for index, node in enumerate(storage.records(key))} for key in _LISTS
        }

    def exists(self, path: str) -> bool:
        return any(path in paths for paths in self._by_path.values())

    def find(self, key: str, path: str) -> tuple[int, Record] | None:
        """Index and node of a path in one of the lists."""
        index = self._by_path[key].get(path)
        if index is None:
            return None
        node = self._storage.items(key)[index]
        return (index, node) if isinstance(node, Record) else None

    def add(self, key: str, origin: Path, path: str, **values: Value) -> tuple[int, Record]:
        """A new node that comes from the origin."""
        node = Record(self._types[_LISTS[key]], path=path, **values)
        items = self._storage.values.setdefault(key, [])
        if not isinstance(items, list):
            raise TypeError(f"storage.{key} is no list")
        index = len(items)
        items.append(node)
        self._by_path[key][path] = index
        add_from_one(self.sources, origin, ("storage", key, index), node)
        if index == 0:
            self.sources["storage", key] = origin
        return index, node

    def set_content(self, index: int, file: Record, content: bytes) -> tuple[Path, bool]:
        """Put content into a file; its path in the result, and whether its compression was set."""
        contents = file.record("contents")
        file.values["contents"] = contents
        encoded = self._encoder.encode(content, contents.text("compression"))
        contents.values["source"] = encoded.url
        if encoded.compression is not None:
            contents.values["compression"] = encoded.compression
        return ("storage", "files", index), encoded.compression is not None
