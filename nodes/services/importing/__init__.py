"""Inventories become nodes: a plan that changes nothing, shown to a person, and its application in batches of rows."""

from nodes.services.importing.apply import apply_some, discard, forget_old, resume, start
from nodes.services.importing.plan import Options, make_plan, place_word

__all__ = ["Options", "apply_some", "discard", "forget_old", "make_plan", "place_word", "resume", "start"]
