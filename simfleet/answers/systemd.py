"""systemctl, systemd-run, journalctl, loginctl and timedatectl."""

from __future__ import annotations

import asyncio
import re
from fnmatch import fnmatch

from simfleet import boxes, seeds
from simfleet.answers import flatcar
from simfleet.answers.base import AGAIN, Answer, Call, answer, command, fail, options, say
from simfleet.answers.files import day, kernel
from simfleet.answers.units import Unit, failed_units, unit
from simfleet.model import Fault, Host, TransientUnit
from simfleet.profiles import Container
from simfleet.transitions import agent_text

NO_AUTH = "Interactive authentication required."
VALUED = frozenset(
    [
        "-p",
        "--property",
        "-n",
        "--lines",
        "-u",
        "--unit",
        "-b",
        "--boot",
        "-o",
        "--output",
        "--state",
        "-t",
        "-P",
        "--description",
        "-S",
        "--since",
        "--after-cursor",
        "--setenv",
        "-E",
        "--uid",
        "--slice",
        "--type",
    ]
)
#: A failed unit with this strength of its fault fails again at every start.
FAILS_AGAIN = 2
_running: set[asyncio.Task[None]] = set()
_tasks: dict[tuple[int, str], asyncio.Task[None]] = {}


def _shown(rows: list[Unit], flags: dict[str, str]) -> str:
    given = flags.get("-p") or flags.get("--property") or flags.get("-P") or ""
    wanted = {name for part in given.split(AGAIN) for name in part.split(",") if name}
    bare = "--value" in flags or "-P" in flags
    blocks = []
    for row in rows:
        chosen = [(name, value) for name, value in row.properties().items() if not wanted or name in wanted]
        blocks.append("".join((value if bare else f"{name}={value}") + "\n" for name, value in chosen))
    return "\n".join(blocks)


def _reboot(call: Call) -> Answer:
    if not call.root:
        text = f"Failed to set wall message, ignoring: {NO_AUTH}\nFailed to reboot system via logind: {NO_AUTH}"
        return fail(f"{text}\nFailed to start reboot.target: {NO_AUTH}")
    call.world.reboot(call.host)
    return Answer()


def _change(call: Call, verb: str, words: list[str]) -> Answer:
    if not call.root:
        return fail(f"Failed to {verb} {words[0] if words else ''}: {NO_AUTH}", 4)
    if verb == "reload-or-restart":
        # No unit of these hosts says how it reloads.
        verb = "restart"
    for word in words:
        found = unit(call.host, word, call.now)
        if found.load == "not-found":
            return fail(f"Failed to {verb} {found.name}: Unit {found.name} not found.", 5)
        if found.load == "masked" and verb in {"start", "restart"}:
            return fail(f"Failed to {verb} {found.name}: Unit {found.name} is masked.")
        if found.name == "update-engine.service" and verb in {"stop", "restart"}:
            flatcar.stop_fetching(call.host)
        if found.name == "zincati.service":
            call.host.agent_running = verb != "stop"
        elif found.name in call.host.units:
            _change_transient(call, verb, found.name)
            continue
        elif row := boxes.of_unit(call.host, found.name):
            _change_container(call.host, verb, row)
        elif found.active == "failed":
            if verb in {"start", "restart"} and call.host.faults.get(Fault.FAILED_UNIT.value, 0) >= FAILS_AGAIN:
                _started(call.host, found.name)
                return fail(f"Job for {found.name} failed because the control process exited with error code.")
            if verb in {"start", "restart", "reset-failed"}:
                call.host.faults.pop(Fault.FAILED_UNIT.value, None)
        elif verb in {"start", "restart"} or (verb == "try-restart" and found.active == "active"):
            if found.active != "active":
                call.host.unit_states[found.name] = "active"
        elif verb == "stop":
            call.host.unit_states[found.name] = "inactive"
        if verb in {"start", "restart", "try-restart"}:
            _started(call.host, found.name)
    call.world.changed(call.host)
    return Answer()


