"""The files of a host that its answers know, as functions of its state."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from simfleet import seeds
from simfleet.answers import flatcar
from simfleet.model import Fault, Host
from simfleet.profiles import GIB, Machine, profile
from simfleet.releases import sort_key

FileText = Callable[[Host, float], str]
KUBELET = "/var/lib/kubelet/config.yaml"
DIRECTORIES = {
    "/usr/lib/zincati/config.d", "/etc/zincati/config.d", "/run/zincati/config.d", "/run/ostree", "/var/lib/containers",
    "/var/lib/containers/storage", "/", "/boot", "/var", "/sysroot", "/etc", "/run", "/var/home/core", "/home/core",
}  # fmt: skip


def kernel(version: str) -> str:
    """The kernel of a release."""
    parts = sort_key(version)
    step = (parts[0] - 43) * 26 + parts[1] % 10_000 // 14
    return f"6.{17 + step // 14}.{1 + step % 14}-{100 * (1 + step % 3)}.fc{parts[0]}.x86_64"


def fedora(version: str) -> int:
    """The Fedora version of a release."""
    return sort_key(version)[0]


def os_release(host: Host, _: float) -> str:
    version = host.booted.version
    major = fedora(version)
    rows = (
        'NAME="Fedora Linux"', f'VERSION="{version} (CoreOS)"', "RELEASE_TYPE=stable", "ID=fedora", f"VERSION_ID={major}",
        'VERSION_CODENAME=""', f'PRETTY_NAME="Fedora CoreOS {version}"', 'ANSI_COLOR="0;38;2;60;110;180"',
        "LOGO=fedora-logo-icon", f'CPE_NAME="cpe:/o:fedoraproject:fedora:{major}"', 'DEFAULT_HOSTNAME="localhost"',
        'HOME_URL="https://getfedora.org/coreos/"', f"REDHAT_SUPPORT_PRODUCT_VERSION={major}", 'VARIANT="CoreOS"',
        "VARIANT_ID=coreos", f"OSTREE_VERSION='{version}'",
    )  # fmt: skip
    return "\n".join(rows) + "\n"


def command_line(host: Host, deployment_checksum: str, kargs: tuple[str, ...], version: str) -> str:
    """The kernel command line of a deployment."""
    root = seeds.uuid4(host.seed, host.name, "root")
    boot = seeds.uuid4(host.seed, host.name, "bootfs")
    image = f"BOOT_IMAGE=(hd0,gpt3)/boot/ostree/fedora-coreos-{deployment_checksum}/vmlinuz-{kernel(version)}"
    tail = f"root=UUID={root} rw rootflags=prjquota boot=UUID={boot}"
    return f"{image} {' '.join(kargs)} {tail} ostree=/ostree/boot.1/fedora-coreos/{deployment_checksum}/0"


def cmdline(host: Host, _: float) -> str:
    row = host.booted
    return command_line(host, row.checksum, row.kargs, row.version) + "\n"


def load(host: Host, now: float) -> tuple[float, float, float]:
    """Load averages that wander slowly around the host's own level."""
    level = profile(host.seed, host.name, host.plan.role).cpu_load

    def at(window_s: int) -> float:
        return level * (0.7 + 0.6 * seeds.fraction(host.seed, host.name, int(now) // window_s))

    return at(60), at(300), at(900)


def loadavg(host: Host, now: float) -> str:
    one, five, fifteen = load(host, now)
    return f"{one:.2f} {five:.2f} {fifteen:.2f} 2/{300 + int(one * 40)} {2000 + int(host.uptime_s(now)) % 400_000}\n"


def meminfo(host: Host, now: float) -> str:
    total = profile(host.seed, host.name, host.plan.role).memory_bytes // 1024
    share = (
        0.35 + 0.4 * seeds.fraction(host.seed, host.name, "memory") + 0.03 * seeds.fraction(host.seed, int(now) // 60)
    )
    available = int(total * (1 - share))
    rows = {
        "MemTotal": total, "MemFree": available // 3, "MemAvailable": available, "Buffers": 2104,
        "Cached": available // 2, "SwapCached": 0, "Active": total // 3, "Inactive": total // 5, "SwapTotal": 0,
        "SwapFree": 0, "Dirty": 320, "Shmem": total // 90, "Slab": total // 30,
    }  # fmt: skip
    return "".join(f"{name + ':':<15} {value:>8} kB\n" for name, value in rows.items())


def stat(host: Host, now: float) -> str:
    ticks = int(host.uptime_s(now) * 100)
    return (
        f"cpu  {ticks // 9} 310 {ticks // 30} {ticks} 1200 0 90 0 0 0\nctxt {ticks * 31}\nbtime {int(host.booted_at)}\n"
    )


def cpuinfo(host: Host, _: float) -> str:
    mine = profile(host.seed, host.name, host.plan.role)
    vendor = "AuthenticAMD" if "AMD" in mine.machine.cpu_model else "GenuineIntel"
    row = "processor\t: {0}\nvendor_id\t: " + vendor + "\nmodel name\t: " + mine.machine.cpu_model + "\n\n"
    return "".join(row.format(number) for number in range(mine.cpus))


def ssh_client(host: Host) -> str:
    """Where a person who is signed in came from."""
    return f"10.9.{seeds.number(host.seed, host.name, 'client') % 200}.14"


def _strategy(host: Host) -> str:
    if host.plan.strategy == "periodic":
        window = '[[updates.periodic.window]]\ndays = [ "Sat", "Sun" ]\nstart_time = "22:30"\nlength_minutes = 90\n'
        return '[updates]\nstrategy = "periodic"\n\n[updates.periodic]\ntime_zone = "UTC"\n\n' + window
    if host.plan.strategy == "fleet_lock":
        return (
            '[updates]\nstrategy = "fleet_lock"\n\n[updates.fleet_lock]\nbase_url = "http://fleetlock.sim.example/"\n'
        )
    return '[updates]\nstrategy = "immediate"\n'


FILES: dict[str, FileText] = {
    "/etc/os-release": os_release,
    "/usr/lib/os-release": os_release,
    "/etc/machine-id": lambda host, _: host.machine_id + "\n",
    "/etc/hostname": lambda host, _: host.hostname + "\n",
    "/proc/sys/kernel/hostname": lambda host, _: host.hostname + "\n",
    "/proc/sys/kernel/random/boot_id": lambda host, _: host.boot_id + "\n",
    "/proc/uptime": lambda host, now: f"{host.uptime_s(now):.2f} {host.uptime_s(now) * 3.7:.2f}\n",
    "/proc/cmdline": cmdline,
    "/proc/loadavg": loadavg,
    "/proc/meminfo": meminfo,
    "/proc/stat": stat,
    "/proc/cpuinfo": cpuinfo,
    "/sys/class/dmi/id/sys_vendor": lambda host, _: _machine(host).vendor + "\n",
    "/sys/class/dmi/id/product_name": lambda host, _: _machine(host).product + "\n",
    "/sys/class/dmi/id/product_version": lambda host, _: "Not Specified\n",
    "/sys/class/dmi/id/board_name": lambda host, _: _machine(host).board + "\n",
    "/sys/class/dmi/id/board_vendor": lambda host, _: _machine(host).vendor + "\n",
    "/run/ostree-booted": lambda host, _: "",
    "/usr/lib/zincati/config.d/10-agent.toml": lambda host, _: "[agent.timing]\nsteady_interval_secs = 300\n",
    "/usr/lib/zincati/config.d/10-auto-updates.toml": lambda host, _: (
        '[updates]\nenabled = true\nallow_downgrade = false\nstrategy = "immediate"\n'
    ),
    "/usr/lib/zincati/config.d/50-fedora-coreos-cincinnati.toml": lambda host, _: (
        '[cincinnati]\nbase_url = "https://updates.coreos.fedoraproject.org"\n'
    ),
    "/etc/zincati/config.d/51-identity.toml": lambda host, _: f'[identity]\ngroup = "{host.plan.pool}"\n',
    "/etc/zincati/config.d/55-updates-strategy.toml": lambda host, _: _strategy(host),
}
KUBERNETES: dict[str, FileText] = {
    KUBELET: lambda host, _: "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n",
    "/etc/kubernetes/kubelet.conf": lambda host, _: "apiVersion: v1\nkind: Config\n",
    "/etc/systemd/system/kubelet.service": lambda host, _: "[Unit]\nDescription=kubelet: The Kubernetes Node Agent\n",
}
CONTROL_PLANE = "/etc/kubernetes/manifests/kube-apiserver.yaml"
ROOT_ONLY = {"/etc/kubernetes/kubelet.conf", CONTROL_PLANE}


def _machine(host: Host) -> Machine:
    return profile(host.seed, host.name, host.plan.role).machine


def _system_files(host: Host) -> dict[str, FileText]:
    """The files that come with the operating system."""
    if not flatcar.is_flatcar(host):
        return FILES
    return {
        path: made for path, made in FILES.items() if "zincati" not in path and "ostree" not in path
    } | flatcar.FILES


def files_of(host: Host) -> dict[str, FileText]:
    """Every file of one host."""
    known = _system_files(host)
    if host.plan.role.startswith("k8s"):
        known = known | KUBERNETES
        if host.plan.role == "k8s-control":
            known = known | {CONTROL_PLANE: lambda host, _: "apiVersion: v1\nkind: Pod\n"}
    first = host.deployments[0]
    if first.staged and not flatcar.is_flatcar(host):
        staged = {"/run/ostree/staged-deployment": lambda host, _: host.deployments[0].checksum}
        if first.locked:
            staged["/run/ostree/staged-deployment-locked"] = lambda host, _: ""
        known = known | staged
    if host.written:
        known = known | {path: _constant(text) for path, text in host.written.items()}
    return known


def _constant(text: str) -> FileText:
    return lambda host, _: text


def read(host: Host, path: str, now: float) -> str | None:
    """The text of a file, or nothing when the host has no such file."""
    made = files_of(host).get(path)
    return None if made is None else made(host, now)


def directories_of(host: Host) -> set[str]:
    """The directories that exist although no file of theirs is known."""
    if not flatcar.is_flatcar(host):
        return DIRECTORIES
    return {path for path in DIRECTORIES if "zincati" not in path and "ostree" not in path and path != "/sysroot"}


def listing(host: Host, directory: str) -> list[str]:
    """The names in a directory."""
    prefix = directory.rstrip("/") + "/"
    paths = [*files_of(host), *directories_of(host)]
    return sorted({path[len(prefix) :].split("/")[0] for path in paths if path.startswith(prefix) and path != prefix})


def is_directory(host: Host, path: str) -> bool:
    """Whether the path is a directory of the host."""
    path = path.rstrip("/") or "/"
    return path in directories_of(host) or any(known.startswith(path + "/") for known in files_of(host))


def exists(host: Host, path: str) -> bool:
    """Whether the host has this path."""
    return path in files_of(host) or is_directory(host, path)


def day(at: float, form: str) -> str:
    """A time in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime(form)


def filesystems(host: Host, now: float) -> list[tuple[str, str, int, int, str]]:
    """Device, type, size, used and mount of the file systems that matter."""
    if flatcar.is_flatcar(host):
        return flatcar.filesystems(host, now)
    mine = profile(host.seed, host.name, host.plan.role)
    disk = mine.machine.disk
    part = disk + ("p" if disk[-1].isdigit() else "")
    boot_size = 366_869_504
    boot_share = host.faults.get(Fault.FULL_DISK.value, 0.0)
    boot_share = boot_share / 100 if boot_share > 1 else 0.97 if boot_share else mine.boot_used
    data_size = mine.disk_bytes - GIB
    wander = 0.01 * seeds.fraction(host.seed, host.name, "disk", int(now) // 600)
    data_used = int(data_size * (mine.root_used + wander))
    return [
        ("composefs", "overlay", 9_437_184, 9_437_184, "/"),
        (f"/dev/{part}3", "ext4", boot_size, int(boot_size * boot_share), "/boot"),
        (f"/dev/{part}4", "xfs", data_size, data_used, "/var"),
        (f"/dev/{part}4", "xfs", data_size, data_used, "/sysroot"),
    ]
