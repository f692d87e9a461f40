"""Files, directories and links of a config."""

from dataclasses import replace

from nodes.ignition.contents import Content, Contents
from nodes.ignition.paths import Path
from nodes.ignition.record import Record
from nodes.ignition.said import Said, said
from nodes.ignition.sections.model import ROOT_USER, FileNode
from nodes.ignition.sections.purposes import purpose_of
from nodes.ignition.sections.secrets import is_secret_path, secret_in

FILE_MODE, DIRECTORY_MODE = 0o644, 0o755
_WRITABLE_BY_ALL, _EXECUTABLE, _STICKY, _SET_ID = 0o002, 0o111, 0o1000, 0o6000


def files(config: Record, contents: Contents) -> tuple[FileNode, ...]:
    """All of them, sorted by path."""
    storage = config.record("storage")
    found = [
        *(_file(one, ("storage", "files", index), contents) for index, one in enumerate(storage.records("files"))),
        *(_directory(one, ("storage", "directories", at)) for at, one in enumerate(storage.records("directories"))),
        *(_link(one, ("storage", "links", index)) for index, one in enumerate(storage.records("links"))),
    ]
    return tuple(sorted((replace(node, lines=tuple(_lines(node))) for node in found), key=lambda node: node.path))


def _owner(record: Record, key: str) -> str:
    """The name, else the number."""
    owner = record.record(key)
    number = owner.number("id")
    return owner.string("name") or (str(number) if number is not None else ROOT_USER)


def _file(record: Record, at: Path, contents: Contents) -> FileNode:
    path, mode = record.string("path"), record.number("mode")
    resource = record.record("contents")
    content = contents.read(resource) if resource.text("source") is not None else None
    appended = tuple(contents.read(one) for one in record.records("append"))
    return FileNode(
        "file",
        path,
        at,
        FILE_MODE if mode is None else mode,
        _owner(record, "user"),
        _owner(record, "group"),
        content,
        (*at, "contents", "source"),
        appended,
        overwrites=bool(record.flag("overwrite")),
        is_secret=is_secret_path(path) or any(_holds_secret(one) for one in (content, *appended)),
        purpose=purpose_of(path),
    )


def _holds_secret(content: Content | None) -> bool:
    text = content.text if content else None
    return bool(text and secret_in(text))


def _directory(record: Record, at: Path) -> FileNode:
    path, mode = record.string("path"), record.number("mode")
    return FileNode(
        "directory",
        path,
        at,
        DIRECTORY_MODE if mode is None else mode,
        _owner(record, "user"),
        _owner(record, "group"),
        overwrites=bool(record.flag("overwrite")),
    )


def _link(record: Record, at: Path) -> FileNode:
    path = record.string("path")
    return FileNode(
        "link",
        path,
        at,
        0,
        _owner(record, "user"),
        _owner(record, "group"),
        target=record.string("target"),
        is_hard=bool(record.flag("hard")),
        overwrites=bool(record.flag("overwrite")),
        purpose=purpose_of(path),
    )


def _lines(node: FileNode) -> list[Said]:
    path = node.path
    if node.kind == "link":
        lines = [said("hard_link_made" if node.is_hard else "link_made", path=path, target=node.target)]
    elif node.kind == "directory":
        lines = [said("directory_made", path=path, mode=node.mode_text)]
    else:
        lines = _content_lines(node)
        if node.mode & _EXECUTABLE:
            lines.append(said("file_executable", path=path))
    if node.purpose:
        lines.append(said(f"purpose_{node.purpose}", path=path))
    if node.overwrites:
        lines.append(said("node_overwrites", path=path))
    if node.is_secret:
        lines.append(said("file_secret", path=path))
    if (node.owner, node.group) != (ROOT_USER, ROOT_USER):
        lines.append(said("node_owner", path=path, owner=node.owner, group=node.group))
    if node.mode & _WRITABLE_BY_ALL and not node.mode & _STICKY:
        lines.append(said("node_writable_by_all", path=path))
    if node.kind == "file" and node.mode & _SET_ID:
        lines.append(said("file_set_id", path=path))
    return lines


def _content_lines(node: FileNode) -> list[Said]:
    path, content = node.path, node.content
    lines = []
    if content is None:
        lines.append(said("file_appended" if node.appended else "file_touched", path=path, count=len(node.appended)))
    elif content.is_remote:
        code = "file_fetched" if content.hash else "file_fetched_unverified"
        lines.append(said(code, path=path, url=content.url, hash=(content.hash or "")[:23] or None))
    elif content.problem:
        lines.append(said("file_unreadable", path=path))
    elif not content.size_bytes:
        lines.append(said("file_empty", path=path))
    else:
        lines.append(said("file_written", path=path, size=content.size_bytes, mode=node.mode_text))
    if content is not None and node.appended:
        lines.append(said("file_appended", path=path, count=len(node.appended)))
    return lines
