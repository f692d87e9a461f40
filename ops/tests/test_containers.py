"""Operations on containers: given another image, back when it crashes, back when it is asked for, and what plans say."""

from __future__ import annotations

import http.server
import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from django.test import override_settings

from fleetui.core.errors import InvalidInput
from nodes.hosts import drivers
from nodes.hosts.drivers.base import CommandRefused
from nodes.hosts.drivers.podman_commands import dropin_path, kept_name
from nodes.hosts.errors import OutputTooLarge
from nodes.hosts.references import Reference, parse
from nodes.hosts.ssh import CommandResult
from nodes.tests.make import make_user
from nodes.tests.pages import signed_in
from ops import actions, registry, wording
from ops.actions.fenced import LINES_OF_MANY
from ops.actions.images import read_auto_update, unused
from ops.models import LogLine
from ops.services.request import checked_params
from ops.tests.test_engine_kills import Run
from simfleet import boxes

UNIT = "caddy.service"
OLD, NEW, CRASH = (f"docker.io/library/caddy:{tag}" for tag in ("2.10", "2.11", "crash"))
DROPIN = "/etc/containers/systemd/caddy.container.d/50-fleetui-image.conf"
KEPT = kept_name(UNIT)
Runs = Callable[..., Run]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    """Makes a run of a kind on a fresh host; closes its loop afterwards."""
    made: list[Run] = []

    def run(kind: str, **params: Any) -> Run:
        made.append(Run(kind, monkeypatch, **params))
        return made[-1]

    yield run
    for one in made:
        one.machine.loop.close()


def running(run: Run) -> tuple[str, str]:
    row = boxes.of_unit(run.machine.host, UNIT)
    assert row is not None
    return boxes.runs(run.machine.host, row)


@pytest.mark.django_db
def test_an_update_is_written_beside_the_unit_and_what_ran_is_kept(runs: Runs) -> None:
    run = runs("container_update", unit="caddy", image=NEW, soak_s=0)
    done = run.rounds()
    assert (done.state, done.result) == ("succeeded", "image_runs")
    assert running(run) == (NEW, boxes.digest_of(NEW))
    host = run.machine.host
    assert host.images[KEPT] == boxes.digest_of(OLD)
    assert host.written[DROPIN].splitlines()[0] == f"# Written by FleetUI, operation {done.pk.hex}: {NEW}"
    assert [path for path in host.written if "caddy" in path] == [DROPIN]


@pytest.mark.django_db
def test_an_image_that_crashes_is_taken_back(runs: Runs) -> None:
    run = runs("container_update", unit=UNIT, image=CRASH, soak_s=0)
    kept_before = run.machine.host.images[KEPT]
    done = run.rounds()
    assert (done.state, done.result) == ("failed", "image_went_back"), done.result_params
    assert (done.result_params["before"], done.result_params["image"]) == (OLD, CRASH)
    host = run.machine.host
    assert running(run) == (OLD, boxes.digest_of(OLD))
    assert DROPIN not in host.written
    # The way back that there was is there still.
    assert host.images[KEPT] == kept_before
    assert host.starts[UNIT] == 2


@pytest.mark.django_db
def test_a_crash_is_left_so_when_that_was_asked_for(runs: Runs) -> None:
    run = runs("container_update", unit=UNIT, image=CRASH, soak_s=0, roll_back=False)
    done = run.rounds()
    assert (done.state, done.result) == ("failed", "image_crashed")
    assert running(run)[0] == CRASH
    assert DROPIN in run.machine.host.written


@pytest.mark.django_db
def test_a_tag_that_moved_means_what_it_meant_after_a_crash(runs: Runs) -> None:
    """The same tag, at the digest of an image that crashes."""
    run = runs("container_update", unit=UNIT, image=OLD, soak_s=0)
    moved = boxes.digest_of(CRASH)
    run.operation.plan["target"]["registry"]["digest"] = moved
    run.operation.save(update_fields=["plan"])
    done = run.rounds()
    assert (done.state, done.result) == ("failed", "image_went_back")
    assert boxes.names(run.machine.host)[OLD] == boxes.digest_of(OLD)
    assert running(run) == (OLD, boxes.digest_of(OLD))