def _change_container(host: Host, verb: str, row: Container) -> None:
    if verb in {"start", "restart"}:
        host.unit_states[row.unit] = "active" if boxes.start(host, row) else "failed"
    elif verb == "stop" or (verb == "reset-failed" and host.unit_states.get(row.unit) == "failed"):
        host.unit_states[row.unit] = "inactive"


def _started(host: Host, name: str) -> None:
    host.starts[name] = host.starts.get(name, 0) + 1


def _change_transient(call: Call, verb: str, name: str) -> None:
    if verb not in {"stop", "reset-failed"}:
        return
    call.host.units.pop(name)
    if verb == "stop" and (task := _tasks.pop((id(call.host), name), None)):
        # The client is gone; a transaction that it began goes on in the daemon.
        task.cancel()


def _mask(call: Call, verb: str, flags: dict[str, str], words: list[str]) -> Answer:
    """Only `--runtime`, which lasts until the next boot."""
    if not call.root:
        return fail(f"Failed to {verb} unit: {NO_AUTH}", 4)
    for word in words:
        name = unit(call.host, word, call.now).name
        if verb == "mask":
            call.host.unit_states[name] = "masked" if "--now" in flags else call.host.unit_states.get(name, "masked")
        elif call.host.unit_states.get(name) == "masked":
            call.host.unit_states[name] = "inactive"
    call.world.changed(call.host)
    return Answer()


def _list_units(call: Call, flags: dict[str, str], patterns: list[str]) -> Answer:
    rows = failed_units(call.host)
    if "--failed" not in flags and flags.get("--state") != "failed":
        names = ("sshd.service", "zincati.service", "chronyd.service", *call.host.units)
        rows = [unit(call.host, name, call.now) for name in names]
    rows = [row for row in rows if not patterns or any(fnmatch(row.name, pattern) for pattern in patterns)]
    return say("".join(f"{row.name} {row.load} {row.active} {row.sub} {row.description}\n" for row in rows))


@command("systemctl")
def systemctl(call: Call) -> Answer:
    """The verbs a driver uses."""
    flags, words = options(call.args, VALUED)
    verb, names = (words[0] if words else "list-units"), words[1:]
    if verb == "is-system-running":
        state = "stopping" if call.host.rebooting else "degraded" if failed_units(call.host) else "running"
        return say(state + "\n", 0 if state == "running" else 1)
    if verb == "list-units":
        return _list_units(call, flags, names)
    if verb == "show":
        failed = flags.get("--state") == "failed"
        rows = failed_units(call.host) if failed else [unit(call.host, name, call.now) for name in names]
        return say(_shown(rows, flags))
    if verb in {"is-active", "is-enabled", "is-failed"}:
        found = unit(call.host, names[0] if names else "", call.now)
        value = found.enabled if verb == "is-enabled" else found.active
        good = {"is-active": "active", "is-enabled": "enabled", "is-failed": "failed"}[verb]
        return Answer(0 if value == good else 3, b"" if "-q" in flags or "--quiet" in flags else f"{value}\n".encode())
    if verb in {"mask", "unmask"}:
        return _mask(call, verb, flags, names)
    if verb == "reboot":
        return _reboot(call)
    if verb in {
        "start",
        "stop",
        "restart",
        "try-restart",
        "reload-or-restart",
        "reload",
        "reset-failed",
        "daemon-reload",
        "enable",
        "disable",
    }:
        return _change(call, verb, names)
    if verb == "status":
        found = unit(call.host, names[0] if names else "zincati.service", call.now)
        return say(_status_text(found), 0 if found.active == "active" else 4 if found.load == "not-found" else 3)
    return fail(f"Unknown command verb '{verb}'.")


def _status_text(found: Unit) -> str:
    if found.load == "not-found":
        return f"Unit {found.name} could not be found.\n"
    lines = [
        f"* {found.name} - {found.description}",
        f"     Loaded: loaded (/usr/lib/systemd/system/{found.name}; {found.enabled})",
    ]
    lines.append(f"     Active: {found.active} ({found.sub})")
    if found.status_text:
        lines.append(f'     Status: "{found.status_text}"')
    return "\n".join(lines) + "\n"


