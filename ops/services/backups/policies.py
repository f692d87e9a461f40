"""Backup policies: set with their schedule, and deleted. They decide whose files leave a host, so that admins set them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.access.roles import PERMISSIONS
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict, InvalidInput, NotAllowed, StaleEdit
from fleetui.core.words import any_of
from nodes.models import Node, Pool
from ops.backups.sources import SettingRefused, checked
from ops.models import BackupDrill, BackupPolicy, BackupRun, BackupTarget, Schedule
from ops.services.backups.keeping import checked_keep
from ops.services.clusters.nodes import in_clusters
from ops.services.schedules import checked_cron, checked_zone, delete_schedule, set_schedule
from ops.wording import refusal_sentence
from ops.wording.backups import setting_problem

PERMISSION = "backups.write"
LEAST_OVERDUE_S, MOST_OVERDUE_S = 600, 400 * 86_400
DEFAULT_OVERDUE_S = 26 * 3600
#: A backup is worth having late too, within that time.
LATENESS_S = 4 * 3600


def set_policy(
    *,
    name: str,
    kind: str,
    settings: Mapping[str, Any],
    node: Node | None = None,
    pool: Pool | None = None,
    target: BackupTarget | None = None,
    keep: Mapping[str, int],
    overdue_after_s: int = DEFAULT_OVERDUE_S,
    prove_within_s: int | None = None,
    is_gate: bool = False,
    cron: str = "",
    drill_cron: str = "",
    zone: str = "UTC",
    policy: BackupPolicy | None = None,
    expected_revision: int | None = None,
    actor: Principal,
    now: datetime,
) -> BackupPolicy:
    """Add a policy, or (with `policy`) change it.

    With `cron` it runs by a schedule of its own, with the rights of whoever saves it; with `drill_cron` its drills do too.
    """
    if policy is not None:
        require_to_set(actor, policy.kind, policy.subject)
    require_to_set(actor, kind, node or (pool and BackupPolicy(pool=pool)))
    name = name.strip()
    if not name or len(name) > 80:
        raise InvalidInput(_("A policy needs a name."), field="name", value=name, mend=_("Give 1 to 80 characters."))
    if kind not in BackupPolicy.KINDS or (policy is not None and kind != policy.kind):
        mend = _("Use %(known)s.") % {"known": any_of(BackupPolicy.KINDS)}
        raise InvalidInput(_("This is no kind of backup."), field="kind", value=kind, mend=mend)
    if not LEAST_OVERDUE_S <= overdue_after_s <= MOST_OVERDUE_S:
        mend = _("Give %(least)s to %(most)s seconds.") % {"least": LEAST_OVERDUE_S, "most": MOST_OVERDUE_S}
        message = _("%(value)s seconds is no time after which it is overdue.") % {"value": overdue_after_s}
        raise InvalidInput(message, field="overdue_after_s", value=overdue_after_s, mend=mend)
    _check_place(kind, node, pool, target, cron or drill_cron)
    _check_proof(kind, prove_within_s, is_gate=is_gate)
    columns: dict[str, Any] = {
        "name": name,
        "kind": kind,
        "settings": _settings(kind, settings),
        "node": node,
        "node_name": node.name if node else "",
        "pool": pool,
        "pool_name": pool.name if pool else "",
        "target": target,
        "keep": checked_keep(keep),
        "overdue_after_s": overdue_after_s,
        "prove_within_s": prove_within_s,
        "is_gate": is_gate,
        "set_by": str(actor),
        "set_at": now,
    }
    for job, field, text in (("backup", "cron", cron), ("restore_drill", "drill_cron", drill_cron)):
        if text:
            checked_cron(text, field)
            checked_zone(zone)
            _check_schedule_name(job, name, policy)
    before = _told(policy) if policy else None
    try:
        with transaction.atomic():
            if policy is None:
                found = BackupPolicy.objects.create(**columns, created_at=now)
            else:
                revision = policy.revision if expected_revision is None else expected_revision
                mine = BackupPolicy.objects.filter(pk=policy.pk, revision=revision)
                if not mine.update(**columns, revision=F("revision") + 1):
                    raise StaleEdit(_("Someone else changed this policy meanwhile."), mend=_("Read it again."))
                found = BackupPolicy.objects.get(pk=policy.pk)
            action = "backups.edit_policy" if policy else "backups.add_policy"
            append([_entry(action, found, actor, before=before, after=_told(found))])
    except IntegrityError as error:
        raise Conflict(
            _("There is a policy %(name)s already.") % {"name": name},
            field="name",
            value=name,
            mend=_("Choose another name."),
        ) from error
    _set_schedule(found, "backup", cron, zone, actor, now)
    _set_schedule(found, "restore_drill", drill_cron, zone, actor, now)
    related = ("node__pool", "pool", "target", "schedule", "drill_schedule")
    saved: BackupPolicy = BackupPolicy.objects.select_related(*related).get(pk=found.pk)
    return saved


def delete_policy(*, policy: BackupPolicy, reason: str = "", actor: Principal) -> None:
    """With its ledger and its schedule. What lies at the target stays there, and nobody counts it any more."""
    require_to_set(actor, policy.kind, policy.subject)
    for schedule in (policy.schedule, policy.drill_schedule):
        if schedule is not None:
            delete_schedule(schedule=schedule, reason=reason, actor=actor)
    with transaction.atomic():
        if BackupRun.objects.filter(policy=policy, state="running").exists():
            raise Conflict(_("A backup of it is under way."), mend=_("Wait for its end, or cancel it."))
        if BackupDrill.objects.filter(policy=policy, state="running").exists():
            raise Conflict(_("A restore drill of it is under way."), mend=_("Wait for its end, or cancel it."))
        if BackupPolicy.objects.filter(pk=policy.pk).delete()[0]:
            append([_entry("backups.delete_policy", policy, actor, before=_told(policy), reason=reason)])


def may_set(actor: Principal, kind: str, subject: Any) -> bool:
    """Whether this principal may set policies of this kind there.

    FleetUI's own database holds everything, live tokens' hashes and sealed keys too. Whoever says where it is copied to
    has to be somebody who may do everything everywhere: no role of a pool, and no token that is cut.
    """
    needed = PERMISSIONS if kind == "fleetui" else (PERMISSION,)
    return all(actor.may(one, subject) for one in needed)


def require_to_set(actor: Principal, kind: str, subject: Any) -> None:
    require(actor, PERMISSION, subject)
    if not may_set(actor, kind, subject):
        raise NotAllowed(
            _("%(name)s may not do this: a backup of FleetUI itself holds everything.") % {"name": actor.name},
            mend=_("Ask somebody with the role admin everywhere; a token needs the scope admin."),
        )


def _check_place(kind: str, node: Node | None, pool: Pool | None, target: BackupTarget | None, cron: str) -> None:
    if kind == "reported":
        if target is not None or cron:
            mend = _("Leave target and schedule out: the other job has them.")
            raise InvalidInput(_("FleetUI does not make this backup."), field="target", value=None, mend=mend)
        return
    if target is None:
        raise InvalidInput(
            _("No target is named."), field="target", value=None, mend=_("Add a target first, and name it.")
        )
    if kind == "fleetui":
        if node is not None or pool is not None:
            field, value = ("node", node) if node is not None else ("pool", pool)
            mend = _("Leave it out: what is backed up is FleetUI itself.")
            raise InvalidInput(_("This backup is of no node or pool."), field=field, value=str(value), mend=mend)
    elif kind == "etcd":
        if (node is None) == (pool is None):
            mend = _("Name one node, or one pool whose nodes are members of the same etcd.")
            raise InvalidInput(_("Where etcd runs is not named."), field="node", value=None, mend=mend)
    elif node is None or pool is not None:
        raise InvalidInput(_("No node is named."), field="node", value=None, mend=_("Name the node, and no pool."))
    elif kind == "volume" and (there := in_clusters([node]).of(node)).refused:
        told = refusal_sentence(there.refused, {"cluster": there.cluster})
        mend = _("Give FleetUI an access to the cluster of the node first, or back up its files by their paths.")
        raise InvalidInput(told, field="node", value=node.name, mend=mend)


def _settings(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return checked(kind, given)
    except SettingRefused as error:
        message, mend = setting_problem(error.name, error.code, error.value)
        raise InvalidInput(message, field=error.name, value=error.value, mend=mend) from error


def _check_proof(kind: str, prove_within_s: int | None, *, is_gate: bool) -> None:
    """A gate of etcd alone: it is what stands between an upgrade of a control plane and its loss."""
    if prove_within_s is not None:
        if kind == "reported":
            mend = _("Leave it out: the other job proves its backups itself.")
            message = _("FleetUI cannot try this backup.")
            raise InvalidInput(message, field="prove_within_s", value=prove_within_s, mend=mend)
        if not LEAST_OVERDUE_S <= prove_within_s <= MOST_OVERDUE_S:
            mend = _("Give %(least)s to %(most)s seconds.") % {"least": LEAST_OVERDUE_S, "most": MOST_OVERDUE_S}
            message = _("%(value)s seconds is no age of a proof.") % {"value": prove_within_s}
            raise InvalidInput(message, field="prove_within_s", value=prove_within_s, mend=mend)
    if is_gate and kind != "etcd":
        mend = _("Set it on the policy that backs up the etcd of the control plane.")
        raise InvalidInput(_("Only a backup of etcd can be a gate."), field="is_gate", value=True, mend=mend)
    if is_gate and prove_within_s is None:
        mend = _("Say how old the proof by a restore drill may be, such as 604800 seconds.")
        message = _("A gate needs an age that a proof may have.")
        raise InvalidInput(message, field="prove_within_s", value=None, mend=mend)


def _schedule_name(job: str, name: str) -> str:
    text = _("Backup of %(name)s") if job == "backup" else _("Restore drill of %(name)s")
    return text % {"name": name}


def _check_schedule_name(job: str, name: str, policy: BackupPolicy | None) -> None:
    wanted = _schedule_name(job, name)
    own = (policy.schedule_id if job == "backup" else policy.drill_schedule_id) if policy else None
    if Schedule.objects.filter(name=wanted).exclude(pk=own).exists():
        mend = _("Choose another name for the policy.")
        raise Conflict(
            _("There is a schedule %(name)s already.") % {"name": wanted}, field="name", value=name, mend=mend
        )


def _set_schedule(policy: BackupPolicy, job: str, cron: str, zone: str, actor: Principal, now: datetime) -> None:
    """A policy that was saved and whose schedule was not, since the process died, shows that it has none."""
    column = "schedule" if job == "backup" else "drill_schedule"
    schedule = getattr(policy, column)
    if not cron:
        if schedule is not None:
            delete_schedule(schedule=schedule, actor=actor)
        return
    saved = set_schedule(
        name=_schedule_name(job, policy.name)[:100],
        cron=cron,
        zone=zone,
        job=job,
        task={"policy": str(policy.pk)},
        pool=policy.pool or (policy.node.pool if policy.node else None),
        lateness_s=LATENESS_S,
        schedule=schedule,
        actor=actor,
        now=now,
    )
    BackupPolicy.objects.filter(pk=policy.pk).update(**{column: saved})


def _told(policy: BackupPolicy) -> dict[str, Any]:
    columns = "name kind settings node_name pool_name keep overdue_after_s prove_within_s is_gate"
    return {name: getattr(policy, name) for name in columns.split()} | {
        "target": policy.target.name if policy.target else None
    }


def _entry(
    action: str,
    policy: BackupPolicy,
    actor: Principal,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
) -> Entry:
    subject = f"backup-policy:{policy.name}"
    return Entry(str(actor), action, subject, before=before, after=after, reason=reason.strip())
