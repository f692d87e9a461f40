"""Renew a certificate by Certbot on its host, let its service take it, and see whether the new one is really served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from nodes import certificates
from nodes.hosts.drivers import certbot_commands, units
from nodes.hosts.drivers.base import Command, Driver
from nodes.services.certificates.endpoints import read_title
from ops.actions.base import LOOK_AGAIN, Action, Context, ParamsRefused, Step
from ops.actions.fenced import run_fenced
from ops.actions.ready import preflight
from ops.outcomes import Done, Fail, Outcome, Wait
from ops.preflight import Check

#: A service that was told to reload takes its new certificate within seconds.
SERVED_WITHIN = timedelta(minutes=3)


def renew_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """`certificate`: its name at Certbot. `endpoint`: a known one, HOST:PORT or by its title. `reload`: the service that serves it."""
    given = dict(params)
    name = given.pop("certificate", "")
    if not certbot_commands.is_name(name):
        raise ParamsRefused("certificate", "not_a_certificate", value=str(name)[:100])
    found: dict[str, Any] = {"certificate": name}
    found |= endpoint_param(given)
    unit = given.pop("reload", "")
    if unit:
        whole = units.whole_name(unit.strip()) if isinstance(unit, str) else ""
        if code := units.refusal(whole):
            raise ParamsRefused("reload", code, value=str(unit)[:100])
        if not whole.endswith(".service"):
            raise ParamsRefused("reload", "not_a_service", value=whole[:100])
        found["reload"] = whole
    force = given.pop("force", False)
    if not isinstance(force, bool):
        raise ParamsRefused("force", "not_a_flag", value=str(force)[:100])
    if force:
        found["force"] = True
    if given:
        raise ParamsRefused(sorted(given)[0], "unknown_param")
    return found


def endpoint_param(given: dict[str, Any]) -> dict[str, Any]:
    """Takes the endpoint out of `given`, where there is one."""
    endpoint = given.pop("endpoint", "")
    if not endpoint:
        return {}
    try:
        read_title(endpoint if isinstance(endpoint, str) else "")
    except ValueError:
        raise ParamsRefused("endpoint", "not_an_endpoint", value=str(endpoint)[:100]) from None
    return {"endpoint": endpoint.strip().lower()}


def _shown(ctx: Context) -> dict[str, Any]:
    """What Certbot has on the host: its version, and the certificate that lies there."""
    result = ctx.host.run(ctx.driver.command("certbot_shown", certificate=ctx.params["certificate"]))
    first, _newline, rest = result.stdout.partition(b"\n")
    version = first.decode("utf-8", "replace").strip()[:100]
    lies = [one for one in certificates.read_all(rest) if isinstance(one, certificates.Certificate)]
    ends = lies[0].not_after if lies else None
    return {
        "certbot": "" if version == certbot_commands.ABSENT else version or "?",
        "not_after": ends.isoformat() if ends else "",
        **to_be_served(lies),
    }


def to_be_served(chain: Sequence[certificates.Certificate]) -> dict[str, Any]:
    """What an endpoint should serve: the first of them, for its names, with the others but for roots, which clients have."""
    return {
        "fingerprint": chain[0].fingerprint if chain else "",
        "names": list(chain[0].names) if chain else [],
        "chain": [one.fingerprint for one in chain[1:] if not one.is_self_signed],
    }


def _see(ctx: Context, _facts: Mapping[str, Any]) -> dict[str, Any]:
    seen: dict[str, Any] = {"certificate": _shown(ctx)}
    if endpoint := ctx.params.get("endpoint"):
        seen["served"] = ctx.certificates.served(str(endpoint), seen["certificate"])
    return seen


def ready_to_renew(
    facts: Mapping[str, Any], _measured: Mapping[str, Any], params: Mapping[str, Any], _plan: Mapping[str, Any]
) -> Sequence[Check]:
    """A plan knows nothing of what Certbot has; the first step asks the host, and the endpoint."""
    found: list[Check] = []
    if not params.get("endpoint"):
        found.append(Check("renewal_not_proved", "warn"))
    seen = facts.get("certificate")
    if seen is None:
        return found
    name = params.get("certificate", "")
    if not seen["certbot"]:
        return [Check("certbot_absent", "block"), *found]
    if not seen["fingerprint"]:
        return [Check("certificate_absent", "block", {"name": name}), *found]
    found.append(Check("certificate_there", params={"name": name, "until": _until(seen)}))
    served = facts.get("served")
    return [*found, endpoint_check(params["endpoint"], served, seen["fingerprint"])] if served is not None else found


def endpoint_check(endpoint: str, served: Mapping[str, Any], fingerprint: str) -> Check:
    """Whether an endpoint serves, before anything is changed, the certificate that is there."""
    if served["problem"] == "unknown":
        return Check("endpoint_unknown", "block", {"endpoint": endpoint})
    if served["problem"]:
        return Check("endpoint_silent", "warn", {"endpoint": endpoint, "why": served["problem"]})
    if served["fingerprint"] != fingerprint:
        return Check("endpoint_serves_other", "warn", {"endpoint": endpoint})
    if served.get("fault"):
        return Check("endpoint_chain_broken", "warn", {"endpoint": endpoint})
    return Check("endpoint_serves_it", params={"endpoint": endpoint})


def renew(ctx: Context) -> Outcome:
    def done(_status: int, memory: Mapping[str, Any]) -> Outcome:
        return Done("certbot_ran", memory=memory)

    command = ctx.driver.command(
        "certbot_renew", certificate=ctx.params["certificate"], force=bool(ctx.params.get("force"))
    )
    return run_fenced(ctx, command, waits="certbot_runs", fails="certbot_failed", done=done)


def compare(ctx: Context) -> Outcome:
    """Is there another one now, and does it live longer? One that was not due may still not be the one that is served."""
    before, now = dict(ctx.memory["seen"]["certificate"]), _shown(ctx)
    name = ctx.params["certificate"]
    if not now["fingerprint"]:
        return Fail("certificate_gone", {"name": name})
    memory = {"renewed": now}
    if now["fingerprint"] == before["fingerprint"]:
        served = ctx.memory["seen"].get("served") or {}
        if ctx.params.get("force"):
            return Fail("certificate_not_renewed", {"name": name})
        is_served = served.get("fingerprint") == now["fingerprint"] and not served.get("fault")
        if is_served or not served.get("fingerprint"):
            return Done("certificate_not_due", {"name": name, "until": _until(now)}, memory, finish=True)
        return _on(ctx, Done("certificate_was_renewed", {"name": name}, memory))
    if _moment(now) <= _moment(before):
        return Fail("certificate_ends_sooner", {"name": name, "until": _until(now)}, memory)
    ctx.certificates.read_again()
    return _on(ctx, Done("certificate_renewed", {"name": name, "until": _until(now)}, memory))


def _moment(shown: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(shown["not_after"])


def _until(shown: Mapping[str, Any]) -> str:
    return f"{_moment(shown):%Y-%m-%d %H:%M} UTC"


def _on(ctx: Context, done: Done) -> Done:
    """To the step that was asked for next; the end where none was."""
    if ctx.step != "reload_service" and ctx.params.get("reload"):
        return done
    if ctx.params.get("endpoint"):
        return Done(done.reason, done.params, done.memory, skip_to="see_served" if ctx.step != "reload_service" else "")
    return Done(done.reason, done.params, done.memory, finish=True)


def reload(ctx: Context) -> Outcome:
    renewed = dict(ctx.memory["renewed"])
    told = {"name": ctx.params["certificate"], "until": _until(renewed), "unit": ctx.params["reload"]}

    def done(_status: int, memory: Mapping[str, Any]) -> Outcome:
        return _on(ctx, Done("service_reloaded", told, memory))

    command = ctx.driver.command("certbot_reload", unit=ctx.params["reload"])
    return run_fenced(ctx, command, waits="reloads", fails="reload_failed", done=done)


def see_served(ctx: Context) -> Outcome:
    return served_as(ctx, str(ctx.params["certificate"]))


def served_as(ctx: Context, name: str) -> Outcome:
    """By a handshake from here, as clients make one."""
    endpoint, wanted = str(ctx.params["endpoint"]), dict(ctx.memory["renewed"])
    served = ctx.certificates.served(endpoint, wanted)
    told = {"name": name, "endpoint": endpoint, "until": _until(wanted)}
    is_new = served["fingerprint"] == wanted["fingerprint"]
    if is_new and not served["fault"]:
        ctx.certificates.read_again(endpoint)
        return Done("certificate_served", told, finish=True)
    if ctx.now - ctx.since > SERVED_WITHIN:
        ctx.certificates.read_again(endpoint)
        if served["problem"]:
            return Fail("endpoint_not_read", {**told, "why": served["problem"]})
        return Fail("chain_not_served" if is_new else "old_certificate_served", told)
    return Wait(ctx.now + LOOK_AGAIN, "certificate_taken", {"endpoint": endpoint})


def _commands(driver: Driver, params: Mapping[str, Any], _plan: Mapping[str, Any]) -> list[Command]:
    found = [driver.command("certbot_renew", certificate=params["certificate"], force=bool(params.get("force")))]
    return [*found, driver.command("certbot_reload", unit=params["reload"])] if params.get("reload") else found


CERTBOT_RENEW = Action(
    kind="certbot_renew",
    checks=ready_to_renew,
    commands=_commands,
    steps=(
        preflight(ready_to_renew, _see),
        Step("renew_certificate", renew),
        Step("compare_certificate", compare),
        Step("reload_service", reload),
        Step("see_served", see_served),
    ),
    capabilities=("certbot",),
    check_params=renew_params,
)
