"""The machine of one step that is replaced by another: its config, its provisioner, and when it shows up."""

from __future__ import annotations

import ipaddress
import re
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.urls import reverse

from fleetui.access.principals import SYSTEM
from fleetui.audit.log import Entry, append
from fleetui.core import clock
from fleetui.core.crypto import seal, unseal
from fleetui.core.errors import FleetError, SealBroken
from nodes.hosts.drivers.base import TOO_LATE_STATUS, Command, Fence
from nodes.hosts.errors import HostError
from nodes.hosts.ssh import HostKey
from nodes.models import IgnitionVersion, Node
from nodes.services.provisioning.arrive import arrived
from nodes.services.provisioning.offer import provision, withdraw
from nodes.services.provisioning.standing import standing
from ops.actions.base import Host, LeaseLost
from ops.actions.replace import shown_key
from ops.engine.claim import hold
from ops.models import Operation, Replacement
from ops.models import Provisioner as ProvisionerRow
from ops.preflight import Check
from ops.replacement import NotReady, Order, Provisioner
from ops.replacement.in_place import Away, Ran
from ops.services.replacing import repositories
from ops.services.replacing.planes import is_plane_now
from ops.services.replacing.plans import Replacing
from ops.services.replacing.provisioners import jobs, opened
from ops.services.replacing.sweeping import sweep_jobs

_HOST_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,62})(\.[A-Za-z0-9]([A-Za-z0-9-]{0,62}))*")


class OnHost:
    """Implements ops.replacement.in_place.Machine: what is run on the host that is to be made anew.

    What changes it is fenced there as every effect is: a worker that was stopped in here does nothing once its lease is over.
    """

    def __init__(self, host: Host, fence: Fence) -> None:
        self._host, self._fence = host, fence

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", changes: bool = True) -> Ran:
        command = Command(tuple(argv), stdin=stdin, changes=changes)
        try:
            done = self._host.run(self._fenced(command) if changes else command)
        except HostError as error:
            raise Away(error.message, is_new=shown_key(error) is not None) from error
        if changes and done.exit_status == TOO_LATE_STATUS:
            raise LeaseLost
        return Ran(
            done.exit_status or 0, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
        )

    def _fenced(self, command: Command) -> Command:
        """Its lease is renewed after this, when the effect is recorded: the host's end of it is never the later one."""
        shown = self._host.run(Command(("cat", "/proc/sys/kernel/random/boot_id", "/proc/uptime"), changes=False))
        boot_id, _newline, up = shown.stdout.decode("ascii", "replace").partition("\n")
        up_s = up.partition(".")[0]
        before_s = int(up_s) + settings.OPERATION_LEASE_S if up_s.isdigit() else None
        return self._fence.guarded(command, boot_id.strip(), before_s)


