"""An instance announces itself: a new node, a known one that moved, or one that comes back after it was retired for absence."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Q

from fleetui.audit.log import Entry, append
from fleetui.core.addresses import is_loopback
from fleetui.core.errors import InvalidInput
from nodes.hosts.machine_id import MACHINE_ID, derived_id
from nodes.hosts.ssh import HostKey as SshHostKey
from nodes.models import EnrolmentToken, HostKey, Node, TimelineEvent
from nodes.services import changes as rows
from nodes.services.enrolment import refusals
from nodes.services.enrolment.tokens import require_usable
from nodes.services.generations import forget_machine, next_generation
from nodes.services.lifecycle import retired_for_absence
from nodes.services.nodes import checked_address, checked_family
from nodes.services.search import search_text
from nodes.services.silence import HEARD

MAX_KEYS = 8
#: The key that is pinned when a host announces several: the one that contacts ask for first.
_ORDER = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
)
_TRIES = 3


@dataclass(frozen=True)
class Announcement:
    """What an instance says of itself. `machine_id` is derived already; `address` may be the one it was seen from."""

    name: str
    address: str
    port: int
    machine_id: str
    keys: tuple[SshHostKey, ...]
    os_family: str = ""

    @property
    def key(self) -> SshHostKey:
        return min(self.keys, key=lambda key: _ORDER.index(key.type) if key.type in _ORDER else len(_ORDER))

    @classmethod
    def read(
        cls,
        *,
        name: str,
        address: str,
        port: int,
        machine_id: str,
        host_keys: Sequence[str],
        os_family: str,
        client_address: str,
    ) -> Announcement:
        """Check what was sent; raises InvalidInput for the first field that cannot be used."""
        return cls(
            name=_name(name),
            address=_address(address, client_address),
            port=port,
            machine_id=_machine_id(machine_id),
            keys=_keys(host_keys),
            os_family=checked_family(os_family, "os_family"),
        )


@dataclass(frozen=True)
class Enrolled:
    """What came of it: enrolled, known, moved, restored (the same machine) or replaced (another one behind the name)."""

    outcome: str
    node: Node
    fingerprint: str


class _Meanwhile(Exception):
    """Somebody else wrote the node since it was read."""


def announce(*, token: EnrolmentToken, said: Announcement, client_address: str, now: datetime) -> Enrolled:
    """Take an announcement. The same one a second time changes nothing. Raises EnrolmentRefused."""
    require_usable(token, address=client_address, now=now)
    for _number in range(_TRIES):
        node = Node.objects.select_related("pool__cluster", "credential").filter(name=said.name).first()
        # Two announcements of one machine at once: whoever comes second finds the node of the first.
        with suppress(_Meanwhile, IntegrityError):
            return _admit(token, said, now) if node is None else _known(token, node, said, now)
    raise refusals.busy(said.name)


def _admit(token: EnrolmentToken, said: Announcement, now: datetime) -> Enrolled:
    """A machine of a new name."""
    node = Node(
        name=said.name,
        address=said.address,
        port=said.port,
        pool=token.pool,
        os_family_given=said.os_family,
        enrolment=token,
        enrolled_at=now,
        machine_id=said.machine_id,
        created_at=now,
        poll_due_at=now,
        poll_requested_at=now,
        reachability_since=now,
        health_since=now,
        update_state_since=now,
    )
    rows.checked(node)
    node.search_text = search_text(node)
    with transaction.atomic():
        _count(token, now)
        node.save(force_insert=True)
        _pin(node, said, token, now)
        _event(node, "node_enrolled", token, now, by=token.name, fingerprint=said.key.fingerprint)
        after = {"pool": token.pool.name, **_shown(said)}
        append([Entry(refusals.actor_of(token), "nodes.enrol", f"node:{node.name}", after=after)])
    return Enrolled("enrolled", node, said.key.fingerprint)


def _known(token: EnrolmentToken, node: Node, said: Announcement, now: datetime) -> Enrolled:
    if node.pool_id != token.pool_id or node.enrolled_at is None:
        raise refusals.name_taken(said.name)
    pinned = HostKey.objects.filter(node=node, state="pinned").first()
    has_key = pinned is not None and any(key.fingerprint == pinned.fingerprint for key in said.keys)
    same_machine = node.machine_id in ("", said.machine_id)
    if node.lifecycle == "retired":
        if not retired_for_absence(node):
            raise refusals.retired_by_people(said.name)
        return _restore(token, node, said, now) if has_key and same_machine else _replace(token, node, said, now)
    if not has_key:
        raise refusals.other_key(said.name)
    if not same_machine:
        raise refusals.other_machine(said.name)
    assert pinned is not None  # noqa: S101  (has_key says so)
    if (node.address, node.port) == (said.address, said.port):
        return Enrolled("known", node, pinned.fingerprint)
    before = {"address": node.address, "port": node.port}
    with transaction.atomic():
        _write(node, _place(node, said, now), now)
        after = {"address": said.address, "port": said.port}
        _event(node, "address_changed", token, now, before=_spelled(before), after=_spelled(after))
        append([Entry(refusals.actor_of(token), "nodes.enrol_moved", f"node:{node.name}", before=before, after=after)])
    return Enrolled("moved", node, pinned.fingerprint)


def _restore(token: EnrolmentToken, node: Node, said: Announcement, now: datetime) -> Enrolled:
    """The same machine after an absence: the same node, of the same generation. It was admitted before."""
    with transaction.atomic():
        _write(node, {**_place(node, said, now), **_in_service(token, now)}, now)
        _event(node, "node_enrolled_again", token, now, by=token.name)
        _append_return(token, node, said, "restored")
    return Enrolled("restored", node, said.key.fingerprint)


def _replace(token: EnrolmentToken, node: Node, said: Announcement, now: datetime) -> Enrolled:
    """Another machine under the name of one that is gone: the next generation, with its own key and no old facts."""
    columns = {
        **next_generation(node, now),
        **_place(node, said, now),
        **_in_service(token, now),
        "machine_id": said.machine_id,
        "os_family_given": said.os_family,
    }
    with transaction.atomic():
        _count(token, now)
        _write(node, columns, now)
        forget_machine(node, now)
        _pin(node, said, token, now)
        _event(node, "generation_raised", token, now, generation=node.generation)
        _append_return(token, node, said, "replaced")
    return Enrolled("replaced", node, said.key.fingerprint)


def _write(node: Node, columns: dict[str, Any], now: datetime) -> None:
    """Compare-and-swap on the revision; the node in hand gets the new values."""
    for name, value in columns.items():
        setattr(node, name, value)
    columns = {**columns, "search_text": search_text(node), "revision": F("revision") + 1}
    if not Node.objects.filter(pk=node.pk, revision=node.revision).update(**columns):
        raise _Meanwhile
    node.revision += 1


def _place(node: Node, said: Announcement, now: datetime) -> dict[str, Any]:
    found: dict[str, Any] = {
        "address": said.address,
        "port": said.port,
        "poll_due_at": now,
        "poll_requested_at": now,
        **HEARD,
    }
    return found if node.machine_id else {**found, "machine_id": said.machine_id}


def _in_service(token: EnrolmentToken, now: datetime) -> dict[str, Any]:
    """Back in service; what failed before says nothing of the machine that has just announced itself."""
    return {
        "lifecycle": "active",
        "lifecycle_reason": "",
        "lifecycle_since": now,
        "maintenance_until": None,
        "enrolment": token,
        "enrolled_at": now,
        "failures": 0,
        "failing_since": None,
        **HEARD,
        "last_error_kind": "",
        "last_error_params": {},
        "poll_lease": None,
        "poll_lease_until": None,
    }


def _count(token: EnrolmentToken, now: datetime) -> None:
    """Take one of the token's places; in the same statement in which it is asked whether there is one left."""
    free = Q(max_uses=None) | Q(uses__lt=F("max_uses"))
    usable = EnrolmentToken.objects.filter(free, pk=token.pk, revoked_at=None, expires_at__gt=now)
    if not usable.update(uses=F("uses") + 1, last_used_at=now):
        token.refresh_from_db()
        require_usable_still(token, now)
        raise refusals.used_up(token)


