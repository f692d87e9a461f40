"""The commands that change a Flatcar host. update_engine stages by itself; the GPT says what starts next."""

import re
from collections.abc import Callable, Mapping

from nodes.hosts.drivers import certbot_commands, kubeadm_commands, podman_commands, units
from nodes.hosts.drivers.base import Capability, Command, CommandRefused
from nodes.hosts.drivers.making import made, text
from nodes.hosts.drivers.ostree_commands import CAPABILITIES as ALL

_SUDO = ("sudo", "-n")
_ENGINE = "update-engine.service"
_LOCKSMITH = "locksmithd.service"
#: That locksmithd ran before it was held. /run forgets it at a restart, together with the mask.
HELD_FILE = "/run/fleetui-held-locksmithd"
_VERSION = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){1,3}")
_DEVICE = re.compile(r"/dev/[A-Za-z0-9/_.-]{1,100}")
# update_engine only forgets that it staged something; the GPT would start it all the same.
_DROP = 'cgpt prioritize "$(rootdev -s /usr)" && update_engine_client -reset_status'
# It ignores a request while something is staged, and calls that a success.
_UPDATE = f"{_DROP} && exec update_engine_client -update"
_UPDATE_TO = f'{_DROP} && exec flatcar-update --to-version "$1"'
_KEEP = 'exec cgpt prioritize "$(rootdev -s /usr)"'
_HOLD = 'systemctl is-active -q "$1" && touch "$2"; exec systemctl mask --runtime --now "$1"'
_RELEASE = 'systemctl unmask --runtime "$1" && if test -e "$2"; then systemctl start "$1" && rm -f "$2"; fi'

_NOT_HERE = "Flatcar has two fixed slots and no deployments to pin, layer or clean up."
_BY_ENGINE = "On Flatcar update_engine stages what its server offers, and nothing else."
_NO_ZINCATI = "Zincati is part of Fedora CoreOS only."
_NO_KARGS = "On Flatcar kernel arguments stand in grub.cfg, which FleetUI does not edit."
_CHECK = Capability(supported=True, changes=True)
_REASONS = {
    **dict.fromkeys(("pin", "unpin", "cleanup_rollback", "cleanup_old"), _NOT_HERE),
    **dict.fromkeys(("deploy", "rebase", "finalize"), _BY_ENGINE),
    **dict.fromkeys(("kargs", "kargs_set"), _NO_KARGS),
    **dict.fromkeys(("zincati_pause", "zincati_resume", "zincati_restart"), _NO_ZINCATI),
}
CAPABILITIES: Mapping[str, Capability] = {
    kind: _CHECK if kind == "check" else Capability(supported=False, reason=_REASONS[kind]) if kind in _REASONS else one
    for kind, one in ALL.items()
}


def make(kind: str, params: Mapping[str, object]) -> Command:
    """The argument list of one kind of command; refuses unknown kinds, unknown parameters and odd values."""
    return made("A Flatcar host", _MAKERS, kind, params)


def _script(text: str, *words: str, long: bool = False) -> Command:
    return Command((*_SUDO, "sh", "-c", text, "fleetui", *words), long=long)


def _check(_params: dict[str, object]) -> Command:
    """It returns at once; update_engine fetches and stages what it finds."""
    return Command((*_SUDO, "update_engine_client", "-check_for_update"))


def _upgrade(params: dict[str, object]) -> Command:
    """To what the update server of the host offers, or, with `version`, to that release."""
    version = text(params, "version", _VERSION)
    return _script(_UPDATE_TO, version, long=True) if version else _script(_UPDATE, long=True)


def _rollback(params: dict[str, object]) -> Command:
    device = text(params, "device", _DEVICE)
    if device is None:
        raise CommandRefused("A rollback names the partition to start from.")
    return Command((*_SUDO, "cgpt", "prioritize", device))


def _reboot(_params: dict[str, object]) -> Command:
    return Command((*_SUDO, "systemctl", "reboot"), expects_disconnect=True)


def _cancel(_params: dict[str, object]) -> Command:
    """update_engine refuses to reset while it works: only its own end stops a download."""
    return Command((*_SUDO, "systemctl", "restart", _ENGINE))


_MAKERS: Mapping[str, Callable[[dict[str, object]], Command]] = {
    "check": _check,
    "upgrade": _upgrade,
    "rollback": _rollback,
    "keep_order": lambda _params: _script(_KEEP),
    "reboot": _reboot,
    "cleanup_pending": lambda _params: _script(_DROP),
    "cancel": _cancel,
    "hold": lambda _params: _script(_HOLD, _LOCKSMITH, HELD_FILE),
    "release": lambda _params: _script(_RELEASE, _LOCKSMITH, HELD_FILE),
    "unit_shown": units.shown,
    "unit_restart": units.restart,
    "unit_journal": units.journal,
    # Podman and certbot are no part of Flatcar: they come with a sysext, and are looked for before anything is done.
    **podman_commands.MAKERS,
    **certbot_commands.MAKERS,
    **kubeadm_commands.MAKERS,
}
