"""What a machine born with the second config has and does otherwise than one born with the first.

for one in effect(old_ignition_json, new_ignition_json):
    one.weight, one.section, one.what.code, one.what.params
"""

from nodes.ignition.effect import files, machine, people, storage
from nodes.ignition.effect.model import WEIGHTS, Effect, Weight
from nodes.ignition.record import Record
from nodes.ignition.sections import Sections, sections


def effect(before: bytes | str | Record | Sections, after: bytes | str | Record | Sections) -> list[Effect]:
    """The differences, disruptive ones first. Content of files and secrets is never in them.

    Raises sections.UnreadableDocument for what is no Ignition document.
    """
    old, new = _sections(before), _sections(after)
    found = [one for part in (storage, people, machine, files) for one in part.effects(old, new)]
    return sorted(found, key=lambda one: WEIGHTS.index(one.weight))


def _sections(config: bytes | str | Record | Sections) -> Sections:
    return config if isinstance(config, Sections) else sections(config)


__all__ = ["Effect", "Weight", "effect"]
