"""Questions about facts: what is understood, what is refused with which mend, and how kernels sort."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.facts.kernel import kernel_order
from nodes.facts.paths import INDEXED, MAX_PER_PATH, known_paths, readings, terms_of, values_at
from nodes.facts.query import NotAQuestion, Question, operators_of, parse
from nodes.facts.words import SENTENCES


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("network.interfaces.driver=ixgbe", Question("network.interfaces.driver", "=", "ixgbe")),
        (" os.name != Flatcar ", Question("os.name", "!=", "Flatcar")),
        ("boot.arguments=console=ttyS0", Question("boot.arguments", "=", "console=ttyS0")),
        ("hardware.model~Power Edge", Question("hardware.model", "~", "Power Edge")),
        ("hardware.cpus>=8", Question("hardware.cpus", ">=", "8", 8)),
        ("hardware.memory_total_bytes<1.5G", Question("hardware.memory_total_bytes", "<", "1.5G", 3 * 2**29)),
        ("hardware.memory_total_bytes=1KiB", Question("hardware.memory_total_bytes", "=", "1024")),
        ("boot.kernel<6.11", Question("boot.kernel", "<", "6.11")),
        ("kubernetes.role exists", Question("kubernetes.role", "exists")),
        ("kubernetes.role", Question("kubernetes.role", "exists")),
        ("kubernetes.role absent", Question("kubernetes.role", "absent")),
        ("deployments.pinned=true", Question("deployments.pinned", "=", "true")),
        ("agent.config.updates.strategy=periodic", Question("agent.config.updates.strategy", "=", "periodic")),
        (
            "containers.runtimes.containers.labels.app.kubernetes.io/name=etcd",
            Question("containers.runtimes.containers.labels.app.kubernetes.io/name", "=", "etcd"),
        ),
    ],
)
def test_a_question_is_understood(text: str, question: Question) -> None:
    assert parse(text) == question
    assert parse(question.text) == question


@pytest.mark.parametrize(
    ("text", "said", "mend"),
    [
        ("", "is not a question", "network.interfaces.driver=ixgbe"),
        ("=ixgbe", "is not a question", "network.interfaces.driver=ixgbe"),
        ("os.name is Flatcar", "is not a question", "exists"),
        ("$.os.name=1", "is not a question", "network.interfaces.driver"),
        ('os."name"=1', "is not a question", "network.interfaces.driver"),
        ("driver=ixgbe", "no path driver", "network.interfaces.driver"),
        ("network.interfaces=eth0", "no path network.interfaces", "network.interfaces.name"),
        ("xyzzy=1", "no path xyzzy", "/api/v1/facts/paths/"),
        ("os.name=", "has no value", "os.name exists"),
        ("os.name<5", "no numbers", "boot.kernel"),
        ("hardware.cpus~1", "no text", "= or !="),
        ("hardware.cpus=many", "'many' is not a number", "8 or 64GiB"),
        ("hardware.cpus<1e400", "is not a number", "8 or 64GiB"),
        ("hardware.cpus>9999999999999999999T", "is not a number", "8 or 64GiB"),
        ("deployments.pinned=yes", "true or false", "deployments.pinned=true"),
        ("boot.kernel<new", "not a kernel release", "6.11"),
        ("os.name=a\0b", "NUL", "300"),
        ("os.name=" + "x" * 300, "too long", "300"),
    ],
)
def test_what_is_no_question_is_told_with_its_mend(text: str, said: str, mend: str) -> None:
    with pytest.raises(NotAQuestion) as caught:
        parse(text)
    assert said in caught.value.message
    assert mend in caught.value.mend


@given(st.text(max_size=320))
def test_any_text_is_a_question_or_refused(text: str) -> None:
    with suppress(NotAQuestion):
        found = parse(text)
        assert parse(found.text) == found


def test_every_path_has_a_sentence_and_every_indexed_one_exists() -> None:
    assert list(SENTENCES) == list(known_paths())
    assert set(INDEXED) <= set(known_paths())
    numbers = {path for path, is_number in INDEXED.items() if is_number}
    assert numbers == {path for path in INDEXED if known_paths()[path] == "number"}


def test_operators_fit_what_stands_there() -> None:
    assert operators_of("hardware.cpus") == ("=", "!=", "<", "<=", ">", ">=", "exists", "absent")
    assert operators_of("os.name") == ("=", "!=", "~", "exists", "absent")
    assert "<" in operators_of("boot.kernel")


def test_kernels_sort_as_they_were_made() -> None:
    ordered = [
        "5.15.0-100-generic",
        "6.1.112+rpt-rpi-v8",
        "6.9.12-200.fc40.x86_64",
        "6.11.0-0.rc7.56.fc42.x86_64",
        "6.11",
        "6.11.0-29-generic",
        "6.11.5-300.fc41.x86_64",
        "6.11.5-301.fc41.aarch64",
        "6.11.10",
        "6.12.0-rc1",
        "6.12.0-rc10",
        "6.12.0",
        "10.0.1",
    ]
    assert sorted(reversed(ordered), key=kernel_order) == ordered
    assert kernel_order("6.11.5-300.fc41.x86_64") == kernel_order("6.11.5-300.fc41.aarch64")


@given(st.text(max_size=200))
def test_a_kernel_that_nobody_knows_is_no_order_or_digits(text: str) -> None:
    found = kernel_order(text)
    assert found == "" or (found.isascii() and found.isdigit() and len(found) == 72)


def test_values_go_through_lists_and_names_with_dots() -> None:
    document = {
        "network": {"interfaces": [{"addresses": [{"address": "a"}, {"address": ""}]}, {"addresses": []}, "odd", None]},
        "containers": {"runtimes": [{"containers": [{"labels": {"app.kubernetes.io/name": "etcd"}}]}]},
        "agent": {"config": {"updates": {"strategy": "periodic"}}},
    }
    assert values_at(document, "network.interfaces.addresses.address") == ["a"]
    assert values_at(document, "containers.runtimes.containers.labels.app.kubernetes.io/name") == ["etcd"]
    assert values_at(document, "agent.config.updates.strategy") == ["periodic"]
    assert readings("os.name") == [("os", "name")]


def test_terms_are_bounded_and_plain() -> None:
    document = {
        "hardware": {"cpus": 8, "model": "m" * 500, "memory_total_bytes": 2**70},
        "boot": {"arguments": [f"a{number}" for number in range(MAX_PER_PATH + 50)]},
    }
    found = terms_of(document)
    assert ("hardware.cpus", "8", 8) in found
    assert ("hardware.model", "m" * 200, None) in found
    assert ("hardware.memory_total_bytes", str(2**70), None) in found
    assert sum(path == "boot.arguments" for path, _value, _number in found) == MAX_PER_PATH
