"""The etcd of simulated control planes: a member on each host of the pool, which one of them can be told to remove."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

from simfleet.answers.base import Answer, Call, fail, say
from simfleet.answers.kubeadm import is_control_plane
from simfleet.model import Fault, Host

#: The machine whose member was removed. A new machine has another id, and joins when it has come up.
REMOVED = "/var/lib/etcd/removed"
CHANGED_STATUS = 72


def _id(host: Host) -> int:
    return int(host.machine_id[:15], 16) or 1


def _peer(host: Host) -> str:
    return f"https://{host.address}:2380"


def _members(call: Call) -> list[Host]:
    planes = [one for one in call.world.beside(call.host) if is_control_plane(one)]
    return [one for one in planes if one.written.get(REMOVED) != one.machine_id]


def _is_well(host: Host, now: float) -> bool:
    return not host.rebooting and host.down_until <= now and not host.has(Fault.UNREACHABLE)


async def _look(call: Call) -> Answer:
    """`sh -c SCRIPT fleetui-etcd-members`: as the script of ops.replacement.etcd prints it."""
    lines = [f"boot {call.host.boot_id}"]
    if not is_control_plane(call.host):
        return say("\n".join([*lines, "etcd none", "end", ""]))
    members, own = _members(call), _id(call.host)
    status = [{"Endpoint": "https://127.0.0.1:2379", "Status": {"header": {"member_id": own}}}]
    clients = {one.name: f"https://{one.address}:2379" for one in members}
    health = [{"endpoint": clients[one.name], "health": _is_well(one, call.now)} for one in members]
    told = [
        {"ID": _id(one), "name": one.hostname, "peerURLs": [_peer(one)], "clientURLs": [clients[one.name]]}
        for one in members
    ]
    lines += ["etcd stacked", f"status {json.dumps(status)}", f"health {json.dumps(health)}", "said "]
    return say("\n".join([*lines, f"members {json.dumps({'members': told})}", "end", ""]))


async def _remove(call: Call) -> Answer:
    """`sh -c SCRIPT fleetui-etcd-remove ID PEERS`."""
    wanted, peers = call.args[3:5]
    found = next((one for one in _members(call) if f"{_id(one):x}" == wanted), None)
    if found is None:
        return say(f"there is no member {wanted}\n")
    if _peer(found) != peers:
        return fail(f"the member {wanted} has the peer addresses {_peer(found)}, and not {peers}", CHANGED_STATUS)
    found.written[REMOVED] = found.machine_id
    call.world.changed(found)
    return say(f"Member {wanted} removed from cluster c0ffee\n")


#: Scripts by the name that they are given.
OF_ETCD: dict[str, Callable[[Call], Awaitable[Answer]]] = {
    "fleetui-etcd-members": _look,
    "fleetui-etcd-remove": _remove,
}
