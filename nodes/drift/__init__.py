"""What a machine was born with against what is on it now. Pure: it is given a config, and a function that asks a host.

wanted = expect(ignition_json, shown_json)
seen = inspect(wanted, ask, key_fragments=driver.platform_keys)
for one in compare(wanted, seen).differences: one.section, one.subject, one.what, one.sort
"""

from nodes.drift.compare import Comparison, compare
from nodes.drift.expected import Expected, expect
from nodes.drift.inspection import inspect
from nodes.drift.model import Answer, Difference, NotUnderstood, Question, Seen, Sort, Unlooked, What

__all__ = [
    "Answer",
    "Comparison",
    "Difference",
    "Expected",
    "NotUnderstood",
    "Question",
    "Seen",
    "Sort",
    "Unlooked",
    "What",
    "compare",
    "expect",
    "inspect",
]