async def _run_unit(call: Call, row: TransientUnit, argv: tuple[str, ...]) -> None:
    result = await answer(call.other(argv))
    row.output += (result.out + result.err).decode(errors="replace").splitlines()
    row.exit_status = result.status
    if result.status:
        row.active, row.sub, row.result = "failed", "failed", "exit-code"
        row.output.append(f"{row.name}: Main process exited, code=exited, status={result.status}/n/a")
    elif row.remain:
        row.sub = "exited"
    else:
        # A transient unit that ended well is gone, unless it remains after its exit.
        call.host.units.pop(row.name, None)
    call.world.changed(call.host)


@command("systemd-run")
async def systemd_run(call: Call) -> Answer:
    """Start a command as a transient unit, and wait for it when asked to."""
    at = next(
        (
            index
            for index, word in enumerate(call.args)
            if (not word.startswith("-") and call.args[index - 1] not in VALUED)
            or (index == 0 and not word.startswith("-"))
        ),
        len(call.args),
    )
    flags, _ = options(call.args[:at], VALUED)
    # As systemd does: what it does not know by name is filled in with nothing.
    argv = tuple(
        re.sub(r"\$\$|\$\{[^}]*\}", lambda found: found[0][:1] * (found[0] == "$$"), word) for word in call.args[at:]
    )
    if not argv:
        return fail("Command line to execute required.")
    if not call.root:
        return fail(f"Failed to start transient service unit: {NO_AUTH}")
    name = flags.get("--unit") or flags.get("-u") or f"run-u{len(call.host.units) + 41}"
    name = name if "." in name else name + ".service"
    if name in call.host.units:
        return fail(f"Failed to start transient service unit: Unit {name} was already loaded or has a fragment file.")
    given = (flags.get("-p") or "") + AGAIN + (flags.get("--property") or "")
    remain = "-r" in flags or "--remain-after-exit" in flags or "RemainAfterExit=yes" in given.split(AGAIN)
    row = TransientUnit(name, flags.get("--description") or " ".join(argv), call.now, remain=remain)
    call.host.units[name] = row
    call.host.unit_starts[name] = call.host.unit_starts.get(name, 0) + 1
    call.world.changed(call.host)
    task = asyncio.create_task(_run_unit(call, row, tuple(argv)))
    _running.add(task)
    task.add_done_callback(_running.discard)
    _tasks[id(call.host), name] = task
    task.add_done_callback(lambda done: _forget(id(call.host), name, done))
    note = (
        b""
        if "-q" in flags or "--quiet" in flags
        else f"Running as unit: {name}; invocation ID: {_invocation(row)}\n".encode()
    )
    if flags.keys() & {"--wait", "--pipe", "-P"}:
        await asyncio.shield(task)
        out = "".join(f"{line}\n" for line in row.output) if flags.keys() & {"--pipe", "-P"} else ""
        return Answer(row.exit_status or 0, out.encode(), note)
    return Answer(0, b"", note)


def _forget(host: int, name: str, task: asyncio.Task[None]) -> None:
    if _tasks.get((host, name)) is task:
        del _tasks[host, name]


def _invocation(row: TransientUnit) -> str:
    return seeds.machine_hex(int(row.started_at * 1000), row.name)


def _boots(host: Host, now: float) -> str:
    count = host.boot_count
    rows = []
    for index in range(1 - count, 1):
        boot_id = seeds.uuid4(host.seed, host.name, "boot", count + index).replace("-", "")
        first = host.booted_at + index * 12 * 86_400
        last = now if index == 0 else host.booted_at + (index + 1) * 12 * 86_400 - 45
        form = "%a %Y-%m-%d %H:%M:%S UTC"
        rows.append(f"{index:>3} {boot_id} {day(first, form)} {day(last, form)}\n")
    return "".join(rows)


