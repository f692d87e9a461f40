"""The axes: each rule by an example, and no shape of facts that raises or lacks words."""

import copy
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes import wording
from nodes.axes import AxisValue, Contact, Health, StoredAxis, UpdateState, carry, compute
from nodes.axes.health import REASONS as HEALTH_REASONS
from nodes.axes.update_state import REASONS as UPDATE_REASONS
from nodes.hosts.facts import Facts
from nodes.releases.graph import Release, ReleasesView

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OK = Contact(last_ok_at=NOW, ever_reached=True)
OLD, MID, NEW = "43.20251024.3.0", "43.20251214.3.0", "43.20260201.3.0"
GIB = 1 << 30
STABLE = ReleasesView.of("stable", [Release("stable", version) for version in (OLD, MID, NEW)])
NONE_KNOWN = ReleasesView("stable")


def _deployment(version: str | None, **more: Any) -> dict[str, Any]:
    plain = {"osname": "fedora-coreos", "version": version, "checksum": f"c-{version}", "stream": "stable"}
    return {**plain, "booted": False, "staged": False, **more}


def _facts(*deployments: dict[str, Any], **sections: Any) -> dict[str, Any]:
    facts = Facts().as_json()
    facts["os"] = {"family": "fcos", "stream": "stable"}
    facts["health"] = {"system_state": "running", "failed_units": []}
    facts["boot"]["booted_at"] = "2026-02-20T10:00:00+00:00"
    facts["deployments"] = list(deployments) or [_deployment(NEW, booted=True)]
    facts["agent"] = {"name": "Zincati", "unit": {"active": "active"}, "status_text": "", "config": {}}
    for name, value in sections.items():
        facts[name] = {**facts[name], **value} if isinstance(value, dict) else value
    return facts


def _mount(mount: str, used: float | None, **more: Any) -> dict[str, Any]:
    sizes = {"size_bytes": 10 * GIB + len(mount), "used_bytes": GIB, "available_bytes": 9 * GIB}
    return {"mount": mount, **sizes, "used_percent": used, "inodes_used_percent": 1, **more}


def _measured(*mounts: dict[str, Any], available: int = 4 * GIB) -> dict[str, Any]:
    memory = {"memory_total_bytes": 8 * GIB, "memory_available_bytes": available}
    return {**memory, "filesystems": list(mounts) or [_mount("/", 20), _mount("/boot", 40)]}


def _zincati(status: str, **more: Any) -> dict[str, Any]:
    return {"status_text": status, **more}


@pytest.mark.parametrize(
    ("contact", "value", "reason"),
    [
        (Contact(), "never_seen", "not_contacted"),
        (Contact(is_on_its_way=True), "never_seen", "provisioning"),
        (Contact(last_error_kind="timed_out", failures=3, is_on_its_way=True), "never_seen", "provisioning"),
        (Contact(last_error_kind="refused", failures=3, is_on_its_way=True), "never_seen", "provisioning"),
        # Its sshd answers, so it is not booting any more: it lets nobody in, or hangs.
        (Contact(last_error_kind="authentication", failures=1, is_on_its_way=True), "never_seen", "authentication"),
        (
            Contact(last_error_kind="timed_out", failures=1, error_params={"phase": "command"}, is_on_its_way=True),
            "never_seen",
            "timed_out",
        ),
        (
            Contact(last_error_kind="timed_out", failures=1, error_params={"phase": "connect"}, is_on_its_way=True),
            "never_seen",
            "provisioning",
        ),
        (Contact(last_error_kind="key_mismatch", failures=1, is_on_its_way=True), "key_mismatch", "key_mismatch"),
        (
            Contact(last_error_kind="timed_out", failures=1, ever_reached=True, is_on_its_way=True),
            "unreachable",
            "timed_out",
        ),
        (Contact(last_error_kind="refused", failing_since=NOW, failures=2), "never_seen", "refused"),
        (Contact(last_error_kind="key_unknown", failures=1), "never_seen", "key_unknown"),
        (OK, "reachable", ""),
        (Contact(NOW, "timed_out", None, 0, ever_reached=True), "reachable", ""),
        (Contact(NOW, "timed_out", NOW, 1, ever_reached=True), "unreachable", "timed_out"),
        (Contact(NOW, "authentication", NOW, 9), "unreachable", "authentication"),
        (Contact(NOW, "key_mismatch", NOW, 1, ever_reached=True), "key_mismatch", "key_mismatch"),
        (Contact(None, "key_mismatch", NOW, 1), "key_mismatch", "key_mismatch"),
    ],
)
def test_reachability(contact: Contact, value: str, reason: str) -> None:
    got = compute(None, None, NONE_KNOWN, contact, NOW).reachability
    assert (got.value, got.reason) == (value, reason)