def require_usable_still(token: EnrolmentToken, now: datetime) -> None:
    """What changed since the token was presented."""
    if token.revoked_at:
        raise refusals.revoked(token)
    if token.expires_at <= now:
        raise refusals.expired(token)


def _pin(node: Node, said: Announcement, token: EnrolmentToken, now: datetime) -> None:
    HostKey.pinned(node, said.key, by=refusals.actor_of(token), now=now).save(force_insert=True)


def _event(node: Node, kind: str, token: EnrolmentToken, now: datetime, **params: Any) -> None:
    actor = refusals.actor_of(token)[:200]
    TimelineEvent.objects.create(node=node, at=now, kind=kind, params=params, actor=actor, generation=node.generation)


def _append_return(token: EnrolmentToken, node: Node, said: Announcement, outcome: str) -> None:
    after = {"outcome": outcome, "generation": node.generation, **_shown(said)}
    append([Entry(refusals.actor_of(token), "nodes.enrol", f"node:{node.name}", after=after)])


def _shown(said: Announcement) -> dict[str, Any]:
    return {"address": said.address, "port": said.port, "host_key": said.key.fingerprint}


def _spelled(place: dict[str, Any]) -> str:
    host = f"[{place['address']}]" if ":" in place["address"] else place["address"]
    return f"{host}:{place['port']}"


