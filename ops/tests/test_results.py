"""What the sentence at the end says beyond how it ended: what is so now on the host, and what to do."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import translation

from nodes.hosts.errors import HostKeyMismatch, told
from ops.wording import (
    backups,
    certificates,
    containers,
    deployments,
    note_sentence,
    replacement,
    result_sentence,
    wait_sentence,
)
from ops.wording.checks import CHECKS
from ops.wording.results import MENDS, RESULTS

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
            "Cancelled by anna: CHG-204. Nothing was changed.",
        ),
        (
            "cancelled",
            {"by": "user:anna", "reason": "", "runs": "", "taken_back": ["staged", "hold"]},
            "Cancelled by anna. Taken back: a staged deployment, the hold on the update agent.",
        ),
        (
            "cancelled",
            {"by": "user:anna", "reason": "late", "runs": "45.1", "taken_back": ["hold"]},
            "Cancelled by anna: late. The host had restarted already, and runs 45.1. "
            "Taken back: the hold on the update agent.",
        ),
        (
            "cancelled",
            {"by": "system:fleetui", "reason": "moved", "untouched": True},
            "Cancelled by FleetUI: moved. Nothing was changed.",
        ),
        (
            "rejected",
            {"by": "token:anna/ci", "reason": ""},
            "Rejected by anna/ci. Nothing was changed.",
        ),
        (
            "rejected",
            {"by": "user:anna", "reason": "not now"},
            "Rejected by anna: not now. Nothing was changed.",
        ),
        (
            "deadline",
            {"waited_for": "unreachable", "message": "No route.", "runs": "", "taken_back": ["hold"]},
            "The deadline has passed. Until then: The host does not answer: No route. "
            "Taken back: the hold on the update agent.",
        ),
        (
            "deadline",
            {"waited_for": "turn", "untouched": True},
            "Nothing was changed: it could not start before its deadline. "
            "Until then: Waits for its turn: the limits let no more run now.",
        ),
        (
            "rollback_refused",
            {"said": "no", "failure": UNHEALTHY},
            "The host refused to roll back, and runs what it ran: no. It was to go back to the version before, since 45.1 "
            "was not healthy. kubelet.service failed since the restart.",
        ),
        (
            "contact_refused",
            {"message": "Another key.", "mend": "Decide about it.", "what": ["hold"]},
            "Another key. Decide about it. This may still be on the host: the hold on the update agent. "
            "Go on continues with the step at which it stopped; End as failed takes that back.",
        ),
        ("contact_refused", {"message": "Another key.", "mend": "Decide.", "what": []}, "Another key. Decide."),
        (
            "preflight",
            {"checks": [{"code": "sessions", "params": {"count": 1, "sessions": "core (pts/0)"}}]},
            "Nothing was changed. Signed in at a terminal: core (pts/0). "
            "Let them sign out, or ask again with “Also when somebody is signed in” (ignore_sessions).",
        ),
        # One code: a unit of a host, and a Deployment of a cluster.
        ("image_runs_already", {"unit": "web.service"}, "Nothing to do: web.service runs this image already."),
        (
            "image_runs_already",
            {"name": "shop/web", "image": "q.io/t/web:2"},
            "Nothing to do: shop/web is set to run q.io/t/web:2 already.",
        ),
        (
            "old_answers",
            {"minutes": 60, "there": "old"},
            "After 60 min the old machine still answers with its host key: it was not deleted. "
            "Delete it, then choose Go on, which gives the new one as much time again.",
        ),
        (
            "not_fetched",
            {"minutes": 60, "there": "nothing"},
            "Nothing has fetched the config of the new machine within 60 min. Look at its console, and whether it reaches "
            "FleetUI. Go on gives it as much time again. Nothing answers at its address.",
        ),
        (
            "offer_over",
            {"ending": "expired", "there": "nothing"},
            "The new machine cannot fetch its config any more: its time is over. Nothing answers at its address.",
        ),
        (
            "hook_failed",
            {"name": "racks", "status": 3, "said": "no quota", "there": "old"},
            "The command of racks failed (status 3): no quota. The old machine still answers with its host key.",
        ),
        (
            "not_uncordoned",
            {"kind": "unreachable", "server": "https://k:6443"},
            "The node is still cordoned: FleetUI could not uncordon it. Nothing answers at https://k:6443. Look whether the "
            "API server runs, and whether a firewall lets FleetUI through. Then choose Go on, which tries it again.",
        ),
        (
            "ended_by_person",
            {
                "by": "user:anna",
                "reason": "later",
                "left": ["cordon"],
                "before": "drain_late",
                "known": {"minutes": 15, "count": 1, "pods": "shop/web-1", "asks": True},
            },
            "anna ended it: later. This may still be on the host: the cordon of its node in the cluster. Before that: "
            "The drain's time limit of 15 min is over, and 1 pod is still there: shop/web-1. "
            "FleetUI uncordons the node as soon as the API of the cluster answers.",
        ),
        (
            "did_not_return",
            {"minutes": 15, "message": "db-1 refused the connection on port 22."},
            "The host has not come back 15 min after the restart was asked for: db-1 refused the connection on port 22. "
            "Look at its console; then choose Go on, or End as failed.",
        ),
        (
            "ended_by_person",
            {
                "by": "user:anna",
                "reason": "later",
                "left": ["hold"],
                "before": "did_not_return",
                "known": {"minutes": 15, "message": "db-1 refused the connection on port 22."},
            },
            "anna ended it: later. This may still be on the host: the hold on the update agent. Before that: "
            "The host has not come back 15 min after the restart was asked for: db-1 refused the connection on port 22.",
        ),
        (
            "ended_by_person",
            {
                "by": "user:anna",
                "reason": "",
                "before": "contact_refused",
                "known": {"message": "Another key.", "mend": "Compare it.", "what": ["hold"]},
            },
            "anna ended it. What it left on the host was taken back. Before that: Another key. Compare it.",
        ),
    ],
)
def test_the_end_says_what_is_so_now(result: str, params: dict[str, Any], said: str) -> None:
    assert result_sentence(result, params) == said


def test_every_mend_is_one_of_a_check_that_there_is() -> None:
    assert set(MENDS) <= set(CHECKS)


def test_no_table_of_results_hides_a_sentence_of_another() -> None:
    tables = [
        backups.RESULTS,
        replacement.RESULTS,
        containers.CONTAINER_RESULTS,
        certificates.CERTIFICATE_RESULTS,
        deployments.RESULTS,
    ]
    for table in tables:
        for code, forms in table.items():
            assert [form for form in forms if form not in RESULTS[code]] == [], code


@pytest.mark.parametrize("language", ["en", "th"])
def test_what_a_contact_failed_with_is_told_in_the_language_of_the_reader(language: str) -> None:
    error = HostKeyMismatch("10.0.0.7", "SHA256:old", "SHA256:new")
    params = {**told(error), "mend": error.what_to_do, "minutes": 15}
    with translation.override(language):
        found = [
            result_sentence("did_not_return", params),
            result_sentence("contact_refused", params),
            wait_sentence("unreachable", params),
        ]
    for sentence in found:
        assert "SHA256:new" in sentence
        assert (error.message in sentence) is (language == "en")
    assert (error.what_to_do in found[1]) is (language == "en")


@pytest.mark.parametrize(
    ("reason", "params", "said"),
    [
        (
            "approval",
            {"needed": 1, "until": "2026-11-27T20:00:00+00:00"},
            "Waits for the approval of 1 other person, at most until 2026-11-27 20:00:00 UTC.",
        ),
        (
            "approval",
            {"needed": 2, "until": "2026-11-27T20:00:00+00:00"},
            "Waits for the approvals of 2 other people, at most until 2026-11-27 20:00:00 UTC.",
        ),
        ("approval", {}, "Waits for approval."),
        (
            "restarts",
            {"until": "2026-11-27T20:00:00+00:00"},
            "The host is restarting; it has until 2026-11-27 20:00:00 UTC to answer.",
        ),
        ("restarts", {"message": "Nothing answers."}, "The host is restarting."),
    ],
)
def test_a_wait_says_until_when(reason: str, params: dict[str, Any], said: str) -> None:
    assert wait_sentence(reason, params) == said


def test_sizes_are_no_long_numbers_and_what_was_cut_off_ends_in_dots() -> None:
    assert note_sentence("log_full", {"limit_bytes": 4194304}).startswith("The log is full at 4.0 MB;")
    said = result_sentence("stage_failed", {"status": 1, "said": "x" * 400})
    assert said.endswith("x…")
    assert len(said) < 400


def test_what_is_so_now_is_said_however_long_the_error_before_it_was() -> None:
    """A provisioner may say a lot; that a member of etcd is gone stands behind it."""
    then = {"said": "no quota; " * 60, "name": "tf", "etcd_gone": "n2", "etcd_left": 2}
    given = {"by": "user:anna", "reason": "later", "before": "tf_apply_failed", "known": then}
    assert "Its etcd member n2 was removed" in result_sentence("ended_by_person", given)
