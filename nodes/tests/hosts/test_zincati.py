"""Zincati: states, settings and the files it does not read."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.hosts.drivers.sections import ZINCATI_CONFIG_DIRS
from nodes.hosts.drivers.zincati import NOT_TOML, effective, merge, parse_status_text, parse_toml, without_password
from nodes.hosts.facts import Agent
from nodes.hosts.machine_id import derived_id
from nodes.tests.hosts.hostdoubles import HEALTHY, answer, corpus, read

USR, ETC, RUN = ZINCATI_CONFIG_DIRS


@pytest.mark.parametrize(
    ("text", "state", "detail"),
    [
        ("initialization complete, auto-updates logic enabled", "initialized", {}),
        ("initialization complete, auto-updates logic disabled by configuration", "disabled", {}),
        ("periodically polling for updates", "polling", {}),
        ("periodically polling for updates (last checked Mon 2022-01-31 05:31:53 UTC)", "polling", {}),
        ("found update on remote: 38.20230709.3.0", "update_found", {"version": "38.20230709.3.0"}),
        ("trying to stage 43.1 (failed attempts: 3)", "staging", {"version": "43.1", "failed_attempts": "3"}),
        ("trying to stage 43.1 (2 failed deployment attempts)", "staging", {"version": "43.1", "failed_attempts": "2"}),
        ("trying to stage 43.1", "staging", {"version": "43.1"}),
        ("update staged: 43.1", "staged", {"version": "43.1"}),
        (
            "update staged: 43.1; reboot pending due to update strategy",
            *("staged", {"version": "43.1", "waiting_for": "strategy"}),
        ),
        (
            "update staged: 43.1; reboot delayed due to active user sessions",
            *("staged", {"version": "43.1", "waiting_for": "user_sessions"}),
        ),
        ("update staged: 43.1; reboot put off", "staged", {"version": "43.1", "waiting_for": "unknown"}),
        ("update finalized: 43.1", "finalized", {"version": "43.1"}),
        ("update applied, waiting for reboot: 43.1", "waiting_for_reboot", {"version": "43.1"}),
        ("something new", "unknown", {}),
        ("", None, {}),
    ],
)
def test_status_texts(text: str, state: str | None, detail: dict[str, str]) -> None:
    assert parse_status_text(text) == (state, detail)


@pytest.mark.parametrize(
    ("name", "state", "waiting"),
    [
        ("polling", "polling", None),
        ("deploying", "update_found", None),
        ("staged-user-sessions", "staged", "user_sessions"),
    ],
)
def test_recorded_status_texts(name: str, state: str, waiting: str | None) -> None:
    lines = corpus("fcos", f"systemctl-status-zincati-{name}.txt").read_text().splitlines()
    text = next(line.split('"')[1] for line in lines if "Status:" in line)
    found, detail = parse_status_text(text)
    assert (found, detail.get("waiting_for")) == (state, waiting)


def test_a_healthy_agent() -> None:
    agent = read().facts.agent
    assert (agent.name, agent.state, agent.unit.active) == ("Zincati", "polling", "active")
    assert agent.status_text == "periodically polling for updates"
    assert agent.config["updates"]["strategy"] == "fleet_lock"
    assert agent.config["updates"]["enabled"] is True
    assert agent.files_read == (f"{ETC}/50-updates.toml",)
    assert agent.files_ignored == ()
    assert agent.node_uuid == derived_id(HEALTHY["machine_id"].strip())


@pytest.mark.parametrize(
    ("active", "state"), [("failed", "failed"), ("inactive", "stopped"), ("activating", "polling")]
)
def test_what_a_stopped_agent_last_said_is_not_its_state(active: str, state: str) -> None:
    agent = read(zincati=HEALTHY["zincati"].replace("ActiveState=active", f"ActiveState={active}")).facts.agent
    assert agent.state == state
    assert agent.status_text == "periodically polling for updates"


def test_a_host_without_zincati() -> None:
    agent = read(zincati="Id=zincati.service\nLoadState=not-found\nActiveState=inactive\n").facts.agent
    assert (agent.name, agent.config) == (None, {})
    assert read(zincati=answer(status=127)).facts.agent == Agent()


def with_files(**files: str) -> dict[str, str]:
    """Sections that hold these files; a double underscore in a name stands for the folder's number."""
    listing, content = [], []
    for name, text in files.items():
        path = name
        listing.append(f"f {len(text)} {path}")
        content += [f"{path}\0{line}" for line in text.splitlines()]
    return {"zincati_files": "\n".join(listing) + "\n", "zincati_config": "\n".join(content) + "\n"}


