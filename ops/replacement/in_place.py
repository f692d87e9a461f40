"""In place: the machine starts the live installer out of its running system, and that writes the new one to its disk.

Kernel and initramfs of the installer are fetched onto the host, compared with their SHA-256, and started by kexec; the live
system fetches its root file system and the config, and installs. So no network boot and no management board is needed.

Arguments of the live system: docs.fedoraproject.org, "Live ISO and PXE image reference"; of its installer:
coreos.github.io/coreos-installer, "Kernel command line options for coreos-installer running as a service".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from ops.replacement.base import SAID_CHARS, NotReady, Order, Progress

#: Not in /var/tmp: whoever made the folder there could change the kernel after it was compared.
FOLDER = "/var/lib/fleetui-install"
#: The live system runs in memory: its reference asks for 2 GiB; firmware and kernel keep some of that.
LEAST_MEMORY_KIB = 1_800_000
#: Kernel and initramfs of the live system have about 120 MB together.
LEAST_FREE_KIB = 400_000
#: So often it is looked whether the old system is still there, once it was told to go.
_LOOKS = 60
_LOOK_AGAIN_S = 3.0
#: From here on a status is that of a program which was ended by a signal, as the shutdown does.
_KILLED = 128

#: Prints what stands against it, a word a line.
CHECK = """set -u
device=$1 least_memory=$2 folder=${3%/*} least_free=$4
for program in kexec curl sha256sum systemd-run; do command -v "$program" >/dev/null || echo "program $program"; done
[ "$(cat /proc/sys/kernel/kexec_load_disabled 2>/dev/null || echo 0)" = 0 ] || echo disabled
[ -b "$device" ] || echo "device $device"
# The disks below the root file system, where that can be told: the new system belongs onto one of them.
root=$(findmnt -n -o SOURCE /sysroot 2>/dev/null || findmnt -n -o SOURCE / 2>/dev/null)
disks=$(lsblk -n -l -s -p -o NAME "${root%%[[]*}" 2>/dev/null)
[ -z "$disks" ] || printf '%s\n' "$disks" | grep -Fxq -- "$(readlink -f "$device")" || echo "other_disk $device"
memory=$(awk '$1 == "MemTotal:" { print $2 }' /proc/meminfo)
[ "$memory" -ge "$least_memory" ] || echo "memory $memory"
free=$(df -Pk "$folder" | awk 'NR == 2 { print $4 }')
[ "$free" -ge "$least_free" ] || echo "free $free"
"""
#: Runs as a unit of its own, so that it goes on without a connection.
FETCH = """set -eu
umask 077
folder=$1
shift
rm -rf "$folder"
mkdir -p "$folder"
exec >"$folder/log" 2>&1
trap '[ -e "$folder/ready" ] || touch "$folder/failed"' EXIT
for name in kernel initramfs; do
    curl --silent --show-error --fail --location --retry 5 --max-time 1800 --output "$folder/$name" "$1"
    echo "$2  $folder/$name" | sha256sum --check --strict
    shift 2
done
touch "$folder/ready"
"""
#: Says where it is: ready, failed with its log, runs, or absent.
LOOK = """folder=$1 unit=$2
read -r boot </proc/sys/kernel/random/boot_id
echo "boot $boot"
if [ -e "$folder/ready" ]; then echo ready
elif [ -e "$folder/failed" ]; then echo failed; tail -n 5 "$folder/log"
elif systemctl --quiet is-active "$unit"; then echo runs
else echo absent; fi
"""
#: The arguments of the new kernel come by the standard input: they lead to secrets, and belong into no log.
GO = """set -eu
folder=$1 boot=$2 command_line=$(cat)
read -r now </proc/sys/kernel/random/boot_id
[ "$now" = "$boot" ] || { echo restarted; exit 0; }
kexec --kexec-syscall-auto --load "$folder/kernel" --initrd="$folder/initramfs" --command-line="$command_line"
systemctl --no-block kexec
echo goes
"""
FORGET = """systemctl --quiet stop "$2" 2>/dev/null || true
rm -rf "$1"
"""


class Away(Exception):
    """The host does not answer; `is_new` when something with another host key does."""

    def __init__(self, said: str, *, is_new: bool = False) -> None:
        super().__init__(said)
        self.said, self.is_new = said[:SAID_CHARS], is_new


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str


class Machine(Protocol):
    """The host that is to be made anew. Raises Away."""

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", changes: bool = True) -> Ran: ...


@dataclass(frozen=True)
class Live:
    """The live system: where its three parts are, and what two of them have to hold. The third is checked by the second."""

    kernel: str
    kernel_sha256: str
    initramfs: str
    initramfs_sha256: str
    rootfs: str


@dataclass(frozen=True)
class InPlace:
    """Implements ops.replacement.base.Provisioner. `machine` is None where no host is at hand, as on the page of settings.

    `device` is what is written to; `keep` are labels of partitions that stay; `arguments` are added to those of the live
    kernel, such as a static address or a console.
    """

    live: Live
    device: str
    keep: Sequence[str]
    arguments: str
    limit_s: int
    machine: Machine | None
    now: Callable[[], datetime]
    at_once: bool = field(default=False, init=False)

    def ready(self) -> None:
        if self.machine is None:
            return
        try:
            given = (self.device, str(LEAST_MEMORY_KIB), FOLDER, str(LEAST_FREE_KIB))
            found = self._run(CHECK, *given, changes=False)
        except Away as error:
            raise NotReady("in_place_away", said=error.said) from error
        for line in found.out.splitlines():
            what, _space, value = line.partition(" ")
            raise NotReady(f"in_place_{what}", value=value)
        if found.status:
            raise NotReady("in_place_away", said=(found.err or found.out)[:SAID_CHARS])

    def decide(self, decided: Mapping[str, Any]) -> Mapping[str, Any]:
        return {}

    def commands(self, node: str, address: str) -> list[list[str]]:
        loads = ["kexec", "--load", self.live.kernel, f"--initrd={self.live.initramfs}"]
        return [[*loads, f"--command-line={self.command_line('CONFIG', node, address)}"], ["systemctl", "kexec"]]

    def command_line(self, url: str, node: str, address: str) -> str:
        """Of the live kernel. `{node}` and `{address}` in the arguments are those of the node."""
        own = self.arguments.replace("{node}", node).replace("{address}", address)
        words = [
            "ignition.firstboot",
            "ignition.platform.id=metal",
            f"coreos.live.rootfs_url={self.live.rootfs}",
            f"coreos.inst.install_dev={self.device}",
            f"coreos.inst.ignition_url={url}",
        ]
        words += [f"coreos.inst.save_partlabel={','.join(self.keep)}"] if self.keep else []
        return " ".join([*words, *own.split()])

    def start(self, order: Order, attempt: int) -> Mapping[str, Any]:
        """A second start while its unit runs changes nothing; once that has ended, the parts are fetched anew."""
        live = self.live
        given = (live.kernel, live.kernel_sha256, live.initramfs, live.initramfs_sha256)
        handle = {
            "unit": f"fleetui-install-{order.id}-{attempt}.service",
            "since": self.now().isoformat(),
            "phase": "fetch",
        }
        argv = (
            "sudo",
            "-n",
            "systemd-run",
            "--quiet",
            "--collect",
            f"--unit={handle['unit']}",
            "--",
            "sh",
            "-c",
            FETCH,
        )
        try:
            seen = self._run(LOOK, FOLDER, handle["unit"], changes=False)
            if "\nruns" not in seen.out:
                ran = self._machine().run([*argv, "fleetui-install", FOLDER, *given])
                if ran.status:
                    return {**handle, "phase": "failed", "said": (ran.err or ran.out)[:SAID_CHARS]}
        except Away as error:
            return {**handle, "phase": "failed", "said": error.said}
        return handle

    def look(self, order: Order, handle: Mapping[str, Any]) -> Progress:
        if handle["phase"] == "failed":
            return Progress("failed", "in_place_failed", said=str(handle["said"]))
        try:
            if handle["phase"] == "fetch":
                return self._fetched(handle)
            if handle["phase"] == "agreed":
                return self._go(order, handle)
            return self._went(handle)
        except Away as error:
            # Told to go, it went; and what shows another host key then is the installer, or the new system already.
            if handle["phase"] == "goes" or (handle["phase"] == "agreed" and error.is_new):
                return Progress("replaced", "in_place_gone", handle=handle)
            if self._is_late(handle):
                return Progress("failed", "in_place_lost", said=error.said, handle=handle, by_itself=False)
            return Progress("works", "in_place_silent", said=error.said, handle=handle, again_s=_LOOK_AGAIN_S)

    def forget(self, order: Order) -> None:
        """On the old system, if it is still there. The new one has nothing of it."""
        if self.machine is None:
            return
        try:
            self._run(FORGET, FOLDER, f"fleetui-install-{order.id}-*.service")
        except Away:
            return

    def _fetched(self, handle: Mapping[str, Any]) -> Progress:
        found = self._run(LOOK, FOLDER, handle["unit"], changes=False)
        boot, _newline, rest = found.out.partition("\n")
        state, _newline, said = rest.partition("\n")
        if state == "ready":
            # Written down before the effect: from the next look on the old system may be gone.
            agreed = {**handle, "phase": "agreed", "boot": boot.partition(" ")[2].strip()}
            return Progress("works", "in_place_ready", handle=agreed, again_s=0.0, begins=True)
        if state == "runs" and not self._is_late(handle):
            return Progress("works", "in_place_fetches", handle=handle, again_s=_LOOK_AGAIN_S)
        lines = said.splitlines()
        why = " ".join(lines)[:SAID_CHARS] or found.err[:SAID_CHARS]
        return Progress("failed", "in_place_not_fetched", said=why, lines=lines, handle=handle)

    def _go(self, order: Order, handle: Mapping[str, Any]) -> Progress:
        found = self._run(
            GO, FOLDER, handle["boot"], stdin=self.command_line(order.url, order.node, order.address).encode()
        )
        if found.status and found.status < _KILLED:
            # Loaded or not, it was not told to go.
            return Progress(
                "failed", "in_place_refused", said=(found.err or found.out)[:SAID_CHARS], handle=handle, untouched=True
            )
        if "restarted" in found.out:
            return Progress("failed", "in_place_restarted", handle=handle, untouched=True)
        gone = {**handle, "phase": "goes", "looks": 0}
        return Progress("works", "in_place_goes", handle=gone, again_s=_LOOK_AGAIN_S)

    def _went(self, handle: Mapping[str, Any]) -> Progress:
        found = self._run(LOOK, FOLDER, handle["unit"], changes=False)
        looks = int(handle["looks"]) + 1
        # A system that is shutting down may end what it is asked before that has said anything.
        if found.out.startswith("boot ") and f"boot {handle['boot']}" not in found.out:
            # The old system came back instead of the installer.
            return Progress("failed", "in_place_came_back", handle=handle, by_itself=False)
        if looks > _LOOKS:
            return Progress("failed", "in_place_stayed", handle=handle, by_itself=False)
        return Progress("works", "in_place_goes", handle={**handle, "looks": looks}, again_s=_LOOK_AGAIN_S)

    def _is_late(self, handle: Mapping[str, Any]) -> bool:
        return (self.now() - datetime.fromisoformat(handle["since"])).total_seconds() > self.limit_s

    def _run(self, script: str, *given: str, stdin: bytes = b"", changes: bool = True) -> Ran:
        argv = ("sudo", "-n", "sh", "-c", script, "fleetui-install", *given)
        return self._machine().run(argv, stdin=stdin, changes=changes)

    def _machine(self) -> Machine:
        if self.machine is None:
            raise Away("")
        return self.machine
