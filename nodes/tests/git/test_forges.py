"""Where forges take the status of a commit, by the addresses that people copy from them."""

from __future__ import annotations

import json

import pytest

from nodes.git import forges
from nodes.git.address import Allowed, parse
from nodes.git.errors import GitProblem

SHA = "a" * 40


@pytest.mark.parametrize(
    ("forge", "url", "expected"),
    [
        ("github", "https://github.com/team/configs.git", "https://api.github.com/repos/team/configs"),
        ("github", "git@github.com:team/configs.git", "https://api.github.com/repos/team/configs"),
        ("github", "ssh://git@ssh.github.com:443/team/configs.git", "https://api.github.com/repos/team/configs"),
        ("github", "https://git.corp.example/team/configs", "https://git.corp.example/api/v3/repos/team/configs"),
        ("gitlab", "https://gitlab.com/a/b/configs.git", "https://gitlab.com/api/v4/projects/a%2Fb%2Fconfigs"),
        ("gitlab", "git@altssh.gitlab.com:a/configs.git", "https://gitlab.com/api/v4/projects/a%2Fconfigs"),
        ("gitlab", "ssh://git@gl.example:2222/a/c.git", "https://gl.example/api/v4/projects/a%2Fc"),
        ("gitea", "https://git.example:3000/o/r.git", "https://git.example:3000/api/v1/repos/o/r"),
        ("gitea", "https://git.example/gitea/o/r.git/", "https://git.example/gitea/api/v1/repos/o/r"),
        ("forgejo", "https://[2001:db8::1]/o/r.git", "https://[2001:db8::1]/api/v1/repos/o/r"),
        ("forgejo", "https://codeberg.org/o/r%20s", "https://codeberg.org/api/v1/repos/o/r%20s"),
    ],
)
def test_the_address_follows_from_that_of_the_repository(forge: str, url: str, expected: str) -> None:
    assert forges.endpoint(forge, parse(url, Allowed())) == f"{expected}/statuses/"


@pytest.mark.parametrize(
    ("forge", "url", "reason"),
    [
        ("none", "https://github.com/team/configs", "no_forge"),
        ("github", "https://github.com/configs", "path"),
        ("github", "https://github.com/a/b/c", "path"),
        ("gitea", "git@git.example:a/b/c", "path"),
        ("gitlab", "https://gitlab.com/a/../b", "path"),
        ("gitlab", "https://gitlab.com/a/%2e%2e/b", "path"),
        ("gitlab", "https://gitlab.com/a/b%2fc", "path"),
        ("gitlab", "https://gitlab.com/a//b", "path"),
        ("gitea", "http://git.example:3000/o/r", "in_clear"),
        ("gitlab", "http://10.0.0.1/o/r", "in_clear"),
    ],
)
def test_what_is_no_project_is_refused(forge: str, url: str, reason: str) -> None:
    with pytest.raises(GitProblem) as refused:
        forges.endpoint(forge, parse(url, Allowed(frozenset({"git.example", "10.0.0.1"}))))
    assert (refused.value.kind, refused.value.reason) == ("status", reason)


def test_a_long_description_is_cut_and_no_address_of_ours_is_left_out() -> None:
    status = forges.Status(SHA, "failure", "fleetui/edge", "x" * 500, "")
    said = json.loads(forges.call("github", parse("https://github.com/o/r", Allowed()), "t0ken", status).body)
    assert len(said["description"]) == 140
    assert said["description"].endswith("…")
    assert "target_url" not in said


def test_only_the_same_status_stands_already() -> None:
    answer = '{"message":"Cannot transition status via :drop from :failed (Reason(s): Status cannot transition)"}'
    assert forges.stands_already("gitlab", "failure", answer)
    assert not forges.stands_already("gitlab", "success", answer)
    assert not forges.stands_already("gitea", "failure", answer)
    assert not forges.stands_already("gitlab", "failure", "It answered with status 401.")


@pytest.mark.parametrize("token", ["", "a b", "a\nb", "tök"])
def test_a_token_that_no_header_holds(token: str) -> None:
    assert not forges.is_sendable(token)
