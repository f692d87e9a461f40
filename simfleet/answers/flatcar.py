"""What only a Flatcar host answers: update_engine, its two slots, locksmith; and what it lacks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from simfleet import seeds, transitions
from simfleet.answers.base import Answer, Call, Command, fail, say
from simfleet.model import Fault, Host, Transaction
from simfleet.profiles import GIB, profile
from simfleet.releases import sort_key

FLATCAR = "flatcar"
SLOTS = ("USR-A", "USR-B")
UUIDS = ("7130c94a-213a-4e5a-8e26-6cce9662f132", "e03dd35c-7c2d-4a47-b3fe-27f15780a57c")
#: Commands of Fedora CoreOS that are not on a Flatcar host.
MISSING = frozenset(("rpm-ostree", "bootc", "ostree", "zincati", "podman", "toolbox", "chronyc"))
BINARIES = frozenset(("update_engine_client", "rootdev", "cgpt", "locksmithctl", "flatcar-update"))
_fetching: set[asyncio.Task[bool]] = set()
GLOG = "I20261101 09:15:38.290454  2224 update_engine_client.cc:241] Querying Update Engine status...\n"


def is_flatcar(host: Host) -> bool:
    return host.plan.os == FLATCAR


def kernel(version: str) -> str:
    """The kernel of a release."""
    parts = sort_key(version)
    return f"6.{6 + (parts[0] - 4230) // 200}.{60 + parts[2]}-flatcar"


def os_release(host: Host, _: float) -> str:
    version = host.booted.version
    return (
        f'NAME="Flatcar Container Linux by Kinvolk"\nID=flatcar\nID_LIKE=coreos\nVERSION={version}\n'
        f"VERSION_ID={version}\nBUILD_ID=2026-10-20-1011\nSYSEXT_LEVEL=1.0\n"
        f'PRETTY_NAME="Flatcar Container Linux by Kinvolk {version} (Oklo)"\nANSI_COLOR="38;5;75"\n'
        'HOME_URL="https://flatcar.org/"\nFLATCAR_BOARD="amd64-usr"\n'
    )


def cmdline(host: Host, _: float) -> str:
    slot = host.booted.serial
    return (
        f"BOOT_IMAGE=/flatcar/vmlinuz-{'ab'[slot]} mount.usr=/dev/mapper/usr verity.usr=PARTUUID={UUIDS[slot]} "
        f"rootflags=rw mount.usrflags=ro consoleblank=0 root=LABEL=ROOT console=ttyS0,115200n8 flatcar.oem.id=qemu "
        f"verity.usrhash={host.booted.checksum}\n"
    )


def update_conf(host: Host, _: float) -> str:
    return f"GROUP={host.plan.stream.rpartition('/')[2]}\nREBOOT_STRATEGY={host.plan.strategy}\n"


FILES: dict[str, Callable[[Host, float], str]] = {
    "/etc/os-release": os_release,
    "/usr/lib/os-release": os_release,
    "/proc/cmdline": cmdline,
    "/usr/share/flatcar/update.conf": lambda host, _: (
        "SERVER=https://public.update.flatcar-linux.net/v1/update/\nGROUP=stable\n"
    ),
    "/etc/flatcar/update.conf": update_conf,
}


def filesystems(host: Host, now: float) -> list[tuple[str, str, int, int, str]]:
    """One root file system holds /var; /boot is the EFI partition."""
    mine = profile(host.seed, host.name, host.plan.role)
    part = mine.machine.disk + ("p" if mine.machine.disk[-1].isdigit() else "")
    size = mine.disk_bytes - 5 * GIB
    used = int(size * (mine.root_used + 0.01 * seeds.fraction(host.seed, host.name, "disk", int(now) // 600)))
    share = host.faults.get(Fault.FULL_DISK.value, 0.0)
    share = share / 100 if share > 1 else 0.97 if share else mine.boot_used
    boot = 129_039_360
    return [
        (f"/dev/{part}9", "ext4", size, used, "/"),
        (f"/dev/{part}1", "vfat", boot, int(boot * share), "/boot"),
        (f"/dev/{part}9", "ext4", size, used, "/var"),
    ]


def _attributes(host: Host, slot: int, now: float) -> str:
    row = next((row for row in host.deployments if row.serial == slot), None)
    first = host.deployments[0]
    if row is None:
        return "priority=0 tries=0 successful=0"
    priority = 2 if row is first else 1
    if row is host.booted:
        good = int(transitions.is_marked_good(host, now, transitions.MARKED_AFTER_S))
        return f"priority={priority} tries=0 successful={good}"
    if row.staged:
        return f"priority={priority} tries=1 successful=0"
    if row is first and row.version == host.fell_back_from:
        return f"priority={priority} tries=0 successful=0"
    return f"priority={priority} tries=0 successful=1"


def _disk(host: Host) -> tuple[str, str]:
    disk = profile(host.seed, host.name, host.plan.role).machine.disk
    return f"/dev/{disk}", f"/dev/{disk}{'p' if disk[-1].isdigit() else ''}"


def _fetch(call: Call, version: str) -> asyncio.Task[bool]:
    """update_engine at work: it goes on when the client is gone, and tells whether it staged the release."""
    host = call.host
    transaction = host.transaction = Transaction("update", "downloading", asyncio.Event())

    async def work() -> bool:
        try:
            await asyncio.wait_for(transaction.cancelled.wait(), call.world.transaction_s)
            return False
        except TimeoutError:
            if host.transaction is not transaction:
                return False
            host.transaction = None
            if host.has(Fault.FULL_DISK):
                return False
            transitions.stage(host, call.world.catalog.known(version))
            call.world.changed(host)
            if host.plan.strategy == "reboot" and locksmith_runs(host):
                call.world.reboot(host)
            return True

    task = asyncio.create_task(work())
    _fetching.add(task)
    task.add_done_callback(_fetching.discard)
    return task


def locksmith_runs(host: Host) -> bool:
    return host.plan.strategy != "off" and host.unit_states.get("locksmithd.service", "active") == "active"


def stop_fetching(host: Host) -> None:
    """What a restart of update-engine.service does: a download begins anew some time later."""
    host.stuck_cleared = True
    if host.transaction is not None:
        host.transaction.cancelled.set()
        host.transaction = None


def _status(call: Call) -> str:
    host = call.host
    checked = int(call.now) - int(call.now) % 2700
    waits = host.deployments[0].staged
    version = host.deployments[0].version if waits else "0.0.0"
    operation = "UPDATED_NEED_REBOOT" if waits else "IDLE"
    if host.transaction or (host.has(Fault.STUCK_TRANSACTION) and not host.stuck_cleared):
        operation, version = "DOWNLOADING", call.world.newest(host)
    if host.has(Fault.GARBAGE):
        return "CURRENT_OP=\x1b[31m???\nNEW_VERSION=nothing at all\n"
    return (
        f"LAST_CHECKED_TIME={checked}\nPROGRESS=0.000000\nCURRENT_OP=UPDATE_STATUS_{operation}\n"
        f"NEW_VERSION={version}\nNEW_SIZE={'0' if operation == 'IDLE' else '458234665'}\n"
    )


async def update_engine_client(call: Call) -> Answer:
    """`-status`, `-update` (waits) and `-check_for_update` (does not), which stage the newest release, `-reset_status`."""
    host, first = call.host, call.host.deployments[0]
    if "-reset_status" in call.args:
        if host.transaction:
            return fail(GLOG + "ResetStatus failed.")
        # It forgets that something was staged; the boot loader does not.
        first.staged = False
        call.world.changed(host)
        return Answer(0, b"", GLOG.encode())
    newest = call.world.newest(host)
    is_idle = not first.staged and host.transaction is None
    if "-check_for_update" in call.args:
        if is_idle and newest != host.booted.version:
            _fetch(call, newest)
        return Answer(0, b"", GLOG.encode())
    if "-update" in call.args and is_idle and newest != host.booted.version:
        staged = await asyncio.shield(_fetch(call, newest))
        said = "Update succeeded -- reboot needed." if staged else "Update failed."
        return Answer(0 if staged else 1, _status(call).encode(), (GLOG + said + "\n").encode())
    return Answer(0, _status(call).encode(), GLOG.encode())


async def flatcar_update(call: Call) -> Answer:
    """`flatcar-update --to-version VERSION`."""
    host = call.host
    version = call.args[call.args.index("--to-version") + 1]
    if not call.root:
        return fail("Error: must be run as root")
    if host.deployments[0].staged or host.transaction:
        return fail("Error: There is already an update pending, reboot or reset it first")
    release = call.world.catalog.get(version)
    if release is None or release.stream.partition("/")[0] != FLATCAR:
        return fail(f"Error: could not download the update payload for {version}")
    staged = await asyncio.shield(_fetch(call, version))
    return say("Forcing update...\nDone, please make sure to reboot\n") if staged else fail("Error: update failed")


def rootdev(call: Call) -> Answer:
    """The device of /usr, or with -d its disk."""
    disk, part = _disk(call.host)
    return say(f"{disk}\n" if "-d" in call.args else f"{part}{3 + call.host.booted.serial}\n")


def cgpt(call: Call) -> Answer:
    """`cgpt show` needs root; `cgpt prioritize DEVICE` puts a slot first in the boot order."""
    if not call.root:
        return fail("cgpt: open: Permission denied")
    host = call.host
    if call.args[:1] == ("prioritize",):
        wanted = call.args[1] if len(call.args) > 1 else ""
        part = _disk(host)[1]
        chosen = next((row for row in host.deployments if wanted == f"{part}{3 + row.serial}"), None)
        if chosen is None:
            return fail("cgpt: no such partition")
        host.deployments = [chosen, *(row for row in host.deployments if row is not chosen)]
        call.world.changed(host)
        return Answer()
    rows = [
        "       start        size    part  contents",
        '        4096      262144       1  Label: "EFI-SYSTEM"',
        "                                  Type: EFI System Partition",
        "                                  UUID: 596FF08E-5617-4497-B10B-27A23F658B73",
    ]
    for index, start in enumerate((270_336, 2_367_488)):
        rows += [
            f'  {start:>10}     2097152       {3 + index}  Label: "{SLOTS[index]}"',
            "                                  Type: Alias for flatcar-rootfs",
            f"                                  UUID: {UUIDS[index].upper()}",
            f"                                  Attr: {_attributes(host, index, call.now)}",
        ]
    return say("\n".join(rows) + "\n")


def locksmithctl(call: Call) -> Answer:
    """The lock in etcd: nobody holds it."""
    return say("Available: 1\nMax: 1\n")


def getenforce(_: Call) -> Answer:
    return say("Permissive\n")


COMMANDS: dict[str, Command | None] = {
    "update_engine_client": update_engine_client,
    "flatcar-update": flatcar_update,
    "rootdev": rootdev,
    "cgpt": cgpt,
    "locksmithctl": locksmithctl,
    "getenforce": getenforce,
}
