"""`systemd.quadlets`: files and links that Podman makes units of."""

from nodes.ignition.dataurl import Encoder
from nodes.ignition.dialects import Dialect
from nodes.ignition.files import FilesDirectory, LocalFailure
from nodes.ignition.gotext import join
from nodes.ignition.paths import Path
from nodes.ignition.quadlets import template_of
from nodes.ignition.record import Record
from nodes.ignition.report import Report
from nodes.ignition.translate.merge import Translated
from nodes.ignition.translate.nodes import EXISTS, FILE_MODE, Nodes
from nodes.ignition.translate.plain import read_local

_SYSTEM, _USERS = "/etc/containers/systemd", "/etc/containers/systemd/users"


def add_quadlets(
    config: Record, translated: Translated, dialect: Dialect, files: FilesDirectory | None, encoder: Encoder
) -> Report:
    """Add the quadlets, behind the files that the config declares and those of trees."""
    report = Report()
    quadlets = config.record("systemd").records("quadlets")
    if not quadlets:
        return report
    root: Path = ("systemd", "quadlets")
    nodes = Nodes(translated, dialect.target.types, encoder)
    nodes.sources["storage",] = root
    for index, quadlet in enumerate(quadlets):
        origin: Path = (*root, index)
        name = quadlet.string("name")
        path = join(_SYSTEM if quadlet.flag("rootful") else _USERS, name)
        template = template_of(name)
        if template is not None:
            _add_link(template, path, origin, nodes, report)
        else:
            _add_file(quadlet, path, origin, nodes, files, report)
        for number, dropin in enumerate(quadlet.records("dropins")):
            dropin_path = f"{path}.d/{dropin.string('name')}"
            _add_file(dropin, dropin_path, (*origin, "dropins", number), nodes, files, report)
    return report


def _add_link(template: str, path: str, origin: Path, nodes: Nodes, report: Report) -> None:
    if nodes.exists(path):
        report.error(origin, EXISTS)
        return
    index, _ = nodes.add("links", origin, path, target=template)
    nodes.sources["storage", "links", index, "path"] = (*origin, "name")


def _add_file(
    source: Record, path: str, origin: Path, nodes: Nodes, files: FilesDirectory | None, report: Report
) -> None:
    if nodes.exists(path):
        report.error(origin, EXISTS)
        return
    index, file = nodes.add("files", origin, path)
    nodes.sources["storage", "files", index, "path"] = (*origin, "name")
    local, inline = source.text("contents_local"), source.text("contents")
    content = b""
    from_: Path = ()
    if local:
        from_ = (*origin, "contents_local")
        try:
            content = read_local(files, local)
        except LocalFailure as error:
            report.error(from_, str(error))
            return
    if inline:
        content, from_ = inline.encode("utf-8", "surrogateescape"), (*origin, "contents")
    place, sets_compression = nodes.set_content(index, file, content)
    nodes.sources[(*place, "contents", "source")] = from_
    if sets_compression:
        nodes.sources[(*place, "contents", "compression")] = origin
    nodes.sources[(*place, "contents")] = from_
    file.values["mode"] = FILE_MODE
    nodes.sources[(*place, "mode")] = origin
