"""What any Linux host with systemd says, whatever its operating system."""

import re
from dataclasses import replace
from datetime import datetime

from nodes.hosts.drivers.base import Look
from nodes.hosts.drivers.born import read_marker
from nodes.hosts.drivers.containers import parse_version, read_containers
from nodes.hosts.drivers.documents import decimal, iso_time, number, plain
from nodes.hosts.drivers.network import parse_interfaces, parse_nic_drivers, parse_routes
from nodes.hosts.drivers.os_release import os_facts, parse_os_release
from nodes.hosts.drivers.sections import KUBERNETES_PATHS, MARKER_PATH
from nodes.hosts.drivers.storage import DfRow, filesystems_of, parse_df, parse_disks, use_of
from nodes.hosts.drivers.systemd import (
    parse_failed,
    parse_sessions,
    parse_show,
    parse_system_state,
    parse_time,
    parse_who,
    with_results,
)
from nodes.hosts.facts import (
    Boot,
    Facts,
    Hardware,
    Health,
    Kubernetes,
    Measurement,
    Network,
    Os,
    Security,
    Session,
    Storage,
    Time,
)
from nodes.hosts.machine_id import MACHINE_ID, derived_id
from nodes.hosts.probe import ProbeOutput

_BOOT_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CONTROL_PLANE = re.compile(r"kube-apiserver|k3s/server|rke2/server")


def read_linux(look: Look) -> tuple[Facts, Measurement]:
    """All facts that do not depend on the operating system, and the measurement."""
    system, kernel, arch = look.read("uname", _uname, ("", None, None))
    del system
    memory = look.read("meminfo", _meminfo, {})
    rows = look.read("df", parse_df, (), good=(0, 1))
    inodes = look.read("df_inodes", parse_df, (), good=(0, 1))
    facts = Facts(
        os=replace(_os(look, arch), machine_id=_machine_id(look)),
        health=_health(look),
        boot=_boot(look, kernel),
        hardware=replace(_hardware(look, arch), memory_total_bytes=memory.get("MemTotal")),
        security=Security(look.read("selinux", _word, None, optional=True)),
        time=look.read("time", parse_time, Time()),
        sessions=_sessions(look),
        network=_network(look),
        storage=Storage(filesystems_of(rows), look.read("disks", parse_disks, (), optional=True)),
        containers=read_containers(look),
        kubernetes=_kubernetes(look),
        ignition=read_marker(look.output["dmi"]),
    )
    return facts, _measurement(look, memory, rows, inodes)


def look_at(output: ProbeOutput, now: datetime) -> Look:
    """Start reading a probe; an output that ended early is itself a fact."""
    look = Look(output, now)
    if not output.complete:
        look.note("probe", "cut" if len(output) else "missing", output.problem, output["workspace"])
    return look


def _os(look: Look, arch: str | None) -> Os:
    """os-release from /etc, or from /usr/lib where that one is the readable one."""
    fallback = look.output["usr_os_release"]
    section = "os_release" if look.output["os_release"].ok or not fallback.ok else "usr_os_release"
    return os_facts(look.read(section, lambda text, _: parse_os_release(text), {}), arch)


def _machine_id(look: Look) -> str | None:
    """The derived id of the machine; the raw one is forgotten here."""
    raw, derived = look.output["machine_id"], look.output["zincati_id"]
    if raw.ok and MACHINE_ID.fullmatch(raw.stdout.strip()):
        return derived_id(raw.stdout.strip())
    said = derived.stdout.strip().replace("-", "")
    return said if derived.ok and MACHINE_ID.fullmatch(said) else None


def _uname(text: str, problems: list[str]) -> tuple[str, str | None, str | None]:
    words = plain(text).split()
    if len(words) == 3:
        return words[0], words[1], words[2]
    problems.append("uname should print system, release and machine")
    return "", None, None


def _word(text: str, problems: list[str]) -> str | None:
    words = text.split()
    if len(words) != 1 or len(words[0]) > 128:
        problems.append("one word was expected")
        return None
    return plain(words[0]).lower()


def _line(text: str, _problems: list[str]) -> str | None:
    return plain(text.strip().partition("\n")[0]) or None


def _boot(look: Look, kernel: str | None) -> Boot:
    return Boot(
        boot_id=look.read("boot_id", _boot_id, None),
        booted_at=look.read("btime", _btime, None),
        boot_count=look.read("boots", _boot_count, None),
        kernel=kernel,
        arguments=look.read("cmdline", lambda text, _: tuple(plain(word) for word in text.split()), ()),
    )


def _boot_id(text: str, problems: list[str]) -> str | None:
    if _BOOT_ID.fullmatch(text.strip()):
        return text.strip()
    problems.append("this is not a boot id")
    return None


def _btime(text: str, problems: list[str]) -> str | None:
    """The boot time as the kernel keeps it, which does not drift between looks as an uptime does."""
    words = text.split()
    time = iso_time(number(words[1])) if len(words) == 2 and words[0] == "btime" else None
    if time is None:
        problems.append("this is not a boot time")
    return time