def _journal(host: Host, name: str, boot: str, now: float) -> list[str]:
    if name in host.units:
        row = host.units[name]
        return [f"Started {row.name} - {row.description}.", *row.output]
    if name == "ostree-finalize-staged.service" and boot == "-1":
        return [host.finalize_error] if host.finalize_error else ["Finalizing staged deployment", "Bootloader updated"]
    if not name:
        return _whole_journal(host)
    if name == "zincati.service":
        return ["[INFO  zincati::update_agent::actor] " + agent_text(host, now)]
    broken = next((row for row in failed_units(host) if row.name == name), None)
    if broken:
        return [
            f"Starting {name} - {broken.description}...",
            f"{name}: Main process exited, code=exited, status=1/FAILURE",
            f"{name}: Failed with result 'exit-code'.",
        ]
    return []


def _with_boot(args: tuple[str, ...]) -> tuple[str, ...]:
    """`-b` may stand alone, which means this boot."""
    words = list(args)
    for index in reversed(range(len(words))):
        following = words[index + 1 : index + 2]
        if words[index] == "-b" and (not following or re.fullmatch(r"-[^0-9].*", following[0])):
            words.insert(index + 1, "0")
    return tuple(words)


def _whole_journal(host: Host) -> list[str]:
    """The journal of a boot, as far as anybody reads it: the kernel, and what failed."""
    lines = [f"Linux version {kernel(host.booted.version)} (mockbuild@sim)"]
    for row in failed_units(host):
        lines += _journal(host, row.name, "0", 0.0)
    return [*lines, "Startup finished in 1.902s (kernel) + 9.415s (userspace) = 11.317s."]


@command("journalctl")
def journalctl(call: Call) -> Answer:
    """The list of boots, and the last lines of a unit."""
    flags, _ = options(_with_boot(call.args), VALUED)
    if "--list-boots" in flags:
        return say(_boots(call.host, call.now))
    name = flags.get("-u") or flags.get("--unit") or ""
    name = name if "." in name or not name else name + ".service"
    lines = _journal(call.host, name, flags.get("-b") or flags.get("--boot") or "0", call.now)
    seen = flags.get("--after-cursor", "").rpartition("i=")[2]
    last = len(lines)
    lines = lines[int(seen) :] if seen.isdigit() else lines
    if (flags.get("-o") or flags.get("--output")) != "cat":
        stamp = day(call.now, "%b %d %H:%M:%S")
        lines = [f"{stamp} {call.host.name} {name.rsplit('.', 1)[0]}[1816]: {line}" for line in lines]
    count = flags.get("-n") or flags.get("--lines") or ""
    lines = lines[-int(count) :] if count.isdigit() and int(count) else lines
    empty = "" if "-q" in flags or lines else "-- No entries --\n"
    cursor = f"-- cursor: s={call.host.machine_id};i={last}\n" if "--show-cursor" in flags and last else ""
    return say(empty + "".join(f"{line}\n" for line in lines) + cursor)


@command("loginctl")
def loginctl(call: Call) -> Answer:
    """The sessions: that of the caller, and one with a terminal when somebody is signed in."""
    number = 20 + int(call.host.uptime_s(call.now)) // 7
    rows = [f"{number:>7} 1000 core -    {2000 + number % 30_000:<6} user  -     no   -"]
    if call.host.has(Fault.SESSION):
        rows.append("      3 1000 core -    1944   user  pts/0 no   -")
    head = "SESSION  UID USER SEAT LEADER CLASS TTY   IDLE SINCE"
    return say("\n".join([head, *rows, "", f"{len(rows)} sessions listed."]) + "\n")


@command("timedatectl")
def timedatectl(call: Call) -> Answer:
    """Only `timedatectl show`."""
    now = day(call.now, "%a %Y-%m-%d %H:%M:%S UTC")
    return say(
        f"Timezone=Etc/UTC\nLocalRTC=no\nCanNTP=yes\nNTP=yes\nNTPSynchronized=yes\nTimeUSec={now}\nRTCTimeUSec={now}\n"
    )
