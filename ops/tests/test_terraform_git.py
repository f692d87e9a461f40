"""The real terraform in directories of real Git repositories: of one commit, initialised, and nothing of it stays."""

from __future__ import annotations

import fcntl
import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from fleetui.access.principals import SYSTEM
from fleetui.audit.models import AuditEvent
from nodes.git.address import Address
from nodes.git.errors import GitProblem
from nodes.git.fetch import SignIn
from nodes.git.history import CommitInfo
from nodes.git.limits import DEFAULT
from nodes.git.refs import Ref
from nodes.tests.git.repositories import Work, make_work
from nodes.tests.git.test_signed_commits import key_of, sign
from ops import wording
from ops.engine import replacing
from ops.models import LogLine, Provisioner, ProvisionerSource, Replacement
from ops.replacement import Jobs, NotReady, Order, Progress
from ops.replacement import Provisioner as Made
from ops.replacement.repository import Repository
from ops.replacement.terraform import Terraform
from ops.services.replacing import repositories
from ops.services.replacing.provisioners import (
    CannotBeAsked,
    opened,
    set_provisioner,
    try_provisioner,
)
from ops.services.replacing.repositories import trust_host_key
from ops.tests.onehost import Killed
from ops.tests.test_replacement import Run
from ops.tests.test_terraform import ADDRESS, ENV, MACHINES, ORDER, VARIABLE, terraform
from tests.conftest import missing
from tests.sshd import real_sshd

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
NODES = 'toset(["web-1", "web-2"])'


def code(folder: Path, backend: str = 'backend "local" {{ path = "{}" }}', nodes: str = NODES) -> str:
    where = folder / "state.tfstate"
    machines = MACHINES.replace(">> did", f">> {folder}/did").replace(NODES, nodes).replace("! -e refuse", "1")
    return f"terraform {{\n{backend.format(where)}\n}}\n{machines}"


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state of two machines, and of the node of the engine's tests."""
    if not shutil.which("terraform"):
        missing("terraform is not installed.")
    folder = tmp_path_factory.mktemp("made")
    (folder / "main.tf").write_text(VARIABLE + code(folder, nodes='toset(["web-1", "web-2", "n1"])'))
    terraform(folder, "init", "-input=false")
    terraform(folder, "apply", "-input=false", "-auto-approve")
    return folder / "state.tfstate"


