"""The real terraform with its built-in resource: one machine is replaced, and nothing that was not agreed on happens."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ops.replacement import Jobs, NotReady, Order, Progress
from ops.replacement.terraform import Terraform, _cause
from ops.wording import result_sentence
from tests.conftest import missing

ENV = {
    "PATH": os.environ["PATH"],
    "TF_CLI_CONFIG_FILE": "/dev/null",
    "CHECKPOINT_DISABLE": "1",
    "TF_IN_AUTOMATION": "1",
}
ADDRESS = 'terraform_data.machine["{node}"]'
ORDER = Order("a1", "web-1", "10.0.0.1", 22, "web", "", 2, "https://f/secret", "sha512-1", "SHA256:x")
VARIABLE = """
variable "fleetui" {
  type      = object({ node = string, generation = number, ignition_url = string, ignition_sha512 = string })
  default   = null
  sensitive = true
}
"""
MACHINES = """
resource "terraform_data" "machine" {
  for_each = toset(["web-1", "web-2"])
  input    = each.key
  provisioner "local-exec" {
    when    = destroy
    command = "echo gone ${self.input} >> did"
  }
  provisioner "local-exec" {
    command     = "test ! -e refuse && echo made ${each.key} $URL >> did"
    environment = { URL = try(var.fleetui.ignition_url, "") }
  }
}
output "fleetui_addresses" { value = { for name, machine in terraform_data.machine : name => "10.0.0.9" } }
"""


def terraform(folder: Path, *words: str) -> None:
    done = subprocess.run(["terraform", *words], cwd=folder, env=ENV, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with two machines in its state."""
    if not shutil.which("terraform"):
        missing("terraform is not installed.")
    folder = tmp_path_factory.mktemp("terraform")
    (folder / "main.tf").write_text(VARIABLE + MACHINES)
    terraform(folder, "init", "-input=false")
    terraform(folder, "apply", "-input=false", "-auto-approve")
    (folder / "did").unlink()
    return folder


@pytest.fixture
def site(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "workers")
    return tmp_path


def opened(site: Path, **over: str) -> Terraform:
    env = {**ENV, **over}
    return Terraform("terraform", "workers", ADDRESS, 60, site, Jobs(site / "jobs", env))


def went(found: Terraform, order: Order = ORDER, *, attempt: int = 1, until: str = "") -> Progress:
    """Looked at until it has an end or is at `until`; its lines all together."""
    handle, lines = found.start(order, attempt), list[str]()
    for _look in range(1500):
        now = found.look(order, handle)
        lines += now.lines
        if now.state in ("failed", "replaced") or now.code == until:
            return replace(now, lines=lines)
        handle = now.handle
        time.sleep(0.02)
    raise AssertionError(now)


def did(site: Path) -> list[str]:
    told = site / "workers" / "did"
    return told.read_text().splitlines() if told.exists() else []


def test_one_machine_is_replaced(site: Path) -> None:
    found = opened(site)
    found.ready()
    ended = went(found)
    assert (ended.state, ended.address) == ("replaced", "10.0.0.9"), ended
    assert did(site) == ["gone web-1", "made web-1 https://f/secret"]
    text = "\n".join(ended.lines)
    assert 'terraform_data.machine["web-1"]: Plan to replace' in text
    assert "Apply complete! Resources: 1 added, 0 changed, 1 destroyed." in text
    assert "secret" not in text
    assert went(found).state == "replaced", "asked again under the same id"
    assert len(did(site)) == 2
    found.forget(ORDER)
    assert [one.name for one in (site / "jobs").iterdir()] == ["place"]


def test_nothing_happens_before_the_plan_is_agreed_and_written_down(site: Path) -> None:
    found = opened(site)
    agreed = went(found, until="tf_agreed")
    assert (agreed.state, agreed.begins, did(site)) == ("works", True, [])
    assert found.at_once is False


def test_a_plan_that_changes_more_is_not_applied(site: Path) -> None:
    main = site / "workers" / "main.tf"
    # What the resource needs is planned with it.
    main.write_text(main.read_text().replace("input    = each.key", "input    = terraform_data.net.id") + NET)
    ended = went(opened(site))
    assert (ended.state, ended.code, ended.said) == ("failed", "tf_other_changes", "terraform_data.net"), ended
    assert "terraform_data.net" in result_sentence(ended.code, {"name": "site", "said": ended.said})
    assert did(site) == []


