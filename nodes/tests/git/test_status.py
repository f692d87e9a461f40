"""The forge is told what became of a commit: by each forge's own request, again after failures, and never with the token said."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from fleetui.audit.models import AuditEvent
from fleetui.core import clock, posting
from fleetui.core.errors import InvalidInput
from nodes import tasks
from nodes.git.history import CommitInfo
from nodes.git.reading import Found
from nodes.models import GitCommit, GitFollow
from nodes.services.git import following, secrets, status
from nodes.services.git.commits import store_commit
from nodes.services.git.vouching import Vouched
from nodes.tests.cast import Cast
from nodes.tests.git.repositories import GOOD
from nodes.tests.make import make_config, principal
from nodes.tests.pages import signed_in, text_of, url

pytestmark = pytest.mark.django_db
TOKEN = "glpat-0123456789/abcdef"
SHA = "c" * 40


@dataclass
class Forge:
    """A recording server: what it was sent, and what it answers, the last answer again and again."""

    address: str = ""
    answers: list[tuple[int, str]] = field(default_factory=lambda: [(201, "{}")])
    seen: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)


@pytest.fixture
def forge(settings: Any) -> Iterator[Forge]:
    found = Forge()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.seen.append((self.path, dict(self.headers.items()), json.loads(body)))
            code, text = found.answers.pop(0) if len(found.answers) > 1 else found.answers[0]
            self.send_response(code)
            if code in (301, 302, 307, 308):
                self.send_header("Location", f"{found.address}/elsewhere")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    settings.GIT_HTTP_HOSTS = ["127.0.0.1"]
    settings.CSRF_TRUSTED_ORIGINS = ["https://fleet.example.org"]
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


def follow(server: Forge, cast: Cast, kind: str = "gitea", **values: Any) -> GitFollow:
    given = {"url": f"{server.address}/team/configs.git", "path": "host.bu", "forge": kind, "status_token": TOKEN}
    config = make_config("edge", cast.web)
    actor = principal(cast.operator)
    return following.follow(config=config, values={**given, **values}, actor=actor, now=clock.now())


def store(row: GitFollow, source: str = GOOD, sha: str = SHA, *, refused: bool = False) -> GitCommit:
    anna = "Anna <anna@example.org>"
    info = CommitInfo(sha, author=anna, committer=anna, message="change", committed_at=clock.now(), raw=b"")
    store_commit(
        row,
        info,
        Vouched(not refused, why_not={"kind": "signature", "reason": "unsigned"} if refused else {}),
        [],
        lambda: Found(source.encode(), {}, ()),
    )
    return GitCommit.objects.get(follow=row, sha=sha)


def send(commit: GitCommit) -> GitCommit:
    """What a worker does when the status is due."""
    GitCommit.objects.filter(pk=commit.pk, status="waiting").update(status_due_at=clock.now())
    status.send_due()
    commit.refresh_from_db()
    return commit


@pytest.mark.parametrize(
    ("kind", "path", "header", "value", "name", "bad"),
    [
        ("github", "/api/v3/repos/team/configs/statuses/", "Authorization", f"Bearer {TOKEN}", "context", "failure"),
        ("gitlab", "/api/v4/projects/team%2Fconfigs/statuses/", "Private-Token", TOKEN, "name", "failed"),
        ("gitea", "/api/v1/repos/team/configs/statuses/", "Authorization", f"token {TOKEN}", "context", "failure"),
        ("forgejo", "/api/v1/repos/team/configs/statuses/", "Authorization", f"token {TOKEN}", "context", "failure"),
    ],
)
def test_each_forge_is_told_in_its_way(
    forge: Forge, cast: Cast, kind: str, path: str, header: str, value: str, name: str, bad: str
) -> None:
    row = follow(forge, cast, kind)
    good = send(store(row))
    assert (good.status, good.status_attempts, good.status_due_at) == ("sent", 1, None)
    asked, headers, said = forge.seen[0]
    sent = {key.title(): text for key, text in headers.items()}
    assert (asked, sent[header], sent["Content-Type"]) == (path + SHA, value, "application/json")
    assert said == {
        "state": "success",
        name: "fleetui/edge",
        "target_url": "https://fleet.example.org/ignition/configs/edge/1/",
        "description": said["description"],
    }
    assert said["description"].startswith("Converts, as version 1. Warnings: ")
    send(store(row, "variant: fcos\nversion: 1.5.0\nnonsense: {", "d" * 40))
    send(store(row, sha="e" * 40, refused=True))
    broken, refused = forge.seen[1][2], forge.seen[2][2]
    assert (broken["state"], refused["state"]) == (bad, bad)
    assert broken["description"].startswith("Does not convert: ")
    assert len(broken["description"]) <= 140
    assert refused["description"] == "Refused: The commit is not signed."
    assert refused["target_url"] == "https://fleet.example.org/ignition/configs/edge/git/"
    assert status.send_due() == 0


def test_nothing_is_sent_without_a_token(forge: Forge, cast: Cast) -> None:
    row = follow(forge, cast, status_token="")
    assert send(store(row)).status == "none"
    assert forge.seen == []
    assert not status.is_due(clock.now())
    row.refresh_from_db()
    actor = principal(cast.operator)
    following.edit_follow(follow=row, changes={"status_token": TOKEN}, actor=actor, now=clock.now())
    status.send_due()
    assert [one[0][-40:] for one in forge.seen] == [SHA], "with a token the newest commit is told of"
    waiting = store(row, sha="d" * 40)
    assert waiting.status == "waiting"
    row.refresh_from_db()
    following.edit_follow(follow=row, changes={"status_token": ""}, actor=actor, now=clock.now())
    assert send(waiting).status == "none"
    assert len(forge.seen) == 1


@pytest.mark.parametrize("code", [401, 404, 307])
def test_a_refusal_is_tried_again_and_given_up(
    forge: Forge, cast: Cast, code: int, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    forge.answers = [(code, f'{{"message": "no such token {TOKEN}"}}')]
    row = follow(forge, cast)
    commit = store(row)
    for attempt in range(1, status.MOST_ATTEMPTS):
        before = clock.now()
        commit = send(commit)
        assert (commit.status, commit.status_attempts) == ("waiting", attempt)
        assert commit.status_due_at is not None
        assert commit.status_due_at > before + timedelta(seconds=20)
    page = text_of(signed_in(cast.viewer).get(url("ignition_git", "edge")))
    assert f"try {status.MOST_ATTEMPTS}" in page
    commit = send(commit)
    assert (commit.status, commit.status_due_at, commit.status_lease) == ("dead", None, None)
    assert commit.status_said.startswith(f"It answered with status {code}.")
    assert {one[0] for one in forge.seen} == {f"/api/v1/repos/team/configs/statuses/{SHA}"}, "no redirect is followed"
    answer = signed_in(cast.viewer).get("/api/v1/ignition/configs/edge/git/commits/")
    shown = answer.json()["results"][0]
    assert (shown["status"], shown["status_attempts"]) == ("dead", status.MOST_ATTEMPTS)
    page = text_of(signed_in(cast.viewer).get(url("ignition_git", "edge")))
    assert "given up" in page
    assert f"It answered with status {code}." in page
    form = text_of(signed_in(cast.operator).get(url("ignition_git_edit", "edge")))
    told = " ".join(f"{one.before} {one.after} {one.reason}" for one in AuditEvent.objects.all())
    logged = caplog.text + "".join(capsys.readouterr())
    for place in (commit.status_said, page, form, answer.content.decode(), told, logged):
        assert TOKEN not in place
        assert TOKEN[:10] not in place


def test_a_fault_of_the_forge_passes(forge: Forge, cast: Cast) -> None:
    forge.answers = [(500, "oops"), (201, "{}")]
    commit = send(store(follow(forge, cast)))
    assert (commit.status, commit.status_said) == ("waiting", "It answered with status 500. oops")
    assert status.send_due() == 0, "it waits for its time"
    commit = send(commit)
    assert (commit.status, commit.status_attempts, commit.status_said) == ("sent", 2, "")


def test_gitlab_has_it_already(forge: Forge, cast: Cast) -> None:
    forge.answers = [(400, '{"message":"Cannot transition status via :success from :success (Reason(s): x)"}')]
    assert send(store(follow(forge, cast, "gitlab"))).status == "sent"


def test_a_worker_that_dies_loses_nothing_and_two_send_once(forge: Forge, cast: Cast) -> None:
    commit, now = store(follow(forge, cast)), clock.now()
    GitCommit.objects.update(status_lease=uuid.uuid4(), status_lease_until=now + status.LEASE)
    assert status.send_due() == 0, "another worker has it"
    GitCommit.objects.update(status_lease_until=now - timedelta(seconds=1))
    tasks.send_git_statuses()
    commit.refresh_from_db()
    assert commit.status == "sent"
    assert len(forge.seen) == 1


def test_forges_that_are_slow_leave_workers_to_others(forge: Forge, cast: Cast) -> None:
    commit, now = store(follow(forge, cast)), clock.now()
    assert status.is_due(now)
    held = {"status": "waiting", "status_lease_until": now + status.LEASE, "version": None}
    for number in range(status.UNDER_WAY):
        other = GitFollow.objects.create(config=make_config(f"slow-{number}", cast.web), url="https://git.example/a/b")
        columns = {"sha": str(number) * 40, "outcome": "same", "committed_at": now, "status_lease": uuid.uuid4()}
        GitCommit.objects.create(follow=other, **columns, **held)
    assert not status.is_due(now)
    assert status.send_due() == 0
    commit.refresh_from_db()
    assert (commit.status, commit.status_lease, forge.seen) == ("waiting", None, [])
    GitCommit.objects.exclude(pk=commit.pk).delete()
    assert send(commit).status == "sent"


def test_what_was_noted_again_meanwhile_goes_again(forge: Forge, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    row = follow(forge, cast)
    commit = store(row)
    told = posting.post

    def slow(*args: Any, **more: Any) -> Any:
        monkeypatch.setattr(status, "post", told)
        store(row, sha=SHA, refused=True)
        return told(*args, **more)

    monkeypatch.setattr(status, "post", slow)
    commit = send(commit)
    assert [one[2]["state"] for one in forge.seen] == ["success", "failure"]
    assert commit.status == "sent"


def test_settings_decide_what_goes_where(forge: Forge, cast: Cast) -> None:
    row, actor = follow(forge, cast), principal(cast.operator)
    commit = store(row)
    GitCommit.objects.update(status="dead", status_attempts=status.MOST_ATTEMPTS, status_due_at=None)
    following.edit_follow(follow=row, changes={"status_token": "another"}, actor=actor, now=clock.now())
    commit.refresh_from_db()
    assert (commit.status, commit.status_attempts) == ("waiting", 0)
    changes = {"url": f"{forge.address}/team/others.git"}
    following.edit_follow(follow=row, changes=changes, actor=actor, now=clock.now())
    assert send(commit).status == "none", "a commit of another repository is not told of in this one"
    assert secrets.opened(row, "status_token") == "another"
    following.edit_follow(follow=row, changes={"forge": "none"}, actor=actor, now=clock.now())
    assert row.sealed_status_token == ""
    assert forge.seen == []


@pytest.mark.parametrize(
    ("values", "refused_field"),
    [
        ({"forge": "none"}, "forge"),
        ({"forge": "github", "url": "https://github.com/configs"}, "url"),
        ({"status_token": "two words"}, "status_token"),
    ],
)
def test_a_token_that_leads_nowhere_is_refused(forge: Forge, cast: Cast, values: Any, refused_field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        follow(forge, cast, **values)
    assert refused.value.field == refused_field
    assert refused.value.mend
    assert "two words" not in f"{refused.value.message} {refused.value.value} {refused.value.mend}"


def test_a_token_does_not_travel_in_clear(forge: Forge, cast: Cast, settings: Any) -> None:
    settings.GIT_HTTP_HOSTS = ["127.0.0.1", "git.example"]
    row, actor = follow(forge, cast, url="https://git.example/team/configs.git"), principal(cast.operator)
    plain = {"url": "http://git.example/team/configs.git"}
    changes = {**plain, "status_token": TOKEN}
    with pytest.raises(InvalidInput, match=r"would travel in clear to git\.example") as refused:
        following.edit_follow(follow=row, changes=changes, actor=actor, now=clock.now())
    assert refused.value.field == "url"
    assert TOKEN not in f"{refused.value.message} {refused.value.value} {refused.value.mend}"
    row.refresh_from_db()
    following.edit_follow(follow=row, changes=plain, actor=actor, now=clock.now())
    assert row.sealed_status_token == "", "with another origin the token is gone"
    with pytest.raises(InvalidInput, match="in clear"):
        following.edit_follow(follow=row, changes={"status_token": TOKEN}, actor=actor, now=clock.now())


def test_a_host_that_is_not_allowed_any_more_is_told_nothing(forge: Forge, cast: Cast, settings: Any) -> None:
    commit = store(follow(forge, cast))
    settings.GIT_HTTP_HOSTS = []
    commit = send(commit)
    assert (commit.status, forge.seen) == ("waiting", [])
    assert "does not allow this address" in commit.status_said


def test_a_token_is_masked_whole_as_json_and_cut_off() -> None:
    token = 'a/b"cdefgh'
    escaped = json.dumps(token)
    for said in (token, escaped, escaped.replace("/", r"\/"), f"x {token[:7]}", "a%2Fb%22cdefgh"):
        shown = status.masked(f"It said: {said}", token)
        assert "***" in shown
        assert "cd" not in shown
    assert status.masked("nothing of it", token) == "nothing of it"
    assert status.masked("as it is", "") == "as it is"


def test_commits_in_the_api_cost_the_same_for_any_number(
    forge: Forge, cast: Cast, django_assert_max_num_queries: Any
) -> None:
    row = follow(forge, cast)
    for number in range(20):
        store(row, GOOD + f"# {number}\n", f"{number:040}")
    browser = signed_in(cast.viewer)
    with django_assert_max_num_queries(8):
        found = browser.get("/api/v1/ignition/configs/edge/git/commits/?limit=10").json()
    assert [one["version_number"] for one in found["results"]] == list(range(20, 10, -1))
    assert {one["status"] for one in found["results"]} == {"waiting"}
    assert signed_in(cast.outsider).get("/api/v1/ignition/configs/edge/git/commits/").status_code in (403, 404)
