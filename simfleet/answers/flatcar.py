"""What only a Flatcar host answers: update_engine, its two slots, locksmith; and what it lacks."""

from __future__ import annotations

from collections.abc import Callable

from simfleet import seeds
from simfleet.answers.base import Answer, Call, fail, say
from simfleet.model import Deployment, Fault, Host
from simfleet.profiles import GIB, profile
from simfleet.releases import sort_key

FLATCAR = "flatcar"
SLOTS = ("USR-A", "USR-B")
UUIDS = ("7130c94a-213a-4e5a-8e26-6cce9662f132", "e03dd35c-7c2d-4a47-b3fe-27f15780a57c")
#: Commands of Fedora CoreOS that are not on a Flatcar host.
MISSING = frozenset(("rpm-ostree", "bootc", "ostree", "zincati", "podman", "toolbox", "chronyc"))
BINARIES = frozenset(("update_engine_client", "rootdev", "cgpt", "locksmithctl", "flatcar-update"))
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


def _other(host: Host) -> Deployment | None:
    return next((row for row in host.deployments if row is not host.booted), None)


def _attributes(host: Host, slot: int) -> str:
    row = next((row for row in host.deployments if row.serial == slot), None)
    first = host.deployments[0]
    if row is None:
        return "priority=0 tries=0 successful=0"
    if row is host.booted:
        return f"priority={2 if row is first else 1} tries=0 successful=1"
    if row.staged:
        return "priority=2 tries=1 successful=0"
    if row is first and row.version == host.fell_back_from:
        return "priority=2 tries=0 successful=0"
    return f"priority={2 if row is first else 1} tries=0 successful=1"


def _disk(host: Host) -> tuple[str, str]:
    disk = profile(host.seed, host.name, host.plan.role).machine.disk
    return f"/dev/{disk}", f"/dev/{disk}{'p' if disk[-1].isdigit() else ''}"


def update_engine_client(call: Call) -> Answer:
    """`-status`, `-update` and `-check_for_update` (which stage the newest release), `-reset_status`."""
    host = call.host
    first = host.deployments[0]
    if {"-update", "-check_for_update"} & set(call.args) and not first.staged:
        call.world.stage_newest(host)
        first = host.deployments[0]
    if "-reset_status" in call.args and first.staged:
        host.deployments.remove(first)
        call.world.changed(host)
    checked = int(call.now) - int(call.now) % 2700
    waits = host.deployments[0].staged
    version = host.deployments[0].version if waits else "0.0.0"
    operation = "UPDATED_NEED_REBOOT" if waits else "IDLE"
    if host.has(Fault.STUCK_TRANSACTION):
        operation, version = "DOWNLOADING", call.world.newest(host)
    text = (
        f"LAST_CHECKED_TIME={checked}\nPROGRESS=0.000000\nCURRENT_OP=UPDATE_STATUS_{operation}\n"
        f"NEW_VERSION={version}\nNEW_SIZE={'0' if operation == 'IDLE' else '458234665'}\n"
    )
    if host.has(Fault.GARBAGE):
        text = "CURRENT_OP=\x1b[31m???\nNEW_VERSION=nothing at all\n"
    return Answer(0, text.encode(), GLOG.encode())


def rootdev(call: Call) -> Answer:
    """The device of /usr, or with -d its disk."""
    disk, part = _disk(call.host)
    return say(f"{disk}\n" if "-d" in call.args else f"{part}{3 + call.host.booted.serial}\n")


def cgpt(call: Call) -> Answer:
    """`cgpt show` needs root; `cgpt prioritize` swaps the boot order."""
    if not call.root:
        return fail("cgpt: open: Permission denied")
    host = call.host
    if call.args[:1] == ("prioritize",):
        other = _other(host)
        if other is None:
            return fail("cgpt: no such partition")
        host.deployments = [other, *(row for row in host.deployments if row is not other)]
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
            f"                                  Attr: {_attributes(host, index)}",
        ]
    return say("\n".join(rows) + "\n")


def locksmithctl(call: Call) -> Answer:
    """The lock in etcd: nobody holds it."""
    return say("Available: 1\nMax: 1\n")


def getenforce(_: Call) -> Answer:
    return say("Permissive\n")


COMMANDS: dict[str, Callable[[Call], Answer]] = {
    "update_engine_client": update_engine_client,
    "rootdev": rootdev,
    "cgpt": cgpt,
    "locksmithctl": locksmithctl,
    "getenforce": getenforce,
}
