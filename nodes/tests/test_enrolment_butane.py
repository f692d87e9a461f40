"""The Butane that is shown: every key is one that its variant and version have, and the rules that butane checks hold."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from nodes.services.enrolment import butane
from nodes.tests.hosts.hostdoubles import corpus

URL = "https://fleet.example/api/v1/enrol/"
TOKEN = "fleetui-enrol_0123456789ab_" + "A_-z" * 10
LOGIN = butane.Login("core", "ssh-ed25519 AAAAC3Nz fleetui: lab # 1")


def config(variant: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(butane.butane(variant, url=URL, token=TOKEN, login=LOGIN))
    return found


@pytest.mark.parametrize("variant", butane.VARIANTS)
def test_it_holds_what_the_machine_needs(variant: str) -> None:
    found = config(variant)
    assert (found["variant"], found["version"]) == (variant, butane.VARIANTS[variant])
    (user,) = found["passwd"]["users"]
    assert user == {"name": "core", "ssh_authorized_keys": [LOGIN.public_key]}
    (file,) = found["storage"]["files"]
    assert file["path"] == butane.HEADER_FILE
    assert file["mode"] == 0o600
    assert file["contents"]["inline"] == f"Authorization: Bearer {TOKEN}\n"
    service, timer = found["systemd"]["units"]
    assert "enabled" not in service
    assert timer["enabled"] is True
    assert "[Install]\nWantedBy=timers.target" in timer["contents"]
    assert TOKEN not in service["contents"] + timer["contents"]
    for unit in (service, timer):
        assert all(len(line) < 2048 for line in unit["contents"].splitlines())
        assert re.match(r"\[Unit\]\n", unit["contents"])


@pytest.mark.parametrize("variant", butane.VARIANTS)
def test_the_unit_runs_the_command_word_for_word(variant: str) -> None:
    unit = config(variant)["systemd"]["units"][0]["contents"]
    line = unit.partition("ExecStart=")[2].replace("\\\n", " ")
    assert shlex.split(line) == butane.announce_command(URL, variant)
    assert not set(line) & set("$'\"`;|<>&")


def test_a_percent_sign_is_not_a_specifier() -> None:
    unit = butane.service_unit("https://[fd00::1%25eth0]/api/v1/enrol/", "fcos")
    assert "[fd00::1%%25eth0]" in unit


@pytest.mark.parametrize("variant", butane.VARIANTS)
def test_every_key_is_one_of_its_version(variant: str) -> None:
    """As the field tables of the real butane have them."""
    schema = json.loads(Path(corpus().parent, "butane-schema.json").read_text())["butane"]
    table = schema[f"{variant} {butane.VARIANTS[variant]}"]
    assert _keys_of(config(variant), table["root"], table["types"]) > 15


def _keys_of(value: Any, kind: str, types: dict[str, Any]) -> int:
    """How many keys were found in the tables; a key that is not there fails."""
    if kind not in types:
        assert not isinstance(value, dict), f"{value} stands where a {kind} belongs"
        return 0
    count = 0
    fields = {field["key"]: field for field in types[kind]}
    for key, held in value.items():
        assert key in fields, f"{kind} has no {key}"
        many = held if fields[key].get("list") else [held]
        assert isinstance(held, list) == bool(fields[key].get("list")), key
        count += 1 + sum(_keys_of(one, fields[key]["type"], types) for one in many)
    return count
