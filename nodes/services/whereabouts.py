"""By what the host of a node is found and spoken to: it stays as it is while another app works on that host."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping

from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal
from fleetui.core.errors import Conflict
from nodes.models import JumpHost, KnownDistinct, Node, Pool

#: With another value the next command might go to another machine, or be put in words of another system.
WHEREABOUTS = ("address", "port", "jump_host", "os_family_given")

Guard = Callable[[Collection[uuid.UUID]], Mapping[uuid.UUID, str]]
_GUARDS: list[Guard] = []


def guard_whereabouts(guard: Guard) -> None:
    """Called from an AppConfig.ready by apps that work on hosts.

    guard(ids of nodes) -> of those that are worked on now, what is under way, as a sentence. It is asked in the
    transaction of the change, once for many nodes.
    """
    if guard not in _GUARDS:
        _GUARDS.append(guard)


def worked_on(nodes: Collection[uuid.UUID]) -> dict[uuid.UUID, str]:
    """What is under way on those of the nodes that somebody works on."""
    found: dict[uuid.UUID, str] = {}
    for guard in _GUARDS:
        found.update(guard(nodes))
    return found


def until_its_end() -> str:
    """What to do instead."""
    return _("Address, port, jump host and OS family stay until it has ended: wait for its end, or cancel it.")


def require_still(node: Node, changed: Collection[str]) -> None:
    """Refuse a change of where the node's host is while somebody works on it."""
    field = next((name for name in WHEREABOUTS if name in changed), None)
    if field is None:
        return
    why = worked_on([node.pk]).get(node.pk)
    if why:
        raise Conflict(why, field=field, value=str(getattr(node, field)), mend=until_its_end())


def require_idle(node: Node) -> None:
    """Refuse to forget a node while somebody works on its host: what was begun there could not be taken back any more."""
    if why := worked_on([node.pk]).get(node.pk):
        raise Conflict(why, mend=until_it_may_go())


def until_it_may_go() -> str:
    return _("It can be deleted when that has ended: wait for its end, or cancel it.")


class AddressTaken(Conflict):
    """Another node in service stands for the same address and port, reached the same way."""


def require_free_address(
    *, address: str, port: int, pool: Pool | None, jump_host: JumpHost | None, actor: Principal, but: Node | None = None
) -> None:
    """Refuse a second name for a place that a node in service has, as far as the actor sees it.

    One machine under two names is counted, polled and updated twice. What was said to be different machines is no such case.
    """
    way = jump_host.pk if jump_host else pool.jump_host_id if pool else None
    rows = Node.objects.visible_to(actor).counted().filter(address__iexact=address, port=port)
    rows = rows.annotate(via=Coalesce("jump_host_id", "pool__jump_host_id"))
    rows = rows.filter(via=way) if way else rows.filter(via=None)
    if but is not None:
        rows = rows.exclude(pk=but.pk)
    other = rows.order_by("name").first()
    if other is None or KnownDistinct.objects.filter(kind="address", value=f"{address}:{port}").exists():
        return
    raise AddressTaken(
        _("The node %(name)s has this address and port already.") % {"name": other.name},
        field="address",
        value=address,
        mend=_("One machine under two names is counted and updated twice. If these are different machines, say so."),
    )
