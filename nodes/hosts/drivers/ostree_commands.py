"""The commands that change an rpm-ostree host. All need root, so they go through sudo without a question."""

import re
from collections.abc import Callable, Mapping

from nodes.hosts.drivers import certbot_commands, kernel_arguments, kubeadm_commands, podman_commands, units
from nodes.hosts.drivers.base import Capability, Command, CommandRefused, Fence
from nodes.hosts.drivers.making import made, text

UNCHANGED = frozenset({77})
PAUSE_FILE = "99-fleetui-pause.toml"
_SUDO = ("sudo", "-n")
_RPM_OSTREE = (*_SUDO, "rpm-ostree")
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+~-]{0,127}")
_CHECKSUM = re.compile(r"[0-9a-f]{64}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_IMAGE = re.compile(r"[a-z][a-z0-9-]{0,40}:[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,500}|ostree-image-signed:docker://\S{1,500}")
_PLACES = ("booted", "pending", "rollback")
#: An agent that cannot start, such as for a mistake in its settings, reads what it finds when it can.
_AGENT_READS = (
    'if systemctl try-restart zincati.service; then :; else test "$(systemctl is-active zincati.service)" != active; fi'
)
_PAUSE = (
    f'mkdir -p "$1" && printf "[updates]\\nenabled = false\\n" >"$1/$2.new" && mv "$1/$2.new" "$1/$2" && {_AGENT_READS}'
)
_RELEASE = f'rm -f "/run/zincati/config.d/$1" && {_AGENT_READS}'
_RESUME = 'rm -f "/etc/zincati/config.d/$1" "/run/zincati/config.d/$1" && systemctl restart zincati.service'

FENCE = Fence(
    kind="transient_unit",
    description=(
        "A long command runs as a systemd unit named after operation and step, which refuses a second start of the "
        "name and keeps its result; every changing command first checks the boot id."
    ),
)

CAPABILITIES: Mapping[str, Capability] = {
    "check": Capability(supported=True),
    "upgrade": Capability(supported=True),
    "deploy": Capability(supported=True),
    "rebase": Capability(supported=True),
    "finalize": Capability(supported=True, disruptive=True),
    "rollback": Capability(supported=True),
    "reboot": Capability(supported=True, disruptive=True),
    "pin": Capability(supported=True),
    "unpin": Capability(supported=True),
    "cleanup_pending": Capability(supported=True),
    "cleanup_rollback": Capability(supported=True),
    "cleanup_old": Capability(supported=True),
    "cancel": Capability(supported=True),
    "kargs": Capability(supported=True),
    "package_diff": Capability(supported=True),
    "kargs_set": Capability(supported=True),
    "unit_restart": Capability(supported=True, disruptive=True),
    "containers": Capability(supported=True, disruptive=True),
    "certbot": Capability(supported=True),
    "kubeadm": Capability(supported=True, disruptive=True),
    "hold": Capability(supported=True),
    "zincati_pause": Capability(supported=True),
    "zincati_resume": Capability(supported=True),
    "zincati_restart": Capability(supported=True),
}


def make(kind: str, params: Mapping[str, object]) -> Command:
    """The argument list of one kind of command; refuses unknown kinds, unknown parameters and odd values."""
    return made("An rpm-ostree host", _MAKERS, kind, params)


def _flag(params: dict[str, object], name: str) -> bool:
    value = params.pop(name, False)
    if not isinstance(value, bool):
        raise CommandRefused(f"The parameter {name} is true or false.")
    return value


def _texts(params: dict[str, object], name: str) -> tuple[str, ...]:
    value = params.pop(name, ())
    if not isinstance(value, list | tuple):
        raise CommandRefused(f"The parameter {name} is a list of kernel arguments.")
    if not all(isinstance(word, str) and not kernel_arguments.refusal(word) for word in value):
        raise CommandRefused(f"The parameter {name} holds a kernel argument that is not plain text, or protected.")
    return tuple(value)


def _staging(params: dict[str, object]) -> tuple[str, ...]:
    """FleetUI decides, so the driver's veto is passed by; `lock` holds the new deployment until it is finalized."""
    return ("--bypass-driver", "--unchanged-exit-77", *(("--lock-finalization",) if _flag(params, "lock") else ()))


def _check(_params: dict[str, object]) -> Command:
    # The driver refuses even this look while it is active.
    argv = (*_RPM_OSTREE, "upgrade", "--check", "--bypass-driver")
    return Command(argv, long=True, changes=False, unchanged_statuses=UNCHANGED)


def _upgrade(params: dict[str, object]) -> Command:
    return Command((*_RPM_OSTREE, "upgrade", *_staging(params)), long=True, unchanged_statuses=UNCHANGED)


def _deploy(params: dict[str, object]) -> Command:
    version, checksum = text(params, "version", _VERSION), text(params, "checksum", _CHECKSUM)
    digest = text(params, "digest", _DIGEST)
    wanted = [
        *([f"revision={checksum}"] if checksum else []),
        *([f"version={version}"] if version else []),
        *([digest] if digest else []),
    ]
    if len(wanted) != 1:
        raise CommandRefused("A deployment is named by exactly one of version, checksum and digest.")
    flags = _staging(params)
    if _flag(params, "disallow_downgrade"):
        flags += ("--disallow-downgrade",)
    return Command((*_RPM_OSTREE, "deploy", *flags, wanted[0]), long=True, unchanged_statuses=UNCHANGED)


def _rebase(params: dict[str, object]) -> Command:
    image, digest = text(params, "image", _IMAGE), text(params, "digest", _DIGEST)
    if image is None:
        raise CommandRefused("A rebase needs an image with its ostree prefix, such as ostree-image-signed:docker://.")
    # A reference that is pinned to a digest names it itself.
    words = (image, digest) if digest and "@" not in image else (image,)
    return Command((*_RPM_OSTREE, "rebase", *_staging(params), *words), long=True, unchanged_statuses=UNCHANGED)


def _finalize(params: dict[str, object]) -> Command:
    """Release a held deployment; the host restarts at once."""
    checksum = text(params, "checksum", _CHECKSUM)
    if checksum is None:
        raise CommandRefused("A finalization names the checksum of the staged deployment.")
    return Command((*_RPM_OSTREE, "finalize-deployment", checksum), expects_disconnect=True)


def _rollback(_params: dict[str, object]) -> Command:
    return Command((*_RPM_OSTREE, "rollback"))


def _reboot(_params: dict[str, object]) -> Command:
    return Command((*_SUDO, "systemctl", "reboot"), expects_disconnect=True)


def _pin(params: dict[str, object]) -> Command:
    return Command((*_SUDO, "ostree", "admin", "pin", _place(params)))


def _unpin(params: dict[str, object]) -> Command:
    return Command((*_SUDO, "ostree", "admin", "pin", "--unpin", _place(params)))


def _place(params: dict[str, object]) -> str:
    value = params.pop("deployment", None)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1000:
        return str(value)
    if value in _PLACES:
        return str(value)
    raise CommandRefused("A deployment to pin is an index, or booted, pending or rollback.")


def _cleanup_pending(_params: dict[str, object]) -> Command:
    return Command((*_RPM_OSTREE, "cleanup", "-p"))


def _cleanup_rollback(_params: dict[str, object]) -> Command:
    return Command((*_RPM_OSTREE, "cleanup", "-r"))


def _cleanup_old(_params: dict[str, object]) -> Command:
    """Temporary files and what is cached of package repositories; deployments stay."""
    return Command((*_RPM_OSTREE, "cleanup", "-b", "-m"))


def _cancel(_params: dict[str, object]) -> Command:
    return Command((*_RPM_OSTREE, "cancel"))


def _package_diff(params: dict[str, object]) -> Command:
    """The packages of two commits that are on the host. It only reads, and needs no root."""
    before, after = text(params, "before", _CHECKSUM), text(params, "after", _CHECKSUM)
    if before is None or after is None:
        raise CommandRefused("A comparison of packages names the checksums before and after.")
    return Command(("rpm-ostree", "db", "diff", before, after), changes=False)


def _kargs(_params: dict[str, object]) -> Command:
    return Command(("rpm-ostree", "kargs"), changes=False)


def _kargs_set(params: dict[str, object]) -> Command:
    changes = [
        f"--{option}={word}"
        for name, option in (("delete", "delete-if-present"), ("replace", "replace"), ("append", "append-if-missing"))
        for word in _texts(params, name)
    ]
    if not changes:
        raise CommandRefused("A change of kernel arguments names what to append, to delete or to replace.")
    flags = ("--unchanged-exit-77", *(("--lock-finalization",) if _flag(params, "lock") else ()))
    return Command((*_RPM_OSTREE, "kargs", *flags, *changes), long=True, unchanged_statuses=UNCHANGED)


def _zincati_pause(_params: dict[str, object]) -> Command:
    """Switch automatic updates off by a settings file, until they are resumed."""
    return Command((*_SUDO, "sh", "-c", _PAUSE, "fleetui", "/etc/zincati/config.d", PAUSE_FILE))


def _hold(_params: dict[str, object]) -> Command:
    """Likewise, by a file that the next boot forgets."""
    return Command((*_SUDO, "sh", "-c", _PAUSE, "fleetui", "/run/zincati/config.d", PAUSE_FILE))


def _release(_params: dict[str, object]) -> Command:
    """End a hold. What somebody paused stays paused, and what somebody stopped stays stopped."""
    return Command((*_SUDO, "sh", "-c", _RELEASE, "fleetui", PAUSE_FILE))


def _zincati_resume(_params: dict[str, object]) -> Command:
    return Command((*_SUDO, "sh", "-c", _RESUME, "fleetui", PAUSE_FILE))


def _zincati_restart(_params: dict[str, object]) -> Command:
    return Command((*_SUDO, "systemctl", "restart", "zincati.service"))


_MAKERS: Mapping[str, Callable[[dict[str, object]], Command]] = {
    "check": _check,
    "upgrade": _upgrade,
    "deploy": _deploy,
    "rebase": _rebase,
    "finalize": _finalize,
    "rollback": _rollback,
    "keep_order": _rollback,
    "reboot": _reboot,
    "pin": _pin,
    "unpin": _unpin,
    "cleanup_pending": _cleanup_pending,
    "cleanup_rollback": _cleanup_rollback,
    "cleanup_old": _cleanup_old,
    "cancel": _cancel,
    "kargs": _kargs,
    "package_diff": _package_diff,
    "kargs_set": _kargs_set,
    "unit_shown": units.shown,
    "unit_restart": units.restart,
    "unit_journal": units.journal,
    **podman_commands.MAKERS,
    **certbot_commands.MAKERS,
    **kubeadm_commands.MAKERS,
    "hold": _hold,
    "release": _release,
    "zincati_pause": _zincati_pause,
    "zincati_resume": _zincati_resume,
    "zincati_restart": _zincati_restart,
}
