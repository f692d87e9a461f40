"""Schedules: due once, with its owner's rights of that time, whatever dies in between; and what was missed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fleetui.access.models import RoleBinding, Token, User
from fleetui.audit.models import AuditEvent
from fleetui.core.retention import prune
from fleetui.notify.models import Channel, Delivery, Rule
from nodes.models import Pool
from nodes.tests.api.client import Api
from nodes.tests.make import make_facts, make_node, make_pool, make_user, principal
from nodes.tests.pages import signed_in
from ops.models import Operation, OperationRequest, Schedule, ScheduleRun
from ops.services import schedule_runs
from ops.services.restored import end_what_was_under_way
from ops.services.schedule_runs import run_due
from ops.services.schedules import pause, set_schedule
from ops.views import schedules as views

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
#: A Wednesday.
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
SATURDAY = datetime(2026, 11, 28, 2, 0, tzinfo=UTC)
TASK = {"kind": "reboot", "reason": "Weekly restart"}


@pytest.fixture
def web() -> Pool:
    pool = make_pool("web")
    for _ in range(2):
        make_facts(make_node(pool=pool))
    make_facts(make_node(pool=make_pool("db")))
    return pool


@pytest.fixture
def anna(web: Pool) -> User:
    return make_user("anna", ("operator", web))


def weekly(user: User, pool: Pool | None, **over: Any) -> Schedule:
    told: dict[str, Any] = {"name": "weekly", "cron": "0 2 * * sat", "zone": "UTC", "task": TASK, **over}
    return set_schedule(**told, pool=pool, actor=principal(user), now=NOW)


def states(schedule: Schedule) -> list[tuple[str, str]]:
    rows = ScheduleRun.objects.filter(schedule=schedule).order_by("due_at")
    return [(f"{row.due_at:%d %H:%M}", row.state) for row in rows]


def test_it_starts_once_at_its_time_and_moves_on(web: Pool, anna: User) -> None:
    schedule = weekly(anna, web)
    assert schedule.next_run_at == SATURDAY
    assert run_due(SATURDAY - timedelta(seconds=1)) == 0
    assert run_due(SATURDAY + timedelta(seconds=3)) == 1
    assert run_due(SATURDAY + timedelta(seconds=8)) == 0
    request = OperationRequest.objects.get()
    assert (request.requester, request.reason, request.selector) == ("user:anna", "Weekly restart", {"pool": "web"})
    assert Operation.objects.count() == 2
    run = ScheduleRun.objects.get()
    assert (run.state, run.due_at, run.request, run.made) == ("started", SATURDAY, request, 2)
    schedule.refresh_from_db()
    assert schedule.next_run_at == SATURDAY + timedelta(days=7)
    event = AuditEvent.objects.get(action="schedules.run")
    assert (event.actor, event.subject, event.outcome) == ("user:anna", "schedule:weekly", "done")


def test_two_that_look_at_once_claim_it_once(web: Pool, anna: User) -> None:
    schedule = weekly(anna, web)
    mine, other = Schedule.objects.get(), Schedule.objects.get()
    assert schedule_runs._claim(mine, SATURDAY)
    assert not schedule_runs._claim(other, SATURDAY)
    first, second = ScheduleRun.objects.get(), ScheduleRun.objects.get()
    assert schedule_runs._start(first, SATURDAY)
    assert not schedule_runs._start(second, SATURDAY)
    assert OperationRequest.objects.count() == 1
    assert states(schedule) == [("28 02:00", "started")]


def test_a_worker_that_dies_after_the_start_leaves_one_start(
    web: Pool, anna: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = weekly(anna, web)

    class Killed(BaseException):
        pass

    def die(*_: Any) -> bool:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(schedule_runs, "_ended", die)
        with pytest.raises(Killed):
            run_due(SATURDAY)
    assert states(schedule) == [("28 02:00", "due")]
    assert OperationRequest.objects.count() == 1
    # Whatever changed meanwhile: it was started.
    User.objects.filter(pk=anna.pk).update(is_active=False)
    assert run_due(SATURDAY + timedelta(seconds=30)) == 1
    assert states(schedule) == [("28 02:00", "started")]
    assert (OperationRequest.objects.count(), Operation.objects.count()) == (1, 2)


def test_a_worker_that_dies_before_the_start_loses_nothing(
    web: Pool, anna: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = weekly(anna, web)
    assert schedule_runs._claim(Schedule.objects.get(), SATURDAY)
    assert states(schedule) == [("28 02:00", "due")]
    assert run_due(SATURDAY + timedelta(minutes=5)) == 1
    assert states(schedule) == [("28 02:00", "started")]


@pytest.mark.parametrize("what", ["late", "late and asked for", "paused"])
def test_what_a_dead_worker_left_is_not_started_too_late_or_while_it_is_paused(
    web: Pool, anna: User, what: str
) -> None:
    schedule = weekly(anna, web, is_late_run=what == "late and asked for")
    assert schedule_runs._claim(Schedule.objects.get(), SATURDAY)
    if what == "paused":
        pause(schedule=schedule, actor=principal(anna), now=SATURDAY)
    run_due(SATURDAY + timedelta(minutes=5 if what == "paused" else 11))
    assert states(schedule) == [("28 02:00", "started" if what == "late and asked for" else "missed")]


@pytest.mark.parametrize("how", ["deactivated", "right", "pool"])
def test_who_lost_the_right_starts_nothing_and_the_schedule_is_paused(web: Pool, anna: User, how: str) -> None:
    schedule = weekly(anna, web)
    if how == "deactivated":
        User.objects.filter(pk=anna.pk).update(is_active=False)
    elif how == "right":
        RoleBinding.objects.filter(user=anna).update(role="viewer")
    else:
        web.nodes.all().delete()
        web.delete()
    assert run_due(SATURDAY) == 0
    run = ScheduleRun.objects.get()
    assert run.state == "failed"
    said = {"deactivated": "is not active", "right": "lost the permission operations.request", "pool": "web is gone"}
    assert said[how] in run.why
    schedule.refresh_from_db()
    assert (schedule.next_run_at, schedule.paused_why) == (None, run.why)
    assert not OperationRequest.objects.exists()
    assert run_due(SATURDAY + timedelta(days=7)) == 0


def test_a_token_that_was_revoked_starts_nothing(web: Pool, anna: User) -> None:
    api = Api(anna)
    answer = api.post("schedules/", {"name": "by-token", "task": TASK, "pool": "web", "cron": "@daily"})
    assert answer.status_code == 201, answer.content
    schedule = Schedule.objects.get()
    assert schedule.owner.startswith("token:anna/")
    Schedule.objects.update(next_run_at=SATURDAY)
    Token.objects.update(revoked_at=NOW)
    run_due(SATURDAY)
    assert "the token was revoked" in ScheduleRun.objects.get().why


def test_what_is_too_late_is_missed_and_a_later_time_that_is_not_runs(web: Pool, anna: User) -> None:
    schedule = weekly(anna, web, cron="0 * * * *", lateness_s=600)
    Schedule.objects.update(next_run_at=NOW)
    run_due(NOW + timedelta(hours=3, minutes=5))
    assert states(schedule) == [("25 12:00", "missed"), ("25 15:00", "started")]
    schedule.refresh_from_db()
    assert schedule.next_run_at == NOW + timedelta(hours=4)


def test_what_is_late_by_a_moment_is_missed_once_and_keeps_no_other_back(web: Pool, anna: User) -> None:
    schedule = weekly(anna, web, lateness_s=60)
    other = weekly(anna, web, name="nightly", cron="1 2 * * *", lateness_s=60)
    Schedule.objects.update(next_run_at=SATURDAY)
    assert run_due(SATURDAY + timedelta(seconds=60, milliseconds=300)) == 1
    assert states(schedule) == [("28 02:00", "missed")]
    assert states(other) == [("28 02:00", "missed"), ("28 02:01", "started")]


def test_a_schedule_that_cannot_be_claimed_keeps_no_other_back(
    web: Pool, anna: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, whole = weekly(anna, web, name="broken"), weekly(anna, web)
    claim = schedule_runs._claim

    def claimed(schedule: Schedule, now: datetime) -> bool:
        if schedule == broken:
            raise RuntimeError("ours")
        return claim(schedule, now)

    monkeypatch.setattr(schedule_runs, "_claim", claimed)
    with pytest.raises(RuntimeError):
        run_due(SATURDAY)
    assert states(whole) == [("28 02:00", "started")]


def test_what_one_had_set_up_is_not_done_with_the_rights_of_who_saves_it_next(web: Pool, anna: User) -> None:
    schedule = weekly(anna, web)
    assert schedule_runs._claim(schedule, SATURDAY)
    schedule.refresh_from_db()
    admin = principal(make_user("root", "admin"))
    told: dict[str, Any] = {"name": "weekly", "cron": "@daily", "zone": "UTC", "task": TASK}
    set_schedule(**told, pool=None, schedule=schedule, actor=admin, now=SATURDAY)
    assert run_due(SATURDAY + timedelta(seconds=5)) == 0
    run = ScheduleRun.objects.get()
    assert (run.state, run.asked_by, run.why) == (
        "failed",
        "user:anna",
        "root saved the schedule before it was started.",
    )
    assert not OperationRequest.objects.exists()


def test_what_is_missed_runs_once_when_it_may_be_late(web: Pool, anna: User) -> None:
    schedule = weekly(anna, web, cron="0 * * * *", is_late_run=True)
    Schedule.objects.update(next_run_at=NOW)
    run_due(NOW + timedelta(hours=5, minutes=30))
    assert states(schedule) == [("25 12:00", "started")]
    schedule.refresh_from_db()
    assert schedule.next_run_at == NOW + timedelta(hours=6)


def test_after_a_restore_nothing_that_may_have_run_since_runs_again(web: Pool, anna: User) -> None:
    schedule = weekly(anna, web, is_late_run=True)
    begun = weekly(anna, web, name="begun")
    ScheduleRun.objects.create(schedule=begun, due_at=NOW, task=TASK, asked_by=begun.owner)
    now = SATURDAY + timedelta(minutes=5)
    end_what_was_under_way(made_at=NOW, now=now)
    assert run_due(now) == 0
    assert states(schedule) == [("28 02:00", "missed")]
    assert states(begun) == [("25 12:00", "missed"), ("28 02:00", "missed")]
    assert "restored from a backup of 2026-11-25 12:00" in ScheduleRun.objects.all()[0].why
    assert run_due(SATURDAY + timedelta(days=7)) == 2


def test_a_pool_with_nothing_to_do_is_said_and_goes_on(anna: User, web: Pool) -> None:
    schedule = weekly(anna, web, task={**TASK, "selector": {"q": "no-such-node"}})
    run_due(SATURDAY)
    assert states(schedule) == [("28 02:00", "empty")]
    schedule.refresh_from_db()
    assert schedule.paused_at is None


def test_a_run_whose_nodes_are_all_refused_says_why(anna: User, web: Pool) -> None:
    schedule = weekly(anna, web)
    run_due(SATURDAY)
    run_due(SATURDAY + timedelta(days=7))
    run = ScheduleRun.objects.latest("due_at")
    assert (run.schedule, run.state, run.refused) == (schedule, "empty", 2)
    assert run.why.endswith("Another operation is active on it: Reboot (queued).")
    assert views._run(run)["word"] == "refused"


def test_schedules_over_rest(web: Pool, anna: User) -> None:
    api = Api(anna)
    body = {"name": "nightly", "task": TASK, "pool": "web", "cron": "0 2 * * *", "zone": "Asia/Bangkok"}
    made = api.post("schedules/", body)
    assert made.status_code == 201, made.content
    one = made.json()
    assert len(one["next_runs"]) == 5
    assert api.get("schedules/").json()["results"][0]["id"] == one["id"]
    path = f"schedules/{one['id']}/"
    assert api.put(path, {**body, "cron": "30 2 * * *", "revision": 1}).json()["cron"] == "30 2 * * *"
    assert api.put(path, {**body, "revision": 1}).status_code == 412
    assert api.put(f"{path}pause/", {"paused": True, "reason": "freeze"}).json()["next_runs"] == []
    assert api.put(f"{path}pause/", {"paused": False}).json()["paused_at"] is None
    run = api.post(f"{path}runs/").json()
    assert (run["state"], run["operations"], run["is_manual"]) == ("started", 2, True)
    assert api.get(f"{path}runs/").json()["results"][0]["request_id"] == run["request_id"]
    other = Api(make_user("db", ("operator", Pool.objects.get(name="db"))))
    assert other.get(path).status_code == 404
    assert Api(make_user("look", ("viewer", web))).delete(path).status_code == 403
    assert api.delete(path).status_code == 204
    actions = [one.action for one in AuditEvent.objects.filter(action__startswith="schedules.").order_by("seq")]
    assert actions == [f"schedules.{verb}" for verb in ("add", "edit", "pause", "resume", "run", "delete")]


@pytest.mark.parametrize(
    ("over", "field"),
    [
        ({"cron": "61 * * * *"}, "cron"),
        ({"cron": "0 0 30 2 *"}, "cron"),
        ({"cron": "*/70 * * * *"}, "cron"),
        ({"zone": "Mars/Base"}, "zone"),
        ({"zone": "../etc/passwd"}, "zone"),
        ({"task": {"kind": "explode"}}, "kind"),
        ({"task": {**TASK, "selector": {"pool": "db"}}}, "selector"),
        ({"task": {**TASK, "selector": {"colour": "red"}}}, "selector"),
        ({"task": {**TASK, "what": 1}}, "task"),
        ({"task": {**TASK, "selector": "q=web"}}, "task"),
        ({"task": {**TASK, "selector": {"q": ["web", "db"]}}}, "selector"),
        ({"task": {**TASK, "params": [1]}}, "task"),
        ({"task": {**TASK, "reason": 5}}, "task"),
        ({"pool": "nowhere"}, "pool"),
        # What is due is looked for every few seconds: it would always count as missed.
        ({"lateness_s": 0}, "lateness_s"),
    ],
)
def test_what_cannot_be_scheduled_is_refused(web: Pool, anna: User, over: dict[str, Any], field: str) -> None:
    body = {"name": "nightly", "task": TASK, "pool": "web", "cron": "@daily", **over}
    answer = Api(anna).post("schedules/", body)
    assert (answer.status_code, answer.json()["field"]) == (400, field), answer.content


@pytest.mark.parametrize(("job", "right"), [("operation", "operations.request"), ("backup", "backups.run")])
def test_the_buttons_ask_for_the_right_of_the_job(job: str, right: str) -> None:
    class Asked:
        def may(self, permission: str, subject: object) -> bool:
            return permission == right

    assert views._may(Asked(), Schedule(job=job))  # type: ignore[arg-type]


def test_a_zone_that_is_gone_takes_no_page_away(web: Pool, anna: User) -> None:
    schedule = weekly(anna, web)
    Schedule.objects.update(zone="Mars/Base")
    assert Api(anna).get("schedules/").json()["results"][0]["next_runs"] == []
    assert signed_in(anna).get(f"/operations/schedules/{schedule.pk}/").status_code == 200
    run_due(SATURDAY)
    schedule.refresh_from_db()
    assert "Mars/Base is no time zone" in schedule.paused_why


def test_a_pool_operator_schedules_nothing_elsewhere(web: Pool, anna: User) -> None:
    body = {"name": "nightly", "task": TASK, "cron": "@daily"}
    assert Api(anna).post("schedules/", body).status_code == 403
    assert Api(anna).post("schedules/", {**body, "pool": "db"}).status_code == 400
    assert not Schedule.objects.exists()


def test_next_runs_are_said_before_it_is_saved(anna: User) -> None:
    api = Api(anna)
    assert len(api.get("schedules/next-runs/?cron=@hourly&zone=Europe/Berlin").json()["next_runs"]) == 5
    assert api.get("schedules/next-runs/?cron=nonsense").json()["field"] == "cron"
    # What is cut off would look good here, and be refused when it is saved.
    for text in ("*/70+*+*+*+*", f"0+0+*+*+{'*,' * 120}*"):
        assert api.get(f"schedules/next-runs/?cron={text}").json()["field"] == "cron"


def test_a_stored_step_that_is_not_taken_any_more_goes_on(web: Pool, anna: User) -> None:
    schedule = weekly(anna, web)
    Schedule.objects.update(cron="*/70 2 * * sat")
    assert len(Api(anna).get(f"schedules/{schedule.pk}/").json()["next_runs"]) == 5
    assert run_due(SATURDAY) == 1
    assert states(schedule) == [("28 02:00", "started")]


def test_a_wrong_filter_names_nothing_that_a_schedule_has_not(web: Pool, anna: User) -> None:
    body = {"name": "n", "task": {**TASK, "selector": {"colour": "red"}}, "pool": "web", "cron": "@daily"}
    assert "send nodes" not in Api(anna).post("schedules/", body).json()["mend"]


def test_the_pages_add_run_pause_and_delete(web: Pool, anna: User) -> None:
    page = signed_in(anna)
    assert "Nothing recurs yet" in page.get("/operations/schedules/").content.decode()
    assert "Add schedule" in page.get("/operations/schedules/-/add/").content.decode()
    soon = page.get("/operations/schedules/-/next/?cron=0+2+*+*+sat&zone=Europe/Berlin").content.decode()
    assert soon.count("<li>") == 5
    assert soon.count("02:00 CE") == 5, soon
    assert "It goes from 0 to 59" in page.get("/operations/schedules/-/next/?cron=99+*+*+*+*&zone=UTC").content.decode()
    form = {
        "name": "weekly",
        "kind": "reboot",
        "pool": "web",
        "cron": "0 2 * * sat",
        "zone": "UTC",
        "lateness_s": "600",
    }
    refused = page.post("/operations/schedules/-/add/", {**form, "cron": "0 2 * * funday"})
    assert refused.status_code == 422
    assert "funday cannot be read in the field day of week" in refused.content.decode()
    assert page.post("/operations/schedules/-/add/", {**form, "params": "[]"}).status_code == 422
    assert page.post("/operations/schedules/-/add/", form).status_code == 302
    schedule = Schedule.objects.get()
    path = f"/operations/schedules/{schedule.pk}/"
    assert page.post(f"{path}edit/", {**form, "selector": "?q=node", "revision": "1"}).status_code == 302
    assert "q=node" in page.get(path).content.decode()
    # What the form shows reads back as it was, so that another hour does not mean other nodes.
    hard = {**TASK, "params": {}, "selector": {"q": "a&b+c", "label": "rack:7"}}
    Schedule.objects.filter(pk=schedule.pk).update(task=hard)
    shown = page.get(f"{path}edit/").content.decode()
    assert 'value="q=a%26b%2Bc&amp;label=rack:7"' in shown
    Schedule.objects.filter(pk=schedule.pk).update(task=schedule.task)
    for what in ("run", "pause", "resume"):
        assert page.post(f"{path}do/", {"do": what}).status_code == 302
    text = page.get(path).content.decode()
    assert "anna" in text
    assert "weekly" in page.get("/operations/schedules/").content.decode()
    assert ScheduleRun.objects.get().made == 2
    viewer = signed_in(make_user("viewer", ("viewer", web)))
    assert viewer.get(path).status_code == 200
    assert viewer.post(f"{path}do/", {"do": "delete"}).status_code == 403
    outsider = signed_in(make_user("other", ("operator", Pool.objects.get(name="db"))))
    assert outsider.get(path).status_code == 404
    assert page.post(f"{path}do/", {"do": "delete"}).status_code == 302
    assert not Schedule.objects.exists()


def test_a_schedule_that_fails_is_told_of(web: Pool, anna: User) -> None:
    channel = Channel.objects.create(name="hook", kind="webhook", set_by="user:x")
    Rule.objects.create(channel=channel, pool=web, severity="warning")
    weekly(anna, web)
    User.objects.filter(pk=anna.pk).update(is_active=False)
    run_due(SATURDAY)
    told = Delivery.objects.get()
    assert (told.event, told.severity, told.document["pool"]) == ("schedule.failed", "critical", "web")
    assert told.document["details"]["paused"] is True


def test_old_runs_are_removed(web: Pool, anna: User) -> None:
    weekly(anna, web)
    run_due(SATURDAY)
    assert prune(SATURDAY + timedelta(days=364))["schedule-runs"] == 0
    assert prune(SATURDAY + timedelta(days=366))["schedule-runs"] == 1
    assert Operation.objects.count() == 2
