"""How the deployments of a host change: stage, finalize at reboot, roll back, pin, clean up."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from simfleet import boxes, seeds
from simfleet.model import Deployment, Fault, Host, HostPlan, Origin
from simfleet.releases import Catalog, Release

DEFAULT_KARGS = ("rw", "mitigations=auto,nosmt", "ignition.platform.id=metal", "console=tty0", "console=ttyS0,115200n8")
NO_SPACE = "error: Installing kernel: regfile copy: No space left on device"
FULL_DISK_PERCENT = 97.0
CHECK_INTERVAL_S = 300
#: A real one takes two minutes.
MARKED_AFTER_S = 4.0


def origin_of(plan: HostPlan) -> Origin:
    """The branch or image that a planned host follows."""
    if plan.os == "flatcar":
        return Origin(ref=plan.stream)
    if plan.container_native:
        return Origin(image=f"ostree-image-signed:docker://quay.io/fedora/fedora-coreos:{plan.stream}")
    return Origin(ref=f"fedora:fedora/x86_64/coreos/{plan.stream}")


def make_deployment(
    release: Release, origin: Origin, layered: tuple[str, ...] = (), kargs: tuple[str, ...] = DEFAULT_KARGS
) -> Deployment:
    """A deployment of a release, with layered packages when there are some."""
    base = release.imported_checksum if origin.image else release.checksum
    checksum = seeds.hexdigest(1, "layered", base, *layered) if layered else base
    return Deployment(
        version=release.version,
        checksum=checksum,
        stream=release.stream,
        origin=origin,
        base_checksum=base if layered else "",
        layered=layered,
        kargs=kargs,
    )


def first_state(seed: int, plan: HostPlan, catalog: Catalog, address: str, port: int, created_at: float) -> Host:
    """A host as it is before anything happened to it."""
    origin = origin_of(plan)
    booted = make_deployment(catalog.behind(plan.stream, plan.versions_behind), origin, plan.layered)
    older = make_deployment(catalog.behind(plan.stream, plan.versions_behind + 1), origin, plan.layered)
    deployments = [booted, older]
    older.serial = 1 if plan.os == "flatcar" else 0
    if plan.rolled_back:
        newer = make_deployment(catalog.behind(plan.stream, plan.versions_behind - 1), origin, plan.layered)
        deployments = [booted, newer]
    if plan.pinned:
        pinned = make_deployment(catalog.behind(plan.stream, plan.versions_behind + 4), origin, plan.layered)
        pinned.pinned = True
        deployments.append(pinned)
    days = plan.uptime_days
    if days is None:
        days = 0.3 + 13 * seeds.fraction(seed, plan.name, "uptime") + 12 * plan.versions_behind
    host = Host(
        seed=seed,
        plan=plan,
        address=address,
        port=port,
        deployments=deployments,
        booted_key=booted.key,
        booted_at=float(int(created_at - days * 86_400)),
        boot_count=2 + seeds.number(seed, plan.name, "boots") % 9,
        faults=dict(plan.faults),
    )
    if host.has(Fault.SESSION):
        # Its value is when the person signed in.
        host.faults[Fault.SESSION.value] = float(int(created_at - 5400))
    if plan.fell_back:
        newer = make_deployment(catalog.tip(plan.stream), origin)
        newer.serial, host.fell_back_from = 1, newer.version
        host.deployments = [newer, booted]
    if plan.staged and plan.os == "flatcar":
        stage(host, catalog.tip(plan.stream))
    elif plan.staged:
        stage(host, catalog.tip(plan.stream), locked=not plan.by_hand, by_agent=not plan.by_hand)
    host.touched = False
    return host


def stage(host: Host, release: Release, *, locked: bool = False, by_agent: bool = False) -> Deployment:
    """Put a release in front of the boot order as a staged deployment."""
    default = host.booted
    row = make_deployment(release, default.origin, default.layered, default.kargs)
    return stage_deployment(host, row, locked=locked, by_agent=by_agent)


def stage_deployment(host: Host, row: Deployment, *, locked: bool = False, by_agent: bool = False) -> Deployment:
    """Stage a prepared deployment in place of another staged one."""
    kept = [item for item in host.deployments if not item.staged]
    if host.plan.os == "flatcar":
        # There are two slots: the new release is written over the one that does not run.
        kept = [host.booted]
    taken = {item.serial for item in kept if item.checksum == row.checksum}
    row.serial = next(number for number in range(len(taken) + 1) if number not in taken)
    if host.plan.os == "flatcar":
        row.serial = 1 - host.booted.serial
    row.staged, row.locked = True, locked
    host.deployments = [row, *kept]
    host.agent_version = row.version if by_agent else ""
    host.finalize_error = ""
    host.touched = True
    return row


def drop_staged(host: Host) -> None:
    """Forget a staged deployment."""
    host.deployments = [row for row in host.deployments if not row.staged]
    host.agent_version = ""
    host.touched = True


def boot(host: Host, catalog: Catalog, up_at: float) -> None:
    """What shutting down and starting again does to a host."""
    old = host.booted
    _turn_back(host, up_at)
    first = host.deployments[0]
    moved, was_staged = False, first.staged
    if first.staged and (first.locked or host.has(Fault.FULL_DISK)):
        if not first.locked:
            host.finalize_error = NO_SPACE
        drop_staged(host)
    elif first.staged:
        first.staged = False
        moved = True
    else:
        moved = first.key != old.key
    target = host.deployments[0]
    release = catalog.get(target.version)
    broken = host.has(Fault.FALLBACK) or (release is not None and release.bad)
    host.booted_key = old.key if moved and broken else target.key
    host.first_boot_of_slot = host.plan.os == "flatcar" and was_staged and moved and not broken
    host.fell_back_from = target.version if moved and broken else ""
    host.deployments = _kept(host, old) if moved else host.deployments
    host.boot_count += 1
    host.booted_at = float(int(up_at))
    host.agent_version, host.agent_running, host.rebooting = "", True, False
    host.units.clear()
    host.starts.clear()
    host.unit_states.clear()
    host.runs.clear()
    for row in boxes.containers(host):
        if boxes.wanted(host, row) != row.image:
            boxes.start(host, row)
    host.written = {path: text for path, text in host.written.items() if not path.startswith(("/run/", "/tmp/"))}  # noqa: S108
    host.transaction = None
    for gone in (Fault.SESSION, Fault.STUCK_TRANSACTION):
        host.faults.pop(gone, None)
    if moved:
        host.faults.pop(Fault.FALLBACK, None)
    host.touched = True


def is_marked_good(host: Host, now: float, after_s: float) -> bool:
    """Whether Flatcar's update_engine has marked this boot as good, which it does some time after a first one."""
    return not host.first_boot_of_slot or host.uptime_s(now) > after_s


