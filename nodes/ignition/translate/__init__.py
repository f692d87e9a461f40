"""A checked Butane config to an Ignition config, with where each part came from."""

from typing import NamedTuple

from nodes.ignition.dataurl import Encoder
from nodes.ignition.dialects import Dialect
from nodes.ignition.files import FilesDirectory
from nodes.ignition.limits import DEFAULT, Limits
from nodes.ignition.record import Record
from nodes.ignition.report import Report
from nodes.ignition.translate.boot_device import render_boot_device
from nodes.ignition.translate.grub import render_grub
from nodes.ignition.translate.merge import Translated, merge_translated
from nodes.ignition.translate.mounts import render_mount_units
from nodes.ignition.translate.partitions import check_partitions
from nodes.ignition.translate.plain import translate_plain
from nodes.ignition.translate.quadlets import add_quadlets
from nodes.ignition.translate.trees import add_trees

_BOOT_DEVICE_LEVEL, _GRUB_LEVEL = 3, 5
_COMPRESSION_BASE, _MOUNT_UNITS_BASE, _QUADLETS_BASE = 2, 2, 8


class Translation(NamedTuple):
    """The Ignition config, not validated, and what was found on the way: with paths of the source and of the result."""

    result: Translated
    of_source: Report
    of_result: Report


def translate(config: Record, dialect: Dialect, files: FilesDirectory | None, limits: Limits = DEFAULT) -> Translation:
    """Translate. After an error nothing is translated."""
    encoder = Encoder(chooses_compression=dialect.base >= _COMPRESSION_BASE, looks=limits.compression_looks)
    translated, report = translate_plain(config, dialect, files, encoder)
    if dialect.base >= _MOUNT_UNITS_BASE:
        filesystems = config.record("storage").items("filesystems")
        if filesystems:
            translated = merge_translated(render_mount_units(config, dialect), translated)
        report.extend(add_trees(config, translated, dialect, files, encoder).entries)
    if dialect.base >= _QUADLETS_BASE:
        report.extend(add_quadlets(config, translated, dialect, files, encoder).entries)
    if report.has_errors:
        return Translation(Translated(Record(dialect.target.root), {}), report, Report())
    level = dialect.fcos
    of_result = Report()
    if level is None:
        return Translation(translated, report, of_result)
    if level >= _BOOT_DEVICE_LEVEL:
        rendered = render_boot_device(config, dialect, limits)
        if rendered is not None:
            translated = merge_translated(rendered, translated)
    check_partitions(translated.config, of_result, warns_of_root=level >= _BOOT_DEVICE_LEVEL)
    if level >= _GRUB_LEVEL:
        translated = merge_translated(render_grub(config, dialect, encoder), translated)
    return Translation(translated, report, of_result)


__all__ = ["Translated", "Translation", "translate"]
