"""A config in the parts that a person thinks of, each with what it does.

found = sections(ignition_json)
for user in found.users: user.name, user.keys, user.lines
"""

from nodes.ignition.contents import Contents
from nodes.ignition.ignition import validate_document
from nodes.ignition.limits import DEFAULT, Limits
from nodes.ignition.network import NetworkFile, read_network
from nodes.ignition.network.model import Network
from nodes.ignition.record import Record
from nodes.ignition.sections import disks, files, model, rest, units, users
from nodes.ignition.sections.model import FileNode, Kernel, Sections


class UnreadableDocument(ValueError):
    """The text is no Ignition document of a version that is known. The text says why."""


def sections(document: bytes | str | Record, *, limits: Limits = DEFAULT) -> Sections:
    """The parts of an Ignition document, or of the `ignition` record of a conversion or validation.

    Each part has `at`, its path in the document; `Conversion.source_of(part.at)` is its path in the Butane source.
    Raises UnreadableDocument. A document with errors of its own is shown as far as it can be read.
    """
    config = document if isinstance(document, Record) else _config(document, limits)
    contents = Contents(limits)
    nodes = files.files(config, contents)
    kernel = rest.kernel(config)
    return Sections(
        config.record("ignition").string("version"),
        users.users(config),
        users.groups(config),
        nodes,
        disks.disks(config),
        disks.filesystems(config),
        disks.raids(config),
        disks.luks(config),
        units.units(config),
        _network(nodes, kernel),
        kernel,
        rest.rest(config, contents),
    )


def _network(nodes: tuple[FileNode, ...], kernel: Kernel) -> Network:
    described = (
        NetworkFile(
            node.path,
            node.content.text if node.is_complete and node.content else None,
            node.mode,
            node.owner,
            node.group,
            node.at,
            node.content_at,
        )
        for node in nodes
        if node.kind == "file"
    )
    return read_network(described, ((one.text, one.at) for one in kernel.arguments if one.is_wanted))


def _config(document: bytes | str, limits: Limits) -> Record:
    validation = validate_document(document, limits=limits)
    if validation.config is None:
        found = validation.report.entries
        raise UnreadableDocument(validation.error or (found[0].message if found else "not an Ignition document"))
    return validation.config


__all__ = ["Sections", "UnreadableDocument", "model", "sections"]
