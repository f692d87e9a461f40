"""Workers that are killed and stopped, a broker that loses and repeats everything, a database that goes away: on real hosts.

Real processes on both pairs of database and broker; hosts with real ostree, real systemd and real restarts, all upgraded at once.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.operating import PAIRS, operating_on
from tests.rig import Rig
from tests.test_operations_rig import GOOD, boots, nothing_left

pytestmark = [pytest.mark.e2e, pytest.mark.rig]
HOSTS = 3
STAGING, RESTARTING, SOAKING = ("stage",), ("reboot", "await_boot", "settle"), ("hold_again", "verify", "soak")
#: While at least one operation is at one of these steps, this happens. Seven signals for each pair.
BLOWS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("preflight", "hold"), "kill"),
    (STAGING, "kill"),
    (STAGING, "repeat"),
    (STAGING, "stop"),
    (RESTARTING, "kill"),
    (RESTARTING, "wipe"),
    ((*RESTARTING, *SOAKING), "stop"),
    (SOAKING, "database"),
    (SOAKING, "kill"),
    (SOAKING, "kill"),
)


@pytest.mark.soak
@pytest.mark.parametrize("pair", PAIRS)
def test_a_storm_harms_no_real_host(pair: str, rig: Rig, tmp_path: Path) -> None:
    hosts = rig.up(HOSTS)
    names = [str(host["name"]) for host in hosts]
    releases = [
        {"stream": "stable", "version": one["version"], "checksum": one["checksum"]}
        for one in json.loads(rig("versions"))
        if not one["bad"]
    ]
    with operating_on(pair, tmp_path) as (made, database_away):
        made.take_in(hosts, releases)
        made.start()
        try:
            made.wait_for(lambda: made.count("booted_version <> ''") == HOSTS, 120, "all hosts read once")
            first = {name: (boots(rig, name), version(rig, name)) for name in names}
            limits = [("pool", "web", HOSTS)]
            ids = made.ask([("upgrade", names, {"version": GOOD, "soak_s": 20})], limits)
            made.strike(ids, BLOWS, database_away)
            made.finish(ids)
            assert set(made.rows("state, result", ids)) == {("succeeded", "healthy")}, made.stand(ids)
            assert {name: (boots(rig, name), version(rig, name)) for name in names} == {
                name: (count + 1, GOOD) for name, (count, _version) in first.items()
            }
            assert all(nothing_left(rig, name) for name in names)
            assert not [name for name in names if "staged: true" in status(rig, name)]
            made.check_rows(ids)
        finally:
            made.stop()
            rig.clear()


def status(rig: Rig, name: str) -> str:
    return " ".join(f"{word}: {value}".lower() for one in deployments(rig, name) for word, value in one.items())


def deployments(rig: Rig, name: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(rig.ssh(name, "rpm-ostree status --json"))["deployments"]
    return found


def version(rig: Rig, name: str) -> str:
    return next(str(one["version"]) for one in deployments(rig, name) if one["booted"])
