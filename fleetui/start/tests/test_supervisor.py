"""The supervisor as a process of its own, since signals and orphans are what it is about."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import json, sys
from fleetui.start.supervisor import Backoff, Child, Supervisor
given = json.loads(sys.argv[1])
with Supervisor(backoff=Backoff(**given["backoff"])) as supervisor:
    for child in given["children"]:
        child["fatal_codes"] = frozenset(child.get("fatal_codes", [3]))
        supervisor.start(Child(**child))
    code = supervisor.run()
sys.exit(code)
"""
SLEEP = "import os, time; print('pid', os.getpid(), flush=True); time.sleep(600)"
Started = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def started() -> Iterator[Started]:
    processes: list[subprocess.Popen[str]] = []

    def start(children: list[dict[str, object]], **backoff: float) -> subprocess.Popen[str]:
        given = json.dumps({"children": children, "backoff": backoff})
        argv = [sys.executable, "-c", PROGRAM, given]
        process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def child(name: str, code: str, **over: object) -> dict[str, object]:
    return {"name": name, "argv": [sys.executable, "-c", code], **over}


def read_pids(process: subprocess.Popen[str], count: int) -> dict[str, int]:
    assert process.stdout is not None
    pids: dict[str, int] = {}
    for line in process.stdout:
        name, _, text = line.partition(" | ")
        if text.startswith("pid "):
            pids[name.strip()] = int(text.split()[1])
        if len(pids) == count:
            return pids
    raise AssertionError("the children said no pids")


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("Z")
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_gone(pids: list[int], within_s: float = 5) -> None:
    deadline = time.monotonic() + within_s
    while not all(is_gone(pid) for pid in pids):
        assert time.monotonic() < deadline, f"still alive: {[pid for pid in pids if not is_gone(pid)]}"
        time.sleep(0.02)


def test_lines_carry_the_name_of_the_child(started: Started) -> None:
    process = started([child("web", "import sys; print('one'); sys.stderr.write('no line end'); sys.exit(3)")])
    output, _ = process.communicate(timeout=20)
    assert "web      | one\n" in output
    assert "web      | no line end\n" in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_children_in_order(started: Started, number: signal.Signals) -> None:
    says_bye = (
        # No `print` in a handler: the signal may come while the line above it is still being printed.
        "import signal, os, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b'bye\\n'), os._exit(0)))\n"
        "print('pid', os.getpid(), flush=True)\n"
        "time.sleep(600)"
    )
    names = ["simfleet", "worker", "web", "beat"]
    process = started([child(name, says_bye, stop_order=order) for order, name in enumerate(names)])
    pids = read_pids(process, 4)
    process.send_signal(number)
    output, _ = process.communicate(timeout=20)
    assert [line.split()[0] for line in output.splitlines() if "bye" in line] == ["beat", "web", "worker", "simfleet"]
    assert process.returncode == 0
    wait_gone(list(pids.values()))


def test_a_child_that_does_not_stop_is_killed_after_its_grace(started: Started) -> None:
    deaf = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"
    process = started([child("deaf", deaf, grace_s=0.3)])
    pids = read_pids(process, 1)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=20)
    assert "deaf did not stop within 0.3 s and is killed" in output
    wait_gone(list(pids.values()))


def test_children_die_with_a_killed_supervisor(started: Started) -> None:
    process = started([child("web", SLEEP), child("worker", SLEEP)])
    pids = read_pids(process, 2)
    assert not any(is_gone(pid) for pid in pids.values())
    process.kill()
    wait_gone(list(pids.values()))


def test_grandchildren_go_with_a_stopped_child(started: Started) -> None:
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}]); import time; time.sleep(600)"
    process = started([child("web", code)])
    pids = read_pids(process, 1)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    wait_gone(list(pids.values()))


def test_a_crashed_child_starts_again_after_growing_waits(started: Started, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    code = f"import sys, time; open({str(marks)!r}, 'a').write(f'{{time.monotonic()}}\\n'); sys.exit(7)"
    process = started([child("web", code), child("worker", SLEEP)], first_s=0.2, crashes=4)
    output, _ = process.communicate(timeout=30)
    times = [float(line) for line in marks.read_text().split()]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert len(times) == 4
    assert gaps[0] >= 0.2
    assert gaps[1] >= 0.4
    assert gaps[2] >= 0.8
    assert "web ended with code 7; it starts again in 0.2 s." in output
    assert "web ended with code 7, 4 times within 60 s. FleetUI stops." in output
    assert process.returncode == 7


def test_a_healthy_time_forgets_earlier_waits(started: Started) -> None:
    code = "import time; time.sleep(0.3); raise SystemExit(1)"
    process = started([child("web", code)], first_s=0.1, healthy_s=0.2, crashes=4)
    output, _ = process.communicate(timeout=30)
    assert output.count("it starts again in 0.1 s.") == 3


def test_a_fatal_code_ends_everything_with_it(started: Started) -> None:
    process = started([child("worker", SLEEP), child("web", "raise SystemExit(4)", fatal_codes=[3, 4])])
    output, _ = process.communicate(timeout=20)
    assert "web ended with code 4; starting it again cannot help. FleetUI stops." in output
    assert process.returncode == 4


def test_a_killed_child_is_named_by_its_signal(started: Started) -> None:
    process = started([child("web", SLEEP)], crashes=1)
    os.kill(read_pids(process, 1)["web"], signal.SIGKILL)
    output, _ = process.communicate(timeout=20)
    assert "web was ended by SIGKILL" in output
    assert process.returncode == 128 + signal.SIGKILL


def test_a_command_that_does_not_exist_is_said(started: Started) -> None:
    process = started([{"name": "web", "argv": ["no-such-command"]}], crashes=1)
    output, _ = process.communicate(timeout=20)
    assert "no-such-command cannot be started: No such file or directory." in output
    assert process.returncode == 127


def test_a_long_line_and_much_output_do_not_block(started: Started) -> None:
    code = "import sys; sys.stdout.write('x' * 1_000_000 + '\\n' + 'y\\n' * 20_000); sys.exit(3)"
    process = started([child("web", code)])
    output, _ = process.communicate(timeout=30)
    assert output.count("x") == 1_000_000
    assert output.count("web      | y\n") == 20_000