def _name(name: str) -> str:
    found = name.strip()
    if found.lower() in ("localhost", "localhost.localdomain"):
        raise InvalidInput(
            "The machine has no host name of its own yet.",
            field="name",
            value=name,
            mend="Set /etc/hostname, or let DHCP or the cloud's metadata give one, and announce again.",
        )
    return found


def _address(address: str, client_address: str) -> str:
    if not address and not client_address:
        raise InvalidInput("The address of the machine is not known.", field="address", mend="Send it as address.")
    found = checked_address(address or client_address)
    if found != client_address and not _reachable(found, client_address):
        raise InvalidInput(
            f"{found} is no address at which FleetUI could reach the machine.",
            field="address",
            value=address,
            mend="Send the address that the FleetUI machine reaches, or none: then the one it comes from is used.",
        )
    return found


def _reachable(address: str, client_address: str) -> bool:
    """Not this machine itself, nor one that has no single place: a token holder does not point FleetUI at those."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address.lower().rstrip(".") != "localhost" or is_loopback(client_address)
    # ::ffff:127.0.0.1 is this machine too, which Python does not say before 3.13.
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.is_loopback:
        return is_loopback(client_address)
    return not (ip.is_unspecified or ip.is_multicast or ip.is_link_local)


def _machine_id(text: str) -> str:
    found = text.strip().replace("-", "").lower()
    if not MACHINE_ID.fullmatch(found) or set(found) == {"0"}:
        raise InvalidInput(
            "The machine id is not one.", field="machine_id", mend="Send what /etc/machine-id holds: 32 hex digits."
        )
    return derived_id(found)


def _keys(lines: Sequence[str]) -> tuple[SshHostKey, ...]:
    if not 1 <= len(lines) <= MAX_KEYS:
        raise InvalidInput(
            f"{len(lines)} host keys were sent.", field="host_key", mend=f"Send 1 to {MAX_KEYS}, a line each."
        )
    found = []
    for line in lines:
        try:
            found.append(SshHostKey.parse(line))
        except ValueError as error:
            raise InvalidInput(
                "The host key cannot be read.",
                field="host_key",
                value=line,
                mend="Send type and key as in /etc/ssh/ssh_host_ed25519_key.pub.",
            ) from error
    return tuple(found)
