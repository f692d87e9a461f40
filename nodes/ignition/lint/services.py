"""Services of a config, however they are written: as units, as files of systemd, or as Quadlets."""

from collections.abc import Iterator
from dataclasses import dataclass

from nodes.ignition.gotext import extension
from nodes.ignition.options import Options, read_options
from nodes.ignition.paths import Path
from nodes.ignition.sections.model import Sections

QUADLETS = {
    ".container": "{}.service",
    ".kube": "{}.service",
    ".pod": "{}-pod.service",
    ".volume": "{}-volume.service",
    ".network": "{}-network.service",
    ".image": "{}-image.service",
    ".build": "{}-build.service",
}
_STARTED = (".container", ".kube", ".pod")
_PULLS = frozenset(("Wants", "Requires", "BindsTo", "Unit", "OnFailure", "OnSuccess", "Upholds", "Sockets", "Also"))


@dataclass(frozen=True)
class Service:
    """A service with its options, and those of its drop-ins. `at` is where its text stands."""

    name: str
    at: Path
    named_at: Path
    options: Options
    dropins: tuple[Options, ...] = ()
    is_quadlet: bool = False

    def setting(self, section: str, name: str) -> str | None:
        """The value that wins: that of the last drop-in that has one."""
        for options in reversed((self.options, *self.dropins)):
            value = options.value(section, name)
            if value is not None:
                return value
        return None


def services(sections: Sections) -> Iterator[Service]:
    """Those that are not masked."""
    dropins_of: dict[str, list[Options]] = {}
    for node in sections.files:
        directory = node.path.rpartition("/")[0]
        if directory.endswith(".d") and node.path.endswith(".conf") and node.content is not None:
            dropins_of.setdefault(directory, []).append(read_options(node.content.text or ""))
    for unit in sections.units:
        if unit.contents and unit.name.endswith(".service") and not unit.is_masked:
            dropins = tuple(read_options(dropin.contents) for dropin in unit.dropins)
            yield Service(unit.name, (*unit.at, "contents"), (*unit.at, "name"), read_options(unit.contents), dropins)
    for node in sections.files:
        text = node.content.text if node.content else None
        if text is None:
            continue
        dropins = tuple(dropins_of.get(f"{node.path}.d", ()))
        if node.path.startswith("/etc/systemd/system/") and node.path.endswith(".service"):
            name = node.path.rpartition("/")[2]
            yield Service(name, node.content_at, (*node.at, "path"), read_options(text), dropins)
        elif node.purpose == "quadlet" and node.path.endswith(_STARTED):
            name = unit_of_quadlet(node.path)
            yield Service(name, node.content_at, (*node.at, "path"), read_options(text), dropins, is_quadlet=True)


def unit_of_quadlet(path: str) -> str:
    """The name of the unit that Podman makes of a Quadlet."""
    name = path.rpartition("/")[2]
    ending = extension(name)
    return QUADLETS.get(ending, "{}").format(name.removesuffix(ending))


def written_units(sections: Sections) -> set[str]:
    """Names of units that the config brings along: as units, as files, and from Quadlets."""
    names = {unit.name for unit in sections.units if unit.contents}
    for node in sections.files:
        if node.purpose == "systemd_unit":
            names.add(node.path.rpartition("/")[2])
        elif node.purpose == "quadlet":
            names.add(unit_of_quadlet(node.path))
    return names


def started_units(sections: Sections) -> set[str]:
    """Units that others pull in, and all that are switched or linked."""
    names = {unit.name for unit in sections.units if unit.is_enabled is not None}
    names |= {node.path.rpartition("/")[2] for node in sections.files if node.kind == "link"}
    texts = [text for unit in sections.units for text in (unit.contents, *(one.contents for one in unit.dropins))]
    texts += [
        node.content.text
        for node in sections.files
        if node.purpose in ("systemd_unit", "quadlet") and node.content is not None
    ]
    for text in filter(None, texts):
        for option in read_options(text):
            if option.name in _PULLS:
                names.update(option.value.split())
    return names


def is_triggered(name: str, started: set[str]) -> bool:
    """Whether a timer, socket or path unit of the same name starts it."""
    base = name.removesuffix(extension(name))
    return bool({f"{base}.timer", f"{base}.socket", f"{base}.path"} & started)
