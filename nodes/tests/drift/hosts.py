"""Hosts to ask: this machine itself for files, and answers in systemd's and getent's form for what needs another one."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nodes.drift import Answer, Comparison, Question, compare, expect, inspect

#: What stands before xargs in every question; here it would ask for root.
_CALM_WORDS = 8
_ENVIRONMENT = {"PATH": os.environ["PATH"], "LC_ALL": "C"}


def on_this_machine(question: Question) -> Answer:
    done = subprocess.run(
        question.argv[_CALM_WORDS:], input=question.stdin, capture_output=True, env=_ENVIRONMENT, check=False
    )
    return Answer(done.returncode, done.stdout, done.stderr)


@dataclass
class Machine:
    """This machine's files, with units, users and devices of its own."""

    units: Mapping[str, str] = field(default_factory=dict)
    drop_ins: Sequence[str] = ()
    accounts: str = ""
    groups: str = ""
    devices: Sequence[Mapping[str, str]] = ()
    asked: list[str] = field(default_factory=list)

    def ask(self, question: Question) -> Answer:
        self.asked.append(question.name)
        names = question.stdin.decode().split("\0")[:-1]
        if question.name == "systemctl":
            return Answer(0, "\n".join(self._unit(name) for name in names).encode())
        if question.name in ("passwd", "group"):
            rows = self.accounts if question.name == "passwd" else self.groups
            found = [row for row in rows.splitlines() if row.split(":")[0] in names]
            return Answer(0 if len(found) == len(names) else 123, "".join(f"{row}\n" for row in found).encode())
        if question.name == "lsblk":
            return Answer(0, json.dumps({"blockdevices": list(self.devices)}).encode())
        return on_this_machine(question)

    def _unit(self, name: str) -> str:
        state = self.units.get(name)
        load = "not-found" if state is None else "masked" if state == "masked" else "loaded"
        return f"Id={name}\nLoadState={load}\nUnitFileState={state or ''}\nDropInPaths={' '.join(self.drop_ins)}\n"

    def compared(self, config: dict[str, Any], arguments: list[str] | None = None, **over: Any) -> Comparison:
        wanted = expect(ignition(config), over.pop("shown", None))
        return compare(wanted, inspect(wanted, self.ask, **over), arguments)


def ignition(config: dict[str, Any]) -> str:
    return json.dumps({"ignition": {"version": "3.4.0"}, **config})


def data_url(body: bytes) -> str:
    return f"data:,{quote(body, safe='')}"


def file(path: Path | str, body: bytes = b"", **over: Any) -> dict[str, Any]:
    """A file that is owned by who runs the tests."""
    mine = {"user": {"id": os.getuid()}, "group": {"id": os.getgid()}}
    return {"path": str(path), "mode": 0o644, "contents": {"source": data_url(body)}, **mine, **over}


def named(comparison: Comparison) -> list[tuple[str, str, str]]:
    """(what, subject, class) of each difference."""
    return [(one.what.value, one.subject, one.sort.value) for one in comparison.differences]