@pytest.mark.django_db
def test_a_pulled_tag_is_a_name_on_the_host_unless_it_means_another_image_there(runs: Runs) -> None:
    run = runs("image_pull", image=NEW)
    assert run.rounds().result_params["image"] == NEW
    assert boxes.names(run.machine.host)[NEW] == boxes.digest_of(NEW)
    run.ask("image_pull", image=OLD)
    moved = boxes.digest_of(CRASH)
    run.operation.plan["target"]["registry"]["digest"] = moved
    run.operation.save(update_fields=["plan"])
    assert run.rounds().result_params["image"].endswith(f"caddy@{moved}")
    assert boxes.names(run.machine.host)[OLD] == boxes.digest_of(OLD)


@pytest.mark.django_db
def test_a_roll_back_by_request_and_forward_again(runs: Runs) -> None:
    run = runs("container_update", unit=UNIT, image=NEW, soak_s=0)
    run.rounds()
    run.ask("container_rollback", unit=UNIT, soak_s=0)
    assert run.rounds().result == "image_runs"
    assert running(run)[1] == boxes.digest_of(OLD)
    run.ask("container_rollback", unit=UNIT, soak_s=0)
    assert run.rounds().result == "image_runs"
    assert running(run)[1] == boxes.digest_of(NEW)


@pytest.mark.django_db
def test_a_cancel_in_the_middle_takes_the_drop_in_back(runs: Runs) -> None:
    run = runs("container_update", unit=UNIT, image=NEW, soak_s=600)
    for _round in range(60):
        run.rounds(1)
        if run.operation.step == "watch_container":
            break
    assert DROPIN in run.machine.host.written
    run.cancel()
    done = run.rounds()
    assert done.state == "cancelled"
    assert DROPIN not in run.machine.host.written
    assert running(run)[0] == OLD


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("found", "code", "level"),
    [
        (registry.Found("there", boxes.digest_of(NEW)), "registry_has_it", "ok"),
        (registry.Found("absent"), "registry_lacks_it", "block"),
        (registry.Found("unknown", why="sign_in"), "registry_wants_sign_in", "warn"),
    ],
)
def test_what_the_registry_says_is_in_the_plan(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, found: registry.Found, code: str, level: str
) -> None:
    run = runs("refresh")
    asked: list[Reference] = []

    def ask(reference: Reference) -> registry.Found:
        asked.append(reference)
        return found

    monkeypatch.setattr(registry, "ask", ask)
    (plan,) = run.plan("container_update", unit=UNIT, image=NEW)
    assert (code, level) in [(check.code, check.level) for check in plan.checks]
    assert len(asked) == 1
    assert plan.target["before"] == OLD
    pulled = f"docker.io/library/caddy@{found.digest}" if found.digest else NEW
    assert plan.commands[0][-1] == pulled


@pytest.mark.django_db
def test_what_cannot_be_updated_is_told_before(runs: Runs) -> None:
    run = runs("refresh")
    (plan,) = run.plan("container_update", unit="sshd-keygen.service", image=NEW)
    assert "container_unit_absent" in [check.code for check in plan.checks if check.level == "block"]
    (plan,) = run.plan("container_rollback", unit="shop-api.service")
    assert "previous_absent" in [check.code for check in plan.checks if check.level == "block"]
    run.ask("container_rollback", unit="shop-api.service")
    assert run.rounds().result == "preflight"


@pytest.mark.django_db
def test_only_what_nothing_uses_is_removed(runs: Runs) -> None:
    run = runs("refresh")
    (plan,) = run.plan("image_prune")
    assert [one["names"] for one in plan.target["images"]] == [["docker.io/library/unused:1"]]
    run.ask("image_prune")
    assert run.rounds().result == "images_removed"
    assert KEPT in boxes.names(run.machine.host)


