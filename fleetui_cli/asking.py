"""plan, run and their short forms: which nodes, with which parameters, and what becomes of it."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from fleetui_cli.api import Api
from fleetui_cli.codes import Code, Problem
from fleetui_cli.outcome import Clock, code_of, follow, sentence, wait_for_bulk, wait_for_one
from fleetui_cli.show import as_json, clean, local, out, tell

CONFIRM_ABOVE = 10
SAID_AT_MOST = 20
#: Why nodes are left out of an upgrade that run what was asked for.
DONE_BEFORE = ("nothing_newer", "there_already")


def body_of(given: argparse.Namespace) -> dict[str, Any]:
    """The request as the API takes it."""
    body: dict[str, Any] = {"kind": given.kind, "params": params_of(given)}
    selector = selector_of(given)
    if given.nodes and (selector or given.every):
        raise Problem(Code.USAGE, "Nodes are named, and filters are given too.", "Give one or the other.")
    if given.nodes:
        body["nodes"] = list(dict.fromkeys(given.nodes))
    elif selector or given.every:
        body["selector"] = selector
    else:
        raise Problem(Code.USAGE, "Which nodes is not said.", "Name them, or give --pool, --filter or --every-node.")
    return body


def selector_of(given: argparse.Namespace) -> dict[str, str]:
    """Filters as the list of nodes takes them."""
    found: dict[str, str] = {}
    for text in given.filter or ():
        name, mark, value = text.partition("=")
        if not mark or not name:
            raise Problem(Code.USAGE, f"{text!r} is not a filter.", "Write it as name=value, such as pool=web.")
        found[name] = f"{found[name]},{value}" if name in found else value
    for name in ("pool", "cluster", "q"):
        if value := getattr(given, name, None):
            found[name] = value
    return found


def params_of(given: argparse.Namespace) -> dict[str, Any]:
    """Options of the short forms, and --param name=value, whose value may be JSON. A name that is repeated makes a list."""
    found: dict[str, Any] = {}
    for name in ("version", "soak_s", "roll_back", "ignore_sessions"):
        value = getattr(given, name, None)
        # 0 is a number of seconds, and equals False.
        if value is not None and value is not False:
            found[name] = value
    named: dict[str, list[Any]] = {}
    for text in given.param or ():
        name, mark, value = text.partition("=")
        if not mark or not name:
            raise Problem(Code.USAGE, f"{text!r} is not a parameter.", "Write it as name=value.")
        try:
            read = json.loads(value)
        except ValueError:
            read = value
        named.setdefault(name, []).append(read)
    return found | {name: values if len(values) > 1 else values[0] for name, values in named.items()}


def plan(api: Api, given: argparse.Namespace) -> Code:
    """Show what would be done; nothing happens."""
    found = api.post("operations/", {**body_of(given), "dry_run": True}, key=str(uuid.uuid4()))
    if given.json:
        as_json(found)
    else:
        _print_plan(found)
    return Code.DONE if any(_may_start(one) for one in found["operations"]) else Code.REFUSED


def _may_start(one: Mapping[str, Any]) -> bool:
    return all(check["level"] != "block" for check in one["checks"])


def _print_plan(found: Mapping[str, Any]) -> None:
    commands: list[Any] = []
    for one in found["operations"]:
        version = (one.get("target") or {}).get("version")
        seen = f" (last read {local(one['seen_at'])})" if one.get("seen_at") else ""
        out(f"{clean(one['node'])}{f' -> {clean(version)}' if version else ''}{seen}")
        for check in one["checks"]:
            if check["level"] != "ok":
                out(f"  {'stops here: ' if check['level'] == 'block' else ''}{clean(check['sentence'])}")
        if one["commands"] != commands:
            commands = one["commands"]
            for command in commands:
                out(f"  $ {clean(shlex.join(command))}")
    for one in found["refused"]:
        out(f"{clean(one['node'])}: left out. {clean(one['reason'])}")
    if found.get("note"):
        out(clean(found["note"]))
    if found.get("expected_s"):
        out(f"By past runs in these pools, all of it takes about {max(round(found['expected_s'] / 60), 1)} min.")
    if found.get("approvals_needed"):
        out(f"Others have to approve it: {found['approvals_needed']}.")
    to_do = sum(_may_start(one) for one in found["operations"])
    stops = len(found["operations"]) - to_do
    stopped = f"{stops} would stop at the first check, " if stops else ""
    out(f"{to_do} to do, {stopped}{len(found['refused'])} left out. Nothing has happened yet.")


def run(api: Api, given: argparse.Namespace) -> Code:
    """Ask for it, and with --wait or --follow stay until it is over."""
    body = body_of(given)
    check_stay(given)
    _confirm(api, given, body)
    body |= {"reason": given.reason or "", "deadline": moment(given.deadline), "approve_by": moment(given.approve_by)}
    if given.max_attempts is not None:
        body["max_attempts"] = given.max_attempts
    if given.stop_after is not None:
        body["stop_after"] = given.stop_after
    return after_asking(api, given, ask(api, given, "operations/", body))


def ask(api: Api, given: argparse.Namespace, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Sent with the key by which a repeat makes nothing twice; whoever stops it in the middle is told the key."""
    given.asking = given.key or str(uuid.uuid4())
    made: dict[str, Any] = api.post(path, body, key=given.asking)
    given.asking = ""
    return made


