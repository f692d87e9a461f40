"""What a simulated host answers to commands."""

from simfleet.answers import (
    born,
    containers,
    files,
    flatcar,
    kubeadm,
    machine,
    rpmostree,
    services,
    shell,
    systemd,
    text_tools,
    units,
)
from simfleet.answers.base import OWN, Answer, Call, answer

__all__ = [
    "Answer", "Call", "answer", "born", "containers", "files", "flatcar", "kubeadm", "machine", "rpmostree", "services", "shell", "systemd",
    "text_tools", "units",
]  # fmt: skip

OWN[flatcar.FLATCAR] = {**dict.fromkeys(flatcar.MISSING), **flatcar.COMMANDS}
