"""Change kernel arguments: staged as a deployment of its own, then the way of an upgrade."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nodes.hosts.drivers import kernel_arguments
from nodes.hosts.drivers.base import Command, Driver
from ops import preflight as checks
from ops.actions.base import Action, Context, ParamsRefused, as_failure
from ops.actions.deployments import look_at_deployments
from ops.actions.fenced import run_fenced
from ops.actions.hold import hold_commands
from ops.actions.managers import no_other_manager, see_managers
from ops.actions.ostree import common_params, flag_param, nothing_left, staged_memory, verify, with_restart
from ops.outcomes import Done, Fail, Outcome
from ops.preflight import Check, staged_of

LISTS = ("append", "delete", "replace")


def kargs_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """`append`, `delete` and `replace` (KEY=NEW): lists of arguments, or one; `roll_back`, and the common ones."""
    given = dict(params)
    found: dict[str, Any] = {name: words for name in LISTS if (words := _arguments(given, name))}
    if not found:
        raise ParamsRefused("append", "no_arguments")
    words = [word for name in LISTS for word in found.get(name, ())]
    if twice := sorted({word for word in words if words.count(word) > 1}):
        raise ParamsRefused(next(name for name in LISTS if twice[0] in found.get(name, ())), "twice", value=twice[0])
    found.update(common_params(given))
    if "roll_back" in given:
        found["roll_back"] = flag_param(given, "roll_back")
    nothing_left(given)
    return found


def _arguments(given: dict[str, Any], name: str) -> list[str]:
    words = given.pop(name, [])
    if isinstance(words, str):
        words = [words]
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ParamsRefused(name, "not_a_list", value=str(words)[:100])
    if len(words) > kernel_arguments.MOST:
        raise ParamsRefused(name, "too_many_arguments", value=len(words), most=kernel_arguments.MOST)
    for word in words:
        if code := kernel_arguments.refusal(word):
            raise ParamsRefused(name, code, value=word[:100])
        if name == "replace" and "=" not in word:
            raise ParamsRefused(name, "not_a_replacement", value=word[:100])
    return words


def _lists(params: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    return {name: params.get(name, ()) for name in LISTS}


def _of(facts: Mapping[str, Any]) -> Sequence[str]:
    """What a look of this moment asked for, else what the booted kernel was given."""
    live = facts.get("kargs")
    return live if live is not None else (facts.get("boot") or {}).get("arguments") or []


def kargs_target(facts: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """What the plan shows: the arguments before and after."""
    before = list(_of(facts))
    after = list(kernel_arguments.changed(before, **_lists(params)))
    return {"arguments": {"before": before, "after": after}}


def ready_for_kargs(
    facts: Mapping[str, Any], measured: Mapping[str, Any], params: Mapping[str, Any], _plan: Mapping[str, Any]
) -> Sequence[Check]:
    before = list(_of(facts))
    if not before:
        return [checks.deployments_known(facts), Check("arguments_unknown", "warn")]
    absent, unclear = kernel_arguments.missing(before, params.get("delete", ()), params.get("replace", ()))
    after = kernel_arguments.changed(before, **_lists(params))
    found = [
        checks.deployments_known(facts),
        checks.no_transaction(facts),
        *checks.space(measured),
        checks.agent_idle(facts),
        checks.nothing_waits(facts),
        checks.sessions(facts, ignored=bool(params.get("ignore_sessions"))),
        no_other_manager(facts, ignored=bool(params.get("ignore_managers"))),
        *checks.lock_not_asked(facts),
        checks.pruned(facts),
    ]
    found += [Check("argument_absent", "block", {"argument": word}) for word in absent]
    found += [Check("argument_unclear", "block", {"argument": key}) for key in unclear]
    size = len(" ".join(after))
    if size > kernel_arguments.LONGEST_LINE:
        found.append(Check("arguments_long", "block", {"size": size, "most": kernel_arguments.LONGEST_LINE}))
    if not absent and not unclear:
        found.append(Check("arguments_there" if tuple(before) == after else "arguments_change"))
    return found


def _live(ctx: Context) -> tuple[str, ...] | Fail:
    """The arguments of the deployment that boots next."""
    result = ctx.host.run(ctx.driver.command("kargs"))
    if result.exit_status:
        return as_failure(result, "arguments_unread", again=True)
    return kernel_arguments.parse(result.stdout.decode("utf-8", "replace"))


def _see(ctx: Context, facts: Mapping[str, Any]) -> dict[str, Any]:
    found = _live(ctx)
    return {**see_managers(ctx, facts), **({} if isinstance(found, Fail) else {"kargs": list(found)})}


def _command(driver: Driver, params: Mapping[str, Any]) -> Command:
    return driver.command("kargs_set", **_lists(params))


def stage(ctx: Context) -> Outcome:
    """Stage the change. What counts afterwards is what `rpm-ostree kargs` says of the deployment that boots next."""

    def reached(memory: Mapping[str, Any]) -> Outcome | None:
        now = _live(ctx)
        if isinstance(now, Fail):
            return now
        if not kernel_arguments.holds(now, **_lists(ctx.params)):
            return None
        staged = staged_of(look_at_deployments(ctx).as_json())
        if staged is None:
            return Done("arguments_there", memory=memory, finish=True)
        return Done("staged", {"version": staged.get("version") or ""}, {**memory, **staged_memory(staged)})

    def done(_status: int, memory: Mapping[str, Any]) -> Outcome:
        return reached(memory) or Fail("nothing_staged", {"said": memory.get("last_said", "")}, memory)

    return run_fenced(
        ctx,
        _command(ctx.driver, ctx.params),
        waits="stages_arguments",
        fails="stage_failed",
        done=done,
        look_first=lambda: reached({}),
        leaves={"staged": "any"},
    )


def compare(ctx: Context) -> Outcome:
    """The booted deployment against the staged one, then its arguments against those that were asked for."""
    found = verify(ctx)
    if isinstance(found, Fail):
        return Fail("arguments_fell_back", {"said": found.params.get("said", "")}, found.memory)
    now = _live(ctx)
    if isinstance(now, Fail):
        return now
    if not kernel_arguments.holds(now, **_lists(ctx.params)):
        return Fail("arguments_not_there", memory=found.memory)
    return Done("arguments_right", memory=found.memory)


def _commands(driver: Driver, params: Mapping[str, Any], _plan: Mapping[str, Any]) -> list[Command]:
    return [*hold_commands(driver), _command(driver, params), driver.command("reboot")]


KARGS = Action(
    kind="kargs",
    checks=ready_for_kargs,
    commands=_commands,
    target=kargs_target,
    steps=with_restart(ready_for_kargs, stage=stage, verify=compare, see=_see),
    capabilities=("kargs_set", "reboot"),
    is_disruptive=True,
    check_params=kargs_params,
)