@pytest.fixture
def work(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Work:
    settings.GIT_LOCAL_ROOT = str(tmp_path)
    settings.PROVISIONERS_GIT = [f"{tmp_path}/"]
    settings.DATA_DIR = tmp_path / "data"
    settings.DATA_DIR.mkdir()
    for name in ("TF_CLI_CONFIG_FILE", "CHECKPOINT_DISABLE"):
        monkeypatch.setenv(name, ENV[name])
    return make_work(tmp_path)


@pytest.fixture
def site(work: Work, tmp_path: Path, state: Path) -> Path:
    """A repository in which the directory needs what lies beside it, and the state where its backend has it."""
    shutil.copy(state, tmp_path / "state.tfstate")
    work.write("workers/main.tf", code(tmp_path))
    work.write("shared/variable.tf", VARIABLE)
    (work.tree / "workers/variable.tf").symlink_to("../shared/variable.tf")
    work.commit("first")
    work.push()
    return tmp_path


def nobody(_commit: CommitInfo) -> str:
    return ""


MAIN = Ref("branch", "main")


def out_of_git(
    site: Path,
    *,
    ref: Ref = MAIN,
    directory: str = "workers",
    vouch: Callable[[CommitInfo], str] = nobody,
) -> Terraform:
    address = Address("file", "", None, "", str(site / "bare.git"))
    repository = Repository(str(address), address, ref, directory, SignIn(), DEFAULT, site / "mirror", vouch)
    return Terraform("terraform", directory, ADDRESS, 60, None, Jobs(site / "jobs", ENV), repository)


def went(found: Terraform, order: Order = ORDER, until: str = "", handle: Mapping[str, Any] | None = None) -> Progress:
    """Decided and looked at until it has an end or is at `until`; its lines all together."""
    order = order if order.source else replace(order, source=found.decide({}))
    handle, lines = handle or found.start(order, 1), list[str]()
    for _look in range(1500):
        now = found.look(order, handle)
        lines += now.lines
        if now.state in ("failed", "replaced") or now.code == until:
            return replace(now, lines=lines)
        handle = now.handle
        time.sleep(0.02)
    raise AssertionError(now)


def test_a_look_waits_for_others_and_for_the_server_once(site: Path, settings: Any) -> None:
    """All that it waits for is shorter than the lease of its step, which nothing renews meanwhile."""
    (site / "mirror.lock").touch()
    busy = replace(out_of_git(site).repository, lock_s=0.2)  # type: ignore[type-var]
    found = replace(out_of_git(site), repository=busy)
    found.decide({})
    with (site / "mirror.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        began = time.monotonic()
        with pytest.raises(NotReady) as refused:
            found.decide({})
        assert (refused.value.code, time.monotonic() - began < 2) == ("git_busy", True)
    for lease_s in (60, 8):
        settings.OPERATION_LEASE_S = lease_s
        assert sum(repositories.waits_s()) < 0.8 * lease_s
    assert repositories.waits_s() == (8 * 0.25, 8 * 0.45)


def did(site: Path) -> list[str]:
    told = site / "did"
    return told.read_text().splitlines() if told.exists() else []


def test_one_machine_is_replaced_out_of_a_commit(site: Path, work: Work) -> None:
    found = out_of_git(site)
    found.ready()
    agreed = went(found, until="tf_agreed")
    commit = agreed.handle["source"]["commit"]
    assert (did(site), commit) == ([], work.git("rev-parse", "HEAD"))
    # What is pushed meanwhile is not what was planned.
    work.commit("second", workers__main_tf=code(site).replace("echo made", "echo evil"))
    work.push()
    (tree,) = (site / "jobs").glob("a1-*-tree")
    assert tree.stat().st_mode & 0o777 == 0o700
    assert not (tree / "code/workers/.terraform").exists()
    ended = went(found, handle=agreed.handle)
    assert (ended.state, ended.address) == ("replaced", "10.0.0.9"), ended
    assert did(site) == ["gone web-1", "made web-1 https://f/secret"]
    assert f"commit {commit}: its tree is written out, 2 files" in agreed.lines
    assert "Terraform has been successfully initialized!" in agreed.lines
    assert "secret" not in "\n".join([*agreed.lines, *ended.lines])
    found.forget(ORDER)
    assert [one.name for one in (site / "jobs").iterdir()] == ["place"]
    assert json.loads((site / "state.tfstate").read_text())["resources"]


def test_an_init_that_was_cut_off_begins_anew_with_the_same_commit(site: Path, work: Work) -> None:
    found = out_of_git(site)
    order = replace(ORDER, source=found.decide({}))
    handle = found.start(order, 1)
    # As if its starter had been killed in the middle.
    (site / "jobs" / "a1-1-1-init").mkdir()
    handle = found.look(order, handle).handle
    assert (site / "jobs" / "a1-1-1-tree").exists()
    work.commit("second", workers__main_tf="")
    work.push()
    again = found.look(order, handle)
    assert (again.code, again.handle["asked"], again.handle["source"]) == ("asked_again", 2, handle["source"])
    assert not (site / "jobs" / "a1-1-1-tree").exists()
    assert went(found, order, "tf_agreed", again.handle).begins


def test_a_tree_that_two_workers_write_is_whole(site: Path) -> None:
    found = out_of_git(site)
    order = replace(ORDER, source=found.decide({}))
    handle = found.start(order, 1)
    first, second = (found.look(order, handle).handle for _worker in range(2))
    assert first == second
    (site / "jobs" / f"a1-1-1-tree.{'0' * 32}").mkdir()
    found.forget(ORDER)
    assert [one.name for one in (site / "jobs").iterdir()] == ["place"], "what a killed worker left goes too"


@pytest.mark.parametrize(
    ("backend", "refused"),
    [
        ("# no backend", "tf_no_backend"),
        ("backend local {{}}", "tf_state_in_tree"),
        ('backend "local" {{ path = "../state.tfstate" }}', "tf_state_in_tree"),
        ('backend "local" {{ path = "JOBS/a1-1-1-tree/state" }}', "tf_state_in_tree"),
        ('backend "inmem" {{}}', "tf_no_backend"),
    ],
    ids=["a word", "default", "relative", "in the tree", "memory"],
)
def test_a_state_that_would_be_lost_is_refused(site: Path, work: Work, backend: str, refused: str) -> None:
    work.commit("other", workers__main_tf=code(site, backend.replace("JOBS", str(site / "jobs"))))
    work.push()
    ended = went(out_of_git(site))
    assert (ended.state, ended.code) == ("failed", refused), ended
    told = wording.result_sentence(refused, {"name": "site", **ended.params})
    assert "workers at commit" in told
    assert did(site) == []


def test_what_cannot_be_initialised_changes_nothing(site: Path, work: Work) -> None:
    work.write("workers/.terraform.lock.hcl", "")
    work.write(
        "workers/more.tf",
        'terraform { required_providers { x = { source = "127.0.0.1:1/a/x" } } }\nresource "x" "x" {}',
    )
    work.commit("needs a provider")
    work.push()
    ended = went(out_of_git(site))
    assert (ended.state, ended.code) == ("failed", "tf_init_failed"), ended
    assert "127.0.0.1:1/a/x" in ended.said
    argv = json.loads((site / "jobs" / "a1-1-1-init" / "job.json").read_text())["argv"]
    assert argv[2:] == ["init", "-input=false", "-no-color", "-reconfigure", "-lockfile=readonly"]
    assert "Nothing was changed" in wording.result_sentence(ended.code, {"name": "site", "said": ended.said})


def test_what_is_not_to_be_taken_is_refused_at_once(site: Path, work: Work) -> None:
    (work.tree / "out").symlink_to("/etc")
    work.write("stateful/terraform.tfstate", "{}")
    work.write("stateful/main.tf", code(site))
    work.commit("a link", README="no code here")
    work.push()

    def unsigned(commit: CommitInfo) -> str:
        raise GitProblem("unsigned", "", sha=commit.sha[:10], why="The commit is not signed.")

    for found, said in (
        (out_of_git(site, directory="."), ". has no configuration of Terraform at commit"),
        (out_of_git(site, directory="shared"), "declares no backend: its state would be lost"),
        (out_of_git(site, directory="stateful"), "A state is not read out of Git: stateful has a terraform.tfstate at"),
        (out_of_git(site, directory="gone"), "There is no folder gone in the commit. Push it, or name another one."),
        (out_of_git(site, directory="out"), "There is no folder out in the commit."),
        (out_of_git(site, ref=Ref("branch", "x")), "There is no branch x. Push it, or name another one."),
        (out_of_git(site, ref=Ref("tag", "v1")), "There is no tag v1."),
        (out_of_git(site, ref=Ref("commit", "1" * 40)), "No branch and no tag leads to the commit 1111111111."),
        (
            out_of_git(site, vouch=unsigned),
            "is not signed by a key that is allowed: The commit is not signed. Push a commit",
        ),
    ):
        with pytest.raises(NotReady) as refused:
            found.decide({})
        assert said in wording.check_sentence(refused.value.code, refused.value.params)
    found = out_of_git(site)
    order = replace(ORDER, source=found.decide({}))
    with pytest.raises(NotReady) as refused:
        found.look(order, found.start(order, 1))
    assert "The symbolic link out leads out of the repository." in wording.result_sentence(
        refused.value.code, refused.value.params
    )
    assert [one.name for one in (site / "jobs").iterdir()] == ["place"]


def test_a_copy_that_was_thrown_away_is_fetched_again(site: Path, work: Work) -> None:
    found = out_of_git(site)
    decided = found.decide({})
    work.commit("second", workers__main_tf="")
    work.push()
    bare = site / "bare.git"
    bare.rename(site / "away")
    assert found.decide(decided) == decided, "what is here needs no server"
    (site / "away").rename(bare)
    shutil.rmtree(site / "mirror")
    assert found.decide(decided) == decided


def test_a_copy_that_is_damaged_is_made_anew(site: Path, work: Work) -> None:
    found = out_of_git(site)
    decided = found.decide({})
    for pack in (site / "mirror/objects/pack").glob("*.pack"):
        pack.chmod(0o600)
        pack.write_bytes(pack.read_bytes()[:64] + b"x" * (pack.stat().st_size - 64))
    with pytest.raises(NotReady) as refused:
        found.decide({})
    assert refused.value.params["git"]["kind"] == "hostile"
    assert found.decide({}) == decided


@dataclass
class Service:
    """Settings of a provisioner as ops.tests.test_replacement.Run takes them."""

    settings: dict[str, Any]
    secret: str = ""
    deaths: list[str] = field(default_factory=list)


class Dying:
    """A provisioner whose worker dies once after everything that it does, before that is written down."""

    at_once = False

    def __init__(self, made: Made, deaths: list[str]) -> None:
        self.made, self.deaths = made, deaths

    def __getattr__(self, name: str) -> Any:
        call = getattr(self.made, name)

        def dies(*given: Any) -> Any:
            place = f"{name} {given[1]['phase']}" if name == "look" else name
            done = call(*given)
            if place not in self.deaths:
                self.deaths.append(place)
                raise Killed
            return done

        return dies


@pytest.mark.sshd
@pytest.mark.django_db(transaction=True)
def test_a_worker_may_die_at_each_step_and_the_planned_commit_is_applied(
    site: Path, work: Work, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    main = code(site, nodes='toset(["web-1", "web-2", "n1"])')
    work.write("workers/main.tf", main.replace("10.0.0.9", "127.0.0.1"))
    anna = key_of(site, "anna")
    sign(work, site / "anna")
    planned = work.commit("machines of 2026")
    work.push()
    with real_sshd([]) as sshd:
        url = f"ssh://{sshd.username}@{sshd.address}:{sshd.port}{work.bare}"
        settings.PROVISIONERS_GIT = [url]
        git = {"url": url, "auth": "key", "require_signed": True, "allowed_signers": f"anna@example.org {anna}\n"}
        service = Service({"address": ADDRESS, "directory": "workers", "limit_s": 600, "git": git})
        run = Run(monkeypatch, "terraform", service)
        row = Provisioner.objects.get()
        with pytest.raises(CannotBeAsked) as refused:
            try_provisioner(provisioner=row, actor=SYSTEM)
        trust_host_key(provisioner=row, fingerprint=refused.value.fingerprint, actor=SYSTEM)
        row = Provisioner.objects.get()
        with pytest.raises(CannotBeAsked, match="does not take the deploy key"):
            try_provisioner(provisioner=row, actor=SYSTEM)
        (sshd.folder / "authorized_keys").write_text(ProvisionerSource.objects.get().public_key + "\n")
        assert try_provisioner(provisioner=row, actor=SYSTEM)["commit"] == planned
        monkeypatch.setattr(replacing, "opened", lambda row, _host=None: Dying(opened(row), service.deaths))
        goes_on = run.machine.goes_on

        def really(seconds: float) -> None:
            time.sleep(0.02)
            goes_on(seconds)
            (made,) = [line for line in did(site) if line.startswith("made")] or [""]
            if made and not run.site.made:
                run.site.make(made.split()[2])

        monkeypatch.setattr(run.machine, "goes_on", really)
        run.rounds(until="offers")
        # After the look and before the plan.
        work.commit("evil", workers__main_tf=code(site).replace("echo made", "echo evil"))
        work.push()
        run.rounds(5000)
    run.check(service.deaths)
    assert [one for one in did(site) if one.startswith(("gone", "evil"))] == ["gone n1"]
    phases = ("tree", "init", "plan", "show", "agreed", "apply")
    assert {"decide", "start", *(f"look {one}" for one in phases), "forget"} <= set(service.deaths)
    source = Replacement.objects.get().source
    assert (source["commit"], source["signer"], source["ref"]) == (planned, "anna@example.org", "main")
    effects = AuditEvent.objects.filter(action="operations.effect", subject=f"operation:{run.operation.pk}")
    sources = [told["source"] for one in effects if "source" in (told := json.loads(one.after))]
    assert {one["commit"] for one in sources} == {planned}
    assert [one.name for one in (site / "data/replacements").iterdir()] == ["place"]
    lines = LogLine.objects.filter(operation=run.operation, text="source_decided")
    assert "signed by anna@example.org: machines of 2026" in wording.note_sentence("source_decided", lines[0].params)


def test_what_an_admin_changes_after_the_look_is_not_run(
    site: Path, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    work.commit("another directory", other__main_tf=code(site))
    work.push()
    git = {"url": str(work.bare)}
    service = Service({"address": ADDRESS, "directory": "workers", "limit_s": 600, "git": git})
    run = Run(monkeypatch, "terraform", service)
    run.rounds(until="offers")
    changed: dict[str, Any] = {"settings": {**service.settings, "directory": "other"}, "kind": "terraform"}
    row = Provisioner.objects.get()
    set_provisioner(**changed, name="site", base_url="https://f.example", provisioner=row, actor=SYSTEM, now=run.now)
    found = run.rounds()
    assert (found.state, found.result) == ("failed", "source_changed"), found.result_params
    assert "takes its directory out of another place by now. Ask again" in wording.result_sentence(
        found.result, found.result_params
    )
    assert did(site) == []
