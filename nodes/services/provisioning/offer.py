"""Let a machine be provisioned: its config is rendered and sealed, its host key made, and one token leads to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.access.token_text import new_text
from fleetui.audit.log import Entry, append
from fleetui.core.crypto import seal, sealed_with_newest, unseal
from fleetui.core.errors import Conflict, InvalidInput
from nodes.hosts import ssh
from nodes.models import HostKey, IgnitionVersion, Node, Provisioning, TimelineEvent
from nodes.models.ignition import ReviewState
from nodes.services.ignition.check import ignition_hash
from nodes.services.ignition.rendering import render
from nodes.services.provisioning.document import for_machine
from nodes.services.provisioning.ending import end_open, trust_no_more

OFFER_START = "fleetui-ignition_"
MAX_HOURS = 30 * 24
#: Whoever holds the token reads the config with its secrets, and is trusted as the node from then on.
NEEDED = ("nodes.write", "nodes.accept_key", "ignition.intend")


@dataclass(frozen=True)
class Offered:
    """`text` is the token, shown this once."""

    provisioning: Provisioning
    text: str


def provision(
    *, node: Node, version: IgnitionVersion | None = None, hours: int = 24, actor: Principal, now: datetime
) -> Offered:
    """Offer the node's next machine its config: the approved version that is given, else the one that its pool intends.

    What was offered before and not used is over. A node that no machine was ever seen behind is known by the new key from
    now on; another one keeps its key until the new machine shows up with the one that was made for it.
    """
    for permission in NEEDED:
        require(actor, permission, node)
    if not 1 <= hours <= MAX_HOURS:
        raise InvalidInput(
            _("%(value)s hours is not a deadline.") % {"value": hours},
            field="hours",
            value=hours,
            mend=_("Give 1 to %(limit)s.") % {"limit": MAX_HOURS},
        )
    if node.lifecycle == "retired":
        raise Conflict(_("The node is retired."), mend=_("Take it back into service first."))
    version = version or (node.pool.intended_version if node.pool else None)
    version = _usable(version, node)
    is_first = node.last_seen_at is None and not _has_own_key(node)
    generation = node.generation if is_first else node.generation + 1
    row, key, text = prepared(
        node=node, version=version, generation=generation, by=str(actor), now=now, deadline=now + timedelta(hours=hours)
    )
    try:
        with transaction.atomic():
            # Locked: no poll pins or replaces a key of the node meanwhile, and nobody else offers.
            same = Node.objects.select_for_update().filter(pk=node.pk, generation=node.generation, pool=node.pool_id)
            # A machine that was seen meanwhile keeps its key until another one shows up.
            same = same.filter(lifecycle=node.lifecycle, **({"last_seen_at": None} if is_first else {}))
            if not same.exists():
                raise _changed(node)
            end_open(node, "replaced", now)
            row.save(force_insert=True)
            if is_first:
                HostKey.objects.filter(node=node, state="pinned").update(state="replaced", decided_at=now)
                reason = _("Made for provisioning")
                HostKey.pinned(node, key, by=str(actor), now=now, reason=reason).save(force_insert=True)
            _tell(row, version, actor, now)
    except IntegrityError as error:
        raise _changed(node) from error
    return Offered(row, text)


def prepared(
    *, node: Node, version: IgnitionVersion, generation: int, by: str, now: datetime, deadline: datetime
) -> tuple[Provisioning, ssh.HostKey, str]:
    """A row, not stored yet, with the sealed config of the node's machine; the host key in it, and the text of its token."""
    private, identity = ssh.generate_identity(node.name)
    key = ssh.HostKey.parse(identity.public_line)
    marker = {
        "config": version.config.name,
        "version": version.number,
        "version_id": str(version.pk),
        "source_sha256": version.content_hash,
        "generation": generation,
    }
    config = for_machine(
        render(version, node=node).text, private_key=private, public_key=f"{identity.public_line}\n", marker=marker
    )
    made = new_text(OFFER_START)
    row = Provisioning(
        node=node,
        version=version,
        generation=generation,
        prefix=made.prefix,
        digest=made.digest,
        pepper=made.pepper,
        sha512=ignition_hash(config),
        fingerprint=key.fingerprint,
        created_at=now,
        created_by=by[:200],
        deadline=deadline,
    )
    row.sealed_config = seal(config, place=row.seal_place)
    return row, key, made.text


