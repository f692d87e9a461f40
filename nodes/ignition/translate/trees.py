"""`storage.trees`: what lies in a local directory."""

from nodes.ignition.dataurl import Encoder
from nodes.ignition.dialects import Dialect
from nodes.ignition.files import NO_DIRECTORY, FilesDirectory, LocalFailure, LocalNode
from nodes.ignition.gotext import join
from nodes.ignition.paths import Path
from nodes.ignition.record import Record, Value
from nodes.ignition.report import Report
from nodes.ignition.translate.merge import Translated
from nodes.ignition.translate.nodes import EXECUTABLE_MODE, EXISTS, FILE_MODE, Nodes

_DIRECTORY_MODE = 0o755


def add_trees(
    config: Record, translated: Translated, dialect: Dialect, files: FilesDirectory | None, encoder: Encoder
) -> Report:
    """Add the files and links of the trees, behind those that the config declares."""
    report = Report()
    trees = config.record("storage").records("trees")
    if not trees:
        return report
    nodes = Nodes(translated, dialect.target.types, encoder)
    for index, tree in enumerate(trees):
        origin: Path = ("storage", "trees", index)
        if files is None:
            report.error(origin, NO_DIRECTORY)
            return report
        adding = _Adding(tree, origin, nodes, files, dialect)
        try:
            for found in files.tree(tree.string("local")):
                report.error(origin, adding.add(found))
        except LocalFailure as error:
            report.error(origin, str(error))
    return report


class _Adding:
    def __init__(self, tree: Record, origin: Path, nodes: Nodes, files: FilesDirectory, dialect: Dialect) -> None:
        self._tree = tree
        self._origin = origin
        self._nodes = nodes
        self._files = files
        self._types = dialect.target.types
        self._root = tree.text("path") or "/"

    def add(self, found: LocalNode | LocalFailure) -> str | None:
        """Add what was found; what is wrong with it."""
        if isinstance(found, LocalFailure):
            return str(found)
        path = join(self._root, found.relative)
        try:
            if found.is_directory:
                return self._add_directory(path)
            if found.is_file:
                return self._add_file(found, path)
            if found.is_link:
                return self._add_link(found, path)
        except LocalFailure as error:
            return str(error)
        return "trees may only contain files, directories, and symlinks"

    def _owner(self) -> dict[str, Value]:
        owners: dict[str, Value] = {}
        for key, type_ in (("user", "NodeUser"), ("group", "NodeGroup")):
            values = self._tree.record(key).values
            if values:
                owners[key] = Record(self._types[type_], **values)
        return owners

    def _add_directory(self, path: str) -> str | None:
        mode, owner = self._tree.number("dir_mode"), self._owner()
        if mode is None and not owner:
            return None
        if self._nodes.exists(path):
            return EXISTS
        self._nodes.add("directories", self._origin, path, mode=_DIRECTORY_MODE if mode is None else mode, **owner)
        return None

    def _add_file(self, found: LocalNode, path: str) -> str | None:
        declared = self._nodes.find("files", path)
        if declared is not None:
            index, file = declared
            if file.record("contents").text("source"):
                return EXISTS
        elif self._nodes.exists(path):
            return EXISTS
        else:
            index, file = self._nodes.add("files", self._origin, path, **self._owner())
        place, sets_compression = self._nodes.set_content(index, file, self._files.read_node(found))
        sources = self._nodes.sources
        sources[(*place, "contents", "source")] = self._origin
        if sets_compression:
            sources[(*place, "contents", "compression")] = self._origin
        sources[(*place, "contents")] = self._origin
        if file.number("mode") is None:
            mode = self._tree.number("file_mode")
            if mode is None:
                mode = EXECUTABLE_MODE if found.is_executable else FILE_MODE
            file.values["mode"] = mode
            sources[(*place, "mode")] = self._origin
        return None

    def _add_link(self, found: LocalNode, path: str) -> str | None:
        declared = self._nodes.find("links", path)
        if declared is not None:
            index, link = declared
            if link.text("target"):
                return EXISTS
        elif self._nodes.exists(path):
            return EXISTS
        else:
            index, link = self._nodes.add("links", self._origin, path, **self._owner())
        link.values["target"] = self._files.link_target(found)
        self._nodes.sources["storage", "links", index, "target"] = self._origin
        return None
