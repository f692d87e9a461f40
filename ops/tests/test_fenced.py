"""What a command that ended badly is said to have said."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from nodes.hosts.drivers.base import Command
from ops.actions.fenced import _copy_journal, run_fenced
from ops.outcomes import Done, Wait

HEX = "71806c93057d407a92193960eef1ed97"
OURS = f"fleetui-{HEX}-stage-1.service: "
ENDED = f"{OURS}Main process exited, code=exited, status=1/FAILURE\n{OURS}Failed with result 'exit-code'.\n"


def last_said(printed: str, **memory: Any) -> Any:
    """After a look at the journal of the unit."""
    answer = SimpleNamespace(stdout=f"{printed}-- cursor: s=1\n".encode())
    context: Any = SimpleNamespace(
        memory=memory,
        step="stage",
        attempt=1,
        operation_id=HEX,
        driver=SimpleNamespace(fence=SimpleNamespace(journal=lambda *_words: None)),
        host=SimpleNamespace(run=lambda _command: answer),
        log=SimpleNamespace(output=lambda *_words: None),
    )
    return _copy_journal(context)[0].get("last_said")


def test_what_the_command_said_is_told_and_not_what_systemd_says_of_its_unit() -> None:
    assert last_said(f"non-delta: meta: 2\nerror: Checksum 1db4 not found\n{ENDED}") == "error: Checksum 1db4 not found"
    assert last_said(f"pulling\nno route to host\n{ENDED}") == "pulling no route to host"


def test_what_podman_notes_of_a_container_is_not_what_the_command_said() -> None:
    event = "2026-11-28 14:27:57.25 +0000 UTC m=+7.8 container {} 2baaf99 (image=docker.io/certbot/certbot, name=a)\n"
    printed = "Connection refused\n1 renew failure(s)\n" + event.format("died") + event.format("remove")
    assert last_said(f"{printed}{ENDED}") == "Connection refused 1 renew failure(s)"
    why = "Failed to renew certificate a.example.org with error: Requesting 10.0.0.1/dir: Connection refused"
    advice = "1 renew failure(s), 0 parse failure(s)\nAsk for help at https://community.letsencrypt.org.\n"
    conmon = "conmon 5f61ab <nwarn>: Failed to open cgroups file: No such file or directory\n"
    assert last_said(f"{why}\n{advice}{conmon}{ENDED}") == why


def test_where_the_command_said_nothing_systemd_is_told_and_an_earlier_word_stays() -> None:
    assert "code=exited" in last_said(ENDED)
    assert last_said(ENDED, last_said="error: no space") is None


def test_what_was_copied_is_noted_before_anything_follows_that_may_take_long() -> None:
    """A look at a slow host may take more than a step has: its log would be copied again at each attempt."""
    answers = {
        "state": "LoadState=loaded\nActiveState=active\nSubState=exited\n",
        "journal": "staged\n-- cursor: s=7\n",
    }
    fence = SimpleNamespace(state=lambda *_words: "state", journal=lambda *_words: "journal")
    context: Any = SimpleNamespace(
        memory={},
        step="stage",
        attempt=1,
        now=datetime(2026, 1, 1, tzinfo=UTC),
        operation_id=HEX,
        driver=SimpleNamespace(fence=fence),
        host=SimpleNamespace(run=lambda asked: SimpleNamespace(stdout=answers[asked].encode())),
        log=SimpleNamespace(output=lambda *_words: None),
    )

    def run() -> Any:
        given: Any = {
            "waits": "stages",
            "fails": "stage_failed",
            "done": lambda _status, seen: Done("staged", memory=seen),
        }
        return run_fenced(context, Command(("true",)), **given)

    first = run()
    assert isinstance(first, Wait)
    assert first.memory["cursors"] == {"stage-1": "s=7"}
    context.memory, answers["journal"] = first.memory, "-- cursor: s=7\n"
    assert isinstance(run(), Done)
