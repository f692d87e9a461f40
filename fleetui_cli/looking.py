"""nodes, operations, show, follow, wait and approvals: what only reads."""

from __future__ import annotations

import argparse
from typing import Any

from fleetui_cli.api import Api
from fleetui_cli.asking import seconds, selector_of, stay
from fleetui_cli.codes import Code, Problem
from fleetui_cli.outcome import progress, sentence
from fleetui_cli.show import as_json, facts, local, out, table

NODE_COLUMNS = ("name", "pool", "booted.version", "reachability", "health", "update_state")
OPERATION_COLUMNS = ("id", "kind", "node", "state", "requester", "created_at")


def nodes_list(api: Api, given: argparse.Namespace) -> Code:
    columns = tuple(given.columns.split(",")) if given.columns else NODE_COLUMNS
    query = selector_of(given)
    if given.needs_attention:
        query["needs_attention"] = "true"
    if given.columns or not given.json:
        # booted.version is the version in the field booted.
        query["fields"] = ",".join(dict.fromkeys(name.partition(".")[0] for name in columns))
    rows = list(api.every("nodes/", given.limit, query))
    if given.json:
        as_json(rows)
    elif rows:
        table([{name: _within(row, name) for name in columns} for row in rows], columns)
    else:
        out("No node matches.")
    return Code.DONE


def _within(row: Any, name: str) -> Any:
    for part in name.split("."):
        row = row.get(part) if isinstance(row, dict) else None
    return row


def nodes_show(api: Api, given: argparse.Namespace) -> Code:
    found = api.get(f"nodes/{name_in_path(given.name)}/")
    if given.json:
        as_json(found)
    else:
        facts([(name, _told(found, name)) for name in found if name != "reasons"])
    return Code.DONE


def _told(node: dict[str, Any], name: str) -> object:
    """A deployment by its version, and a state with the reason for it."""
    value = node[name]
    if name == "os" and isinstance(value, dict):
        return " ".join(str(value[part]) for part in ("name", "version") if value.get(part))
    if name in ("booted", "staged", "rollback") and isinstance(value, dict):
        return value.get("version")
    why = (node.get("reasons") or {}).get(name) or {}
    return f"{value}: {why['sentence']}" if why.get("code") else value


def operations_list(api: Api, given: argparse.Namespace) -> Code:
    query = selector_of(given)
    query |= {name: value for name in ("state", "kind", "node") if (value := getattr(given, name))}
    if given.active:
        query["active"] = "true"
    rows = list(api.every("operations/", given.limit, query))
    if given.json:
        as_json(rows)
    elif rows:
        table([{**row, "created_at": local(row["created_at"])} for row in rows], OPERATION_COLUMNS)
    else:
        out("No operation matches.")
    return Code.DONE


def approvals(api: Api, given: argparse.Namespace) -> Code:
    rows = api.get("operations/approvals/")["results"]
    if given.json:
        as_json(rows)
        return Code.DONE
    shown = [
        {
            **row,
            "nodes": row["operations"],
            "approvals": f"{row['approvals']}/{row['approvals_needed']}",
            "approve_by": local(row["approve_by"]),
            "mine": "yes" if row["may_decide"] else "no",
        }
        for row in rows
    ]
    if shown:
        table(shown, ("request_id", "kind", "nodes", "requester", "approvals", "approve_by", "mine", "reason"))
    else:
        out("Nothing waits for approval.")
    return Code.DONE


def name_in_path(text: str) -> str:
    """A name or id as part of an address."""
    if not text or "/" in text or not text.isprintable() or any(mark in text for mark in "?#% "):
        raise Problem(Code.USAGE, f"{text!r} cannot be a name or an id.")
    return text


def found_as(api: Api, text: str) -> tuple[str, dict[str, Any]]:
    """What an id names: ("operation", it) or ("request", it)."""
    name = name_in_path(text)
    try:
        return "operation", api.get(f"operations/{name}/")
    except Problem as problem:
        if problem.code is not Code.NOT_FOUND:
            raise
    try:
        return "request", api.get(f"operations/bulk/{name}/")
    except Problem as problem:
        if problem.code is not Code.NOT_FOUND:
            raise
        raise Problem(
            Code.NOT_FOUND, f"There is no operation or request {text} that you may see.", "fleetui-cli operations"
        ) from None


def show(api: Api, given: argparse.Namespace) -> Code:
    """An operation or a request as it stands now."""
    what, found = found_as(api, given.id)
    if given.json:
        as_json(found)
    elif what == "request":
        out(progress(found["states"]))
        for row in api.every("operations/", 1000, {"request": given.id}):
            out(f"{row['id']}  {sentence(row)}")
    else:
        out(sentence(found))
        names = (
            "kind",
            "request_id",
            "step",
            "requester",
            "reason",
            "created_at",
            "started_at",
            "ended_at",
            "deadline",
        )
        facts(
            [
                (name, local(found[name]) if name.endswith("_at") or name == "deadline" else found[name])
                for name in names
            ]
        )
    return Code.DONE


def wait(api: Api, given: argparse.Namespace) -> Code:
    """Until an operation, or all of a request, are over."""
    seconds(given.timeout)  # that it is a time
    what, found = found_as(api, given.id)
    given.under_way = given.id
    try:
        if what == "operation":
            return stay(api, given, found["request_id"], [found["id"]])
        rows = list(api.every("operations/", 2, {"request": given.id}))
        return stay(api, given, given.id, [row["id"] for row in rows])
    except Problem as problem:
        if problem.code is Code.TIMEOUT and given.json:
            as_json(found_as(api, given.id)[1], is_line=given.follow)  # as it stands now
        raise