def test_what_a_unit_names_otherwise_is_used_and_what_was_not_read_whole_is_not_known() -> None:
    """A stopped unit may name no tag, and Podman lists it with one. Without the containers every image would look unused."""

    def image(number: int, **over: Any) -> dict[str, Any]:
        return {"id": f"{number:064d}", "names": [], "digests": [], **over}

    digest = "quay.io/c/c@sha256:" + "c" * 64
    units = [
        {"name": f"{name}.service", "kind": "quadlet", "source": "", "container": name, "image": given}
        for name, given in (("a", "quay.io/a/a"), ("b", "quay.io/b/b:1"), ("c", digest.replace("@", ":3@")))
    ]
    images = [
        image(1, names=["quay.io/a/a:latest"]),
        image(2, names=["quay.io/b/b:1"]),
        image(3, digests=[digest]),
        image(4, names=["quay.io/a/a:old"]),
    ]
    facts = {"containers": {"units": units, "runtimes": [{"name": "podman", "containers": [], "images": images}]}}
    assert [one["names"] for one in unused(facts)] == [["quay.io/a/a:old"]]
    unread = {**facts, "unread": [{"section": "podman_root_ps", "reason": "cut"}]}
    assert unused(unread) == []
    (_there, check) = actions.get("image_prune").checks(unread, {}, {}, {})
    assert (check.code, check.level) == ("containers_unread", "block")
    assert "podman_root_ps" in wording.check_sentence(check.code, check.params)


def test_more_images_than_one_command_takes_go_by_turns_and_are_counted_as_they_are() -> None:
    images = [
        {"id": f"{number:064d}", "names": [f"quay.io/a/a:{number}", f"quay.io/b/b:{number}"], "digests": []}
        for number in range(150)
    ]
    facts = {"containers": {"units": [], "runtimes": [{"name": "podman", "containers": [], "images": images}]}}
    action = actions.get("image_prune")
    plan = {"target": action.target(facts, {})}
    assert len(plan["target"]["images"]) == 100, "two names each, of which one command takes 200"
    (command,) = action.commands(drivers.get("fcos"), {}, plan)
    assert sum(word.startswith("quay.io/") for word in command.argv) == 200
    (_there, goes, left) = action.checks(facts, {}, {}, plan)
    assert (goes.params["count"], left.code, left.params["count"]) == (100, "images_left", 50)
    assert "50 more unused images are left" in wording.check_sentence(left.code, left.params)


@pytest.mark.django_db
def test_a_container_that_writes_more_than_a_contact_takes_is_read_in_part(runs: Runs) -> None:
    run = runs("container_logs", container="caddy", seconds=5, lines=10)
    told = run.machine.call

    def call(argv: Sequence[str], stdin: bytes) -> CommandResult:
        if "journalctl" in argv and str(LINES_OF_MANY) not in argv:
            raise OutputTooLarge("journalctl", 4)
        return told(argv, stdin)

    run.machine.call = call  # type: ignore[method-assign]
    done = run.rounds()
    assert (done.state, done.result) == ("succeeded", "logs_read")
    lines = LogLine.objects.filter(operation=done)
    assert lines.filter(text__contains="caddy listens").exists()
    assert lines.filter(text="output_left_out").exists()


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"unit": "sshd", "image": NEW}, "params.unit"),
        ({"unit": "web.timer", "image": NEW}, "params.unit"),
        ({"unit": "web", "image": "caddy:2"}, "params.image"),
        ({"unit": "web", "image": "quay.io/a/b"}, "params.image"),
        ({"unit": "web", "image": "quay.io/a/b:1 --privileged"}, "params.image"),
        ({"unit": "web", "image": NEW, "soak_s": -1}, "params.soak_s"),
        ({"unit": "web", "image": NEW, "roll_back": "yes"}, "params.roll_back"),
        ({"unit": "web", "image": NEW, "more": 1}, "params.more"),
    ],
)
def test_parameters_of_the_wrong_form_are_refused(params: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        checked_params("container_update", params)
    assert refused.value.field == field
    assert refused.value.mend


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("image_pull", {"image": "-v"}),
        ("image_pull", {"image": "a b"}),
        ("container_power", {"verb": "rm", "container": "web"}),
        ("container_power", {"verb": "stop", "container": "$(id)"}),
        ("container_power", {"verb": "stop", "unit": "sshd.service"}),
        ("container_power", {"verb": "stop", "container": "web", "seen": "x; id"}),
        ("images_removed", {"images": []}),
        ("images_removed", {"images": ["--all"]}),
        ("container_image_settled", {"path": "/etc/../shadow"}),
    ],
)
def test_odd_values_make_no_command(kind: str, params: dict[str, Any]) -> None:
    with pytest.raises(CommandRefused):
        drivers.get("fcos").command(kind, **params)


