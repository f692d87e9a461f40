"""What a host says of its machine: uname, id, lscpu, lsblk, ip and the like."""

from __future__ import annotations

import hmac
import json
import re

from simfleet.answers import flatcar
from simfleet.answers.base import Answer, Call, command, fail, options, say
from simfleet.answers.files import day, kernel, load, ssh_client
from simfleet.answers.services import ready
from simfleet.model import Fault
from simfleet.profiles import Profile, profile


def _mine(call: Call) -> Profile:
    return profile(call.host.seed, call.host.name, call.host.plan.role)


@command("uname")
def uname(call: Call) -> Answer:
    """Kernel name, release and machine."""
    is_flatcar = flatcar.is_flatcar(call.host)
    release = (flatcar.kernel if is_flatcar else kernel)(call.host.booted.version)
    parts = {
        "s": "Linux",
        "n": call.host.hostname,
        "r": release,
        "v": "#1 SMP PREEMPT_DYNAMIC",
        "m": "x86_64",
        "o": "GNU/Linux",
    }
    letters = "".join(word.lstrip("-") for word in call.args) or "s"
    wanted = parts if "a" in letters else [letter for letter in parts if letter in letters]
    return say(" ".join(parts[letter] for letter in wanted) + "\n")


@command("id")
def identity(call: Call) -> Answer:
    """Who asks."""
    if "-u" in call.args:
        return say("0\n" if call.root else "1000\n")
    if call.root:
        return say("uid=0(root) gid=0(root) groups=0(root) context=unconfined_u:unconfined_r:unconfined_t:s0\n")
    return say("uid=1000(core) gid=1000(core) groups=1000(core),4(adm),10(wheel),16(sudo),190(systemd-journal)\n")


@command("whoami")
def whoami(call: Call) -> Answer:
    """The user name."""
    return say("root\n" if call.root else "core\n")


@command("hostname")
def hostname(call: Call) -> Answer:
    """The host name."""
    return say(call.host.hostname + "\n")


@command("date")
def date(call: Call) -> Answer:
    """The time in seconds for +%s, else as text."""
    return say(f"{int(call.now)}\n" if "+%s" in call.args else day(call.now, "%a %b %e %H:%M:%S UTC %Y") + "\n")


@command("uptime")
def uptime(call: Call) -> Answer:
    """Time since the boot and load."""
    one, five, fifteen = load(call.host, call.now)
    days, rest = divmod(int(call.host.uptime_s(call.now)), 86_400)
    span = f"{days} days, {rest // 3600:2}:{rest // 60 % 60:02}"
    averages = f"load average: {one:.2f}, {five:.2f}, {fifteen:.2f}"
    return say(f" {day(call.now, '%H:%M:%S')} up {span},  1 user,  {averages}\n")


