"""TLS endpoints: host and port that an admin wants looked at. FleetUI connects to no other."""

from __future__ import annotations

import ipaddress
import re
from datetime import datetime
from typing import Final

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict, InvalidInput, NotAllowed
from nodes.models import CertificateSource, Pool
from nodes.services.nodes import require_on

#: Whoever may change a pool says what is looked at for it; without a pool, whoever may change all of them.
PERMISSION: Final = "pools.write"
_NAME = re.compile(r"^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?$")

_TITLE = re.compile(r"(?P<host>[^\s()]+):(?P<port>[0-9]{1,5})(?: \((?P<name>[^\s()]+)\))?")


def read_title(text: str) -> tuple[str, int, str]:
    """Host, port and server name of an endpoint by its title, HOST:PORT or HOST:PORT (SERVER NAME). Raises ValueError."""
    found = _TITLE.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError("It is no HOST:PORT.")
    return found["host"].strip("[]"), int(found["port"]), found["name"] or ""


def add_endpoint(
    *, host: str, port: int = 443, server_name: str = "", pool: Pool | None, actor: Principal, now: datetime
) -> CertificateSource:
    """Look at an endpoint from now on. `server_name` is what is asked for there, where it is another than the host."""
    require_on(actor, PERMISSION, pool)
    host, server_name = checked_host(host, "host"), checked_host(server_name, "server_name") if server_name else ""
    if not 1 <= port <= 65535:
        raise InvalidInput(
            _("%(value)s is no port.") % {"value": port}, field="port", value=port, mend=_("Give 1 to 65535.")
        )
    row = CertificateSource(
        kind="endpoint", host=host, port=port, server_name="" if server_name == host else server_name, pool=pool
    )
    row.due_at = row.requested_at = row.created_at = now
    with transaction.atomic():
        # Its own one is the same: then it is the one that somebody asked for.
        CertificateSource.objects.filter(kind="own", host=host, port=port, server_name=row.server_name).delete()
        try:
            with transaction.atomic():
                row.save(force_insert=True)
        except IntegrityError:
            raise Conflict(
                _("%(endpoint)s is looked at already.") % {"endpoint": row.title},
                mend=_("Use the one that is there, or delete it first."),
            ) from None
        after = {"pool": pool.name if pool else None, "server_name": row.server_name}
        append([Entry(str(actor), "certificates.add_endpoint", f"endpoint:{row.title}", after=after)])
    return row


def checked_host(text: str, field: str) -> str:
    """A name or an address, as it is connected to."""
    host = text.strip().strip("[]").lower()
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    if not _NAME.match(host) or re.fullmatch(r"[0-9.]+", host):
        raise InvalidInput(
            _("%(value)r is neither a host name nor an IP address.") % {"value": text[:100]},
            field=field,
            value=text[:100],
            mend=_("Write it without https:// and without a path, such as web.example.org."),
        )
    return host.rstrip(".")


def delete_endpoint(*, endpoint: CertificateSource, actor: Principal) -> None:
    """Look at it no more, and forget what was found there."""
    require_on(actor, PERMISSION, endpoint.pool)
    if endpoint.kind != "endpoint":
        raise NotAllowed(
            _("%(endpoint)s is the address of FleetUI itself.") % {"endpoint": endpoint.title},
            mend=_("It follows FLEETUI_TRUSTED_ORIGINS."),
        )
    with transaction.atomic():
        if CertificateSource.objects.filter(pk=endpoint.pk).delete()[0]:
            before = {"pool": endpoint.pool.name if endpoint.pool else None, "server_name": endpoint.server_name}
            append([Entry(str(actor), "certificates.delete_endpoint", f"endpoint:{endpoint.title}", before=before)])


def may_change(actor: Principal) -> bool:
    return actor.may_somewhere(PERMISSION)