NET = """
resource "terraform_data" "net" { input = "10.0.0.0/24" }
"""


@pytest.mark.parametrize(
    ("node", "config", "code", "said"),
    [
        ("web-9", VARIABLE + MACHINES, "tf_not_planned", 'terraform_data.machine["web-9"]'),
        ("web-1", MACHINES.replace('try(var.fleetui.ignition_url, "")', '""'), "tf_no_variable", ""),
        ("web-1", VARIABLE + MACHINES + "resource {", "tf_plan_failed", "Unclosed configuration block"),
    ],
    ids=["no such resource", "no variable", "no configuration"],
)
def test_what_cannot_be_planned_changes_nothing(site: Path, node: str, config: str, code: str, said: str) -> None:
    (site / "workers" / "main.tf").write_text(config)
    ended = went(opened(site), replace(ORDER, node=node))
    assert (ended.state, ended.code) == ("failed", code), ended
    assert said in ended.said
    assert "Nothing was changed" in result_sentence(code, {"name": "site", "said": ended.said, **ended.params})
    assert did(site) == []


def test_a_long_script_does_not_hide_why_it_failed() -> None:
    said = f"local-exec provisioner error: Error running command '{'echo it is long; ' * 40}': exit status 3. Output: no quota"
    assert _cause(said).endswith("echo i…': exit status 3. Output: no quota")
    assert _cause("Error running command 'false': exit status 1. ") == "Error running command 'false': exit status 1. "


def test_a_failed_apply_is_planned_anew(site: Path) -> None:
    (site / "workers" / "refuse").touch()
    found = opened(site)
    ended = went(found)
    assert (ended.state, ended.code, ended.by_itself) == ("failed", "tf_apply_failed", True), ended
    assert "local-exec provisioner error" in ended.said
    (site / "workers" / "refuse").unlink()
    assert went(found, attempt=2).state == "replaced"
    assert did(site)[-1] == "made web-1 https://f/secret"


def test_an_apply_that_was_cut_off_needs_a_person(site: Path) -> None:
    main = site / "workers" / "main.tf"
    main.write_text(main.read_text().replace("test ! -e refuse", "sleep 30"))
    found = opened(site)
    ended = went(found, until="tf_agreed")
    handle = found.look(ORDER, ended.handle).handle
    end = time.monotonic() + 20
    while not did(site):
        assert time.monotonic() < end
        time.sleep(0.05)
    for process in processes(f"-chdir={site / 'workers'}"):
        os.kill(process, 9)
    while (now := found.look(ORDER, handle)).state == "works":
        assert time.monotonic() < end + 20
        handle = now.handle
        time.sleep(0.05)
    assert (now.code, now.by_itself) == ("tf_cut_off", False)


def processes(word: str) -> Iterator[int]:
    """The runner and terraform itself."""
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
            parents = (entry / "stat").read_text().rsplit(")", 1)[1].split() if words else []
        except OSError:
            continue
        if word.encode() in words:
            yield int(parents[1])
            yield int(entry.name)


@contextmanager
def locked(state: Path) -> Iterator[None]:
    """As another terraform at work holds the state."""
    code = "import fcntl, sys, time; file = open(sys.argv[1], 'r+'); fcntl.lockf(file, fcntl.LOCK_EX); print(flush=True); time.sleep(60)"
    process = subprocess.Popen(["python3", "-c", code, str(state)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield
    finally:
        process.kill()
        process.wait()


def test_a_state_that_is_locked_is_left_alone(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.replacement.terraform.LOCK_TIMEOUT_S", 0)
    with locked(site / "workers" / "terraform.tfstate"):
        ended = went(opened(site))
    assert (ended.code, "state lock" in ended.said) == ("tf_plan_failed", True), ended


def test_what_it_needs_is_named(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path / "jobs", ENV)
    (tmp_path / "there").mkdir()
    for program, directory, folder, code in (
        ("terraform", "workers", None, "no_folder"),
        ("terraform", "workers", tmp_path, "tf_folder_absent"),
        ("terraform", "../x", tmp_path, "outside_folder"),
        ("no-such-program", "there", tmp_path, "tf_absent"),
    ):
        with pytest.raises(NotReady) as refused:
            Terraform(program, directory, ADDRESS, 60, folder, jobs).ready()
        assert refused.value.code == code
    assert json.dumps(Terraform("tofu", "w", ADDRESS, 60, None, jobs).commands("n1", "10.0.0.1"))
