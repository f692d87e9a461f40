"""From a push to a machine: the git command, a real git server, a running FleetUI, and a plain HTTP client that fetches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nodes.tests.git.repositories import Work, http_server, make_work, push_over_http
from tests.asking import Asked, fetched, file_in
from tests.installation import installation

pytestmark = pytest.mark.e2e
AUTHOR = "Anna Example <anna@example.org>"
SOURCE = """\
variant: fcos
version: 1.6.0
passwd:
  users:
    - name: core
      ssh_authorized_keys:
        - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMb0qkV2fnEIyBCZ1lX6hHW9ZC8DMd5BHf2bqPcWcJ0V anna
storage:
  files:
    - path: /etc/motd
      mode: 0644
      overwrite: true
      contents:
        local: motd
"""
#: Its line 11 cannot be translated.
BROKEN = SOURCE.replace("      mode: 0644\n", "      mode: none of these\n")
ADDED = ["/etc/ssh/ssh_host_ed25519_key", "/etc/ssh/ssh_host_ed25519_key.pub", "/etc/fleetui/ignition.json"]


@dataclass(frozen=True)
class Gitops:
    """The config `edge` follows the repository that `work` pushes to; each person asks with a token of their own."""

    work: Work
    admin: Asked
    author: Asked
    other: Asked

    def follow(self) -> dict[str, Any]:
        told: dict[str, Any] = self.admin("GET", "ignition/configs/edge/git/")
        return told

    def push(self, message: str, *extra: str, host: str = SOURCE, motd: str) -> str:
        """Commit and push, and have FleetUI look at it; the commit."""
        self.work.write("files/motd", motd)
        sha = self.work.commit(message, hosts__edge_bu=host)
        self.work.push(*extra)
        self.admin("POST", "ignition/configs/edge/git/sync/", {})
        return sha

    def until(self, state: str, **known: str) -> dict[str, Any]:
        """Wait until the repository is said to be in this state; what else is told of it."""
        wanted = {"state": state, **known}
        self.admin.until(lambda: wanted.items() <= self.follow().items())
        return self.follow()

    def version(self, sha: str) -> dict[str, Any]:
        """The one version of this commit, whole."""
        rows = self.admin("GET", "ignition/versions/?config=edge")["results"]
        (row,) = [row for row in rows if row["commit"] == sha]
        whole: dict[str, Any] = self.admin("GET", f"ignition/versions/{row['id']}/")
        return whole

    def numbers(self) -> list[int]:
        return sorted(row["number"] for row in self.admin("GET", "ignition/versions/?config=edge")["results"])

    def intended(self) -> int | None:
        version = self.admin("GET", "pools/edge/ignition/")["intended"]
        return version["number"] if version else None

    def intend(self, version: dict[str, Any]) -> None:
        self.admin("PUT", "pools/edge/ignition/", {"version": version["id"]})

    def machine_gets(self, version: dict[str, Any], node: str) -> bytes:
        """Offer the node what its pool intends, fetch it, and hold it against that version byte for byte."""
        offered = self.admin("POST", f"nodes/{node}/provisionings/", {"hours": 1})
        assert (offered["version"], offered["number"]) == (version["id"], version["number"])
        status, config = fetched(offered["url"])
        assert status == 200, config
        assert fetched(offered["url"]) == (200, config), "a machine may fetch more than once"
        assert offered["sha512"] == sha512(config)

        document = json.loads(config)
        own = document["storage"]["files"][-len(ADDED) :]
        del document["storage"]["files"][-len(ADDED) :]
        assert [file["path"] for file in own] == ADDED
        rendered = self.admin("GET", f"ignition/versions/{version['id']}/rendered/?node={node}")
        assert document == rendered["ignition"]
        told = sha512(json.dumps(document, separators=(",", ":")).encode())
        assert told == rendered["sha512"] == version["sha512"]
        marker = json.loads(file_in(config, ADDED[-1]))
        assert (marker["version_id"], marker["source_sha256"]) == (version["id"], version["content_hash"])
        return config


def sha512(text: bytes) -> str:
    return f"sha512-{hashlib.sha512(text).hexdigest()}"


@pytest.fixture
def gitops(tmp_path: Path) -> Iterator[Gitops]:
    work = make_work(tmp_path)
    with (
        http_server(tmp_path) as base,
        installation(tmp_path / "var", FLEETUI_GIT_HTTP_HOSTS="127.0.0.1") as started,
    ):
        url = push_over_http(work, base)
        admin = Asked(started, started.token("admin"))

        def person(name: str) -> Asked:
            admin("POST", "users/", {"username": name, "email": f"{name}@example.org"})
            admin("POST", "roles/", {"user": name, "role": "approver"})
            made = admin("POST", "tokens/", {"name": "review", "user": name, "scopes": ["admin"], "days": 1})
            return Asked(started, made["token"])

        found = Gitops(work, admin, person("anna"), person("mira"))
        admin("POST", "pools/", {"name": "edge"})
        for number in (1, 2, 3):
            # An address for documentation: nothing is there, and the machines of this test only fetch.
            admin("POST", "nodes/", {"name": f"edge-{number}", "address": f"192.0.2.{number}", "pool": "edge"})
        admin("POST", "ignition/configs/", {"name": "edge", "pools": ["edge"]})
        follow = {"url": url, "path": "hosts/edge.bu", "files_dir": "files", "interval_s": 3600}
        admin("PUT", "ignition/configs/edge/git/", follow)
        found.until("no_branch")
        yield found


def test_a_push_reaches_a_machine_and_a_bad_one_does_not(gitops: Gitops) -> None:
    first = _a_push_is_reviewed_and_reaches_a_machine(gitops)
    _a_broken_push_changes_nothing_for_machines(gitops, first)
    _a_rewritten_history_waits_for_a_person(gitops, first)


def _a_push_is_reviewed_and_reaches_a_machine(gitops: Gitops) -> dict[str, Any]:
    sha = gitops.push("feat: greet whoever signs in", motd="first\n")
    gitops.until("following", seen_commit=sha)
    version = gitops.version(sha)
    told = {name: version[name] for name in ("number", "author", "message", "state", "is_valid", "errors", "files")}
    assert told == {
        "number": 1,
        "author": AUTHOR,
        "message": "feat: greet whoever signs in",
        "state": "in_review",
        "is_valid": True,
        "errors": 0,
        "files": ["motd"],
    }
    assert version["source"] == SOURCE
    assert "zincati-no-strategy" in [finding["rule"] for finding in version["report"]]

    one = f"ignition/versions/{version['id']}"
    chosen = {"version": version["id"]}
    assert gitops.admin.refused("PUT", "pools/edge/ignition/", chosen) == (409, "Version 1 of edge is not approved.")
    assert gitops.author.refused("POST", f"{one}/approve/", {}) == (403, "Nobody approves what they wrote.")
    assert gitops.version(sha)["state"] == "in_review"
    assert gitops.other("POST", f"{one}/approve/", {})["state"] == "approved"
    gitops.intend(version)
    assert gitops.intended() == 1
    assert file_in(gitops.machine_gets(version, "edge-1"), "/etc/motd") == "first\n"
    return version


def _a_broken_push_changes_nothing_for_machines(gitops: Gitops, first: dict[str, Any]) -> None:
    sha = gitops.push("feat: greet otherwise", host=BROKEN, motd="second\n")
    follow = gitops.until("broken", seen_commit=sha)
    assert follow["message"].startswith(f"Commit {sha[:10]} does not convert: ")
    version = gitops.version(sha)
    assert (version["number"], version["state"], version["is_valid"]) == (2, "draft", False)
    errors = [finding for finding in version["report"] if finding["kind"] == "error"]
    assert [error["line"] for error in errors] == [11]

    one = f"ignition/versions/{version['id']}"
    assert gitops.admin.refused("POST", f"{one}/submit/")[0] == 409
    assert gitops.other.refused("POST", f"{one}/approve/", {})[0] == 409
    assert gitops.admin.refused("PUT", "pools/edge/ignition/", {"version": version["id"]})[0] == 409
    assert gitops.version(sha)["state"] == "draft"
    assert gitops.intended() == 1
    assert gitops.version(first["commit"])["state"] == "approved"
    assert file_in(gitops.machine_gets(first, "edge-2"), "/etc/motd") == "first\n"


def _a_rewritten_history_waits_for_a_person(gitops: Gitops, first: dict[str, Any]) -> None:
    gitops.work.git("checkout", "-q", "--orphan", "anew")
    sha = gitops.push("feat: begin anew", "--force", motd="third\n")
    follow = gitops.until("rewritten")
    assert follow["new_head"] == sha
    assert "The history was rewritten" in follow["message"]
    assert gitops.numbers() == [1, 2]
    assert gitops.intended() == 1
    gitops.machine_gets(first, "edge-3")

    gitops.admin("POST", "ignition/configs/edge/git/accept-history/", {"head": sha})
    gitops.until("following", seen_commit=sha)
    version = gitops.version(sha)
    assert (version["number"], version["state"], version["message"]) == (3, "in_review", "feat: begin anew")
    assert gitops.intended() == 1, "a new history is reviewed like any other"
    gitops.other("POST", f"ignition/versions/{version['id']}/approve/", {})
    gitops.intend(version)
    assert file_in(gitops.machine_gets(version, "edge-3"), "/etc/motd") == "third\n"
