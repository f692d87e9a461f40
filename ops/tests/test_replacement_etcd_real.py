"""The same with a real etcd of three members with TLS, by the scripts that are run on hosts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from ops.replacement.etcd import CHANGED_STATUS, Etcd, Identity, look_command, read, remove_command, votes
from ops.replacement.planes import Asked, removal
from ops.tests.onehost import Killed
from ops.tests.planes import OfPlanes
from ops.tests.test_replacement import sentence
from tests.conftest import missing
from tests.etcds import Etcds, etcds
from tests.services import ServiceMissing

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]


@pytest.fixture
def three() -> Iterator[Etcds]:
    try:
        with etcds(3) as found:
            yield found
    except ServiceMissing as error:
        missing(str(error))


class OnHosts:
    """What is run on a control plane is run on its member; the worker dies right after the first removal."""

    def __init__(self, found: Etcds) -> None:
        self.found, self.deaths, self.down = found, 0, set[str]()

    def run(self, name: str, argv: Sequence[str]) -> tuple[int, bytes, bytes]:
        words = list(argv)
        if "fleetui-guard" in words:
            # The boot and the up-time of this machine are not those that the test's clock goes by.
            words = words[6:]
        done = self.found.planes[name].run(words)
        if "fleetui-etcd-remove" in words and not self.deaths:
            self.deaths += 1
            raise Killed
        return done.returncode, done.stdout, done.stderr


def look(three: Etcds, by: str) -> Etcd:
    done = three.planes[by].run(look_command().argv)
    found = read(done.stdout)
    assert found is not None, done.stderr
    return found


def test_a_member_goes_and_another_comes(three: Etcds, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = look(three, "n2")
    assert whole.is_sure
    assert [one.state for one in whole.members] == ["healthy"] * 3
    (first,) = [one for one in whole.members if one.name == "n1"]
    assert first.id == f"{three.members()['n1']['ID']:x}"

    # Another one at its address than was decided on stays.
    other = replace(first, peers=("https://127.0.77.9:2380",))
    done = three.planes["n2"].run(remove_command(other).argv)
    assert (done.returncode, len(three.members())) == (CHANGED_STATUS, 3), done.stderr

    hosts = OnHosts(three)
    addresses = {name: one.address for name, one in three.planes.items()}
    made = []

    def joins() -> None:
        three.planes["n1"].stop()
        made.append(three.join("n1", 11))

    run = OfPlanes(monkeypatch, hosts, joins=joins, addresses=addresses)
    run.rounds()
    run.check()
    assert hosts.deaths == 1
    assert "its etcd member n1 is one of 3 that vote" in sentence(run.operation)
    now = look(three, "n3")
    assert {one.name: one.state for one in now.members} == dict.fromkeys(("n1", "n2", "n3"), "healthy")
    assert now.by_id(first.id) is None
    # Removed once more, by whoever comes late: nothing is done.
    done = three.planes["n2"].run(remove_command(first).argv)
    assert (done.returncode, done.stdout.split()[:4]) == (0, b"there is no member".split())
    assert len(three.members()) == 3

    _without_a_quorum_nothing_goes(three)


def _without_a_quorum_nothing_goes(three: Etcds) -> None:
    """One member is down: another may not go. Two are down: the one that is left says so itself."""
    n1 = Identity.of(["n1"], [])
    others = {name: Identity.of([name], []) for name in ("n2", "n3")}
    three.planes["n3"].stop()
    found = look(three, "n2")
    assert (found.is_sure, votes(found.members).healthy) == (True, 2)
    (check,) = removal("n1", n1, others, Asked("n2", found)).checks
    assert (check.code, check.params["left"], check.params["healthy"]) == ("etcd_quorum_lost", 2, 1)
    # Its own member is down: it tells nothing, and another one is asked.
    silent = look(three, "n3")
    assert (silent.members, silent.is_sure, silent.said) == ((), False, "its own etcd does not answer")
    three.planes["n1"].stop()
    found = look(three, "n2")
    (check,) = removal("n1", n1, others, Asked("n2", found)).checks
    assert (found.is_sure, check.code, check.params["needed"]) == (False, "etcd_no_quorum", 2)