def after_asking(api: Api, given: argparse.Namespace, made: dict[str, Any]) -> Code:
    """Say what was made, and wait for it when that is wanted."""
    operations, refused = made["operations"], made["refused"]
    stays, left_out = given.wait or given.follow, _left_out(given, refused)
    if not given.json or stays:
        for one in refused:
            tell(f"{clean(one['node'])}: left out. {clean(one['reason'])}")
    if not operations:
        if given.json:
            as_json(made)
        if refused and not left_out:
            tell("Nothing is left to do: they run it already.")
            return Code.DONE
        raise Problem(Code.REFUSED, "Nothing can be done to any of these nodes.")
    _remember(given, made)
    if not stays:
        if given.json:
            as_json(made)
        else:
            _print_made(made)
        return Code.REFUSED if left_out and given.strict else Code.DONE
    tell(f"Request {made['request_id']}: {len(operations)} operation{'s' if len(operations) > 1 else ''}.")
    if made["approvals_needed"] and operations[0]["state"] == "awaiting_approval":
        tell(f"It waits for {made['approvals_needed']} more to approve it, until {local(made['approve_by'])}.")
    code = stay(api, given, made["request_id"], [one["id"] for one in operations])
    return Code.REFUSED if code is Code.DONE and left_out and given.strict else code


