"""Directories out of Git in the API and on the pages: set, tried, trusted, planned, and shown with the operation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse

from fleetui.access.principals import SYSTEM
from fleetui.core import clock
from nodes.tests.api.client import Api
from nodes.tests.git.repositories import Work
from nodes.tests.make import make_config, make_node, make_pool, make_user, make_version
from nodes.tests.pages import signed_in, text_of
from ops.engine import claim_due, run_step, start_queued
from ops.models import Operation, Provisioner, ProvisionerSource
from ops.services.request import request_operations
from ops.tests.test_terraform import ADDRESS, VARIABLE
from ops.tests.test_terraform_git import code, work
from tests.sshd import real_sshd

__all__ = ["work"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_database]


@pytest.fixture
def first(work: Work, tmp_path: Path) -> str:
    work.write("workers/main.tf", VARIABLE + code(tmp_path))
    commit = work.commit("machines of 2026")
    work.push()
    return commit


def body(work: Work, **git: Any) -> dict[str, Any]:
    settings = {"directory": "workers", "address": ADDRESS, "git": {"url": str(work.bare), **git}}
    return {"name": "tf", "kind": "terraform", "settings": settings, "base_url": "https://f.example"}


def test_over_the_api(work: Work, first: str, settings: Any) -> None:
    make_pool("web")
    api = Api(make_user("owner", "admin"))
    refused = api.post("provisioners/", body(work, url="https://git.example.org/x.git"))
    assert (refused.status_code, refused.json()["field"], refused.json()["value"]) == (
        *(400, "url"),
        "https://git.example.org/x.git",
    )
    assert "FLEETUI_PROVISIONERS_GIT" in refused.json()["mend"]
    made = api.post("provisioners/", {**body(work), "pools": ["web"]})
    assert made.status_code == 201, made.json()
    git, path = made.json()["settings"]["git"], f"provisioners/{made.json()['id']}/"
    assert (git["url"], git["ref_kind"], git["ref"], git["has_secret"]) == (str(work.bare), "branch", "main", False)
    tried = api.post(f"{path}try/")
    assert (tried.status_code, tried.json()["source"]["commit"]) == (200, first)
    # As it was read it may be written.
    put = {name: value for name, value in made.json().items() if name not in ("id", "set_by", "set_at")}
    again = api.put(path, put)
    assert (again.status_code, again.json()["settings"]) == (200, made.json()["settings"])
    work.git("--git-dir", str(work.bare), "branch", "-m", "main", "other")
    gone = api.post(f"{path}try/")
    assert (gone.status_code, gone.json()["detail"]) == (400, "There is no branch main.")
    assert gone.json()["mend"] == "Push it, or name another one."
    assert Api(make_user("op", "operator")).post(f"{path}try/").status_code == 403


@pytest.mark.sshd
def test_the_form_the_keys_and_the_test(work: Work, first: str, settings: Any) -> None:
    page = signed_in(make_user("anna", "admin"))
    add = reverse("provisioner_add") + "?kind=terraform"
    assert "from=git" in text_of(page.get(add))
    with real_sshd([]) as sshd:
        url = f"ssh://{sshd.username}@{sshd.address}:{sshd.port}{work.bare}"
        given = {"name": "tf", "program": "terraform", "url": url, "ref_kind": "branch", "ref": "main", "auth": "none"}
        given |= {"directory": "workers", "address": ADDRESS, "limit_s": "600", "base_url": "https://f.example"}
        answer = page.post(f"{add}&from=git", given)
        assert answer.status_code == 422
        assert "FLEETUI_PROVISIONERS_GIT" in text_of(answer)
        settings.PROVISIONERS_GIT = [url]
        assert "Over SSH a deploy key is needed." in text_of(page.post(f"{add}&from=git", given))
        done = page.post(f"{add}&from=git", {**given, "auth": "key"}, follow=True)
        source = ProvisionerSource.objects.get()
        assert source.public_key in text_of(done)
        do = reverse("provisioner_do", args=[source.provisioner_id])
        told = text_of(page.post(do, {"do": "test"}, follow=True))
        assert "Trust this host key" in told
        fingerprint = told.split('name="fingerprint" value="')[1].split('"')[0]
        assert "shows another host key now" in text_of(
            page.post(do, {"do": "trust", "fingerprint": "SHA256:x"}, follow=True)
        )
        page.post(do, {"do": "trust", "fingerprint": fingerprint, "page": "1"})
        page.post(do, {"do": "new-key", "page": "1"})
        fresh = ProvisionerSource.objects.get()
        assert fresh.public_key != source.public_key
        assert fresh.host_key
        (sshd.folder / "authorized_keys").write_text(fresh.public_key + "\n")
        told = text_of(page.post(do, {"do": "test", "page": "1"}, follow=True))
        assert f"commit {first[:10]} by Anna Example &lt;anna@example.org&gt;: machines of 2026" in told
        assert "Trust this host key" not in told
    listed = text_of(page.get(reverse("provisioners")))
    assert f"{url} branch main workers: " in listed
    row = Provisioner.objects.get()
    folder = {**given, "revision": row.revision}
    page.post(reverse("provisioner", args=[row.pk]) + "?from=folder", folder)
    assert not ProvisionerSource.objects.exists()


def test_the_plan_names_the_place_and_the_operation_the_commit(work: Work, first: str) -> None:
    pool, admin = make_pool("web"), make_user("owner", "admin")
    pool.intended_version = make_version(make_config("edge", pool), state="approved")
    pool.save()
    api = Api(admin)
    made = api.post("provisioners/", {**body(work), "pools": ["web"]}).json()
    node = make_node("web-1", pool=pool, last_seen_at=clock.now(), health="healthy")
    make_node("web-2", pool=pool, last_seen_at=clock.now(), health="healthy")

    def asked(reason: str) -> Operation:
        answer = request_operations(
            nodes=[node], kind="replace", params={"drain": False}, reason=reason, actor=SYSTEM, now=clock.now()
        )
        assert answer.operations, answer.refused
        return answer.operations[0]

    operation = asked("one")
    assert operation.plan["target"]["source"] == {
        "url": str(work.bare),
        "ref_kind": "branch",
        "ref": "main",
        "directory": "workers",
    }
    assert [command[2] for command in operation.plan["commands"]] == ["init", "plan", "apply"]
    browser = signed_in(admin)
    page = reverse("operation", args=[operation.pk])
    assert f"Its directory workers comes from {work.bare}: branch main." in text_of(browser.get(page))
    assert api.get(f"operations/{operation.pk}/machine/").json()["source"] is None
    go_on(operation)
    assert operation.step != "preflight", operation.result_params
    assert api.get(f"operations/{operation.pk}/machine/").json()["source"]["commit"] == first
    shown = text_of(browser.get(page))
    assert "Made from" in shown
    assert first in shown
    Operation.objects.filter(pk=operation.pk).update(state="cancelled", ended_at=clock.now(), due_at=None)
    # What was approved is what is run: another place by then needs another plan.
    other = asked("two")
    settings = {**made["settings"], "git": {**made["settings"]["git"], "ref": "other"}}
    put = {name: made[name] for name in ("name", "kind", "base_url", "pools")}
    assert api.put(f"provisioners/{made['id']}/", {**put, "settings": settings}).status_code == 200
    go_on(other)
    assert other.result == "preflight", (other.state, other.step, other.wait_reason, other.memory)
    assert "source_changed" in [one["code"] for one in other.result_params["checks"]]


def go_on(operation: Operation) -> None:
    """The first step of it."""
    start_queued(clock.now())
    for claimed, lease in claim_due(clock.now()):
        run_step(claimed, lease, clock.now())
    operation.refresh_from_db()
