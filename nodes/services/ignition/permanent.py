"""The Ignition version that makes an image permanent, where FleetUI gave a unit another one by a drop-in: a draft of it.

The image is replaced in the text as a person would do it, and what comes of that is compared with what was there: only the
unit may differ, and only in its image. Where no such change is found, nothing is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from fleetui.access.principals import Principal
from fleetui.core.errors import Conflict, FleetError, InvalidInput, NotFound
from nodes.facts.containers import on_purpose
from nodes.hosts.drivers.sections import IMAGE_WORD
from nodes.ignition.sections import Sections
from nodes.models import Facts, IgnitionConfig, IgnitionVersion, Node
from nodes.services.ignition.check import check
from nodes.services.ignition.comparing import read_sections
from nodes.services.ignition.embedded import Files, content_of, file_of
from nodes.services.ignition.versions import save_version

#: Each place costs a conversion.
MOST_PLACES = 20
_QUADLET_IMAGE = re.compile(r"^[ \t]*Image[ \t]*=[ \t]*(\S+)[ \t]*$", re.MULTILINE)
_GOES_ON = re.compile(r"\\\n")
_RUNS = re.compile(r"^ExecStart=.*podman .*run .*$", re.MULTILINE)
_IMAGE_WORD = re.compile(IMAGE_WORD)
#: What may not stand beside a whole reference.
_PART = r"[A-Za-z0-9_./:@-]"


def config_of(node: Node, principal: Principal) -> IgnitionConfig | None:
    """The config in which an image of this node is made permanent: that of its pool, else the one it was born with."""
    intended = node.pool.intended_version_id if node.pool else None
    rows = IgnitionConfig.objects.visible_to(principal)
    found: IgnitionConfig | None = rows.filter(versions__pk=intended or node.applied_version_id).first()
    return found


def make_permanent(*, node: Node, path: str, actor: Principal, now: datetime) -> IgnitionVersion:
    """A draft over the newest version, in which the unit of the drop-in at `path` has the image that the drop-in says."""
    units = Facts.objects.container_units(node.facts_id)
    written = next((one for one in on_purpose(units) if one["path"] == path), None)
    if written is None or not written["image"]:
        raise NotFound(
            _("FleetUI has written no image at %(path)s.") % {"path": path[:200]}, mend=_("Look at the node again.")
        )
    config = config_of(node, actor)
    if config is None:
        raise Conflict(
            _("No Ignition config that you may see belongs to %(name)s.") % {"name": node.name},
            mend=_("Choose a version for its pool, or note with which one the machine was provisioned."),
        )
    unit = next(one for one in units if one.get("name") == written["unit"])
    base = IgnitionVersion.objects.get(config=config, number=config.last_number)
    source, files = changed(base, str(unit.get("source") or ""), written["image"], unit_name=written["unit"])
    message = _("%(unit)s runs %(image)s, as %(name)s does") % {
        "unit": written["unit"],
        "image": written["image"],
        "name": node.name,
    }
    return save_version(
        config=config,
        source=source,
        files=files,
        message=message,
        expected_number=base.number,
        actor=actor,
        now=now,
    )


def changed(base: IgnitionVersion, source_path: str, image: str, *, unit_name: str) -> tuple[str, Files]:
    """Source and files with the image in the place of the one that the unit has there."""
    told = {"unit": unit_name, "config": base.config.name, "number": base.number}
    before = read_sections(check(base.source, base.files).rendered)
    text = _text_of(before, source_path, unit_name) if before else None
    old = _image_in(text) if text is not None else ""
    if before is None or text is None or not old:
        raise _by_hand(_("Version %(number)s of %(config)s says no image of %(unit)s.") % told)
    if old == image:
        raise Conflict(
            _("Version %(number)s of %(config)s gives %(unit)s this image already.") % told,
            mend=_("Have it approved and choose it for the pool: a machine that is born with it has no drop-in."),
        )
    wanted = {one for one in _replaced(text, old, image) if _image_in(one) == image}
    rest = _without(before, source_path, unit_name)
    for source, files in _variants(base, old, image):
        try:
            after = read_sections(check(source, files).rendered)
        except FleetError:
            continue
        if (
            after is not None
            and _text_of(after, source_path, unit_name) in wanted
            and _without(after, source_path, unit_name) == rest
        ):
            return source, files
    raise _by_hand(_("How version %(number)s of %(config)s comes to the image of %(unit)s cannot be told.") % told)


def _by_hand(said: str) -> InvalidInput:
    return InvalidInput(
        said, field="path", value="", mend=_("Write the next version by hand: the image may be in a variable.")
    )


def _text_of(config: Sections, path: str, unit_name: str) -> str | None:
    """The file of a Quadlet or of a unit, as the config declares it."""
    node = config.file(path)
    if node is not None:
        return node.content.text if node.content is not None and node.is_complete else None
    return next((one.contents for one in config.units if one.name == unit_name and one.contents), None)


def _image_in(text: str) -> str:
    if found := _QUADLET_IMAGE.findall(text):
        return str(found[-1])
    for command in _RUNS.findall(_GOES_ON.sub(" ", text)):
        words = [word for word in command.split() if _IMAGE_WORD.fullmatch(word)]
        return words[0] if len(words) == 1 else ""
    return ""


def _replaced(text: str, old: str, new: str) -> Iterator[str]:
    """The text with one of the places replaced, one after the other."""
    for place in list(re.finditer(rf"(?<!{_PART}){re.escape(old)}(?!{_PART})", text))[:MOST_PLACES]:
        yield f"{text[: place.start()]}{new}{text[place.end() :]}"


def _variants(base: IgnitionVersion, old: str, new: str) -> Iterator[tuple[str, Files]]:
    for source in _replaced(base.source, old, new):
        yield source, base.files
    for path, file in base.files.items():
        try:
            text = content_of(file, path).decode()
        except UnicodeDecodeError:
            continue
        for one in _replaced(text, old, new):
            kept: Mapping[str, Any] = file_of(one.encode(), executable=bool(file.get("executable")))
            yield base.source, {**base.files, path: kept}


def _without(config: Sections, path: str, unit_name: str) -> Sections:
    """All of a config but the text of this unit."""
    files = tuple(
        replace(one, content=None, is_secret=False, lines=()) if one.path == path else one for one in config.files
    )
    units = tuple(
        replace(one, contents=None, lines=()) if one.name == unit_name and config.file(path) is None else one
        for one in config.units
    )
    return replace(config, files=files, units=units)