def _left_out(given: argparse.Namespace, refused: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those that it was not done to, without those that had it before where that is as good."""
    is_enough = getattr(given, "if_needed", False)
    return [one for one in refused if not (is_enough and one["code"] in DONE_BEFORE)]


def check_stay(given: argparse.Namespace) -> None:
    """Before anything is asked for: --timeout is a time, and there is something that it limits."""
    if seconds(given.timeout) is not None and not (given.wait or given.follow):
        raise Problem(Code.USAGE, "--timeout limits --wait or --follow, and neither is given.", "Add --wait.")


def stay(api: Api, given: argparse.Namespace, request_id: str, operations: Sequence[str]) -> Code:
    """Until all of them are over, or the time is: then it is said where those stand that go on."""
    try:
        return _stay(api, given, request_id, operations)
    except Problem as problem:
        if problem.code is Code.TIMEOUT:
            # Without an answer the time is over all the same.
            with suppress(Problem):
                for one in api.every("operations/", SAID_AT_MOST, {"request": request_id, "active": "true"}):
                    tell(sentence(one))
        raise


def _stay(api: Api, given: argparse.Namespace, request_id: str, operations: Sequence[str]) -> Code:
    """Of a single one the log may be followed."""
    clock = Clock(seconds(given.timeout))
    if len(operations) == 1:
        one = operations[0]
        watch = follow if given.follow else wait_for_one
        found = watch(api, one, clock, is_json=given.json)
        _end(given, found)
        return code_of([found["state"]])
    bulk = wait_for_bulk(api, request_id, clock, is_quiet=given.json)
    unwell = list(api.every("operations/", 1000, {"request": request_id, "state": _UNWELL}))
    if given.json:
        as_json({**bulk, "not_succeeded": unwell})
    else:
        for each in unwell:
            out(sentence(each))
    return code_of(bulk["states"])


_UNWELL = "failed,cancelled,timed_out,void,needs_attention"


def _end(given: argparse.Namespace, found: Mapping[str, Any]) -> None:
    if given.json:
        as_json(found, is_line=given.follow)
    else:
        out(sentence(found))


def _print_made(made: Mapping[str, Any]) -> None:
    for one in made["operations"]:
        out(f"{clean(one['node'])}: {str(one['state']).replace('_', ' ')}  {one['id']}")
    out(f"Request {made['request_id']}. Wait for it: fleetui-cli wait {made['request_id']}")


def _remember(given: argparse.Namespace, made: Mapping[str, Any]) -> None:
    """What Ctrl-C names, and what is printed when the time is over."""
    operations = made["operations"]
    given.under_way, given.made = operations[0]["id"] if len(operations) == 1 else made["request_id"], made


def _confirm(api: Api, given: argparse.Namespace, body: Mapping[str, Any]) -> None:
    """More than ten hosts ask for their number: typed, or given beforehand."""
    if given.expect is None and len(body.get("nodes", ())) in range(1, CONFIRM_ABOVE + 1):
        return
    found = api.post("operations/", {**body, "dry_run": True}, key=str(uuid.uuid4()))
    count = len(found["operations"]) + len(found["refused"]) - len(_left_out(given, found["refused"]))
    if given.expect is not None:
        if given.expect != count:
            raise Problem(
                Code.REFUSED, f"It would be done to {count} nodes, not to {given.expect}.", "Nothing was asked for."
            )
        return
    if count <= CONFIRM_ABOVE:
        return
    if not sys.stdin.isatty():
        raise Problem(
            Code.USAGE,
            f"It would be done to {count} nodes.",
            f"Confirm it with --expect {count}. Nothing was asked for.",
        )
    tell(f"{given.kind}: {count} nodes. Type {count} to go on:")
    if sys.stdin.readline().strip() != str(count):
        raise Problem(Code.USAGE, "That is another number.", "Nothing was asked for.")


def seconds(text: str | None) -> float | None:
    """90, 90s, 15m, 4h or 2d as seconds."""
    if not text:
        return None
    units = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
    number, unit = (text[:-1], text[-1]) if text[-1] in units else (text, "s")
    if not (number.isascii() and number.isdigit() and len(number) < 9):
        raise Problem(Code.USAGE, f"{text!r} is not a time.", "Write it as 90s, 15m, 4h or 2d.")
    return float(int(number) * units[unit])


def moment(text: str | None) -> str | None:
    """A time from now on, or a moment as ISO 8601 with its zone."""
    if not text:
        return None
    if text[:1].isdigit() and "-" not in text:
        return (datetime.now(UTC) + timedelta(seconds=seconds(text) or 0)).isoformat(timespec="seconds")
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise Problem(
            Code.USAGE, f"{text!r} is no moment.", "Write it as 4h, or as 2026-12-01T22:00:00+01:00."
        ) from error
    if found.tzinfo is None:
        raise Problem(Code.USAGE, f"{text!r} has no time zone.", "Add +01:00 or Z.")
    return found.isoformat()
