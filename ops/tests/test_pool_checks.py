"""The checks that a pool defines: what they run, what their answers mean, who may set them, and what a soak does with them."""

from __future__ import annotations

from typing import Any

import pytest

from fleetui.audit.models import AuditEvent
from nodes.hosts.ssh import CommandResult
from nodes.models import Node
from nodes.tests.api.client import Api
from nodes.tests.make import make_pool, make_user
from nodes.tests.pages import signed_in
from ops.health_checks import CheckRefused, checked, command_of, read, read_kubelet, read_ready
from ops.models import Attachment, PoolCheck
from ops.tests.test_engine_kills import Run
from ops.wording import check_problem, check_sentence, result_sentence
from simfleet.answers import systemd, units
from simfleet.model import Fault


def answer(status: int | None, out: str = "", err: str = "") -> CommandResult:
    return CommandResult(status, out.encode(), err.encode(), 0.1)


ACTIVE = answer(0, "Id=a.service\nLoadState=loaded\nActiveState=active\nSubState=running\n")
FAILED = answer(0, "LoadState=loaded\nActiveState=failed\nResult=exit-code\n")
ABSENT = answer(0, "LoadState=not-found\nActiveState=inactive\n")


class TestPure:
    @pytest.mark.parametrize(
        ("kind", "params", "stored"),
        [
            ("unit", {"unit": "nginx"}, {"unit": "nginx.service"}),
            ("unit", {"unit": "multi-user.target"}, {"unit": "multi-user.target"}),
            ("tcp", {"port": 443}, {"host": "127.0.0.1", "port": 443}),
            ("tcp", {"host": "::1", "port": 1}, {"host": "::1", "port": 1}),
            (
                "http",
                {"url": "http://127.0.0.1/x"},
                {"url": "http://127.0.0.1/x", "status": 200, "any_certificate": False},
            ),
            ("command", {"argv": ["true"]}, {"argv": ["true"]}),
        ],
    )
    def test_what_can_be_checked(self, kind: str, params: dict[str, Any], stored: dict[str, Any]) -> None:
        assert checked(kind, params) == stored

    @pytest.mark.parametrize(
        ("kind", "params", "field"),
        [
            ("unit", {"unit": ""}, "unit"),
            ("unit", {"unit": "--all"}, "unit"),
            ("unit", {"unit": "a b"}, "unit"),
            ("unit", {"unit": "a", "port": 1}, "port"),
            ("tcp", {"port": 0}, "port"),
            ("tcp", {"port": "80"}, "port"),
            ("tcp", {"port": True}, "port"),
            ("tcp", {"host": "-x", "port": 80}, "host"),
            ("tcp", {"host": "a;b", "port": 80}, "host"),
            ("http", {"url": "file:///etc/shadow"}, "url"),
            ("http", {"url": "http://anna:secret@host/"}, "url"),
            ("http", {"url": "http://host/a b"}, "url"),
            ("http", {"url": "--config"}, "url"),
            ("http", {"url": "http://host:x/"}, "url"),
            ("http", {"url": "http://h/", "status": 99}, "status"),
            ("http", {"url": "http://h/", "any_certificate": "yes"}, "any_certificate"),
            ("command", {"argv": []}, "argv"),
            ("command", {"argv": "rm -rf"}, "argv"),
            ("command", {"argv": ["-x"]}, "argv"),
            ("command", {"argv": ["a", "b\nc"]}, "argv"),
            ("command", {"argv": ["a", ""]}, "argv"),
            ("command", {}, "argv"),
        ],
    )
    def test_what_cannot_is_refused_with_a_sentence(self, kind: str, params: dict[str, Any], field: str) -> None:
        with pytest.raises(CheckRefused) as refused:
            checked(kind, params)
        assert refused.value.field == field
        assert all(check_problem(field, refused.value.code, refused.value.value))

    def test_no_parameter_is_read_by_a_shell(self) -> None:
        tcp = command_of("tcp", {"host": "db", "port": 5432}, 3)
        assert tcp.argv[:3] == ("timeout", "--kill-after=1", "3")
        assert tcp.argv[-3:] == ("fleetui-check", "db", "5432")
        assert "db" not in tcp.argv[5]
        http = command_of("http", {"url": "https://h/$(x)", "status": 200, "any_certificate": True}, 4)
        assert http.argv[-3:] == ("--insecure", "--url", "https://h/$(x)")
        assert not any(command.changes for command in (tcp, http))

    @pytest.mark.parametrize(
        ("kind", "params", "result", "code", "words"),
        [
            ("unit", {"unit": "a.service"}, ACTIVE, "unit_is_active", "a.service is active (running)."),
            ("unit", {"unit": "a.service"}, FAILED, "unit_is_not_active", "failed (exit-code)"),
            ("unit", {"unit": "a.service"}, ABSENT, "unit_is_absent", "no unit a.service"),
            ("tcp", {"host": "h", "port": 1}, answer(0), "port_answers", "answers."),
            ("tcp", {"host": "h", "port": 1}, answer(1, err="bash: connect: Connection refused"), "port_silent", "Connection refused"),
            ("tcp", {"host": "h", "port": 1}, answer(124), "port_late", "in time"),
            ("http", {"url": "http://h/", "status": 200}, answer(0, "200"), "http_as_wanted", "with 200."),
            ("http", {"url": "http://h/", "status": 204}, answer(0, "503"), "http_other", "with 503, not with 204"),
            ("http", {"url": "http://h/", "status": 200}, answer(7, "000", "curl: (7) refused"), "http_silent", "(7) refused"),
            ("command", {"argv": ["a"]}, answer(0), "command_good", "a ended well."),
            ("command", {"argv": ["a", "b"]}, answer(3, "no quorum\n"), "command_bad", "a b ended with status 3: no quorum"),
            ("command", {"argv": ["a"]}, answer(124), "command_late", "did not end"),
        ],
    )  # fmt: skip
    def test_what_answers_mean(
        self, kind: str, params: dict[str, Any], result: CommandResult, code: str, words: str
    ) -> None:
        check = read(kind, params, result)
        assert check.code == code
        assert words in check_sentence(check.code, check.params)

    def test_the_word_of_the_cluster_counts_and_else_that_of_the_kubelet(self) -> None:
        ready, unready = read_ready(answer(0, "True"), "n1"), read_ready(answer(0, "Unknown"), "n1")
        assert ready is not None
        assert unready is not None
        assert (ready.code, unready.code, unready.level) == ("kubelet_ready", "kubelet_not_ready", "block")
        assert read_ready(answer(127, err="sh: kubectl: command not found"), "n1") is None
        assert read_ready(answer(1, err="connection refused"), "n1") is None
        assert read_kubelet(answer(0, "ok")).code == "kubelet_well"
        assert read_kubelet(answer(7)).level == "block"


