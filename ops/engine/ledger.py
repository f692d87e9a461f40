"""The ledger of backups as a step sees it: its policy, the target, and the row of its run. Every write holds the lease."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db import IntegrityError, connection, transaction

from fleetui.audit.log import Entry, append
from fleetui.core import clock
from fleetui.core.again import again
from fleetui.core.errors import SealBroken
from ops.actions.base import LeaseLost
from ops.backups.age import Envelope
from ops.backups.base import Stored, Target
from ops.backups.drill import Chosen
from ops.backups.job import Job, NoJob, Passed, Record
from ops.engine.claim import AWAY, STREAM_LEASE, hold
from ops.models import BackupDrill, BackupPolicy, BackupRun, BackupTarget, Operation
from ops.services.backups import room
from ops.services.backups.keeping import going, key_of
from ops.services.backups.reading import covers
from ops.services.backups.targets import envelope_of, opened
from ops.states import State


class Ledger:
    """Implements ops.actions.base.Vault for one operation; costs nothing until it is asked."""

    def __init__(self, row: Operation, lease: uuid.UUID, source: str) -> None:
        self._row, self._lease, self._source = row, lease, source
        self._policy: BackupPolicy | None = None
        self._target: Target | None = None

    def job(self) -> Job:
        policy = self._of()
        if not covers(policy, self._row.node):
            raise NoJob("policy_elsewhere", policy=policy.name)
        if policy.kind == "reported":
            raise NoJob("policy_changed", policy=policy.name)
        return Job(policy.kind, policy.settings)

    def target(self) -> Target:
        policy = self._of()
        if policy.target is None:
            raise NoJob("policy_changed", policy=policy.name)
        if self._target is None:
            with _unsealed():
                self._target = opened(policy.target)
        return self._target

    def envelope(self) -> Envelope:
        target = self._of().target
        with _unsealed():
            return envelope_of(target) if target else Envelope()

    def halves(self) -> Sequence[str]:
        # Of the target that the policy has now: what lies at another one is nobody's business any more.
        rows = self._unfinished().filter(target=self._of().target_id).values_list("halves", "key", "state")
        return [key for halves, kept, state in rows for key in halves if state != "good" or key != kept]

    def forgot(self, keys: Sequence[str]) -> None:
        gone = set(keys)
        with self._held():
            for run in self._unfinished().only("halves"):
                BackupRun.objects.filter(pk=run.pk).update(halves=[one for one in run.halves if one not in gone])

    def begin(self, suffix: str) -> str:
        policy, now = self._of(), clock.now()
        target = self.target()
        try:
            with self._held():
                given = {"policy": policy, "source": self._source, "started_at": now}
                run, _made = BackupRun.objects.get_or_create(operation=self._row, defaults=given)
                key = key_of(policy, now, suffix)
                BackupRun.objects.filter(pk=run.pk).update(
                    source=self._source,
                    target=policy.target,
                    target_name=policy.target.name if policy.target else "",
                    key=key,
                    location=target.location(key),
                    halves=[*run.halves, key],
                    size_bytes=None,
                    sha256="",
                    checks={},
                )
                # What it waited for before, such as the host, is over while it streams again.
                waits = Operation.objects.filter(pk=self._row.pk, state=State.WAITING)
                waits.update(wait_reason="copies", wait_params={}, wait_since=now)
        except IntegrityError as error:
            raise NoJob("backup_runs", policy=policy.name) from error
        return key

    def passes(self, size_bytes: int) -> None:
        mine = Operation.objects.filter(pk=self._row.pk, lease_id=self._lease, wait_reason="copies")
        try:
            mine.update(wait_params={"size_bytes": size_bytes})
        except AWAY:
            connection.close_if_unusable_or_obsolete()

    def stored(self, passed: Passed) -> None:
        header = passed.header
        found: dict[str, Any] = {**passed.found, **(header.found if header else {})}
        if passed.changed:
            found["changed"] = passed.changed[:500]
        if passed.recipients:
            found["recipients"] = list(passed.recipients)
        again(lambda: self._stored(size_bytes=passed.stored.size_bytes, sha256=passed.stored.sha256, checks=found))

    def _stored(self, **found: object) -> None:
        with self._held():
            self._mine().update(**found)

    def recorded(self) -> Record:
        run = self._mine().get()
        return Record(run.state, run.key, Stored(run.size_bytes or 0, run.sha256), run.location)

    def verified(self) -> None:
        now = clock.now()
        with self._held():
            run = self._mine().get()
            halves = [one for one in run.halves if one != run.key]
            done = {"state": "good", "ended_at": now, "verified_at": now, "result": "backed_up", "halves": halves}
            self._mine().update(**done)
            BackupPolicy.objects.filter(pk=run.policy_id).update(last_good_at=now)

    def surplus(self) -> Sequence[tuple[str, str]]:
        policy = self._of()
        return [(str(run.pk), run.key) for run in going(policy) if run.target_id == policy.target_id]

    def deleted(self, run: str) -> None:
        now = clock.now()
        with self._held():
            row = BackupRun.objects.select_related("policy").get(pk=run)
            if BackupRun.objects.filter(pk=run, deleted_at=None).update(deleted_at=now):
                append(
                    [
                        Entry(
                            actor="system:fleetui",
                            action="backups.delete",
                            subject=f"backup-policy:{row.policy.name}",
                            before={"location": row.location, "sha256": row.sha256, "run": str(row.pk)},
                            reason="retention",
                        )
                    ]
                )

    def newest(self) -> Chosen:
        policy = self._of()
        run = BackupRun.objects.filter(policy=policy).there().exclude(reported_by__gt="").order_by("-ended_at").first()
        if run is None:
            raise NoJob("nothing_to_prove", policy=policy.name)
        with self._held():
            told = {"run": run, "backup_at": run.ended_at, "location": run.location, "sha256": run.sha256}
            BackupDrill.objects.filter(operation=self._row).update(**told)
        return _chosen(run)

    def chosen(self, run: str) -> Chosen:
        return _chosen(self._run(run))

    def target_of(self, run: str) -> Target:
        with _unsealed():
            return opened(self._place_of(run))

    def envelope_of(self, run: str) -> Envelope:
        with _unsealed():
            return envelope_of(self._place_of(run))

    def _place_of(self, run: str) -> BackupTarget:
        target: BackupTarget | None = self._run(run).target
        if target is None:
            raise NoJob("policy_changed", policy=self._of().name)
        return target

    def scratch(self) -> Path:
        return room.scratch()

    def proven(self, run: str, proves: str, found: Mapping[str, Any]) -> None:
        now = clock.now()
        with self._held():
            done = {
                "state": "good",
                "ended_at": now,
                "proves": proves,
                "found": dict(found),
                "result": f"drill_{proves}",
            }
            BackupDrill.objects.filter(operation=self._row).update(**done)
            policy = self._of()
            BackupPolicy.objects.filter(pk=policy.pk).update(last_proven_at=now)
            append(
                [
                    Entry(
                        actor=self._row.request.requester,
                        action="backups.prove",
                        subject=f"backup-policy:{policy.name}",
                        after={"run": run, "proves": proves, **found},
                        reason=self._row.request.reason,
                    )
                ]
            )

    def _run(self, run: str) -> BackupRun:
        found: BackupRun | None = BackupRun.objects.select_related("target").filter(pk=run).there().first()
        if found is None:
            raise NoJob("nothing_to_prove", policy=self._of().name)
        return found

    def _of(self) -> BackupPolicy:
        if self._policy is None:
            found = BackupPolicy.objects.select_related("target").filter(pk=self._row.params.get("policy")).first()
            if found is None:
                raise NoJob("policy_gone")
            self._policy = found
        return self._policy

    def _mine(self) -> Any:
        return BackupRun.objects.filter(operation=self._row)

    def _unfinished(self) -> Any:
        return BackupRun.objects.filter(policy=self._of()).exclude(halves=[])

    @contextmanager
    def _held(self) -> Iterator[None]:
        with transaction.atomic():
            if not hold(self._row.pk, self._lease, clock.now(), STREAM_LEASE):
                raise LeaseLost
            yield


@contextmanager
def _unsealed() -> Iterator[None]:
    try:
        yield
    except SealBroken as error:
        raise NoJob("target_sealed", said=error.message) from error


def _chosen(run: BackupRun) -> Chosen:
    stored = Stored(run.size_bytes or 0, run.sha256)
    return Chosen(str(run.pk), run.policy.kind, run.key, stored, run.location, run.checks)
