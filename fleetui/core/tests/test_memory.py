"""What worker processes give back. The switches are set in a process of its own: they hold for all that run in it."""

from __future__ import annotations

import platform
import subprocess
import sys
from textwrap import dedent

import pytest

from fleetui.core import memory

#: 40 threads hold half a megabyte of small pieces at once, each in a heap of its own if it may.
PROGRAM = dedent("""
    import sys, threading
    from fleetui.core import memory
    if sys.argv[1] == "few":
        assert memory.few_heaps()
    barrier = threading.Barrier(40)
    def hold():
        barrier.wait()
        held = [bytes(2000) for _ in range(250)]
        barrier.wait()
    threads = [threading.Thread(target=hold) for _ in range(40)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    heaps = sum("rw-p" in line and line.rstrip().endswith("0") for line in open("/proc/self/maps"))
    print(heaps)
""")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="The switches are those of glibc.")
def test_threads_share_their_heaps() -> None:
    def heaps(mode: str) -> int:
        done = subprocess.run([sys.executable, "-c", PROGRAM, mode], capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert heaps("few") < heaps("many")


def test_memory_is_given_back_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_given_back_s", -memory.GIVE_BACK_EVERY_S)
    assert memory.give_back() is (platform.libc_ver()[0] == "glibc")
    assert memory.give_back() is False