def _boot_count(text: str, _problems: list[str]) -> int | None:
    """Boots that the journal still holds."""
    rows = (line.split(None, 2) for line in text.splitlines())
    count = sum(1 for row in rows if len(row) == 3 and row[0].lstrip("-").isdigit() and len(row[1]) == 32)
    return count or None


def _health(look: Look) -> Health:
    state = look.read("system_state", parse_system_state, None, good=(0, 1))
    units = look.read("failed_units", parse_failed, ())
    shown = look.read("failed_details", lambda text, _: parse_show(text), [], optional=True)
    return Health(state, with_results(units, shown))


def _hardware(look: Look, arch: str | None) -> Hardware:
    dmi = look.read("dmi", _paths, {}, optional=True, good=(0, 1, 2))
    vendor = dmi.get("sys_vendor")
    model = " ".join(part for part in (dmi.get("product_name"), dmi.get("product_version")) if part)
    cpu = look.read("cpu", _lscpu, {}, optional=True)
    fallback = look.read("cpuinfo", _cpuinfo, (None, None), optional=True, good=(0, 1))
    return Hardware(
        model=model or dmi.get("model") or dmi.get("board_name"),
        vendor=vendor,
        cpu_model=cpu.get("Model name") or fallback[0],
        cpus=number(cpu.get("CPU(s)", "")) or fallback[1],
        virtualization=look.read("virtualization", _word, None, optional=True, good=(0, 1)),
        arch=arch,
    )


def _paths(text: str, _problems: list[str]) -> dict[str, str]:
    """Lines `PATH:VALUE`; values that a board maker left at a placeholder are dropped."""
    found: dict[str, str] = {}
    for line in text.splitlines()[:100]:
        path, colon, value = line.partition(":")
        if path == MARKER_PATH:
            continue
        value = plain(value.strip())
        if (
            colon
            and value
            and value.lower() not in ("none", "not specified", "to be filled by o.e.m.", "default string")
        ):
            found.setdefault(path.rpartition("/")[2], value)
    return found


def _lscpu(text: str, _problems: list[str]) -> dict[str, str]:
    pairs = (line.partition(":") for line in text.splitlines()[:500])
    found: dict[str, str] = {}
    for key, _, value in pairs:
        if value.strip() not in ("", "-"):
            found.setdefault(key.strip(), plain(value.strip()))
    return found


def _cpuinfo(text: str, _problems: list[str]) -> tuple[str | None, int | None]:
    model, count = None, 0
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.startswith("processor"):
            count += 1
        elif model is None and value.strip():
            model = plain(value.strip())
    return model, count or None


def _sessions(look: Look) -> tuple[Session, ...]:
    since = look.read("who", lambda text, _: parse_who(text, look.now), {}, optional=True)
    found = look.read("sessions", parse_sessions, (), optional=True)
    return tuple(replace(one, since=since.get((one.user, one.tty))) for one in found)


def _network(look: Look) -> Network:
    drivers = look.read("nic_drivers", parse_nic_drivers, {}, optional=True)
    interfaces = look.read("ip_addr", parse_interfaces, ())
    known = {one.name for one in interfaces}
    routes = look.read("ip_route", parse_routes, ())
    return Network(
        hostname=look.read("hostname", _line, None),
        interfaces=tuple(replace(one, driver=drivers.get(one.name)) for one in interfaces),
        routes=tuple(route for route in routes if route.interface in known),
    )


def _kubernetes(look: Look) -> Kubernetes:
    # `ls` fails where some of them are not there, as on every host.
    paths = look.read("kubernetes_paths", lambda text, _: text.split(), (), optional=True, good=(0, 1, 2))
    hints = tuple(path for path in KUBERNETES_PATHS if path in paths)
    role = None
    if hints:
        role = "control-plane" if any(_CONTROL_PLANE.search(path) for path in hints) else "worker"
    return Kubernetes(role, look.read("kubelet_version", parse_version, None, optional=True), hints)


def _meminfo(text: str, problems: list[str]) -> dict[str, int]:
    found = {}
    for line in text.splitlines()[:500]:
        words = line.split()
        if len(words) == 3 and words[2] == "kB" and (size := number(words[1])) is not None:
            found[plain(words[0].rstrip(":"))] = size * 1024
    if "MemTotal" not in found:
        problems.append("the memory size is not in the text")
    return found


def _loads(text: str, problems: list[str]) -> tuple[float | None, ...]:
    words = text.split()
    loads = tuple(decimal(word) for word in words[:3])
    if len(loads) == 3 and None not in loads:
        return loads
    problems.append("three load numbers were expected")
    return (None, None, None)


def _measurement(look: Look, memory: dict[str, int], rows: tuple[DfRow, ...], inodes: tuple[DfRow, ...]) -> Measurement:
    load_1, load_5, load_15 = look.read("loadavg", _loads, (None, None, None))
    return Measurement(
        load_1=load_1,
        load_5=load_5,
        load_15=load_15,
        memory_total_bytes=memory.get("MemTotal"),
        memory_available_bytes=memory.get("MemAvailable"),
        filesystems=use_of(rows, inodes),
    )
