"""rpm-ostree and `ostree admin pin`: transactions, refusals, texts and exit codes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from simfleet import transitions
from simfleet.answers.base import AGAIN, Answer, Call, command, fail, options, say
from simfleet.answers.files import command_line
from simfleet.answers.status import active_transaction, status
from simfleet.model import Deployment, Fault, Host, Transaction
from simfleet.releases import Release, package_diff, sort_key

UNCHANGED = 77
RUN_REBOOT = 'Run "systemctl reboot" to start a reboot\n'
QUEUED = 'Changes queued for next boot. Run "systemctl reboot" to start a reboot\n'
BUSY = "error: Transaction in progress: {0}\n You can cancel the current transaction with `rpm-ostree cancel`"
DRIVEN = (
    "error: Updates and deployments are driven by Zincati (zincati.service)\n"
    "See Zincati's documentation at https://github.com/coreos/zincati\n"
    "Use --bypass-driver to bypass Zincati and perform the operation anyways"
)
UNRELIABLE = "Note: --check and --preview may be unreliable.  See https://github.com/coreos/rpm-ostree/issues/1579\n"
VALUED = frozenset(
    ["--append", "--append-if-missing", "--delete", "--delete-if-present", "--replace", "--register-driver", "--os"]
)
KARGS_FLAGS = ("--append", "--append-if-missing", "--delete", "--delete-if-present", "--replace")
Options = dict[str, str]
Handler = Callable[[Call, Options, list[str]], Awaitable[Answer]]
Change = Callable[[], Answer]


class Refusal(Exception):
    """rpm-ostree says no; the text is what it prints."""


async def _transact(call: Call, verb: str, change: Change) -> Answer:
    """One transaction at a time, as root. It goes on when the client goes away."""
    host = call.host
    if not call.root:
        raise Refusal(f"error: rpmostreed OS operation {verb} not allowed for user")
    if host.rebooting:
        raise Refusal("error: Reboot initiated, cannot start new transaction")
    if active := active_transaction(host):
        raise Refusal(BUSY.format(active[0]))
    host.transaction = Transaction(" ".join(call.args), verb.lower(), asyncio.Event())
    task = asyncio.create_task(_work(call, host.transaction, change))
    return await asyncio.shield(task)


async def _work(call: Call, transaction: Transaction, change: Change) -> Answer:
    host = call.host
    try:
        await asyncio.wait_for(transaction.cancelled.wait(), call.world.transaction_s)
        return fail("error: Operation was cancelled")
    except TimeoutError:
        if host.transaction is not transaction:
            return fail(
                "error: Bus owner changed, aborting. This likely means the daemon crashed; check logs with `journalctl`"
            )
        answer = change()
        call.world.changed(host)
        return answer
    finally:
        if host.transaction is transaction:
            host.transaction = None


def _refuse_if_driven(call: Call, flags: Options) -> None:
    if "--bypass-driver" not in flags and call.host.agent_running:
        raise Refusal(DRIVEN)


def _diff_text(host: Host, version: str) -> str:
    rows = package_diff(host.booted.version, version)
    return "".join(f"{kind}:\n" + "".join(f"  {name}\n" for name in names) for kind, names in rows.items())


def _staged(call: Call, release: Release, flags: Options) -> Answer:
    host = call.host
    if host.has(Fault.FULL_DISK):
        need = "min-free-space-percent '3%' would be exceeded, at least 13 MB requested"
        return fail(f"error: Writing content object: {need}")
    transitions.stage(host, release, locked="--lock-finalization" in flags)
    text = f"Staging deployment... done\n{_diff_text(host, release.version)}{RUN_REBOOT}"
    if flags.keys() & {"-r", "--reboot"}:
        call.world.reboot(host)
        return say("Staging deployment... done\n")
    return say(text)


async def _status(call: Call, flags: Options, _: list[str]) -> Answer:
    return status(call, set(flags))


async def _upgrade(call: Call, flags: Options, _: list[str]) -> Answer:
    release = call.world.catalog.tip(call.host.booted.stream)
    default = call.host.deployments[0]
    if flags.keys() & {"--check", "--preview"}:
        return await _transact(call, "Upgrade", lambda: _check(call, release))
    _refuse_if_driven(call, flags)

    def change() -> Answer:
        if release.version == default.version:
            unchanged = flags.keys() & {"--unchanged-exit-77", "--upgrade-unchanged-exit-77"}
            return say("No upgrade available.\n", UNCHANGED if unchanged else 0)
        return _staged(call, release, flags)

    return await _transact(call, "Upgrade", change)


def _check(call: Call, release: Release) -> Answer:
    if release.version == call.host.deployments[0].version:
        return Answer(UNCHANGED, b"No updates available.\n", UNRELIABLE.encode())
    built = transitions.iso_text(release.timestamp)
    text = f"AvailableUpdate:\n        Version: {release.version} ({built})\n         Commit: {release.checksum}\n"
    return Answer(0, text.encode(), UNRELIABLE.encode())


def _resolve(call: Call, revision: str) -> Release:
    catalog, host = call.world.catalog, call.host
    origin = host.booted.origin.text
    kind, _, value = revision.rpartition("=")
    if value.startswith("sha256:"):
        release = catalog.find_digest(value)
    elif kind == "revision" or (not kind and len(value) == 64):
        release = catalog.find_checksum(value)
        if release is None:
            raise Refusal(f"error: Checksum {value} not found in {origin}")
    else:
        release = catalog.get(value)
    if release is None or release.stream != host.booted.stream:
        raise Refusal(f"error: Version {value} not found in {origin}")
    return release


async def _deploy(call: Call, flags: Options, words: list[str]) -> Answer:
    if "--register-driver" in flags:
        return Answer()
    _refuse_if_driven(call, flags)
    if not words or not words[-1]:
        raise Refusal("error: No revision specified")
    release = _resolve(call, words[-1])

    def change() -> Answer:
        if release.version == call.host.deployments[0].version:
            return say("No change.\n", UNCHANGED if "--unchanged-exit-77" in flags else 0)
        older = sort_key(release.version) < sort_key(call.host.booted.version)
        if older and "--disallow-downgrade" in flags:
            return fail(
                f"error: Upgrade target revision '{release.checksum}' is chronologically older than current revision"
                f" '{call.host.booted.checksum}'; use --allow-downgrade to permit"
            )
        return _staged(call, release, flags)

    return await _transact(call, "Deploy", change)


async def _rebase(call: Call, flags: Options, words: list[str]) -> Answer:
    """Between streams of the same kind of origin, or from a branch to an image."""
    _refuse_if_driven(call, flags)
    target = words[0] if words else ""
    stream = target.rsplit(":" if "docker://" in target or "registry:" in target else "/", 1)[-1].split("@")[0]
    if stream not in call.world.catalog.by_stream:
        raise Refusal(f"error: While pulling {target or '(nothing)'}: No such branch in repository")
    digest = words[1] if len(words) > 1 else ""
    release = call.world.catalog.find_digest(digest) if digest else call.world.catalog.tip(stream)
    if release is None:
        raise Refusal(f"error: Image digest {digest} not found")
    native = "docker://" in target or "registry:" in target
    origin = replace(call.host.booted.origin, image=target if native else "", ref="" if native else target)

    def change() -> Answer:
        host = call.host
        row = transitions.make_deployment(release, origin, host.booted.layered, host.booted.kargs)
        transitions.stage_deployment(host, row, locked="--lock-finalization" in flags)
        return say(f"Staging deployment... done\n{_diff_text(host, release.version)}{RUN_REBOOT}")

    return await _transact(call, "Rebase", change)


async def _rollback(call: Call, flags: Options, _: list[str]) -> Answer:
    pending = call.host.pending
    if pending and pending.staged:
        raise Refusal("error: Staged deployment (remove with cleanup -p)")
    if not pending and not call.host.rollback:
        raise Refusal("error: No rollback deployment found")

    def change() -> Answer:
        first = transitions.roll_back(call.host, call.now)
        if flags.keys() & {"-r", "--reboot"}:
            call.world.reboot(call.host)
        moved = f"Moving '{first.checksum}.{first.serial}' to be first deployment\n" if first else ""
        return say(moved + QUEUED)

    return await _transact(call, "Rollback", change)


async def _cleanup(call: Call, flags: Options, _: list[str]) -> Answer:
    letters = "".join(name[1:] for name in flags if not name.startswith("--"))
    pending, rollback = "p" in letters or "--pending" in flags, "r" in letters or "--rollback" in flags
    if not (pending or rollback or set(letters) & {"b", "m"} or flags.keys() & {"--base", "--repomd"}):
        raise Refusal("error: At least one cleanup option must be specified")

    def change() -> Answer:
        dropped = transitions.clean_up(call.host, pending=pending, rollback=rollback)
        if not dropped:
            return say("Deployments unchanged.\n" if pending or rollback else "")
        return say(f"Freed: {4.2 * dropped:.1f} MB (pkgcache branches: 0)\n")

    return await _transact(call, "Cleanup", change)


async def _cancel(call: Call, _: Options, __: list[str]) -> Answer:
    host = call.host
    if not call.root:
        raise Refusal("error: rpmostreed OS operation Cancel not allowed for user")
    active = active_transaction(host)
    if not active:
        return say("No active transaction.\n")
    if host.transaction:
        host.transaction.cancelled.set()
    else:
        host.stuck_cleared = True
    return say(f"Cancelling transaction: {active[0]}\nCancelled.\n")


def _edited(kargs: list[str], flags: Options) -> list[str]:
    rows = list(kargs)
    for value in flags.get("--append", "").split(AGAIN) if "--append" in flags else []:
        rows.append(value)
    for value in flags.get("--append-if-missing", "").split(AGAIN) if "--append-if-missing" in flags else []:
        rows += [] if value in rows else [value]
    for name in ("--delete", "--delete-if-present"):
        for value in flags[name].split(AGAIN) if name in flags else []:
            found = next((row for row in rows if row == value or row.split("=")[0] == value), None)
            if found is None and name == "--delete":
                raise Refusal(f"error: No key '{value}' found")
            rows = [row for row in rows if row != found]
    for value in flags["--replace"].split(AGAIN) if "--replace" in flags else []:
        key = value.split("=")[0]
        if not any(row.split("=")[0] == key for row in rows):
            raise Refusal(f"error: No key '{key}' found")
        rows = [value if row.split("=")[0] == key else row for row in rows]
    return rows


async def _kargs(call: Call, flags: Options, _: list[str]) -> Answer:
    default = call.host.deployments[0]
    if not flags.keys() & set(KARGS_FLAGS):
        line = command_line(call.host, default.checksum, default.kargs, default.version)
        return say(line.split(" ", 1)[1] + "\n")
    rows = tuple(_edited(list(default.kargs), flags))
    if rows == default.kargs:
        return say("No changes.\n", UNCHANGED if "--unchanged-exit-77" in flags else 0)

    def change() -> Answer:
        row: Deployment = replace(default, kargs=rows, pinned=False)
        transitions.stage_deployment(call.host, row, locked="--lock-finalization" in flags)
        return say("Staging deployment... done\nKernel arguments updated.\n" + RUN_REBOOT)

    return await _transact(call, "KernelArgs", change)


async def _finalize(call: Call, flags: Options, words: list[str]) -> Answer:
    pending = call.host.pending
    if not pending or not pending.staged:
        raise Refusal("error: No pending deployment is staged" if pending else "error: No staged deployment found")
    if not words and "--allow-missing-checksum" not in flags:
        raise Refusal("error: Must specify CHECKSUM or --allow-missing-checksum")
    expected = pending.base_checksum or pending.checksum
    if words and words[0] not in {expected, pending.checksum}:
        raise Refusal(f"error: Expected staged base checksum {words[0]}, but found {expected}")

    def change() -> Answer:
        pending.locked = False
        call.world.reboot(call.host)
        return Answer()

    return await _transact(call, "FinalizeDeployment", change)


async def _db(call: Call, _: Options, words: list[str]) -> Answer:
    """`db diff FROM TO`: the packages of two commits that are on the host."""
    if words[:1] != ["diff"]:
        raise Refusal(f"error: Unknown 'db' subcommand '{' '.join(words[:1])}'")
    rows = {row.checksum: row for row in call.host.deployments}
    for revision in words[1:3]:
        if revision not in rows:
            raise Refusal(f"error: Refspec '{revision}' not found")
    if len(words) != 3:
        raise Refusal("error: This host compares two commits that are named")
    first, second = rows[words[1]], rows[words[2]]
    head = f"ostree diff commit from: {first.checksum}\nostree diff commit to:   {second.checksum}\n"
    diff = package_diff(first.version, second.version)
    return say(head + "".join(f"{kind}:\n" + "".join(f"  {name}\n" for name in names) for kind, names in diff.items()))


HANDLERS: dict[str, Handler] = {
    "status": _status, "upgrade": _upgrade, "update": _upgrade, "deploy": _deploy, "rebase": _rebase,
    "rollback": _rollback, "cleanup": _cleanup, "cancel": _cancel, "kargs": _kargs, "finalize-deployment": _finalize, "db": _db,
}  # fmt: skip


@command("rpm-ostree")
async def rpm_ostree(call: Call) -> Answer:
    """The command line of rpm-ostree."""
    if call.args[:1] == ("--version",):
        return say("rpm-ostree:\n Version: '2025.12'\n Git: 0000000000000000000000000000000000000000\n")
    handler = HANDLERS.get(call.args[0]) if call.args else None
    if handler is None:
        return fail(f"error: Unknown command '{call.args[0] if call.args else ''}'")
    flags, words = options(call.args[1:], VALUED)
    try:
        return await handler(call, flags, words)
    except Refusal as refusal:
        return fail(str(refusal))


@command("ostree")
def ostree(call: Call) -> Answer:
    """`ostree admin pin [--unpin] INDEX`."""
    if call.args[:2] != ("admin", "pin"):
        return fail(f"error: Unknown command '{' '.join(call.args[:2])}'")
    if not call.root:
        return fail("error: You must be root to perform this command")
    flags, words = options(call.args[2:])
    wanted = words[0] if words else ""
    host = call.host
    named = {"booted": host.booted, "pending": host.pending, "rollback": host.rollback}
    numbered = host.deployments[int(wanted)] if wanted.isdigit() and int(wanted) < len(host.deployments) else None
    row = named.get(wanted) or numbered
    if row is None:
        return fail(f"error: Out of range or invalid index: {wanted}")
    if row.staged:
        return fail("error: Cannot pin staged deployment")
    pin = not flags.keys() & {"--unpin", "-u"}
    index = host.deployments.index(row)
    if row.pinned == pin:
        return say(f"Deployment {index} is already {'pinned' if pin else 'unpinned'}\n")
    row.pinned = pin
    call.world.changed(host)
    return say(f"Deployment {index} is now {'pinned' if pin else 'unpinned'}\n")
