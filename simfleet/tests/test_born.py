"""A simulated host compared with the config that it was born with: as a real one, and as its plan says it was changed."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from nodes.drift import Answer, Comparison, Question, compare, expect, inspect
from simfleet.answers.born import TAMPERINGS
from simfleet.model import HostPlan
from simfleet.tests.world import OneHost

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIObLDg41cZFJtosEThU0kmZ+fEjC1c5UitOlaYPJ6jYx anna"
CONFIG = {
    "ignition": {"version": "3.4.0"},
    "passwd": {"users": [{"name": "core", "sshAuthorizedKeys": [KEY], "groups": ["wheel"]}]},
    "storage": {
        "directories": [{"path": "/etc/shop", "mode": 0o750}],
        "files": [
            {"path": "/etc/motd.d/a.motd", "mode": 0o644, "contents": {"source": "data:,hello%20there"}},
            {"path": "/etc/shop.toml", "mode": 0o600, "contents": {"source": "data:;base64,YT0x"}},
        ],
        "links": [{"path": "/etc/localtime", "target": "../usr/share/zoneinfo/UTC"}],
    },
    "systemd": {
        "units": [
            {"name": "shop.service", "enabled": True, "contents": "[Service]\nExecStart=/bin/true\n"},
            {"name": "zincati.service", "mask": True},
        ]
    },
}


def compared(folder: Path, *tampered: str) -> Comparison:
    world = OneHost(HostPlan("web-01", "web", tampered=tampered))
    world.born_dir = folder
    (folder / "web-01.ign").write_text(json.dumps(CONFIG))

    def ask(question: Question) -> Answer:
        found = world.ask(shlex.join(question.argv), stdin=question.stdin)
        return Answer(found.status, found.out, found.err)

    wanted = expect(json.dumps(CONFIG))
    return compare(wanted, inspect(wanted, ask))


def test_a_host_is_as_it_was_born(tmp_path: Path) -> None:
    found = compared(tmp_path)
    assert (found.differences, found.unlooked) == ((), ())


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("edited", "contents"),
        ("opened", "mode"),
        ("key", "key_added"),
        ("disabled", "enablement"),
        ("removed", "missing"),
    ],
)
def test_each_tampering_is_found(tmp_path: Path, kind: str, what: str) -> None:
    assert [one.what.value for one in compared(tmp_path, kind).differences] == [what]


def test_every_tampering_is_tried() -> None:
    assert set(TAMPERINGS) == {"edited", "opened", "key", "disabled", "removed"}