def revoke(*, provisioning: Provisioning, actor: Principal, now: datetime) -> None:
    """End the token at once. A machine that has fetched already is not trusted by it any more. A second time changes nothing."""
    require(actor, "nodes.write", provisioning.node)
    withdraw(provisioning=provisioning, by=str(actor), now=now)


def withdraw(*, provisioning: Provisioning, by: str, now: datetime) -> bool:
    """The same for who made the offer itself; whether it was still open."""
    with transaction.atomic():
        # The node first, as everywhere.
        Node.objects.select_for_update().get(pk=provisioning.node_id)
        open_still = Provisioning.objects.filter(pk=provisioning.pk, ended_at=None)
        if not open_still.update(ended_at=now, ending="revoked", sealed_config=""):
            return False
        trust_no_more(provisioning, now)
        before = {"version": str(provisioning.version), "fetches": provisioning.fetches}
        append([Entry(by, "nodes.provision_revoke", f"node:{provisioning.node.name}", before=before)])
    return True


def forget_expired(now: datetime) -> int:
    """Nobody may fetch these configs any more, so they are not kept either."""
    return Provisioning.objects.filter(deadline__lte=now).exclude(sealed_config="").update(sealed_config="")


def rotate_seals() -> int:
    """Seal every config that may still be fetched with the newest encryption key; returns how many changed."""
    changed = 0
    for row in Provisioning.objects.exclude(sealed_config="").only("pk", "sealed_config"):
        if not sealed_with_newest(row.sealed_config):
            fresh = seal(unseal(row.sealed_config, place=row.seal_place), place=row.seal_place)
            same = Provisioning.objects.filter(pk=row.pk, sealed_config=row.sealed_config)
            changed += same.update(sealed_config=fresh)
    return changed


def _has_own_key(node: Node) -> bool:
    """Whether a key is pinned that was not made for an offer which no machine has used."""
    made = Provisioning.objects.filter(node=node, ending__in=["", "replaced", "revoked"]).values("fingerprint")
    return HostKey.objects.filter(node=node, state="pinned").exclude(fingerprint__in=made).exists()


def _tell(row: Provisioning, version: IgnitionVersion, actor: Principal, now: datetime) -> None:
    params = {"version": str(version), "actor": str(actor), "fingerprint": row.fingerprint}
    TimelineEvent.objects.create(
        node=row.node,
        at=now,
        kind="provision_offered",
        params=params,
        actor=str(actor)[:200],
        generation=row.node.generation,
    )
    after = {
        "version": str(version),
        "sha512": row.sha512,
        "host_key": row.fingerprint,
        "generation": row.generation,
        "deadline": row.deadline,
    }
    append([Entry(str(actor), "nodes.provision", f"node:{row.node.name}", after=after)])


def _usable(version: IgnitionVersion | None, node: Node) -> IgnitionVersion:
    if version is None:
        raise Conflict(
            _("There is no Ignition version for this node."),
            field="version",
            mend=_("Choose an approved version for its pool, or give one."),
        )
    named = {"number": version.number, "config": version.config.name}
    if version.state != ReviewState.APPROVED:
        raise Conflict(
            _("Version %(number)s of %(config)s is not approved.") % named,
            field="version",
            value=str(version),
            mend=_("Have it approved first."),
        )
    if node.pool_id is None or not version.config.pools.filter(pk=node.pool_id).exists():
        raise Conflict(
            _("%(config)s is not for the pool of this node.") % named,
            field="version",
            value=str(version),
            mend=_("Add the pool to the config, or choose a version of another one."),
        )
    return version


def _changed(node: Node) -> Conflict:
    return Conflict(
        _("%(name)s changed meanwhile.") % {"name": node.name}, mend=_("Read the node again, and repeat this.")
    )
