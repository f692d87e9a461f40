"""The control planes beside a node, asked one after the other what etcd consists of; and what that means for taking one away."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final, Protocol, TypeVar

from fleetui.core.text import clean
from nodes.hosts.drivers.base import Command
from nodes.hosts.errors import HostError
from nodes.hosts.ssh import CommandResult
from ops.preflight import Check
from ops.replacement.etcd import (
    Etcd,
    Identity,
    Member,
    Unclear,
    is_elsewhere,
    look_command,
    member_of,
    read,
    votes,
)

#: A step has 30 s for everything.
ASKING_S: Final = 15.0
NAMES_TOLD: Final = 5


class Runs(Protocol):
    def run(self, command: Command) -> CommandResult: ...


Host = TypeVar("Host", bound=Runs)


@dataclass(frozen=True)
class Asked:
    """What was learned, and `by` whom. `found` that is not sure is all that there was. `silent`: who did not tell, and why."""

    by: str = ""
    found: Etcd | None = None
    silent: Sequence[tuple[str, str]] = field(default_factory=tuple)

    @property
    def is_told(self) -> bool:
        return self.found is not None and (self.found.kind != "stacked" or self.found.is_sure)

    @property
    def params(self) -> dict[str, Any]:
        """Who was asked in vain, and what the last one said."""
        names = [name for name, _why in self.silent]
        return {"names": ", ".join(names[:NAMES_TOLD]), "said": self.silent[-1][1] if self.silent else ""}


def ask(names: Sequence[str], opened: Callable[[str], AbstractContextManager[Host]]) -> Asked:
    """The first whose own member is well tells; where none is, what the first one knew that has a list at all."""
    silent: list[tuple[str, str]] = []
    second: tuple[str, Etcd] | None = None
    began = monotonic()
    for name in names:
        if monotonic() - began > ASKING_S:
            silent.append((name, ""))
            continue
        try:
            with opened(name) as host:
                result = host.run(look_command())
        except HostError as error:
            silent.append((name, error.message))
            continue
        found = read(result.stdout)
        if found is None:
            last = [line.strip() for line in result.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
            silent.append((name, clean(" ".join(last[-1:]))[:300] or f"status {result.exit_status}"))
        elif found.is_sure or is_elsewhere(found):
            return Asked(name, found, tuple(silent))
        else:
            silent.append((name, found.said))
            if second is None and (found.members or found.kind == "none"):
                second = (name, found)
    return Asked(second[0], second[1], tuple(silent)) if second else Asked(silent=tuple(silent))


@dataclass(frozen=True)
class Removal:
    """What stands for and against it, and what would be removed: nothing where etcd is elsewhere, or has no member of the node."""

    checks: Sequence[Check]
    kind: str = ""
    gone: Member | None = None

    def as_json(self, asked: Asked) -> dict[str, Any]:
        members = asked.found.members if asked.found else ()
        return {
            "kind": self.kind,
            "asked": asked.by,
            "members": [one.as_json() for one in members],
            "servers": list(asked.found.servers) if asked.found else [],
            "removes": self.gone.as_json() if self.gone else None,
            "before": votes(members).as_json(),
            "after": votes(members, without=self.gone.id if self.gone else "").as_json(),
        }


def removal(node: str, mine: Identity, others: Mapping[str, Identity], asked: Asked) -> Removal:
    """Whether the member of a node may be taken away, with the numbers. `others` are the control planes beside it."""
    found = asked.found
    if not others:
        return Removal([Check("etcd_no_sibling", "block", {"name": node})])
    if found is None:
        return Removal([Check("etcd_unread", "block", asked.params)])
    if found.kind == "none":
        return Removal([Check("etcd_unknown", "block", {"by": asked.by})])
    if found.kind == "away":
        return _elsewhere(node, mine, asked.by, found)
    return _of_members(node, mine, others, asked, found)


def _elsewhere(node: str, mine: Identity, by: str, found: Etcd) -> Removal:
    servers = ", ".join(found.servers[:NAMES_TOLD])
    if not is_elsewhere(found):
        return Removal([Check("etcd_unknown", "block", {"by": by})])
    if any(mine.is_at(url) for url in found.servers):
        # As a service of the hosts: which of its members is here, kubeadm's paths do not say.
        return Removal([Check("etcd_beside", "block", {"name": node, "servers": servers})], "beside")
    return Removal([Check("etcd_external", params={"servers": servers, "by": by})], "external")


def _of_members(node: str, mine: Identity, others: Mapping[str, Identity], asked: Asked, found: Etcd) -> Removal:
    now = votes(found.members)
    told: dict[str, Any] = {"by": asked.by, "name": node, **now.as_json()}
    if not now.is_quorum:
        return Removal([Check("etcd_no_quorum", "block", told)], "stacked")
    if not found.is_sure:
        return Removal([Check("etcd_unread", "block", asked.params)], "stacked")
    try:
        gone = member_of(found.members, mine)
    except Unclear as error:
        return Removal([Check("etcd_unclear", "block", {"name": node, "members": str(error)})], "stacked")
    if gone is not None and any(other.owns(gone) for other in others.values()):
        # Such as one that has the address of a machine that is gone.
        return Removal([Check("etcd_unclear", "block", {"name": node, "members": gone.title})], "stacked")
    if gone is None:
        return _without_one(node, others, found, told)
    rest = votes(found.members, without=gone.id)
    told |= {"member": gone.title, "id": gone.id, "left": rest.voters, **rest.as_json()}
    ill = [one.title for one in found.members if one.id != gone.id and one.state not in ("healthy", "learner")]
    told["ill"] = ", ".join(ill)
    if not rest.voters:
        return Removal([Check("etcd_last", "block", told)], "stacked", gone)
    if not rest.is_quorum:
        return Removal([Check("etcd_quorum_lost", "block", told)], "stacked", gone)
    checks = [Check("etcd_quorum_stays", params=told)]
    if not rest.spare:
        checks.append(Check("etcd_thin", "warn", told))
    return Removal(checks, "stacked", gone)


def _without_one(node: str, others: Mapping[str, Identity], found: Etcd, told: Mapping[str, Any]) -> Removal:
    """Removed before, or known under another name: then one is left that belongs to nobody."""
    strange = [one.title for one in found.members if not any(other.owns(one) for other in others.values())]
    if strange:
        params = {"name": node, "members": ", ".join(strange[:NAMES_TOLD])}
        return Removal([Check("etcd_strange", "block", params)], "stacked")
    return Removal([Check("etcd_gone_before", params=told)], "stacked")


def joined(mine: Identity, found: Etcd, before: str) -> tuple[str, Member | None]:
    """How far the member of the new machine is: absent, unclear, or its state. The one that was removed is not it."""
    try:
        member = member_of([one for one in found.members if one.id != before], mine)
    except Unclear:
        return "unclear", None
    return (member.state, member) if member else ("absent", None)
