"""Butane conversions per second in this process, and against the real butane as a process where one is installed.

The real tool is one process a config, which is how a server without a translator of its own would use it.
Run from the project root: python -m bench.butane [conversions]
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from textwrap import dedent

from nodes.ignition.butane import convert

SMALL = dedent(
    """\
    variant: fcos
    version: 1.5.0
    passwd:
      users:
        - name: core
          ssh_authorized_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1 example]
    """
)
TYPICAL = SMALL + dedent(
    """\
    storage:
      files:
        - path: /etc/hostname
          mode: 0644
          contents: {inline: node-1.example}
        - path: /etc/zincati/config.d/55-updates.toml
          contents:
            inline: |
              [updates]
              strategy = "periodic"
              [[updates.periodic.window]]
              days = ["Sat"]
              start_time = "02:00"
              length_minutes = 60
      filesystems:
        - {device: /dev/vdb, format: xfs, path: /var/lib/containers, with_mount_unit: true}
    systemd:
      units:
        - name: app.service
          enabled: true
          contents: |
            [Unit]
            Description=Application
            Wants=network-online.target
            After=network-online.target
            [Service]
            ExecStartPre=-/usr/bin/podman rm -f app
            ExecStart=/usr/bin/podman run --name app --publish 8080:8080 registry.example/app:1
            Restart=always
            [Install]
            WantedBy=multi-user.target
    """
)
LARGE = TYPICAL.replace("  filesystems:", "FILES  filesystems:").replace(
    "FILES",
    "".join(
        f"    - path: /etc/app/{number}.conf\n      mode: 0600\n      contents:\n        inline: |\n"
        + "".join(f"          key_{number}_{line} = value {line * number}\n" for line in range(30))
        for number in range(200)
    ),
)
CONFIGS = {"small": SMALL, "typical": TYPICAL, "200 files": LARGE}


@dataclass(frozen=True)
class Figures:
    """What one way of converting costs."""

    per_s: float
    cpu_ms: float


def measure(run: Callable[[], None], count: int, cpu_s: Callable[[], float]) -> Figures:
    """Run the conversion many times and take the figures."""
    run()
    before, started = cpu_s(), time.perf_counter()
    for _ in range(count):
        run()
    return Figures(count / (time.perf_counter() - started), (cpu_s() - before) * 1000 / count)


def children_cpu_s() -> float:
    """CPU seconds of ended children."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def ours(source: str) -> Callable[[], None]:
    def run() -> None:
        conversion = convert(source)
        if conversion.output is None:
            raise SystemExit(conversion.error)

    return run


def theirs(binary: str, source: str) -> Callable[[], None]:
    def run() -> None:
        subprocess.run([binary, "--strict"], input=source.encode(), stdout=subprocess.DEVNULL, check=True)

    return run


def main() -> None:
    """Print the figures of each config."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    binary = shutil.which("butane")
    for name, source in CONFIGS.items():
        times = max(3, count // 50) if name == "200 files" else count
        mine = measure(ours(source), times, time.process_time)
        print(f"{name}: {len(source)} bytes, {times} conversions")
        print(f"  fleetui  {mine.per_s:8.1f} conversions/s  {mine.cpu_ms:8.2f} ms CPU each")
        if binary is None:
            continue
        real = measure(theirs(binary, source), times, children_cpu_s)
        print(f"  butane   {real.per_s:8.1f} conversions/s  {real.cpu_ms:8.2f} ms CPU each")
        print(f"  ratio    {mine.per_s / real.per_s:8.2f} x speed        {mine.cpu_ms / real.cpu_ms:8.2f} x CPU")
    if binary is None:
        print("The real butane is not on the PATH, so there is no ratio.")


if __name__ == "__main__":
    main()