def _in_pool(run: Run, **checks: tuple[str, dict[str, Any]]) -> None:
    pool = make_pool("web")
    Node.objects.filter(pk=run.node.pk).update(pool=pool)
    for name, (kind, params) in checks.items():
        PoolCheck.objects.create(pool=pool, name=name, kind=kind, params=checked(kind, params), set_by="user:a")


@pytest.mark.django_db
def test_a_soak_makes_the_checks_of_the_pool_and_keeps_what_each_found(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run("upgrade", monkeypatch)
    _in_pool(
        run,
        ssh=("tcp", {"port": 22}),
        time=("unit", {"unit": "chronyd"}),
        sshd=("command", {"argv": ["systemctl", "is-active", "sshd.service"]}),
    )
    done = run.rounds()
    assert (done.state, done.result_params["checks"]) == ("succeeded", 3), (done.result, done.result_params)
    codes = [one["code"] for one in done.memory["health"]]
    assert codes == ["system_up", "no_unit_failed_anew", "port_answers", "command_good", "unit_is_active"]
    before, after = done.memory["facts_before"], done.memory["facts_after"]
    assert before["version"] != after["version"]
    packages = Attachment.objects.get(operation=done, kind="packages")
    assert packages.document["counts"]["upgraded"] == sum(
        one["change"] == "upgraded" for one in packages.document["packages"]
    )
    assert packages.document["counts"]["upgraded"] > 0
    page = signed_in(make_user("anna", "admin")).get(f"/operations/{done.pk}/").content.decode()
    assert "TCP port 22 of 127.0.0.1 answers." in page
    assert before["version"] in page
    run.machine.loop.close()


@pytest.mark.django_db
def test_a_command_that_people_wrote_is_in_the_audit_log_once_in_each_boot(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run("reboot", monkeypatch, soak_s=60)
    _in_pool(run, sshd=("command", {"argv": ["systemctl", "is-active", "sshd.service"]}), ssh=("tcp", {"port": 22}))
    done = run.rounds()
    assert done.state == "succeeded", (done.result, done.result_params)
    (event,) = AuditEvent.objects.filter(action="operations.health_check")
    assert (event.subject, event.actor) == (f"operation:{done.pk}", done.request.requester)
    assert '"systemctl","is-active","sshd.service"' in event.after.replace(", ", ",")
    page = signed_in(make_user("anna", "admin")).get(f"/operations/{done.pk}/").content.decode()
    assert "health check on the host:" in page
    run.machine.loop.close()


@pytest.mark.django_db
def test_a_check_that_fails_lets_the_host_go_back_and_what_it_said_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run("upgrade", monkeypatch, soak_s=0, roll_back=True)
    before = run.machine.host.booted.version
    _in_pool(run, shop=("http", {"url": "http://127.0.0.1:9090/"}))
    done = run.rounds()
    assert (done.state, done.result, run.machine.host.booted.version) == ("failed", "went_back", before)
    said = result_sentence(done.result, done.result_params)
    assert "http://127.0.0.1:9090/ does not answer" in said
    kept = set(Attachment.objects.filter(operation=done).values_list("kind", flat=True))
    assert {"boot_journal", "packages"} <= kept
    assert list(run.node.version_holds.values_list("why", flat=True)) == ["went_back"]
    run.machine.loop.close()


@pytest.mark.django_db
def test_a_failing_unit_is_kept_with_its_status_and_its_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run("reboot", monkeypatch)
    whole = run.machine.reboot

    def breaks(host: Any) -> None:
        whole(host)
        host.faults[Fault.FAILED_UNIT.value] = 1.0

    monkeypatch.setattr(run.machine, "reboot", breaks)
    done = run.rounds()
    assert (done.state, done.result) == ("failed", "unhealthy")
    unit = done.result_params["units"][0]
    assert unit in result_sentence(done.result, done.result_params)
    kept = {one.kind: one for one in Attachment.objects.filter(operation=done)}
    assert {"unit_status", "unit_journal", "boot_journal"} <= set(kept)
    assert kept["unit_journal"].title == unit
    assert "exit-code" in kept["unit_journal"].text
    page = signed_in(make_user("anna", "admin"))
    shown = page.get(f"/operations/{done.pk}/attachments/{kept['unit_journal'].pk}/")
    assert "exit-code" in shown.content.decode()
    sent = page.get(f"/operations/{done.pk}/attachments/{kept['unit_journal'].pk}/?download=1")
    assert "attachment" in sent["Content-Disposition"]
    run.machine.loop.close()


@pytest.mark.django_db
def test_checks_are_set_changed_and_deleted_by_admins_of_the_pool_and_commands_by_those_of_everything() -> None:
    web = make_pool("web")
    owner, mine = Api(make_user("owner", "admin")), Api(make_user("webadmin", ("admin", web)))
    operator = Api(make_user("op", ("operator", web)))
    port = {"name": "shop", "kind": "tcp", "params": {"port": 443}}
    assert operator.post("pools/web/checks/", port).status_code == 403
    made = mine.post("pools/web/checks/", port)
    assert made.status_code == 201, made.content
    assert made.json()["sentence"] == "TCP port 443 of 127.0.0.1 answers."
    assert mine.post("pools/web/checks/", port).status_code == 409
    command = {"name": "quorum", "kind": "command", "params": {"argv": ["etcdctl", "endpoint", "health"]}}
    assert mine.post("pools/web/checks/", command).status_code == 403
    assert owner.post("pools/web/checks/", command).status_code == 201
    address = f"pools/web/checks/{made.json()['id']}/"
    assert mine.put(address, {**port, "params": {"port": 0}}).json()["field"] == "port"
    assert mine.put(address, {**port, "params": {"port": 80}}).json()["revision"] == 2
    assert len(operator.get("pools/web/checks/").json()["results"]) == 2
    assert mine.delete(address).status_code == 204
    events = list(AuditEvent.objects.filter(subject="pool:web").values_list("action", flat=True).order_by("seq"))
    assert events == ["pools.set_check"] * 3 + ["pools.delete_check"]


@pytest.mark.django_db
def test_the_page_of_a_pool_edits_its_checks() -> None:
    web = make_pool("web")
    page = signed_in(make_user("anna", "admin"))
    assert "No check of its own" in page.get("/pools/web/").content.decode()
    for kind in PoolCheck.KINDS:
        assert page.get(f"/pools/web/checks/-/add/?kind={kind}").status_code == 200
    assert page.get("/pools/web/checks/-/add/?kind=magic").status_code == 404
    bad = page.post(
        "/pools/web/checks/-/add/?kind=http", {"name": "a", "url": "ftp://x", "status": 200, "timeout_s": 5}
    )
    assert bad.status_code == 400 or "not a web address" in bad.content.decode()
    sent = page.post(
        "/pools/web/checks/-/add/?kind=command", {"name": "q", "argv": "etcdctl 'endpoint health'", "timeout_s": 3}
    )
    assert sent.status_code == 302, sent.content
    check = PoolCheck.objects.get(pool=web)
    assert check.params == {"argv": ["etcdctl", "endpoint health"]}
    assert "etcdctl &#x27;endpoint health&#x27;" in page.get("/pools/web/").content.decode()
    told = {"name": "q", "argv": "true", "timeout_s": 3, "revision": 1}
    assert page.post(f"/pools/web/checks/{check.pk}/", told).status_code == 302
    assert page.post(f"/pools/web/checks/{check.pk}/", told).status_code != 302
    assert page.post(f"/pools/web/checks/{check.pk}/delete/").status_code == 302
    assert not PoolCheck.objects.exists()
    viewer = signed_in(make_user("viewer", ("viewer", web)))
    assert viewer.get("/pools/web/checks/-/add/").status_code == 403


@pytest.mark.django_db
def test_another_reboot_manager_stops_it_unless_it_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run("reboot", monkeypatch)
    whole = units.unit

    def with_locksmith(host: Any, name: str, now: float) -> units.Unit:
        found = units.Unit(name, "Cluster reboot manager") if name == "locksmithd.service" else whole(host, name, now)
        return found

    monkeypatch.setattr(systemd, "unit", with_locksmith)
    done = run.rounds()
    assert (done.state, done.result, run.machine.reboots) == ("failed", "preflight", 0)
    assert "locksmithd.service" in result_sentence(done.result, done.result_params)
    run.ask("reboot", soak_s=0, ignore_managers=True)
    assert run.rounds().state == "succeeded"
    run.machine.loop.close()
