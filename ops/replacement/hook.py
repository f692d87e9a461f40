"""A command of the installation: it gets JSON, and answers JSON. It is asked again with the same id until it has an end."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ops.replacement.answers import read_answer
from ops.replacement.base import SAID_CHARS, Broken, NotReady, Order, Progress, below
from ops.replacement.jobs import Jobs, whole_lines


@dataclass(frozen=True)
class Hook:
    """Implements ops.replacement.base.Provisioner. `argv[0]` lies in `folder`, which is set on the machine itself."""

    argv: tuple[str, ...]
    limit_s: int
    folder: Path | None
    jobs: Jobs
    at_once: bool = True

    def ready(self) -> None:
        program = self._program()
        if not program.is_file() or not os.access(program, os.X_OK):
            raise NotReady("hook_absent", path=str(program))

    def decide(self, decided: Mapping[str, Any]) -> Mapping[str, Any]:
        return {}

    def commands(self, node: str, address: str) -> list[list[str]]:
        return [list(self.argv)]

    def start(self, order: Order, attempt: int) -> Mapping[str, Any]:
        return self._ask(order, {"attempt": attempt, "asked": 1, "answered": {}})

    def look(self, order: Order, handle: Mapping[str, Any]) -> Progress:
        if handle.get("rests"):
            # It said that it works: asked again, with what it gave us to keep.
            return Progress("works", "hook_runs", handle=self._ask(order, _next(handle)))
        name = _name(order, handle)
        job = self.jobs.look(name)
        if job.state in ("absent", "broken"):
            if handle["place"] != self.jobs.place():
                return Progress("works", "runs_elsewhere", handle=handle, again_s=5.0)
            # Killed in the middle, or never begun: the same question again.
            return Progress("works", "asked_again", handle=self._ask(order, _next(handle)))
        since = int(handle.get("read", 0))
        lines, taken = whole_lines(self.jobs.printed(name, "err", since), is_over=job.state == "ended")
        seen = {**handle, "read": since + taken}
        if job.state == "runs":
            return Progress("works", "hook_runs", handle=seen, lines=lines, again_s=1.0)
        if job.status:
            said = " ".join(line.strip() for line in lines[-2:])[:SAID_CHARS]
            return Progress("failed", "hook_failed", {"status": job.status}, said=said, lines=lines)
        try:
            found = read_answer(self.jobs.printed(name, "out"), lines)
        except Broken as error:
            return Progress("failed", error.code, said=error.said, lines=lines)
        return replace(found, handle={**seen, "answered": found.handle, "rests": True})

    def forget(self, order: Order) -> None:
        self.jobs.forget(order.id)

    def _program(self) -> Path:
        return below(self.folder, self.argv[0])

    def _ask(self, order: Order, handle: Mapping[str, Any]) -> Mapping[str, Any]:
        program = self._program()
        told = {**order.as_json(), "attempt": handle["attempt"], "handle": handle["answered"]}
        self.jobs.start(
            _name(order, handle),
            [str(program), *self.argv[1:]],
            cwd=str(program.parent),
            limit_s=self.limit_s,
            stdin=json.dumps(told).encode(),
        )
        return {**handle, "place": self.jobs.place()}


def _next(handle: Mapping[str, Any]) -> dict[str, Any]:
    return {**handle, "asked": int(handle["asked"]) + 1, "read": 0, "rests": False}


def _name(order: Order, handle: Mapping[str, Any]) -> str:
    return f"{order.id}-{handle['attempt']}-{handle['asked']}"
