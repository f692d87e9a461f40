"""Whatever a host answers, it is read or refused; nothing else is raised, and what it was not asked for is not taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.drift import Answer, NotUnderstood, Question, expect, inspect, questions
from nodes.tests.drift.hosts import file, ignition

NAMES = ["/etc/a", "/etc/b"]
READERS: list[tuple[Question, Callable[[Question, Answer], Any]]] = [
    (questions.stat_of(NAMES), questions.read_stat),
    (questions.hash_of("sha256", NAMES), questions.read_hashes),
    (questions.targets_of(NAMES), lambda question, answer: questions.read_targets(question, answer, NAMES)),
    (questions.bodies_of(NAMES), questions.read_bodies),
    (questions.units_of(NAMES), lambda question, answer: questions.read_units(question, answer, NAMES)),
    (questions.accounts_of(NAMES), questions.read_accounts),
    (questions.groups_of(NAMES), questions.read_groups),
    (questions.blocks(), questions.read_blocks),
]
said = st.one_of(
    st.binary(max_size=200),
    st.lists(
        st.sampled_from(["/etc/a", "81a4", "0", "root", "", "x:y:1:z", "Id=a", "\n\n", "[]", '{"blockdevices":[1]}'])
    )
    .map("\0".join)
    .map(str.encode),
)


@pytest.mark.parametrize(("question", "read"), READERS, ids=[question.name for question, _ in READERS])
@given(out=said, err=st.binary(max_size=100), status=st.sampled_from([0, 1, 123, 124, 127]))
def test_any_answer_is_read_or_refused(
    question: Question, read: Callable[[Question, Answer], Any], out: bytes, err: bytes, status: int
) -> None:
    refused = None
    try:
        read(question, Answer(status, out, err))
    except NotUnderstood as error:
        refused = error
    assert refused is None or (refused.question == question.name and len(refused.raw) <= 8192)


def test_a_refusal_holds_no_contents_of_files() -> None:
    with pytest.raises(NotUnderstood) as caught:
        questions.read_bodies(questions.bodies_of(NAMES), Answer(0, b"/etc/a\0c2VjcmV0 !\0", b"oops"))
    assert caught.value.raw == "oops"


def test_paths_that_nobody_asked_for_are_not_taken() -> None:
    def ask(question: Question) -> Answer:
        if question.name == "stat":
            return Answer(
                0, b"".join(b"%s\x0081a4\x000\0root\x000\0root\x003\0" % path for path in (b"/etc/a", b"/etc/z"))
            )
        return Answer(0, b"")

    seen = inspect(expect(ignition({"storage": {"files": [file("/etc/a", b"abc")]}})), ask)
    assert set(seen.nodes) == {"/etc/a"}
    assert seen.unread == {"/etc/a": "not_readable"}


def test_names_go_in_by_the_stream_and_never_by_the_command() -> None:
    evil = "/etc/$(reboot); `x` \n-rf"
    question = questions.stat_of([evil])
    assert evil.encode() + b"\0" == question.stdin
    assert not any("reboot" in word for word in question.argv)


def test_many_names_are_asked_in_parts() -> None:
    many = [f"/etc/{'x' * 200}{number}" for number in range(1200)]
    parts = list(questions.in_parts(many))
    assert [name for part in parts for name in part] == many
    assert max(sum(len(name) + 1 for name in part) for part in parts) <= questions.MOST_BYTES_AT_ONCE
