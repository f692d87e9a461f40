"""Runs one command to its end, apart from whoever started it: a worker that dies takes nothing with it.

Started by ops.replacement.jobs with the folder of the job; standard library only. The lock of the folder is held from
before the start until command and runner have ended, whoever of them ends last.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path


def main(folder: Path, lock: int) -> None:
    given = json.loads((folder / "job.json").read_text())
    with (folder / "in").open("rb") as fed, (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        try:
            process = subprocess.Popen(
                given["argv"], cwd=given["cwd"], stdin=fed, stdout=out, stderr=err, pass_fds=(lock,), process_group=0
            )
        except OSError as error:
            err.write(f"{given['argv'][0]}: {error.strerror}\n".encode())
            status = 127
        else:
            ended = _ended(process, given["limit_s"])
            if ended is None:
                err.write(f"ended after its time limit of {given['limit_s']} s\n".encode())
            status = 124 if ended is None else ended
    part = folder / "status.part"
    part.write_text(str(status))
    part.rename(folder / "status")


def _ended(process: subprocess.Popen[bytes], limit_s: float) -> int | None:
    """Its status; None when it had to be ended."""
    try:
        return process.wait(limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return None


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