def _turn_back(host: Host, now: float) -> None:
    """A slot that was not marked as good had its one try."""
    if host.first_boot_of_slot and not is_marked_good(host, now, MARKED_AFTER_S) and not host.deployments[0].staged:
        host.deployments.sort(key=lambda row: row.key == host.booted_key)


def _kept(host: Host, old: Deployment) -> list[Deployment]:
    first = host.deployments[0]
    return [row for row in host.deployments if row is first or row is old or row.pinned]


def roll_back(host: Host, now: float) -> Deployment | None:
    """Swap the boot order. The new first deployment, or nothing when there is none to go back to."""
    pending, rollback = host.pending, host.rollback
    first = rollback or (host.booted if pending else None)
    if first is None:
        return None
    host.deployments = [first, *(row for row in host.deployments if row is not first)]
    host.order_at = now
    host.touched = True
    return first


def clean_up(host: Host, *, pending: bool, rollback: bool) -> int:
    """Drop the pending or the rollback deployments. Pinned ones stay. The number dropped."""
    at = host.deployments.index(host.booted)
    kept = [
        row
        for index, row in enumerate(host.deployments)
        if index == at or row.pinned or (index < at and not pending) or (index > at and not rollback)
    ]
    dropped = len(host.deployments) - len(kept)
    host.deployments = kept
    if host.deployments[0].key == host.booted_key:
        host.agent_version = ""
    host.touched = True
    return dropped


def agent_text(host: Host, now: float) -> str:
    """The StatusText of zincati.service."""
    if not host.agent_running:
        return ""
    if not host.agent_enabled:
        return "initialization complete, auto-updates logic disabled by configuration"
    pending = host.pending
    if pending and pending.staged and host.agent_version == pending.version:
        text = f"update staged: {pending.version}"
        if host.plan.strategy != "immediate":
            return text + "; reboot pending due to update strategy"
        if host.has(Fault.SESSION):
            return text + "; reboot delayed due to active user sessions"
        return text
    phase = seeds.number(host.seed, host.name, "phase") % CHECK_INTERVAL_S
    checked = max(host.booted_at + 30, now - (now + phase) % CHECK_INTERVAL_S)
    return f"periodically polling for updates (last checked {clock_text(checked)})"


def clock_text(at: float) -> str:
    """A time as systemd and Zincati write it."""
    return datetime.fromtimestamp(at, UTC).strftime("%a %Y-%m-%d %H:%M:%S UTC")


def iso_text(at: float) -> str:
    """A time as rpm-ostree writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
