"""Back up: stream to the target, read back what lies there, and let go what is older than it is kept.

The source is a host, or FleetUI itself. A run that is cut off begins anew under another key. What it left is taken away
first: at the target what was begun under earlier keys, on the host what its script could not take away itself.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import timedelta
from time import monotonic
from typing import Any

from nodes.hosts.drivers.base import Command
from ops.actions.base import Action, Context, LeaseLost, ParamsRefused, Step
from ops.actions.drain import the_cluster
from ops.backups.base import WITHHELD, TargetError, read_back
from ops.backups.job import Job, NoJob, SourceFailed, pass_on
from ops.backups.sources import Place, Source, chosen_claims, removal, source_of, volume_source
from ops.outcomes import Done, Fail, Outcome, Wait

#: How often a stream says that it goes on, as a part of its lease.
RENEWED_PER_LEASE = 4
#: A target that does not answer is waited for that long before what was begun there is left to the next run.
TARGET_PATIENCE = timedelta(minutes=10)
TARGET_LOOK = timedelta(seconds=30)


def backup_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """`policy`: the id of the policy."""
    if others := sorted(set(params) - {"policy"}):
        raise ParamsRefused(others[0], "unknown_param")
    try:
        return {"policy": str(uuid.UUID(str(params.get("policy"))))}
    except ValueError:
        raise ParamsRefused("policy", "no_policy", value=str(params.get("policy"))[:40]) from None


def copy(ctx: Context) -> Outcome:
    """One stream. Written down before it begins: the key at the target, and what may stay on the host."""
    try:
        job, target, envelope = ctx.vault.job(), ctx.vault.target(), ctx.vault.envelope()
        source = _volumes(ctx, job) if job.kind == "volume" else source_of(job.kind, job.settings, ctx.operation_id)
        leaves = list(source.leaves)
        if not ctx.memory.get("upload"):
            return Wait(ctx.now, "copies", memory={"upload": True, "on_host": leaves})
        if leaves:
            # Of a worker that died: its script ended with its connection, or the host restarted in the middle of it.
            ctx.host.run(Command(removal(leaves)))
        forget_halves(ctx)
        key = ctx.vault.begin(f"{source.suffix}{envelope.suffix}")
        ctx.log.note("backup_begins", location=target.location(key))
        renew = renewing(ctx)
        is_own = job.kind == "fleetui"
        with ctx.own_state.stream(renew) if is_own else ctx.host.stream(Command(tuple(source.argv))) as stream:
            passed = pass_on(stream, source, target, key, renew, envelope, _telling(ctx))
    except NoJob as error:
        return Fail(error.code, error.params)
    except SourceFailed as error:
        return Fail(error.code, error.params, again=error.again)
    except TargetError as error:
        return target_failed(ctx, error)
    ctx.vault.stored(passed)
    if passed.changed:
        ctx.log.note("backup_changed", said=passed.changed)
    told = {"size_bytes": passed.stored.size_bytes, "sha256": passed.stored.sha256}
    ctx.log.note("backup_copied", **told, **(passed.header.found if passed.header else {}))
    return Done("copied", told, memory={"on_host": []})


def _volumes(ctx: Context, job: Job) -> Source:
    """Where the claims of the policy lie on this node now, by the cluster; raises NoJob where there is nothing to read."""
    cluster = the_cluster(ctx)
    there = {one.place: one for one in cluster.volumes()}
    claims = chosen_claims(job.settings, there)
    # A backup without what its policy names would count as a whole one.
    if absent := [one for one in job.settings["claims"] if not chosen_claims({"claims": [one]}, there)]:
        raise NoJob("no_volumes", name=cluster.name, claims=", ".join(absent))
    for claim in claims:
        one = there[claim]
        if one.is_block or not one.path.startswith("/") or one.path.strip("/") in ("", "."):
            raise NoJob("volume_unreadable", claim=claim, path=one.path)
        if ctx.memory.get("upload"):
            ctx.log.note("backup_volume", claim=claim, path=one.path)
    return volume_source(job.settings, [Place(claim, there[claim].path, there[claim].is_file) for claim in claims])


def _telling(ctx: Context) -> Callable[[int], None]:
    """Says how much has come, as often as the lease is renewed."""
    size_bytes, told_s = 0, monotonic()

    def came(more_bytes: int) -> None:
        nonlocal size_bytes, told_s
        size_bytes += more_bytes
        if monotonic() - told_s >= ctx.lease_s / RENEWED_PER_LEASE:
            told_s = monotonic()
            ctx.vault.passes(size_bytes)

    return came


def verify(ctx: Context) -> Outcome:
    """Read it back from its beginning to its end. From here on it counts, and nothing of it is taken back."""
    try:
        record = ctx.vault.recorded()
        if record.state != "good":
            found = read_back(ctx.vault.target(), record.key, renewing(ctx))
            if found != record.stored:
                ctx.log.note("backup_differs", size_bytes=found.size_bytes, sha256=found.sha256)
                return Fail("reads_differently", {"size_bytes": found.size_bytes})
            ctx.vault.verified()
    except NoJob as error:
        return Fail(error.code, error.params)
    except TargetError as error:
        return target_failed(ctx, error)
    told = {"size_bytes": record.stored.size_bytes, "location": record.location}
    return Done("verified", told, memory={"upload": False, "made": told})


def keep(ctx: Context) -> Outcome:
    """Let go one after the other; what cannot be deleted now is tried again after the next backup."""
    made, let_go = dict(ctx.memory.get("made", {})), int(ctx.memory.get("let_go", 0))
    try:
        target = ctx.vault.target()
        forget_halves(ctx)
        renew = renewing(ctx)
        for run, key in ctx.vault.surplus():
            renew()
            try:
                target.delete(key)
            except TargetError as error:
                if error.code not in WITHHELD:
                    raise
                ctx.log.note("backup_locked", location=target.location(key), said=error.said)
                continue
            ctx.vault.deleted(run)
            ctx.log.note("backup_deleted", location=target.location(key))
            let_go += 1
    except NoJob:
        pass  # the policy went while its last backup was made
    except TargetError as error:
        ctx.log.note("backup_not_tidied", problem=error.code, said=error.said)
    return Done("backed_up", {**made, "deleted": let_go or None}, finish=True)


def forget_halves(ctx: Context) -> None:
    """Take away what runs that were cut off began at the target."""
    keys = list(ctx.vault.halves())
    if not keys:
        return
    target = ctx.vault.target()
    for key in keys:
        target.forget(key)
        ctx.log.note("backup_half_forgotten", location=target.location(key))
    ctx.vault.forgot(keys)


def forgotten_at_target(ctx: Context) -> Outcome:
    """The last step of a run that did not come to an end: nothing half stays at the target."""
    try:
        ctx.own_state.sweep()
        forget_halves(ctx)
    except NoJob:
        pass
    except TargetError as error:
        if error.passes and ctx.now - ctx.since < TARGET_PATIENCE:
            return Wait(ctx.now + TARGET_LOOK, "target_answers", {"problem": error.code, "said": error.said})
        # It is in no list of backups; the next run of the policy takes it away first.
        ctx.log.note("backup_not_tidied", problem=error.code, said=error.said)
    return Wait(ctx.now, "tidies", memory={"upload": False})


def forgotten_on_host(ctx: Context) -> Outcome:
    ctx.host.run(Command(removal(ctx.memory["on_host"])))
    return Wait(ctx.now, "tidies", memory={"on_host": []})


def target_failed(ctx: Context, error: TargetError) -> Outcome:
    if error.code == "no_contact":
        # Waited for until the deadline, as a host is: a restart of the target must not use up all attempts.
        return Wait(ctx.now + TARGET_LOOK, "target_silent", {"problem": error.code, "said": error.said})
    return Fail(f"target_{error.code}", {"said": error.said}, again=error.passes)


def renewing(ctx: Context) -> Callable[[], None]:
    """Renews the lease now and then; who has lost it writes nothing more."""
    renewed_s = monotonic() - ctx.lease_s

    def renew() -> None:
        nonlocal renewed_s
        if monotonic() - renewed_s < ctx.lease_s / RENEWED_PER_LEASE:
            return
        renewed_s = monotonic()
        if not ctx.held():
            raise LeaseLost

    return renew


BACKUP = Action(
    kind="backup",
    steps=(
        Step("copy", copy, is_stream=True),
        Step("read_back", verify, is_stream=True),
        Step("keep", keep, is_stream=True),
    ),
    changes=False,
    beside_changes=True,
    needs_facts=False,
    asks_cluster=True,
    permission="backups.run",
    check_params=backup_params,
)
