"""What the sentence at the end says beyond how it ended: what is so now on the host, and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from ops.wording import result_sentence
from ops.wording.checks import CHECKS
from ops.wording.results import MENDS

UNHEALTHY = {
    "version": "45.1",
    "checks": [{"code": "units_failed_anew", "params": {"count": 1, "units": ["kubelet.service"]}}],
}


@pytest.mark.parametrize(
    ("result", "params", "said"),
    [
        (
            "cancelled",
            {"by": "user:anna", "reason": "CHG-204.", "untouched": True},
            "Cancelled by user:anna: CHG-204. Nothing was changed.",
        ),
        (
            "cancelled",
            {"by": "user:anna", "reason": "", "runs": "", "taken_back": ["staged", "hold"]},
            "Cancelled by user:anna. Taken back from the host: a staged deployment, the hold on the update agent.",
        ),
        (
            "cancelled",
            {"by": "user:anna", "reason": "late", "runs": "45.1", "taken_back": ["hold"]},
            "Cancelled by user:anna: late. The host had restarted already, and runs 45.1. "
            "Taken back from the host: the hold on the update agent.",
        ),
        (
            "rejected",
            {"by": "user:anna", "reason": "not now"},
            "Rejected by user:anna: not now. Nothing was changed.",
        ),
        (
            "deadline",
            {"waited_for": "unreachable", "message": "No route.", "runs": "", "taken_back": ["hold"]},
            "The deadline has passed. Until then: The host does not answer: No route. "
            "Taken back from the host: the hold on the update agent.",
        ),
        (
            "deadline",
            {"waited_for": "turn", "untouched": True},
            "Nothing was changed: it could not start before its deadline. "
            "Until then: Waits for its turn: the limits let no more run now, or all starts are stopped.",
        ),
        (
            "rollback_refused",
            {"said": "no", "failure": UNHEALTHY},
            "The host refused to roll back, and runs what it ran: no It was to go back to the version before, since 45.1 "
            "was not healthy. kubelet.service failed since the restart.",
        ),
        (
            "contact_refused",
            {"message": "Another key.", "mend": "Decide about it.", "what": ["hold"]},
            "Another key. Decide about it. This may still be on the host: the hold on the update agent. "
            "Then choose Go on, which takes it back.",
        ),
        ("contact_refused", {"message": "Another key.", "mend": "Decide.", "what": []}, "Another key. Decide."),
        (
            "preflight",
            {"checks": [{"code": "sessions", "params": {"count": 1, "sessions": "core (pts/0)"}}]},
            "Nothing was changed. Signed in at a terminal: core (pts/0). "
            "Let them sign out, or ask again with “Also when somebody is signed in” (ignore_sessions).",
        ),
    ],
)
def test_the_end_says_what_is_so_now(result: str, params: dict[str, Any], said: str) -> None:
    assert result_sentence(result, params) == said


def test_every_mend_is_one_of_a_check_that_there_is() -> None:
    assert set(MENDS) <= set(CHECKS)