def test_later_folders_replace_files_and_later_names_replace_keys() -> None:
    agent = read(
        **with_files(
            **{
                f"{USR}/10-base.toml": '[updates]\nstrategy = "immediate"\n[identity]\ngroup = "base"\n',
                f"{USR}/20-same.toml": '[identity]\ngroup = "usr"\n',
                f"{ETC}/20-same.toml": '[identity]\ngroup = "etc"\n',
                f"{RUN}/20-same.toml": "identity.rollout_wariness = 0.25\n",
                f"{ETC}/05-first.toml": '[updates]\nstrategy = "periodic"\nenabled = false\n',
            }
        )
    ).facts.agent
    assert agent.files_read == (f"{ETC}/05-first.toml", f"{USR}/10-base.toml", f"{RUN}/20-same.toml")
    assert agent.config["updates"]["strategy"] == "immediate"
    assert agent.config["updates"]["enabled"] is False
    assert agent.config["identity"] == {"group": "base", "node_uuid": None, "rollout_wariness": 0.25}
    ignored = {one.path: one.reason for one in agent.files_ignored}
    assert ignored == {
        f"{USR}/20-same.toml": f"replaced by {ETC}/20-same.toml",
        f"{ETC}/20-same.toml": f"replaced by {RUN}/20-same.toml",
    }


def test_files_that_are_not_read_because_of_their_name() -> None:
    listing = (
        f"f 9 {ETC}/50-updates.yaml\nf 9 {ETC}/.hidden.toml\nd 40 {ETC}/folder.toml\nl 9 {ETC}/broken.toml\n"
        f"f 9 {USR}/90-masked.toml\nc 0 {ETC}/90-masked.toml\nf 0 {ETC}/99-empty.toml\n"
    )
    agent = read(zincati_files=listing, zincati_config="").facts.agent
    assert agent.files_read == (f"{ETC}/99-empty.toml",)
    assert {one.path.rpartition("/")[2]: one.reason for one in agent.files_ignored if ETC in one.path} == {
        "50-updates.yaml": "the name does not end in .toml",
        ".hidden.toml": "hidden files are not read",
        "folder.toml": "a folder",
        "broken.toml": "a broken link",
        "90-masked.toml": "masks the files of this name",
    }


def test_a_file_that_is_no_toml_keeps_the_agent_from_starting() -> None:
    files = {f"{ETC}/10-good.toml": "[updates]\nenabled = true\n", f"{ETC}/60-broken.toml": "[updates\n"}
    agent = read(**with_files(**files)).facts.agent
    assert agent.files_read == (f"{ETC}/10-good.toml",)
    (ignored,) = agent.files_ignored
    assert (ignored.path, ignored.reason) == (f"{ETC}/60-broken.toml", NOT_TOML)
    assert "does not start" in ignored.reason


def test_files_of_root_only_are_a_fact() -> None:
    reading = read(
        zincati_files=answer(f"f 9 {ETC}/60-secret.toml\n", 1, "find: '/run/zincati/config.d': Permission denied"),
        zincati_config=answer("", 2, f"grep: {ETC}/60-secret.toml: Permission denied"),
    )
    assert [(one.reason, one.message) for one in reading.facts.unread] == [
        ("permission", "The user may not read /run/zincati/config.d."),
        ("permission", f"The user may not read {ETC}/60-secret.toml."),
    ]
    assert reading.facts.agent.files_ignored[0].reason == "not readable by this user"


def test_missing_folders_are_no_fault() -> None:
    stderr = "grep: /run/zincati/config.d: No such file or directory"
    reading = read(zincati_files=answer("", 1, stderr.replace("grep", "find")), zincati_config=answer("", 2, stderr))
    assert reading.facts.unread == ()
    assert reading.facts.agent.config["updates"]["strategy"] == "immediate"