def test_where_the_drop_in_lies() -> None:
    assert dropin_path(UNIT, "quadlet", "/etc/containers/systemd/caddy.container") == DROPIN
    assert dropin_path(UNIT, "quadlet", "/usr/share/containers/systemd/caddy.container") == DROPIN
    assert dropin_path("a.service", "unit", "/etc/systemd/system/a.service").startswith(
        "/etc/systemd/system/a.service.d/"
    )


def test_what_auto_update_says() -> None:
    said = "Trying to pull r.example/app:v1...\nweb.service\tweb\tr.example/app:v1\tregistry\tpending\n"
    (row,) = read_auto_update(said)
    assert (row["container"], row["updated"]) == ("web", "pending")


class _Registry(http.server.BaseHTTPRequestHandler):
    """Hands out a token to everybody, and has one image. Some paths say other things."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        port = int(self.headers["Host"].rpartition(":")[2])
        if self.path.startswith("/token"):
            return self._say(200, json.dumps({"token": "t0ken"}).encode())
        if self.path.startswith("/v2/locked/") and self.headers["Authorization"] != "Bearer t0ken":
            realm = f'Bearer realm="http://127.0.0.1:{port}/token",service="r",scope="repository:locked:pull"'
            return self._say(401, b"", **{"WWW-Authenticate": realm})
        if (found := re.match("/v2/(away-token|odd-token|deep-token)/", self.path)) is not None:
            realm = f'Bearer realm="http://127.0.0.1:{port}/{found[1].replace("odd", "o d")}",service="r"'
            return self._say(401, b"", **{"WWW-Authenticate": realm})
        if self.path.startswith("/deep-token"):
            return self._say(200, b"[" * 60_000)
        if self.path.startswith("/v2/cut/"):
            return self._say(200, b"{}", **{"Content-Length": "1000"})
        if self.path.startswith("/v2/garbled/"):
            self.wfile.write(b"what\0ever\r\n\r\n")
            return None
        if self.path.startswith("/v2/basic/"):
            return self._say(401, b"", **{"WWW-Authenticate": 'Basic realm="r"'})
        if self.path.startswith("/v2/away/"):
            return self._say(307, b"", Location="http://169.254.169.254/")
        if self.path.endswith("/v1"):
            return self._say(200, b"{}", **{"Docker-Content-Digest": "sha256:" + "d1" * 32})
        if self.path.endswith("/undigested"):
            return self._say(200, b"{}")
        return self._say(404, b"")

    def _say(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_given: object) -> None:
        return None


@pytest.fixture(scope="module")
def place() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Registry)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    named = f"127.0.0.1:{server.server_port}"
    with override_settings(PLAIN_REGISTRIES=[named]):
        yield named
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("rest", "found"),
    [
        ("app:v1", registry.Found("there", "sha256:" + "d1" * 32)),
        ("locked/app:v1", registry.Found("there", "sha256:" + "d1" * 32)),
        ("app:none", registry.Found("absent")),
        ("app@sha256:" + "d2" * 32, registry.Found("absent")),
        ("basic/app:v1", registry.Found("unknown", why="sign_in")),
        ("away/app:v1", registry.Found("unknown", said="307", why="status")),
        ("away-token/app:v1", registry.Found("unknown", why="sign_in")),
    ],
)
def test_the_registry_is_asked(place: str, rest: str, found: registry.Found) -> None:
    reference = parse(f"{place}/{rest}")
    assert reference is not None
    assert registry.ask(reference) == found


def test_a_registry_that_names_no_digest_is_read(place: str) -> None:
    found = registry.ask(Reference(f"{place}/app", "undigested"))
    assert found.digest == "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


@pytest.mark.parametrize("path", ["cut/app", "garbled/app", "odd-token/app", "deep-token/app"])
def test_what_no_registry_answers_is_no_reason(place: str, path: str) -> None:
    """A manifest that broke off has another digest: hosts would be told to pull what there is not."""
    found = registry.ask(Reference(f"{place}/{path}", "cut"))
    assert (found.state, found.digest, bool(found.said)) == ("unknown", "", True)
    assert "\0" not in found.said


def test_a_registry_that_answers_byte_by_byte_holds_nobody_up(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "LONGEST_S", -1.0)
    assert registry.ask(Reference(f"{place}/app", "undigested")).said == "it took too long to answer"


@pytest.mark.parametrize("host", ["localhost", "localhost:5000", "127.0.0.1:1", "[::1]:5000"])
def test_the_registry_of_a_host_itself_is_not_looked_for_on_this_machine(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_open", lambda *_given: pytest.fail("it was asked"))
    assert registry.ask(Reference(f"{host}/app", "v1")).state == "unknown"


def test_a_registry_that_does_not_answer_is_no_reason() -> None:
    with override_settings(PLAIN_REGISTRIES=["127.0.0.1:1"]):
        found = registry.ask(Reference("127.0.0.1:1/app", "v1"))
    assert (found.state, bool(found.said)) == ("unknown", True)
    assert registry.ask(Reference("busybox", "1")).state == "unknown"


def test_without_tls_only_where_the_settings_say_so() -> None:
    assert registry._base("r.example:5000") == "https://r.example:5000"
    with override_settings(PLAIN_REGISTRIES=["r.example:5000"]):
        assert registry._base("r.example:5000") == "http://r.example:5000"
    assert registry._base("docker.io") == "https://registry-1.docker.io"
    assert registry._path(Reference("docker.io/caddy")) == "library/caddy"


@pytest.mark.django_db
def test_the_page_asks_for_the_image_first_and_then_shows_the_plan(runs: Runs) -> None:
    run = runs("refresh")
    client = signed_in(make_user("owner", "admin"))
    asked = client.post("/operations/-/plan/", {"kind": "container_update", "id": str(run.node.pk), "unit": UNIT})
    page = asked.content.decode()
    assert 'name="image"' in page
    assert "Show the plan" in page
    assert "checked" in page.partition('name="roll_back"')[2][:80]
    given = {
        "kind": "container_update",
        "ids": str(run.node.pk),
        "hours": "4",
        "unit": UNIT,
        "image": NEW,
        "again": "1",
    }
    plan = client.post("/operations/-/plan/", {**given, "roll_back": "on"}).content.decode()
    assert NEW in plan
    assert OLD in plan
    wrong = client.post("/operations/-/plan/", {**given, "image": "caddy:2"})
    assert wrong.status_code == 422
    assert "names no registry" in wrong.content.decode()
    for kind in ("container_update", "container_restart", "image_pull"):
        assert client.post("/operations/-/plan/", {"kind": kind, "id": str(run.node.pk)}).status_code == 200


@pytest.mark.django_db
def test_a_log_of_which_nothing_came_is_not_said_to_be_there(runs: Runs) -> None:
    run = runs("container_logs", container="caddy", seconds=5, lines=10)
    told = run.machine.call

    def call(argv: Sequence[str], stdin: bytes) -> CommandResult:
        result = told(argv, stdin)
        return replace(result, stdout=b"") if "journalctl" in argv else result

    run.machine.call = call  # type: ignore[method-assign]
    done = run.rounds()
    assert (done.state, done.result) == ("succeeded", "logs_empty")


@pytest.mark.django_db
def test_what_a_container_writes_is_in_the_log_of_the_operation(runs: Runs) -> None:
    run = runs("container_logs", container="caddy", seconds=5, lines=10)
    done = run.rounds()
    assert (done.state, done.result) == ("succeeded", "logs_read")
    assert LogLine.objects.filter(operation=done, text__contains="caddy listens").exists()
    with pytest.raises(InvalidInput):
        checked_params("container_logs", {"container": "caddy", "seconds": 100_000})