class StepReplacement:
    """Implements ops.actions.base.NewMachine. What it writes holds the lease of the step."""

    def __init__(self, row: Operation, node: Node, lease: uuid.UUID, step: str, host: OnHost) -> None:
        self._row, self._node, self._lease, self._step = row, node, lease, step
        self._host = host
        self._target: Mapping[str, Any] = row.plan.get("target") or {}
        self.source: Mapping[str, Any] = {}

    def checks(self) -> list[Check]:
        node = self._node
        known = Replacing.of([node])
        code, params = known.refusal(node)
        if code:
            return [Check("not_replaceable", "block", {"refused": code, **params})]
        found = known.checks(node, self._row.params, is_control_plane=self._row.is_control_plane)
        if not self._row.is_control_plane and is_plane_now(node):
            found.append(Check("plane_since", "block"))
        now = known.target(node)
        if now["ignition"] != self._target.get("ignition"):
            told = {"before": self._target.get("version"), "now": now["version"]}
            found.append(Check("intended_changed", "block", told))
        if now["provisioner_id"] != self._target.get("provisioner_id"):
            told = {"before": self._target.get("provisioner"), "now": now["provisioner"]}
            found.append(Check("provisioner_changed", "block", told))
        elif now.get("source") != self._target.get("source"):
            found.append(Check("source_changed", "block", {"name": now["provisioner"]}))
        try:
            provisioner = self.provisioner()
            provisioner.ready()
            self.source = provisioner.decide({})
        except NotReady as error:
            found.append(Check(error.code, "block", error.params))
        if self.source:
            found.append(Check("source_decided", params=dict(self.source)))
        return found

    def provisioner(self) -> Provisioner:
        rows = ProvisionerRow.objects.select_related("source")
        row = rows.filter(pk=str(self._target["provisioner_id"])).first()
        if row is None:
            raise NotReady("provisioner_gone", name=self._target.get("provisioner", ""))
        return opened(row, self._host)

    def offer(self, hours: int) -> str:
        """Make the config of the new machine ready, once; says why it could not be, or nothing."""
        if Replacement.objects.filter(operation=self._row).exists():
            return ""
        version = IgnitionVersion.objects.select_related("config").filter(pk=str(self._target["ignition"])).first()
        try:
            with transaction.atomic():
                # The node before its operation, as everybody takes them.
                Node.objects.select_for_update().get(pk=self._node.pk)
                self._hold()
                done = provision(node=self._node, version=version, hours=hours, actor=SYSTEM, now=clock.now())
                provisioner = ProvisionerRow.objects.filter(pk=str(self._target["provisioner_id"])).first()
                made = Replacement(operation=self._row, provisioner=provisioner, provisioning=done.provisioning)
                made.sealed_token = seal(done.text, place=made.seal_place)
                made.save(force_insert=True)
        except FleetError as error:
            return error.message
        return ""

    def standing(self) -> str:
        """Where the offer stands (nodes.services.provisioning.standing); absent when there is none any more."""
        offered = self._made().provisioning
        return standing(offered, clock.now()) if offered else "absent"

    def confirmed(self) -> frozenset[str]:
        return frozenset(self._made().confirmed)

    def order(self) -> Order:
        """What the provisioner is asked for; raises NotReady when the config cannot be fetched any more."""
        made, row = self._made(), self._row
        offered, provisioner = made.provisioning, made.provisioner
        if offered is None or provisioner is None or not made.sealed_token:
            raise NotReady("nothing_to_fetch")
        try:
            text = unseal(made.sealed_token, place=made.seal_place)
        except SealBroken as error:
            raise NotReady("token_sealed", said=error.message) from error
        return Order(
            id=row.pk.hex,
            node=row.node_name,
            address=self._node.address,
            port=self._node.port,
            pool=row.pool_name,
            cluster=row.cluster_name,
            generation=offered.generation,
            url=f"{provisioner.base_url}{reverse('nodes:fetch_config', args=[text])}",
            sha512=offered.sha512,
            host_key=offered.fingerprint,
            confirmed=frozenset(made.confirmed),
            callback=f"{provisioner.base_url}{reverse('provisioner_told', args=[row.pk])}"
            if provisioner.sealed_secret
            else "",
            told=made.told,
        )

    def record(self, commands: Sequence[Sequence[str]], source: Mapping[str, Any]) -> None:
        """What the provisioner is about to be asked; raises LeaseLost when it is somebody else's now."""
        row = self._row
        after: dict[str, Any] = {
            "kind": row.kind,
            "node": row.node_name,
            "step": self._step,
            "provisioner": self._target["provisioner"],
        }
        if source:
            after["source"] = dict(source)
        after["command"] = [
            "provisioner",
            str(self._target["provisioner"]),
            *(word for words in commands for word in words),
        ]
        with transaction.atomic():
            self._hold()
            Replacement.objects.filter(operation=row).update(source=dict(source))
            append(
                [
                    Entry(
                        actor=row.request.requester,
                        action="operations.effect",
                        subject=f"operation:{row.pk}",
                        after=after,
                        reason=row.request.reason,
                    )
                ]
            )

    def greet(self, key: HostKey) -> bool:
        """Whether this is the key that was made for the new machine; then its generation begins."""
        return arrived(node=self._node, key=key, now=clock.now())

    def moved(self, address: str) -> bool:
        """The new machine is at another address; False when that is none."""
        if address == self._node.address:
            return True
        if not _is_address(address):
            return False
        row = self._row
        with transaction.atomic():
            nodes = Node.objects.filter(pk=self._node.pk)
            nodes.keeping()
            self._hold()
            nodes.update(address=address, revision=F("revision") + 1)
            entry = Entry(
                row.request.requester,
                "nodes.edit",
                f"node:{row.node_name}",
                before={"address": self._node.address},
                after={"address": address},
                reason=row.request.reason,
            )
            append([entry])
        return True

    def applied(self) -> str:
        """The version that the node is known to have been made with, and its id."""
        return str(Node.objects.values_list("applied_version_id", flat=True).get(pk=self._node.pk) or "")

    def end(self) -> bool:
        """Nothing leads to the config any more, and nothing of the provisioner stays; whether an offer was taken back."""
        made = Replacement.objects.filter(operation=self._row).select_related("provisioner", "provisioning").first()
        if made is None:
            return False
        if made.provisioner is not None:
            # Where no order can be made, nothing was asked with one.
            with suppress(NotReady):
                # The new machine has nothing of it.
                host = None if self._row.memory.get("met") else self._host
                opened(made.provisioner, host).forget(self.order())
        jobs().forget(self._row.pk.hex)
        sweep_jobs()
        repositories.forget_others()
        taken_back = False
        if made.provisioning is not None and made.provisioning.ended_at is None:
            taken_back = withdraw(provisioning=made.provisioning, by=str(SYSTEM), now=clock.now())
        Replacement.objects.filter(pk=made.pk).update(sealed_token="")
        return taken_back

    def _made(self) -> Replacement:
        return Replacement.objects.select_related("provisioner", "provisioning").get(operation=self._row)

    def _hold(self) -> None:
        if not hold(self._row.pk, self._lease, clock.now()):
            raise LeaseLost


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return _HOST_NAME.fullmatch(text) is not None
    return True
