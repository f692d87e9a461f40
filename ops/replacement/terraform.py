"""Terraform or OpenTofu: one resource of a working directory is replaced, by a plan that is held to exactly that resource.

Out of Git, the tree of one commit is written for this operation alone and initialised first. The plan is made and saved,
read as JSON, and applied as it was read; Terraform itself refuses it when the state has changed meanwhile. Format of plans
and messages: developer.hashicorp.com, "JSON Output Format" and "Machine-Readable UI".
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.replacement.base import SAID_CHARS, Broken, NotReady, Order, Progress, below
from ops.replacement.jobs import Job, Jobs, whole_lines
from ops.replacement.repository import Repository
from ops.replacement.tree import LOCK_FILE, Tree, check_state, checked_code

PROGRAMS = ("terraform", "tofu")
#: Stands for the name of the node in the address of its resource.
NODE = "{node}"
#: The variable that the configuration gets, and the output in which it may give addresses by node.
VARIABLE, ADDRESSES = "fleetui", "fleetui_addresses"
PLAN_LIMIT_S = 900
_SCRIPT = re.compile(r"(Error running command '.{40}).+?(': (?:exit status|signal)\b)", re.DOTALL)
LOCK_TIMEOUT_S = 60
MOST_PLAN = 64 * 1024 * 1024
MOST_NAMED = 5
_WORKS = {"init": "tf_inits", "plan": "tf_plans", "apply": "tf_applies"}
#: Messages that say nothing of this replacement.
_SILENT = ("version", "outputs", "refresh_start", "refresh_complete")


@dataclass(frozen=True)
class Terraform:
    """Implements ops.replacement.base.Provisioner. `directory` lies in `folder`, which is set on the machine itself, or in
    the repository.

    `address` is that of a resource, with {node} in it. `limit_s` is for the apply.
    """

    program: str
    directory: str
    address: str
    limit_s: int
    folder: Path | None
    jobs: Jobs
    repository: Repository | None = None
    #: Until the plan is applied, the machine is there.
    at_once: bool = False

    def ready(self) -> None:
        if self.repository is None and not (where := below(self.folder, self.directory)).is_dir():
            raise NotReady("tf_folder_absent", path=str(where))
        if shutil.which(self.program) is None:
            raise NotReady("tf_absent", program=self.program)

    def decide(self, decided: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.repository is None:
            return {}
        return checked_code(self.repository, str(decided.get("commit", "")))

    def commands(self, node: str, address: str) -> list[list[str]]:
        init = [] if self.repository is None else [self._init(self.directory, is_locked=False)]
        where = self.directory
        return [*init, self._plan(where, self._address(node), "PLAN"), self._apply(where, "PLAN")]

    def start(self, order: Order, attempt: int) -> Mapping[str, Any]:
        return self._anew(order, {"attempt": attempt, "asked": 1})

    def look(self, order: Order, handle: Mapping[str, Any]) -> Progress:
        phase = handle["phase"]
        if phase == "tree":
            return self._written(order, handle)
        if phase == "agreed":
            return Progress("works", "tf_applies", handle=self._begin(order, handle, "apply"), again_s=1.0)
        job = self.jobs.look(_name(order, handle, phase))
        if job.state in ("absent", "broken"):
            return self._cut_off(order, handle)
        if phase == "show":
            return self._shown(order, handle, job)
        raw = self.jobs.printed(_name(order, handle, phase), "out", int(handle["read"]))
        printed, taken = whole_lines(raw, is_over=job.state == "ended")
        seen = {**handle, "read": int(handle["read"]) + taken}
        lines = [words for line in printed if (words := _worded(line))]
        if job.state == "runs":
            return Progress("works", _WORKS[phase], handle=seen, lines=lines, again_s=1.0)
        if job.status:
            lines += self.jobs.printed(_name(order, handle, phase), "err").decode("utf-8", "replace").splitlines()
            said = self._error(order, handle) or _last_error(lines) or " ".join(lines[-2:])
            return Progress("failed", f"tf_{phase}_failed", {"status": job.status}, said=said[:SAID_CHARS], lines=lines)
        if phase == "init":
            return self._initialised(order, seen, lines)
        if phase == "plan":
            return Progress("works", "tf_plans", handle=self._begin(order, seen, "show"), lines=lines, again_s=1.0)
        return Progress("replaced", "replaced", lines=lines, address=self._new_address(order, handle))

    def forget(self, order: Order) -> None:
        self.jobs.forget(order.id)

    def _cut_off(self, order: Order, handle: Mapping[str, Any]) -> Progress:
        """A plan changed nothing and is made anew. Of an apply nobody knows how far it came, so that a person looks first."""
        if handle["place"] != self.jobs.place():
            return Progress("works", "runs_elsewhere", handle=handle, again_s=5.0)
        if handle["phase"] == "apply":
            return Progress("failed", "tf_cut_off", by_itself=False)
        if tree := self._tree(order, handle):
            tree.forget()
        # Of the same commit.
        fresh = {**handle, "asked": int(handle["asked"]) + 1}
        return Progress("works", "asked_again", handle=self._anew(order, fresh))

    def _anew(self, order: Order, handle: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.repository is None:
            return self._begin(order, handle, "plan")
        source = handle.get("source") or dict(order.source)
        return {**handle, "source": source, "phase": "tree", "read": 0, "place": self.jobs.place()}

    def _written(self, order: Order, handle: Mapping[str, Any]) -> Progress:
        """The tree of the commit, before anything of it is run."""
        tree = self._tree(order, handle)
        if handle["place"] != self.jobs.place():
            return Progress("works", "runs_elsewhere", handle=handle, again_s=5.0)
        if tree is None or self.repository is None:
            raise NotReady("source_changed")
        commit = str(handle["source"]["commit"])
        files = tree.write(self.repository, commit)
        lines = [f"commit {commit}: its tree is written out" + (f", {files} files" if files else "")]
        return Progress("works", "tf_inits", handle=self._begin(order, handle, "init"), lines=lines, again_s=1.0)

    def _initialised(self, order: Order, handle: Mapping[str, Any], lines: list[str]) -> Progress:
        """Where the state is, Terraform itself says now."""
        try:
            if tree := self._tree(order, handle):
                check_state(tree, handle["source"], self.jobs)
        except NotReady as error:
            return Progress("failed", error.code, error.params, lines=lines)
        return Progress("works", "tf_plans", handle=self._begin(order, handle, "plan"), lines=lines, again_s=1.0)

    def _shown(self, order: Order, handle: Mapping[str, Any], job: Job) -> Progress:
        if job.state == "runs":
            return Progress("works", "tf_plans", handle=handle, again_s=1.0)
        name = _name(order, handle, "show")
        if job.status:
            said = self.jobs.printed(name, "err").decode("utf-8", "replace").strip()
            return Progress("failed", "tf_plan_unread", said=said[:SAID_CHARS])
        try:
            self._hold(order, _plan_of(self.jobs.printed(name, "out", most=MOST_PLAN + 1)), int(handle["attempt"]))
        except Broken as error:
            return Progress("failed", error.code, said=error.said)
        line = f"{self._address(order.node)}: the plan replaces this resource and changes nothing else"
        return Progress(
            "works", "tf_agreed", handle={**handle, "phase": "agreed"}, lines=[line], again_s=0.0, begins=True
        )

    def _hold(self, order: Order, plan: Mapping[str, Any], attempt: int) -> None:
        """Raises Broken unless the plan replaces the one resource, changes nothing else, and takes in what it is given."""
        wanted, changes = self._address(order.node), _changes(plan)
        # After an apply that failed in the middle, the old machine may be gone from the state already.
        good = ({"delete", "create"}, {"create"}) if attempt > 1 else ({"delete", "create"},)
        if others := sorted(set(changes) - {wanted}):
            more = f", +{len(others) - MOST_NAMED}" if len(others) > MOST_NAMED else ""
            raise Broken("tf_other_changes", ", ".join(others[:MOST_NAMED]) + more)
        if changes.get(wanted) not in good:
            raise Broken("tf_not_planned", wanted)
        if VARIABLE not in (plan.get("variables") or {}):
            raise Broken("tf_no_variable")

    def _begin(self, order: Order, handle: Mapping[str, Any], phase: str) -> Mapping[str, Any]:
        tree, plan = self._tree(order, handle), str(self.jobs.folder / _name(order, handle, "plan") / "plan")
        where = below(self.folder, self.directory) if tree is None else tree.directory
        argv = {
            "init": self._init(str(where), is_locked=(where / LOCK_FILE).is_file()),
            "plan": self._plan(str(where), self._address(order.node), plan),
            "show": [self.program, f"-chdir={where}", "show", "-json", "-no-color", plan],
            "apply": self._apply(str(where), plan),
        }[phase]
        told = {"TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"}
        if tree is not None:
            told["TF_DATA_DIR"] = str(tree.data)
        if phase == "plan":
            # What is applied is in the saved plan.
            told[f"TF_VAR_{VARIABLE}"] = json.dumps(_given(order))
        limit_s = self.limit_s if phase == "apply" else PLAN_LIMIT_S
        self.jobs.start(_name(order, handle, phase), argv, cwd=str(where), limit_s=limit_s, env=told)
        return {**handle, "phase": phase, "read": 0, "place": self.jobs.place()}

    def _init(self, where: str, *, is_locked: bool) -> list[str]:
        options = ["-input=false", "-no-color", "-reconfigure", *(["-lockfile=readonly"] if is_locked else [])]
        return [self.program, f"-chdir={where}", "init", *options]

    def _plan(self, where: str, address: str, plan: str) -> list[str]:
        options = [f"-replace={address}", f"-target={address}", f"-out={plan}", f"-lock-timeout={LOCK_TIMEOUT_S}s"]
        return [self.program, f"-chdir={where}", "plan", "-json", "-input=false", *options]

    def _apply(self, where: str, plan: str) -> list[str]:
        options = ["-json", "-input=false", f"-lock-timeout={LOCK_TIMEOUT_S}s"]
        return [self.program, f"-chdir={where}", "apply", *options, plan]

    def _address(self, node: str) -> str:
        return self.address.replace(NODE, node)

    def _tree(self, order: Order, handle: Mapping[str, Any]) -> Tree | None:
        if not handle.get("source"):
            return None
        return Tree(self.jobs.folder / _name(order, handle, "tree"), str(handle["source"]["directory"]))

    def _messages(self, order: Order, handle: Mapping[str, Any]) -> list[dict[str, Any]]:
        raw = self.jobs.printed(_name(order, handle, handle["phase"]), "out", most=MOST_PLAN)
        return [found for line in raw.decode("utf-8", "replace").splitlines() if (found := _message(line))]

    def _error(self, order: Order, handle: Mapping[str, Any]) -> str:
        """The errors that Terraform itself names."""
        found = [one.get("diagnostic") or {} for one in self._messages(order, handle) if one.get("@level") == "error"]
        return _cause(
            " ".join(f"{one.get('summary', '')}: {one.get('detail', '')}".strip(": ") for one in found if one)
        )

    def _new_address(self, order: Order, handle: Mapping[str, Any]) -> str:
        for one in self._messages(order, handle):
            output = (one.get("outputs") or {}).get(ADDRESSES) if one.get("type") == "outputs" else None
            values = output.get("value") if isinstance(output, dict) else None
            if isinstance(values, dict) and isinstance(values.get(order.node), str):
                return str(values[order.node]).strip()
        return ""


def _given(order: Order) -> dict[str, Any]:
    """The value of the variable."""
    return {
        "id": order.id,
        "node": order.node,
        "generation": order.generation,
        "ignition_url": order.url,
        "ignition_sha512": order.sha512,
        "host_key_fingerprint": order.host_key,
    }


def _name(order: Order, handle: Mapping[str, Any], phase: str) -> str:
    return f"{order.id}-{handle['attempt']}-{handle['asked']}-{phase}"


def _cause(said: str) -> str:
    """What local-exec says repeats its whole script first; the status and what it printed come after that."""
    return _SCRIPT.sub(r"\1…\2", said)


def _last_error(lines: Sequence[str]) -> str:
    """Of what init prints for people: that it met errors is the first one, and the last one is which."""
    _before, found, error = "\n".join(lines).rpartition("Error: ")
    return " ".join(error.split()) if found else ""


def _message(line: str) -> dict[str, Any] | None:
    """A line of the machine-readable output; other lines may stand between them."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _worded(line: str) -> str:
    """What people read of it; nothing of what says nothing."""
    found = _message(line)
    if found is None:
        return line.rstrip()
    if found.get("type") in _SILENT:
        return ""
    told = found.get("diagnostic") or {}
    detail = str(told.get("detail") or "") if told.get("severity") == "error" else ""
    return ": ".join(part for part in (str(found.get("@message") or ""), " ".join(detail.split())) if part)


def _plan_of(raw: bytes) -> Mapping[str, Any]:
    """The plan; raises Broken when it is none, or too large to be read."""
    if len(raw) > MOST_PLAN:
        raise Broken("tf_plan_unread", f"> {MOST_PLAN // 1024 // 1024} MiB")
    for line in raw.decode("utf-8", "replace").splitlines():
        if (found := _message(line)) is not None and isinstance(found.get("resource_changes", []), list):
            return found
    raise Broken("tf_plan_unread", raw[:SAID_CHARS].decode("utf-8", "replace").strip())


def _changes(plan: Mapping[str, Any]) -> dict[str, set[str]]:
    """What becomes of each resource that does not stay as it is."""
    found: dict[str, set[str]] = {}
    for one in plan.get("resource_changes") or ():
        actions: Sequence[str] = one["change"]["actions"]
        if set(actions) - {"no-op", "read"}:
            found[str(one["address"])] = set(actions)
    return found
