"""Certbot on a host: what it has, and a renewal. It runs as root, by whatever `certbot` on the path of the host is."""

import re
from collections.abc import Callable, Mapping

from nodes.certificates.places import BLOCKS
from nodes.hosts.drivers.base import Command, CommandRefused
from nodes.hosts.drivers.units import refusal

_SUDO = ("sudo", "-n")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
#: What is printed of a certbot that is not there.
ABSENT = "absent"
# The first line says which certbot it is; the rest is what lies in its folder, without any key.
_SHOWN = (
    "if command -v certbot >/dev/null 2>&1; then certbot --version 2>&1 | head -n 1; else echo absent; fi;"
    ' head -c 262144 -- "/etc/letsencrypt/live/$1/fullchain.pem" 2>/dev/null | ' + BLOCKS
)


def is_name(value: object) -> bool:
    """Whether this may be the name of a certificate of Certbot: that of its folder."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None and ".." not in value


def _certificate(params: dict[str, object]) -> str:
    value = params.pop("certificate", None)
    if not is_name(value):
        raise CommandRefused("The parameter certificate is the name of a certificate of Certbot.")
    return str(value)


def _shown(params: dict[str, object]) -> Command:
    argv = (*_SUDO, "sh", "-c", _SHOWN, "fleetui-certbot", _certificate(params))
    return Command(argv, changes=False)


def _renew(params: dict[str, object]) -> Command:
    """Certbot itself decides whether it is due, unless `force`. Without a terminal it would sleep for up to 8 minutes."""
    name, force = _certificate(params), params.pop("force", False)
    argv = (*_SUDO, "certbot", "renew", "--cert-name", name, "--non-interactive", "--no-random-sleep-on-renew")
    return Command((*argv, *(("--force-renewal",) if force else ())), long=True)


def _reload(params: dict[str, object]) -> Command:
    """So that what serves the certificate takes the new one; a unit that cannot reload is restarted."""
    unit = params.pop("unit", None)
    if not isinstance(unit, str) or refusal(unit) or not unit.endswith(".service"):
        raise CommandRefused("The parameter unit names a service that may be restarted.")
    return Command((*_SUDO, "systemctl", "reload-or-restart", unit), long=True)


MAKERS: Mapping[str, Callable[[dict[str, object]], Command]] = {
    "certbot_shown": _shown,
    "certbot_renew": _renew,
    "certbot_reload": _reload,
}
