"""One systemd unit: which may be restarted from afar, what the host says of it, and a restart that happens once."""

import re

from nodes.hosts.drivers.base import BOOT_CHANGED_STATUS, Command, CommandRefused

KINDS = ("service", "socket", "timer", "path")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9:_.\\@-]{0,199}")
_SHOWN = (
    "Id,LoadState,ActiveState,SubState,Result,ExecMainStatus,InvocationID,NRestarts,"
    "RefuseManualStart,RefuseManualStop,SuccessAction,FailureAction"
)
#: Whoever restarts these over the network may find no way back. A mistake in its settings keeps sshd down for good,
#: and nothing of it is seen before; the bus takes the sessions with it.
_CUTS_OFF = re.compile(
    r"(sshd?|sshd@.*|NetworkManager|systemd-networkd|systemd-logind|dbus|dbus-broker|user@.*|user-runtime-dir@.*)"
    r"\.(service|socket)"
)
#: These take the host down, or into another mode; or finish, at the wrong time, what belongs to a shutdown.
_STOPS_HOST = re.compile(
    r"(systemd-(reboot|poweroff|halt|kexec|soft-reboot|suspend|hibernate|hybrid-sleep|suspend-then-hibernate|exit)"
    r"|plymouth-(reboot|poweroff|halt|kexec)|emergency|rescue|initrd-.*|ostree-.*|ignition-.*|coreos-ignition-.*)\.service"
)
_OURS = re.compile(r"fleetui-.*")
# The invocation id changes with every start: a repeat finds another one, and does nothing. What systemctl says is
# printed, and the unit's own state decides.
_RESTART = (
    'now=$(systemctl show --property=InvocationID --value "$1"); [ "$now" = "$2" ] ||'
    ' { echo "the unit was started anew since this was decided" >&2; exit 75; };'
    ' systemctl restart "$1"; echo "systemctl restart ended with status $?"'
)
assert f"exit {BOOT_CHANGED_STATUS}" in _RESTART  # noqa: S101  (the statuses of both guards are the same)


def whole_name(name: str) -> str:
    """The name with its kind: a bare one is a service, as for systemctl."""
    return (
        name if name.rpartition(".")[2] in (*KINDS, "target", "mount", "slice", "scope", "swap") else f"{name}.service"
    )


def refusal(name: str) -> str:
    """Why a unit of this name is not restarted, as a code; empty when it may be."""
    if not _NAME.fullmatch(name):
        return "not_a_unit"
    if name.rpartition(".")[2] not in KINDS:
        return "unit_kind"
    if _CUTS_OFF.fullmatch(name):
        return "unit_cuts_off"
    if _STOPS_HOST.fullmatch(name):
        return "unit_stops_host"
    return "unit_ours" if _OURS.fullmatch(name) else ""


def _unit(params: dict[str, object]) -> str:
    name = params.pop("unit", None)
    if not isinstance(name, str) or refusal(name):
        raise CommandRefused("The parameter unit names a unit that may be restarted.")
    return name


def shown(params: dict[str, object]) -> Command:
    return Command(("systemctl", "show", f"--property={_SHOWN}", "--", _unit(params)), changes=False)


def restart(params: dict[str, object]) -> Command:
    """Restart the unit unless it was started anew since; without an invocation it is a plan, and shows the plain command."""
    name = _unit(params)
    invocation = params.pop("invocation", None)
    if invocation is None:
        return Command(("sudo", "-n", "systemctl", "restart", name), long=True)
    if not isinstance(invocation, str) or not re.fullmatch(r"[0-9a-f]{32}|", invocation):
        raise CommandRefused("An invocation id is 32 hexadecimal digits, or empty for a unit that does not run.")
    return Command(("sudo", "-n", "sh", "-c", _RESTART, "fleetui-unit", name, invocation), long=True)


def journal(params: dict[str, object]) -> Command:
    """The last lines that a unit wrote in this boot."""
    argv = ("sudo", "-n", "journalctl", "-b", "-u", _unit(params), "-n", "60", "-o", "cat", "-q", "--no-pager")
    return Command(argv, changes=False)
