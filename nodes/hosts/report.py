"""Facts as text for a terminal."""

from collections.abc import Iterable, Sequence
from unicodedata import east_asian_width

from nodes.hosts.facts import Deployment, Facts, FilesystemUse, Measurement

_MIB = 1024 * 1024
_CELL_MAX = 72


def as_text(facts: Facts, measurement: Measurement) -> str:
    """All facts of one host, section by section; sections without content are left out."""
    parts = (
        _section("Host", _pairs(_host(facts, measurement))),
        _section("Deployments in boot order", _deployments(facts.deployments)),
        _section("Updates", _pairs(_updates(facts))),
        _section("Failed units", _table(("Unit", "Result", "Description"), _failed(facts))),
        _section("File systems", _table(("Mount", "Device", "Size", "Used", "Inodes"), _storage(facts, measurement))),
        _section("Network", _table(("Interface", "State", "Driver", "Addresses"), _network(facts))),
        _section("Sessions", _table(("User", "Terminal", "Since"), ((s.user, s.tty, s.since) for s in facts.sessions))),
        _section("Containers", _table(("Runtime", "Name", "State", "Image"), _containers(facts))),
        _section("Not read", _table(("Section", "Reason", "What happened"), _unread(facts))),
    )
    return "\n".join(part for part in parts if part)


def _host(facts: Facts, measurement: Measurement) -> list[tuple[str, object]]:
    hardware, boot = facts.hardware, facts.boot
    loads = [str(load) for load in (measurement.load_1, measurement.load_5, measurement.load_15) if load is not None]
    return [
        ("Name", facts.network.hostname),
        ("System", facts.os.pretty_name or facts.os.name),
        ("Family", f"{facts.os.family} ({facts.os.name})"),
        ("Version", facts.os.version),
        ("Stream", facts.os.stream),
        ("Kernel", boot.kernel),
        ("Booted at", boot.booted_at),
        ("Boot id", boot.boot_id),
        ("State", facts.health.system_state),
        ("Model", " ".join(part for part in (hardware.vendor, hardware.model) if part)),
        ("Processor", f"{hardware.cpus or '?'} x {hardware.cpu_model or 'unknown'} ({hardware.arch or '?'})"),
        ("Virtualization", hardware.virtualization),
        ("Memory", _memory(measurement)),
        ("Load", " ".join(loads)),
        ("SELinux", facts.security.selinux),
        ("Time", _time(facts)),
        ("Kubernetes", " ".join(part for part in (facts.kubernetes.role, facts.kubernetes.kubelet_version) if part)),
    ]


def _memory(measurement: Measurement) -> str | None:
    if measurement.memory_total_bytes is None:
        return None
    available = measurement.memory_available_bytes
    tail = f", {available // _MIB} MiB available" if available is not None else ""
    return f"{measurement.memory_total_bytes // _MIB} MiB{tail}"


def _time(facts: Facts) -> str | None:
    if facts.time.synchronized is None and facts.time.zone is None:
        return None
    state = {True: "synchronized", False: "not synchronized", None: "unknown"}[facts.time.synchronized]
    return f"{state}, zone {facts.time.zone or 'unknown'}"


def _updates(facts: Facts) -> list[tuple[str, object]]:
    update, agent = facts.update, facts.agent
    cached, driver = update.cached_update or {}, update.driver or {}
    strategy = agent.config.get("updates", {}).get("strategy") if agent.config else None
    return [
        ("Manager", update.manager),
        ("Driver", " ".join(value for value in driver.values() if value)),
        ("Transaction", update.transaction),
        ("Cached update", cached.get("version") or cached.get("checksum")),
        ("Reboot pending", "yes" if update.reboot_pending else None),
        ("Finalization failed", update.finalize_failed),
        ("Agent", agent.name and f"{agent.name}, {agent.unit.active or 'unknown'}, {agent.state or 'no state'}"),
        ("Agent says", agent.status_text),
        ("Strategy", strategy),
        ("Node id", agent.node_uuid),
        ("Settings read", ", ".join(agent.files_read)),
        ("Settings not read", ", ".join(f"{one.path} ({one.reason})" for one in agent.files_ignored)),
    ]


def _deployments(deployments: Sequence[Deployment]) -> list[str]:
    rows = (
        (one.index, _marks(one), one.version or one.base_version, (one.checksum or "")[:12], one.image or one.origin)
        for one in deployments
    )
    return _table(("", "State", "Version", "Checksum", "From"), rows)


def _marks(one: Deployment) -> str:
    names = ("booted", "staged", "rollback", "pinned", "locked")
    return " ".join(name for name in names if getattr(one, name)) or "-"


def _failed(facts: Facts) -> Iterable[tuple[object, ...]]:
    return ((unit.name, unit.result, unit.description) for unit in facts.health.failed_units)


def _storage(facts: Facts, measurement: Measurement) -> Iterable[tuple[object, ...]]:
    used = {one.mount: one for one in measurement.filesystems}
    for one in facts.storage.filesystems:
        use = used.get(one.mount) or FilesystemUse(one.mount)
        size = f"{one.size_bytes // _MIB} MiB" if one.size_bytes is not None else None
        yield one.mount, one.device, size, _percent(use.used_percent), _percent(use.inodes_used_percent)


def _percent(value: float | None) -> str | None:
    return None if value is None else f"{value:.0f} %"


def _network(facts: Facts) -> Iterable[tuple[object, ...]]:
    for one in facts.network.interfaces:
        addresses = " ".join(f"{each.address}/{each.prefix}" for each in one.addresses)
        yield one.name, one.state, one.driver, addresses


def _containers(facts: Facts) -> Iterable[tuple[object, ...]]:
    for runtime in facts.containers.runtimes:
        for one in runtime.containers:
            yield runtime.name, one.name, one.state, one.image


def _unread(facts: Facts) -> Iterable[tuple[object, ...]]:
    return ((one.section, one.reason, one.message) for one in facts.unread)


def _section(title: str, lines: Sequence[str]) -> str:
    return "\n".join((title, *(f"  {line}" for line in lines), "")) if lines else ""


def _pairs(pairs: Iterable[tuple[str, object]]) -> list[str]:
    shown = [(name, str(value)) for name, value in pairs if value]
    return [f"{name:<20} {value}" for name, value in shown]


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Columns as wide as their widest cell; the last one may be long."""
    cells = [[_cell(value, last=at == len(head) - 1) for at, value in enumerate(row)] for row in rows]
    if not cells:
        return []
    widths = [max(_width(row[at]) for row in (list(head), *cells)) for at in range(len(head))]
    return [
        "  ".join(_padded(cell, wide) for cell, wide in zip(row, widths, strict=True)).rstrip()
        for row in (head, *cells)
    ]


def _cell(value: object, *, last: bool) -> str:
    text = "-" if value is None or value == "" else str(value).replace("\n", " ").replace("\t", " ")
    return text if last or len(text) <= _CELL_MAX else text[: _CELL_MAX - 1] + "\u2026"


def _width(text: str) -> int:
    return sum(2 if east_asian_width(char) in "WF" else 1 for char in text)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))
