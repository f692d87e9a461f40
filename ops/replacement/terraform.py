"""Terraform or OpenTofu: one resource of a working directory is replaced, by a plan that is held to exactly that resource.

The plan is made and saved, read as JSON, and applied as it was read; Terraform itself refuses it when the state has changed
meanwhile. Format of plans and messages: developer.hashicorp.com, "JSON Output Format" and "Machine-Readable UI".
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.replacement.base import SAID_CHARS, Broken, NotReady, Order, Progress, below
from ops.replacement.jobs import Job, Jobs, whole_lines

PROGRAMS = ("terraform", "tofu")
#: Stands for the name of the node in the address of its resource.
NODE = "{node}"
#: The variable that the configuration gets, and the output in which it may give addresses by node.
VARIABLE, ADDRESSES = "fleetui", "fleetui_addresses"
PLAN_LIMIT_S = 900
LOCK_TIMEOUT_S = 60
MOST_PLAN = 64 * 1024 * 1024
MOST_NAMED = 5
#: Messages that say nothing of this replacement.
_SILENT = ("version", "outputs", "refresh_start", "refresh_complete")


@dataclass(frozen=True)
class Terraform:
    """Implements ops.replacement.base.Provisioner. `directory` lies in `folder`, which is set on the machine itself.

    `address` is that of a resource, with {node} in it. `limit_s` is for the apply.
    """

    program: str
    directory: str
    address: str
    limit_s: int
    folder: Path | None
    jobs: Jobs
    #: Until the plan is applied, the machine is there.
    at_once: bool = False

    def ready(self) -> None:
        where = self._where()
        if not where.is_dir():
            raise NotReady("tf_folder_absent", path=str(where))
        if shutil.which(self.program) is None:
            raise NotReady("tf_absent", program=self.program)

    def commands(self, node: str, address: str) -> list[list[str]]:
        return [self._plan(self.directory, self._address(node), "PLAN"), self._apply(self.directory, "PLAN")]

    def start(self, order: Order, attempt: int) -> Mapping[str, Any]:
        return self._begin(order, {"attempt": attempt, "asked": 1}, "plan")

    def look(self, order: Order, handle: Mapping[str, Any]) -> Progress:
        phase = handle["phase"]
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
            code = "tf_plans" if phase == "plan" else "tf_applies"
            return Progress("works", code, handle=seen, lines=lines, again_s=1.0)
        if job.status:
            lines += self.jobs.printed(_name(order, handle, phase), "err").decode("utf-8", "replace").splitlines()
            said = self._error(order, handle) or " ".join(lines[-2:])
            return Progress("failed", f"tf_{phase}_failed", {"status": job.status}, said=said[:SAID_CHARS], lines=lines)
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
        fresh = {"attempt": handle["attempt"], "asked": int(handle["asked"]) + 1}
        return Progress("works", "asked_again", handle=self._begin(order, fresh, "plan"))

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
        where, plan = self._where(), str(self.jobs.folder / _name(order, handle, "plan") / "plan")
        argv = {
            "plan": self._plan(str(where), self._address(order.node), plan),
            "show": [self.program, f"-chdir={where}", "show", "-json", "-no-color", plan],
            "apply": self._apply(str(where), plan),
        }[phase]
        told = {"TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"}
        if phase == "plan":
            # What is applied is in the saved plan.
            told[f"TF_VAR_{VARIABLE}"] = json.dumps(_given(order))
        limit_s = self.limit_s if phase == "apply" else PLAN_LIMIT_S
        self.jobs.start(_name(order, handle, phase), argv, cwd=str(where), limit_s=limit_s, env=told)
        return {**handle, "phase": phase, "read": 0, "place": self.jobs.place()}

    def _plan(self, where: str, address: str, plan: str) -> list[str]:
        options = [f"-replace={address}", f"-target={address}", f"-out={plan}", f"-lock-timeout={LOCK_TIMEOUT_S}s"]
        return [self.program, f"-chdir={where}", "plan", "-json", "-input=false", *options]

    def _apply(self, where: str, plan: str) -> list[str]:
        options = ["-json", "-input=false", f"-lock-timeout={LOCK_TIMEOUT_S}s"]
        return [self.program, f"-chdir={where}", "apply", *options, plan]

    def _address(self, node: str) -> str:
        return self.address.replace(NODE, node)

    def _where(self) -> Path:
        return below(self.folder, self.directory)

    def _messages(self, order: Order, handle: Mapping[str, Any]) -> list[dict[str, Any]]:
        raw = self.jobs.printed(_name(order, handle, handle["phase"]), "out", most=MOST_PLAN)
        return [found for line in raw.decode("utf-8", "replace").splitlines() if (found := _message(line))]

    def _error(self, order: Order, handle: Mapping[str, Any]) -> str:
        """The errors that Terraform itself names."""
        found = [one.get("diagnostic") or {} for one in self._messages(order, handle) if one.get("@level") == "error"]
        return " ".join(f"{one.get('summary', '')}: {one.get('detail', '')}".strip(": ") for one in found if one)

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
