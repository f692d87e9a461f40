"""What a text means is remembered: never for another text, and never changed by whoever asked."""

from __future__ import annotations

from datetime import UTC, datetime

from nodes.hosts import drivers
from nodes.hosts.drivers.base import Look
from nodes.hosts.probe import ProbeOutput, SectionOutput, read_frames

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
NONCE = "abcdef0123456789"


def output(**texts: str) -> ProbeOutput:
    frames = []
    for name, text in texts.items():
        raw = text.encode()
        frames.append(f"@@FLEETUI {NONCE} {name} 0 {len(raw)} 0\n".encode() + raw + b"\n")
    return read_frames(b"".join(frames) + f"@@FLEETUI {NONCE} end {len(texts)}\n".encode(), NONCE)


def words(text: str, problems: list[str]) -> list[str]:
    if text == "bad":
        raise ValueError("this is bad")
    if text == "odd":
        problems.append("this is odd")
    return text.split()


def read(text: str) -> tuple[object, list[str]]:
    look = Look(ProbeOutput({"uname": SectionOutput(0, text.encode())}, complete=True), NOW)
    value = look.read("uname", words, None)
    return value, [one.message for one in look.unread]


def test_the_same_text_gives_the_same_value_complaints_and_failure() -> None:
    for _ in range(2):
        assert read("a b") == (["a", "b"], [])
        assert read("odd") == (["odd"], ["this is odd."])
        assert read("bad") == (None, ["The text was not understood: this is bad."])
    assert read("a b")[0] is read("a b")[0]


def test_a_function_that_closes_over_something_is_asked_each_time() -> None:
    def parse_with(suffix: str) -> object:
        look = Look(ProbeOutput({"uname": SectionOutput(0, b"x")}, complete=True), NOW)
        return look.read("uname", lambda text, _: text + suffix, None)

    assert (parse_with("1"), parse_with("2")) == ("x1", "x2")


def test_hosts_that_differ_in_one_text_differ_in_that_fact_alone() -> None:
    texts = {"os_release": "ID=fedora\nVARIANT_ID=coreos\n", "uname": "Linux 6.17.1-300.fc44.x86_64 x86_64\n"}
    driver = drivers.get("fcos")
    first = [driver.parse(output(**texts, hostname=name), NOW).facts.as_json() for name in ("a\n", "b\n", "a\n")]
    assert first[0] == first[2]
    assert [one["network"]["hostname"] for one in first] == ["a", "b", "a"]
    assert {**first[0], "network": None} == {**first[1], "network": None}
    assert first[0]["boot"]["kernel"] == "6.17.1-300.fc44.x86_64"
