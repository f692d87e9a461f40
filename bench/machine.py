"""The machine that is measured on, and what processes cost on it."""

from __future__ import annotations

import os
import platform
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def described() -> str:
    """One sentence: processor, memory, kernel, Python, and what else runs."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    memory_kib = next(int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal"))
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return (
        f"{os.cpu_count()} processors ({model}), {memory_kib / 1024 / 1024:.0f} GiB of memory,"
        f" Linux {platform.release()}, Python {platform.python_version()}; load at the end {load}."
    )


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def environment(folder: Path) -> dict[str, str]:
    """Settings of an installation of its own in a folder, and the folders that `up` would make."""
    for name in ("broker", "broker-control", "static"):
        (folder / name).mkdir(exist_ok=True)
    return {
        "FLEETUI_DATA_DIR": str(folder),
        "FLEETUI_SECRET_KEY": "11" * 32,
        "FLEETUI_ENCRYPTION_KEYS": "22" * 32,
        "FLEETUI_TOKEN_PEPPERS": "33" * 32,
        "FLEETUI_AUDIT_KEY": "44" * 32,
        "FLEETUI_LOG_LEVEL": "WARNING",
        "DJANGO_SETTINGS_MODULE": "fleetui.settings",
    }


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has used, with its ended children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS_PER_S


def peak_mib(pid: int) -> float:
    """The most memory that a process held so far."""
    status = _lines(f"/proc/{pid}/status")
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


def children_of(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(one) for one in (task / "children").read_text().split()]
    return found


def tree_mib(pid: int) -> float:
    """What a process and all below it hold now; pages that they share are counted once."""
    total, waiting = 0, [pid]
    while waiting:
        one = waiting.pop()
        try:
            rollup = _lines(f"/proc/{one}/smaps_rollup")
            waiting += children_of(one)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
        total += sum(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
    return total / 1024