@command("lscpu")
def lscpu(call: Call) -> Answer:
    """The fields people look for."""
    mine = _mine(call)
    guest = mine.machine.virtualization != "none"
    rows = {
        "Architecture": "x86_64",
        "CPU op-mode(s)": "32-bit, 64-bit",
        "CPU(s)": str(mine.cpus),
        "Vendor ID": "AuthenticAMD" if "AMD" in mine.machine.cpu_model else "GenuineIntel",
        "Model name": mine.machine.cpu_model,
        "Thread(s) per core": "2" if mine.cpus > 4 else "1",
        "Core(s) per socket": str(mine.cpus // 2 if mine.cpus > 4 else mine.cpus),
        "Socket(s)": "1",
    }
    if guest:
        rows["Hypervisor vendor"] = "KVM" if mine.machine.virtualization == "kvm" else "VMware"
        rows["Virtualization type"] = "full"
    return say("".join(f"{name + ':':<33}{value}\n" for name, value in rows.items()))


@command("lsblk")
def lsblk(call: Call) -> Answer:
    """The one disk, as JSON."""
    mine = _mine(call)
    disk = {
        "name": mine.machine.disk,
        "type": "disk",
        "size": mine.disk_bytes,
        "model": mine.machine.disk_model,
        "rota": mine.machine.disk == "sda" and mine.machine.virtualization == "none",
    }
    return say(json.dumps({"blockdevices": [disk]}, indent=3) + "\n")


def _interfaces(call: Call) -> list[dict[str, object]]:
    mine = _mine(call)

    def address(family: str, local: str, prefix: int, scope: str) -> dict[str, object]:
        return {"family": family, "local": local, "prefixlen": prefix, "scope": scope}

    loopback = {
        "ifindex": 1,
        "ifname": "lo",
        "flags": ["LOOPBACK", "UP", "LOWER_UP"],
        "mtu": 65536,
        "operstate": "UNKNOWN",
        "link_type": "loopback",
        "address": "00:00:00:00:00:00",
        "addr_info": [address("inet", "127.0.0.1", 8, "host"), address("inet6", "::1", 128, "host")],
    }
    local = "fe80::" + ":".join(mine.mac.replace(":", "")[i : i + 4] for i in (0, 4, 8))
    first = {
        "ifindex": 2,
        "ifname": mine.nic,
        "flags": ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"],
        "mtu": 1500,
        "operstate": "UP",
        "link_type": "ether",
        "address": mine.mac,
        "addr_info": [address("inet", mine.network_address, 24, "global"), address("inet6", local, 64, "link")],
    }
    rows: list[dict[str, object]] = [loopback, first]
    if mine.machine.virtualization == "none":
        second = {
            "ifindex": 3,
            "ifname": mine.nic[:-1] + "9",
            "flags": ["NO-CARRIER", "BROADCAST", "MULTICAST", "UP"],
            "mtu": 1500,
            "operstate": "DOWN",
            "link_type": "ether",
            "address": mine.second_mac,
            "addr_info": [],
        }
        rows.append(second)
    return rows


@command("ip")
def ip(call: Call) -> Answer:
    """Addresses, links and routes as JSON."""
    flags, words = options(call.args)
    if "-j" not in flags and "-json" not in flags:
        return fail("simulated: only ip -j is known", 255)
    mine = _mine(call)
    if words[:1] and words[0].startswith("r"):
        network = mine.network_address.rsplit(".", 1)[0]
        default = {
            "dst": "default",
            "gateway": f"{network}.1",
            "dev": mine.nic,
            "protocol": "dhcp",
            "metric": 100,
            "flags": [],
        }
        direct = {
            "dst": f"{network}.0/24",
            "dev": mine.nic,
            "protocol": "kernel",
            "scope": "link",
            "prefsrc": mine.network_address,
            "metric": 100,
            "flags": [],
        }
        return say(json.dumps([default, direct]))
    rows = _interfaces(call)
    if words[:1] and words[0].startswith("l"):
        rows = [{name: value for name, value in row.items() if name != "addr_info"} for row in rows]
    return say(json.dumps(rows))


def nic_drivers(call: Call) -> Answer:
    """What a loop over /sys/class/net prints: interface and driver."""
    mine = _mine(call)
    names = [str(row["ifname"]) for row in _interfaces(call)[1:]]
    return say("".join(f"{name} {mine.machine.nic_driver}\n" for name in names))


@command("systemd-detect-virt")
def detect_virt(call: Call) -> Answer:
    """Exit 1 on real hardware."""
    found = _mine(call).machine.virtualization
    return say(found + "\n", 1 if found == "none" else 0)


@command("getenforce")
def getenforce(_: Call) -> Answer:
    """SELinux mode."""
    return say("Enforcing\n")


@command("systemd-id128")
def id128(call: Call) -> Answer:
    """The machine id, or one derived from it for an application."""
    if "-a" not in call.args and not any(word.startswith("--app-specific") for word in call.args):
        return say(call.host.machine_id + "\n")
    application = call.args[-1].partition("=")[2] or call.args[-1]
    if not re.fullmatch(r"[0-9a-f]{32}", application):
        return fail(f"Failed to parse {application} as application ID: Invalid argument")
    derived = bytearray(hmac.digest(bytes.fromhex(call.host.machine_id), bytes.fromhex(application), "sha256")[:16])
    derived[6], derived[8] = (derived[6] & 0x0F) | 0x40, (derived[8] & 0x3F) | 0x80
    return say(derived.hex() + "\n")


@command("who")
def who(call: Call) -> Answer:
    """Sessions with a terminal."""
    if not call.host.has(Fault.SESSION):
        return Answer()
    since = call.host.faults[Fault.SESSION.value]
    return say(f"core     pts/0        {day(since, '%Y-%m-%d %H:%M')} ({ssh_client(call.host)})\n")


@command("kubelet", "kubectl")
def kubelet(call: Call) -> Answer:
    """The version, on hosts of a cluster."""
    if not call.host.plan.role.startswith("k8s"):
        return fail(f"sh: line 1: {call.argv[0]}: command not found", 127)
    if call.argv[0] == "kubectl" and "node" in call.args:
        return ready(call)
    return say("Kubernetes v1.34.2\n")


@command("printf")
def printf(call: Call) -> Answer:
    """Plain text with escapes, and %s."""
    form, *words = [*call.args, ""][: max(1, len(call.args))]
    text = form.replace("\\n", "\n").replace("\\t", "\t")
    for word in words:
        text = text.replace("%s", word, 1)
    return say(text)


@command("bootc")
def bootc(call: Call) -> Answer:
    """Needs root; hosts here are asked through rpm-ostree."""
    if not call.root:
        return fail("error: Status: The bootc command must be executed as the root user")
    row = call.host.booted
    image = (
        {"image": {"image": row.origin.image, "transport": "registry"}, "version": row.version}
        if row.origin.image
        else None
    )
    booted = {
        "image": image,
        "incompatible": bool(row.layered),
        "pinned": row.pinned,
        "ostree": {"checksum": row.checksum},
    }
    status = {"staged": None, "booted": booted, "rollback": None, "rollbackQueued": False, "type": "bootcHost"}
    return say(
        json.dumps(
            {
                "apiVersion": "org.containers.bootc/v1",
                "kind": "BootcHost",
                "metadata": {"name": "host"},
                "spec": {"image": None},
                "status": status,
            }
        )
        + "\n"
    )
