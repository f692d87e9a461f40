"""cancel, retry, approve, reject, go-on, resolve, stop-all and lift-stop."""

from __future__ import annotations

import argparse
from typing import Any

from fleetui_cli.api import Api
from fleetui_cli.asking import after_asking, ask, check_stay
from fleetui_cli.codes import Code
from fleetui_cli.looking import found_as
from fleetui_cli.outcome import progress, sentence
from fleetui_cli.show import as_json, out


def decide(api: Api, given: argparse.Namespace) -> Code:
    """cancel, approve, reject: of one operation, or of a request as a whole."""
    what, _found = found_as(api, given.id)
    where = f"operations/{given.id}/" if what == "operation" else f"operations/bulk/{given.id}/"
    answer: dict[str, Any] = api.post(f"{where}{given.command}/", {"reason": given.reason or ""})
    if given.json:
        as_json(answer)
    elif "cancelled" in answer:
        out(f"{answer['cancelled']} cancelled. What has begun ends between two steps.")
    elif "states" in answer:
        if given.command == "approve" and answer["approvals"] < answer["approvals_needed"]:
            out(f"Approved: {answer['approvals']} of the {answer['approvals_needed']} that it needs.")
        out(progress(answer["states"]))
    else:
        out(sentence(answer))
    return Code.DONE


def of_operation(api: Api, given: argparse.Namespace) -> Code:
    """go-on and resolve: of an operation that needs attention."""
    found_as(api, given.id)
    answer = api.post(f"operations/{given.id}/{given.command}/", {"reason": given.reason or ""})
    if given.json:
        as_json(answer)
    else:
        out(sentence(answer))
    return Code.DONE


def retry(api: Api, given: argparse.Namespace) -> Code:
    """One operation, or what failed or did not begin of a request."""
    check_stay(given)
    what, _found = found_as(api, given.id)
    where = f"operations/{given.id}/" if what == "operation" else f"operations/bulk/{given.id}/"
    return after_asking(api, given, ask(api, given, f"{where}retry/", {"reason": given.reason or ""}))


def stop(api: Api, given: argparse.Namespace) -> Code:
    """Halt every start, or let operations start again."""
    answer = api.put("operations/stop/", {"stopped": given.command == "stop-all", "reason": given.reason or ""})
    if given.json:
        as_json(answer)
    else:
        out("No operation starts any more; what runs goes on." if answer["stopped"] else "Operations start again.")
    return Code.DONE