def test_a_file_that_is_not_toml_is_kept_raw() -> None:
    reading = read(**with_files(**{f"{ETC}/50-x.toml": "updates: yes", f"{ETC}/60-y.toml": "updates.enabled = false"}))
    unread = reading.facts.unread[0]
    assert (unread.section, unread.reason, unread.raw) == ("zincati_config", "not_understood", "updates: yes")
    assert reading.facts.agent.files_read == (f"{ETC}/60-y.toml",)


def test_recorded_settings() -> None:
    text = corpus("fcos", "zincati-config-full-sample.toml").read_text()
    problems: list[str] = []
    config = effective(parse_toml(text), problems)
    assert problems == []
    assert config["agent"]["timing"]["steady_interval_secs"] == 35
    assert config["identity"] == {
        "group": "workers",
        "node_uuid": "27e3ac02af3946af995c9940e18b0cce",
        "rollout_wariness": 0.5,
    }
    assert config["updates"]["fleet_lock"]["base_url"] == "http://fleet-lock.example.com:8080/"
    assert config["updates"]["periodic"]["time_zone"] == "localtime"
    assert config["updates"]["periodic"]["window"][1] == {"days": ["Wed"], "start_time": "23:30", "length_minutes": 25}
    other = parse_toml(corpus("fcos", "zincati-config-periodic.toml").read_text())
    merged = parse_toml(text)
    merge(merged, other)
    assert len(effective(merged, [])["updates"]["periodic"]["window"]) == 5


def test_wrong_values_are_said() -> None:
    reading = read(**with_files(**{f"{ETC}/50-x.toml": 'updates.enabled = "no"\nidentity.rollout_wariness = 7'}))
    assert "updates.enabled should be true or false" in reading.facts.unread[0].message
    assert "rollout_wariness" in reading.facts.unread[0].message


def test_passwords_in_urls_are_not_kept() -> None:
    assert without_password("https://user:secret@lock.example.com/x") == "https://***@lock.example.com/x"
    reading = read(**with_files(**{f"{ETC}/50-x.toml": 'updates.fleet_lock.base_url = "http://u:pw@lock/"'}))
    assert "pw" not in json.dumps(reading.facts.as_json())


def test_the_node_id_is_derived_as_systemd_does() -> None:
    derived = derived_id("3d1219c7c4c5404aaa1f6d2a48adfda4")
    assert derived == "975228d46dc94622b9bbe16671e2b58d"
    assert read(zincati_id=derived + "\n", machine_id=answer(status=1)).facts.agent.node_uuid == derived
    configured = with_files(**{f"{ETC}/50-x.toml": 'identity.node_uuid = "27E3AC02-AF39-46AF-995C-9940E18B0CCE"'})
    assert read(**configured).facts.agent.node_uuid == "27e3ac02af3946af995c9940e18b0cce"


def test_the_derived_machine_id_is_a_fact_of_the_system() -> None:
    raw = HEALTHY["machine_id"].strip()
    assert read().facts.os.machine_id == derived_id(raw) != raw
    configured = with_files(**{f"{ETC}/50-x.toml": 'identity.node_uuid = "27E3AC02-AF39-46AF-995C-9940E18B0CCE"'})
    assert read(**configured).facts.os.machine_id == derived_id(raw)
    said = derived_id(raw)
    assert read(machine_id=answer(status=1), zincati_id=said + "\n").facts.os.machine_id == said
    assert read(machine_id="odd 3b9e1d5f").facts.os.machine_id is None


def test_the_machine_id_itself_is_never_kept() -> None:
    for text in (HEALTHY["machine_id"], "odd 3b9e1d5f"):
        assert text.strip() not in json.dumps(read(machine_id=text).facts.as_json())


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200), st.binary(max_size=200))
def test_no_listing_or_content_escapes(listing: str, content: bytes) -> None:
    text = content.decode("latin-1")
    reading = read(zincati_files=listing, zincati_config=f"{ETC}/50-updates.toml\0{text}", zincati=HEALTHY["zincati"])
    json.dumps(reading.facts.as_json(), allow_nan=False).encode()


@pytest.mark.parametrize("text", ["a=" + "[" * 30_000, ".".join("a" * 30_000) + "=1", "x = inf", "x = 1979-05-27"])
def test_hostile_toml(text: str) -> None:
    reading = read(**with_files(**{f"{ETC}/50-updates.toml": text}))
    json.dumps(reading.facts.as_json(), allow_nan=False)
