"""Run a command that dies with its parent: `python leash.py PARENT_PID COMMAND ...`. Imports as little as it can.

The kernel keeps PR_SET_PDEATHSIG over an exec, so the command needs to know nothing of it. Only Linux has it; elsewhere
the command runs without.
"""

import os
import sys

PR_SET_PDEATHSIG = 1
SIGKILL = 9


def main() -> None:
    parent_pid, *command = sys.argv[1:]
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    # The parent may have died before the request above was made.
    if os.getppid() != int(parent_pid):
        os._exit(128 + SIGKILL)
    try:
        os.execvp(command[0], command)  # noqa: S606
    except OSError as error:
        sys.stderr.write(f"{command[0]} cannot be started: {error.strerror}.\n")
        os._exit(127)


main()