def test_reachability_keeps_what_the_error_says() -> None:
    contact = Contact(NOW, "timed_out", NOW, 3, ever_reached=True, error_params={"phase": "banner", "address": "n1"})
    got = compute(None, None, NONE_KNOWN, contact, NOW).reachability
    assert got.params == {"phase": "banner", "address": "n1", "failures": 3}
    sentence = wording.axis_sentence("reachability", got.value, got.reason, got.params)
    assert sentence == "n1 accepted the connection but did not identify itself as an SSH server in time."


_UNITS = [{"name": "nginx.service"}, {"name": "backup.service"}]
_RECENT = {"booted_at": (NOW - timedelta(minutes=3)).isoformat()}
_IMAGE = {"size_bytes": 8 << 20, "used_bytes": 8 << 20, "available_bytes": 0}


@pytest.mark.parametrize(
    ("facts", "measured", "value", "reason"),
    [
        (_facts(), _measured(), "healthy", ""),
        (_facts(health={"failed_units": _UNITS}), _measured(), "degraded", "units_failed"),
        (_facts(health={"system_state": "degraded"}), _measured(), "degraded", "system_degraded"),
        (_facts(health={"system_state": "maintenance"}), _measured(), "degraded", "maintenance_mode"),
        (_facts(health={"system_state": "emergency"}), _measured(), "degraded", "maintenance_mode"),
        (_facts(health={"system_state": "starting"}, boot=_RECENT), _measured(), "unknown", "starting"),
        (_facts(health={"system_state": "initializing"}, boot=_RECENT), _measured(), "unknown", "starting"),
        (_facts(health={"system_state": "starting"}), _measured(), "degraded", "start_hangs"),
        (_facts(health={"system_state": "stopping"}), _measured(), "unknown", "stopping"),
        (_facts(health={"system_state": None}), _measured(), "unknown", "system_state_not_read"),
        (_facts(update={"finalize_failed": "No space left"}), _measured(), "degraded", "finalize_failed"),
        (_facts(), _measured(_mount("/boot", 96)), "degraded", "disk_full"),
        (_facts(), _measured(_mount("/boot", 90)), "healthy", ""),
        (_facts(), _measured(_mount("/var", 50, inodes_used_percent=99)), "degraded", "inodes_full"),
        (_facts(), _measured(_mount("/mnt/archive", 99)), "healthy", ""),
        (_facts(), _measured(_mount("/", 100, **_IMAGE), _mount("/var", 30)), "healthy", ""),
        (
            _facts(storage={"filesystems": [{"mount": "/", "type": "composefs"}]}),
            _measured(_mount("/", 100), _mount("/var", 30)),
            "healthy",
            "",
        ),
        (_facts(), _measured(available=GIB // 8), "degraded", "memory_low"),
        (_facts(time={"synchronized": False}), _measured(), "degraded", "clock_not_synchronized"),
        (_facts(time={"synchronized": False}, boot=_RECENT), _measured(), "healthy", ""),
        (_facts(time={"synchronized": None}), _measured(), "healthy", ""),
        (
            _facts(containers={"runtimes": [{"containers": [{"name": "web", "state": "restarting"}]}]}),
            _measured(),
            "degraded",
            "containers_restarting",
        ),
        (_facts(), None, "unknown", "not_measured"),
        (None, _measured(), "unknown", "no_facts"),
        ({}, None, "unknown", "no_facts"),
    ],
)
def test_health(facts: dict[str, Any] | None, measured: dict[str, Any] | None, value: str, reason: str) -> None:
    got = compute(facts, measured, STABLE, OK, NOW).health
    assert (got.value, got.reason) == (value, reason)


@pytest.mark.parametrize(("minutes", "value"), [(14, "healthy"), (16, "unknown")])
def test_health_of_an_unreachable_node_lasts_a_while(minutes: int, value: str) -> None:
    last = NOW - timedelta(minutes=minutes)
    contact = Contact(last, "timed_out", last, 2, ever_reached=True)
    assert compute(_facts(), _measured(), STABLE, contact, NOW).health.value == value


def test_the_worst_reason_comes_first_and_the_others_stay() -> None:
    facts = _facts(health={"system_state": "degraded", "failed_units": _UNITS}, time={"synchronized": False})
    got = compute(facts, _measured(_mount("/boot", 96.4), _mount("/var", 98)), STABLE, OK, NOW).health
    assert got.reason == "disk_full"
    assert wording.axis_sentences("health", got.value, got.reason, got.params) == [
        "/var is 98 % full",
        "/boot is 96 % full",
        "2 units have failed: nginx.service, backup.service",
        "The clock is not synchronised.",
    ]


def test_one_file_system_under_two_mounts_is_reported_once() -> None:
    shared = {"size_bytes": 10 * GIB, "used_bytes": 9 * GIB}
    measured = _measured(_mount("/sysroot", 95, **shared), _mount("/", 95, **shared), _mount("/var", 95, **shared))
    got = compute(_facts(), measured, STABLE, OK, NOW).health
    assert got.params == {"mount": "/", "used_percent": 95}


_STAGED = (_deployment(NEW, staged=True), _deployment(MID, booted=True), _deployment(OLD, rollback=True))
_LOCKED = (_deployment(NEW, staged=True, locked=True), _deployment(MID, booted=True))
_SESSIONS = "update staged: 43.20260201.3.0; reboot delayed due to active user sessions"
_STRATEGY = "update staged: 43.20260201.3.0; reboot pending due to update strategy"
_STOPPED = {"active": "inactive"}
_BEHIND = _deployment(MID, booted=True)


@pytest.mark.parametrize(
    ("facts", "value", "reason"),
    [
        (None, "unknown", "no_facts"),
        (
            _facts(unread=[{"section": "rpm_ostree_status", "reason": "not_understood"}], deployments=[]),
            *("unknown", "status_not_read"),
        ),
        (_facts(deployments=[], os={"family": "unknown"}), "unknown", "not_image_based"),
        (_facts(deployments=[]), "unknown", "no_deployments"),
        (_facts(_deployment(NEW)), "unknown", "booted_from_none"),
        (_facts(), "up_to_date", ""),
        (_facts(_deployment("44.20260301.3.0", booted=True)), "up_to_date", "ahead_of_releases"),
        (_facts(_BEHIND), "update_available", "newer_release"),
        (_facts(_deployment(None, booted=True)), "unknown", "no_version"),
        (
            _facts(_BEHIND, agent=_zincati("trying to stage 43.20260201.3.0 (failed attempts: 3)")),
            *("update_available", "staging_fails"),
        ),
        (
            _facts(_BEHIND, agent=_zincati("trying to stage 43.20260201.3.0 (2 failed deployment attempts)")),
            *("update_available", "staging_fails"),
        ),
        (
            _facts(_BEHIND, agent=_zincati("trying to stage 43.20260201.3.0 (failed attempts: 0)")),
            *("update_available", "newer_release"),
        ),
        (_facts(_BEHIND, agent=_zincati("", unit=_STOPPED)), "update_available", "agent_off"),
        (
            _facts(_BEHIND, agent=_zincati("", config={"updates": {"enabled": False}})),
            *("update_available", "agent_disabled"),
        ),
        (_facts(*_STAGED), "staged", ""),
        (_facts(*_STAGED, agent=_zincati(_SESSIONS)), "deferred", "user_session"),
        (_facts(*_STAGED, agent=_zincati(_STRATEGY)), "deferred", "update_strategy"),
        (_facts(*_STAGED, agent=_zincati(_STRATEGY, unit=_STOPPED)), "staged", ""),
        (_facts(*_LOCKED), "deferred", "finalization_locked"),
        (
            _facts(*_STAGED, agent=_zincati("update applied, waiting for reboot: X")),
            *("reboot_pending", "agent_waits_for_reboot"),
        ),
        (_facts(agent=_zincati(_STRATEGY)), "up_to_date", ""),
        (_facts(_deployment(OLD), _deployment(NEW, booted=True)), "reboot_pending", "rollback_queued"),
        (_facts(_deployment(NEW), _deployment(NEW, booted=True)), "reboot_pending", "other_deployment_first"),
        (_facts(update={"reboot_pending": True}), "reboot_pending", "host_asks_for_reboot"),
        (_facts(_deployment(NEW), _BEHIND), "rolled_back", "booted_is_not_default"),
        (
            _facts(_deployment(NEW), _BEHIND, update={"order_changed": False}),
            *("rolled_back", "booted_is_not_default"),
        ),
        # A rollback that is taken back before its reboot: nothing has failed.
        (
            _facts(_deployment(NEW), _BEHIND, update={"order_changed": True}),
            *("reboot_pending", "other_deployment_first"),
        ),
        (_facts(_BEHIND, _deployment(NEW, rollback=True)), "rolled_back", "newer_in_rollback"),
        (_facts(_BEHIND, _deployment(NEW, osname="other")), "update_available", "newer_release"),
        (_facts(_deployment(NEW, booted=True), _deployment("43.20260215.2.0", stream="testing")), "up_to_date", ""),
        (_facts(_deployment(NEW, osname="other"), _deployment(NEW, booted=True)), "up_to_date", ""),
    ],
)
def test_update_state(facts: dict[str, Any] | None, value: str, reason: str) -> None:
    got = compute(facts, None, STABLE, OK, NOW).update_state
    assert (got.value, got.reason) == (value, reason)


def test_commit_times_decide_where_versions_are_missing() -> None:
    booted = _deployment(None, booted=True, timestamp="2026-01-01T00:00:00Z")
    newer = _deployment(None, timestamp="2026-02-01T00:00:00Z")
    assert compute(_facts(booted, newer), None, NONE_KNOWN, OK, NOW).update_state.value == "rolled_back"


@pytest.mark.parametrize(
    ("update", "agent", "stream", "value", "reason"),
    [
        ({}, {}, "stable", "unknown", "no_releases"),
        ({}, {}, None, "unknown", "no_stream"),
        ({"cached_update": {"version": NEW, "checksum": "x"}}, {}, "stable", "update_available", "cached_update"),
        ({"cached_update": {"version": None, "checksum": "x"}}, {}, "stable", "update_available", "cached_update"),
        ({"cached_update": {"version": MID, "checksum": f"c-{MID}"}}, {}, "stable", "up_to_date", "host_says"),
        ({"pending_commit": {"version": NEW, "checksum": "x"}}, {}, "stable", "update_available", "pulled"),
        ({}, {"status_text": f"found update on remote: {NEW}"}, "stable", "update_available", "agent_found_update"),
    ],
)
def test_without_releases_the_host_is_asked(
    update: dict[str, Any], agent: dict[str, Any], stream: str | None, value: str, reason: str
) -> None:
    facts = _facts(_deployment(MID, booted=True, stream=stream), update=update, agent=agent, os={"stream": stream})
    got = compute(facts, None, NONE_KNOWN, OK, NOW).update_state
    assert (got.value, got.reason) == (value, reason)


def test_barrier_and_dead_end_are_named() -> None:
    barrier = ReleasesView.of(
        "stable", [Release("stable", OLD), Release("stable", MID, barrier="key"), *STABLE.releases[2:]]
    )
    got = compute(_facts(_deployment(OLD, booted=True)), None, barrier, OK, NOW).update_state
    assert (got.reason, got.params["version"], got.params["newest"], got.params["releases"]) == ("barrier", MID, NEW, 2)
    dead = Release("stable", MID, deadend="does not boot")
    on_dead = compute(_facts(_BEHIND), None, ReleasesView.of("stable", [dead, *STABLE.releases[2:]]), OK, NOW)
    assert (on_dead.update_state.value, on_dead.update_state.reason) == ("update_available", "dead_end")
    alone = compute(_facts(_BEHIND), None, ReleasesView.of("stable", [dead]), OK, NOW).update_state
    assert (alone.value, alone.reason) == ("unknown", "dead_end")


def test_a_reboot_held_back_names_the_terminal() -> None:
    facts = _facts(*_STAGED, agent=_zincati(_SESSIONS), sessions=[{"user": "core", "tty": "tty1"}])
    got = compute(facts, None, STABLE, OK, NOW).update_state
    sentence = wording.axis_sentence("update_state", got.value, got.reason, got.params)
    assert sentence == "Zincati holds the reboot back: a user is signed in on tty1"


def test_carry_keeps_the_time_until_value_or_reason_changes() -> None:
    first = carry(None, AxisValue("degraded", "disk_full", {"used_percent": 91}), NOW)
    later = NOW + timedelta(hours=1)
    same = carry(first, AxisValue("degraded", "disk_full", {"used_percent": 95}), later)
    assert same == StoredAxis("degraded", "disk_full", {"used_percent": 95}, NOW)
    assert carry(same, AxisValue("degraded", "units_failed"), later).since == later
    assert carry(same, AxisValue("healthy"), later).since == later


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.sampled_from([MID, NEW])
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)


def _paths(document: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found: list[tuple[str | int, ...]] = [path] if path else []
    pairs: list[tuple[Any, Any]] = []
    if isinstance(document, dict):
        pairs = list(document.items())
    elif isinstance(document, list):
        pairs = list(enumerate(document))
    for key, value in pairs:
        found += _paths(value, (*path, key))
    return found


_WHOLE = {
    "facts": _facts(*_STAGED, agent=_zincati(_SESSIONS), health={"failed_units": _UNITS}),
    "measured": _measured(),
}


@given(st.lists(st.tuples(st.sampled_from(_paths(_WHOLE)), _VALUES), max_size=6), st.sampled_from([STABLE, NONE_KNOWN]))
def test_no_shape_of_facts_raises(changes: list[tuple[tuple[Any, ...], Any]], releases: ReleasesView) -> None:
    whole = copy.deepcopy(_WHOLE)
    for path, value in changes:
        place: Any = whole
        for key in path[:-1]:
            fits = isinstance(place, dict) and key in place
            fits = fits or (isinstance(place, list) and isinstance(key, int) and key < len(place))
            place = place[key] if fits else None
        if isinstance(place, dict) or (isinstance(place, list) and isinstance(path[-1], int) and path[-1] < len(place)):
            place[path[-1]] = value
    facts, measured = (item if isinstance(item, Mapping) else None for item in (whole["facts"], whole["measured"]))
    axes = compute(facts, measured, releases, OK, NOW)
    assert axes.health.reason in HEALTH_REASONS[Health(axes.health.value)]
    assert axes.update_state.reason in UPDATE_REASONS[UpdateState(axes.update_state.value)]
    for axis in ("health", "update_state"):
        got: AxisValue = getattr(axes, axis)
        assert all(wording.axis_sentences(axis, got.value, got.reason, got.params))


@given(st.dictionaries(st.sampled_from([field.name for field in fields(Facts)]), _VALUES), _VALUES)
def test_no_document_raises(facts: dict[str, Any], measured: Any) -> None:
    compute(facts, measured if isinstance(measured, dict) else None, STABLE, OK, NOW)
