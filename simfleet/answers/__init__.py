"""What a simulated Fedora CoreOS host answers to commands."""

from simfleet.answers import containers, files, machine, rpmostree, shell, systemd, text_tools, units
from simfleet.answers.base import Answer, Call, answer

__all__ = [
    "Answer", "Call", "answer", "containers", "files", "machine", "rpmostree", "shell", "systemd", "text_tools", "units",
]  # fmt: skip
