"""The systemd units of a host."""

from __future__ import annotations

from dataclasses import dataclass, replace

from simfleet import boxes, seeds
from simfleet.model import Fault, Host
from simfleet.transitions import agent_text


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit as systemctl shows it."""

    name: str
    description: str
    load: str = "loaded"
    active: str = "active"
    sub: str = "running"
    enabled: str = "enabled"
    result: str = "success"
    status_text: str = ""
    exit_status: int = 0
    main_pid: int = 0
    invocation: str = ""

    def properties(self) -> dict[str, str]:
        """Names and values."""
        return {
            "Type": "notify" if self.name == "zincati.service" else "simple",
            "MainPID": str(self.main_pid),
            "StatusText": self.status_text,
            "Result": self.result,
            "NRestarts": "0",
            "ExecMainStatus": str(self.exit_status),
            "ExecMainCode": "0" if self.main_pid or self.active == "inactive" else "1",
            "InvocationID": self.invocation,
            "RefuseManualStart": "no",
            "RefuseManualStop": "no",
            "SuccessAction": "none",
            "FailureAction": "none",
            "Id": self.name,
            "Names": self.name,
            "Description": self.description,
            "LoadState": self.load,
            "ActiveState": self.active,
            "SubState": self.sub,
            "UnitFileState": self.enabled,
        }


BROKEN = (
    ("backup-snapshot.service", "Nightly snapshot to the backup store"),
    ("log-shipper.service", "Ship the journal to the log store"),
    ("certificate-renewal.service", "Renew the certificates of this host"),
)
PLAIN = {
    "sshd.service": ("OpenSSH server daemon", "active", "running", "enabled"),
    "chronyd.service": ("NTP client/server", "active", "running", "enabled"),
    "podman.socket": ("Podman API Socket", "active", "listening", "enabled"),
    "podman.service": ("Podman API Service", "inactive", "dead", "disabled"),
    "docker.service": ("Docker Application Container Engine", "inactive", "dead", "disabled"),
    "docker.socket": ("Docker Socket for the API", "active", "listening", "enabled"),
    "rpm-ostreed.service": ("rpm-ostree System Management Daemon", "active", "running", "static"),
    "systemd-journald.service": ("Journal Service", "active", "running", "static"),
}


def broken_unit(host: Host) -> Unit | None:
    """The unit that failed, when one did."""
    if not host.has(Fault.FAILED_UNIT):
        return None
    name, description = BROKEN[seeds.number(host.seed, host.name, "broken") % len(BROKEN)]
    return Unit(name, description, active="failed", sub="failed", result="exit-code", exit_status=1)


def _zincati(host: Host, now: float) -> Unit:
    if not host.agent_running:
        return Unit("zincati.service", "Zincati Update Agent", active="inactive", sub="dead")
    return Unit("zincati.service", "Zincati Update Agent", status_text=agent_text(host, now), main_pid=1816)


def _finalize(host: Host) -> Unit:
    staged = host.deployments[0].staged
    return Unit(
        "ostree-finalize-staged.service",
        "OSTree Finalize Staged Deployment",
        active="active" if staged else "inactive",
        sub="exited" if staged else "dead",
        enabled="static",
    )


_FLATCAR_LACKS = ("zincati.service", "ostree-", "rpm-ostreed.service", "podman.", "chronyd.service")


def _flatcar_unit(host: Host, name: str) -> Unit | None:
    """The units in which Flatcar differs."""
    if name == "update-engine.service":
        return Unit(name, "Update Engine", enabled="enabled", main_pid=1424)
    if name == "locksmithd.service":
        runs = host.plan.strategy != "off"
        return Unit(
            name, "Cluster reboot manager", "loaded", *(("active", "running") if runs else ("inactive", "dead"))
        )
    if name == "docker.service":
        return Unit(name, "Docker Application Container Engine", main_pid=1610)
    if name.startswith(_FLATCAR_LACKS):
        return Unit(name, name, load="not-found", active="inactive", sub="dead", enabled="")
    return None


def unit(host: Host, name: str, now: float) -> Unit:
    """The unit of that name; one that does not exist is not-found. Every start has an invocation id of its own."""
    name = name if "." in name else name + ".service"
    found = _unit(host, name, now)
    if found.load == "loaded" and (state := host.unit_states.get(name)):
        sub = {"active": "running", "masked": "dead"}.get(state, "dead")
        load = "masked" if state == "masked" else "loaded"
        sub, result = ("failed", "exit-code") if state == "failed" else (sub, found.result)
        found = replace(found, load=load, active="inactive" if state == "masked" else state, sub=sub, result=result)
    starts = host.starts.get(name, 0)
    if found.load == "not-found" or (found.active == "inactive" and not starts):
        return found
    return replace(found, invocation=seeds.machine_hex(host.seed, host.name, name, host.boot_count, starts))


def _unit(host: Host, name: str, now: float) -> Unit:
    if host.plan.os == "flatcar" and (found := _flatcar_unit(host, name)):
        return found
    if name == "zincati.service":
        return _zincati(host, now)
    if name == "ostree-finalize-staged.service":
        return _finalize(host)
    if name == "ostree-boot-complete.service":
        return Unit(name, "OSTree Complete Boot", active="inactive", sub="dead", enabled="static")
    transient = host.units.get(name)
    if transient:
        status = transient.exit_status or 0
        return Unit(
            name,
            transient.description,
            active=transient.active,
            sub=transient.sub,
            enabled="transient",
            result=transient.result,
            exit_status=status,
            main_pid=0 if transient.exit_status is not None else 9001,
        )
    broken = broken_unit(host)
    if broken and broken.name == name:
        return broken
    if name == "kubelet.service" and host.plan.role.startswith("k8s"):
        return Unit(name, "kubelet: The Kubernetes Node Agent", main_pid=1702)
    if row := boxes.of_unit(host, name):
        state = ("active", "running") if row.state == "running" else ("inactive", "dead")
        return Unit(name, f"Container {row.name}", active=state[0], sub=state[1], enabled="generated")
    if name in PLAIN:
        description, active, sub, enabled = PLAIN[name]
        return Unit(name, description, active=active, sub=sub, enabled=enabled)
    return Unit(name, name, load="not-found", active="inactive", sub="dead", enabled="")


def failed_units(host: Host) -> list[Unit]:
    """All units in the state failed."""
    broken = broken_unit(host)
    rows = [broken] if broken else []
    rows += [unit(host, name, 0.0) for name, row in host.units.items() if row.active == "failed"]
    rows += [unit(host, name, 0.0) for name, state in host.unit_states.items() if state == "failed"]
    return rows
