"""One node compared: its config rendered here, its host asked over SSH, and both held against each other."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache, lru_cache
from typing import Any

import structlog
from django.conf import settings

from fleetui.core.errors import FleetError
from nodes import drift as pure
from nodes.hosts import drivers, ssh
from nodes.hosts.errors import CommandFailed, HostError
from nodes.ignition.sections import UnreadableDocument
from nodes.models import Drift, Facts, HostKey, IgnitionVersion, Node
from nodes.services.drift.checks import Failure
from nodes.services.ignition.declarations import from_json
from nodes.services.ignition.rendering import render, values_for
from nodes.services.polling.contact import Target, signed_in
from nodes.services.polling.targets import target_of
from nodes.services.routes import Routes

log = structlog.get_logger(__name__)
#: Of the whole comparison of one host; nearly all of it is the wait for the host.
DEADLINE_S = 40.0
MOST_OUTPUT_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Check:
    """A claimed comparison: the node, what is expected or why that is not known, and how to reach the host.

    `asked_at` is when somebody asked for it last, before it began.
    """

    node: Node
    target: Target
    expected: pure.Expected | Failure = field(repr=False)
    arguments: list[str] | None
    platform_keys: frozenset[str]
    secrets: list[tuple[str, str]] = field(repr=False)
    asked_at: datetime | None = None


@dataclass(frozen=True)
class Result:
    check: Check
    found: pure.Comparison | Failure = field(repr=False)


def load(ids: Sequence[uuid.UUID]) -> list[Check]:
    """What the comparisons need, read and rendered before any host is contacted."""
    rows = Node.objects.filter(pk__in=ids).select_related("pool__credential", "pool__jump_host", "credential")
    nodes = list(rows.select_related("applied_version__config", "jump_host").order_by("name"))
    pinned = {key.node_id: key for key in HostKey.objects.filter(node__in=nodes, state="pinned")}
    facts = dict(Facts.objects.filter(pk__in=[node.facts_id for node in nodes]).values_list("node_id", "document"))
    routes = Routes.of(nodes)
    asked = dict(Drift.objects.filter(pk__in=ids).values_list("pk", "requested_at"))
    return [
        replace(
            _check(node, target_of(node, pinned.get(node.pk), routes), facts.get(node.pk)), asked_at=asked.get(node.pk)
        )
        for node in nodes
    ]


def _check(node: Node, target: Target, document: dict[str, Any] | None) -> Check:
    family = node.os_family_given or node.os_family
    driver = drivers.get(family) if family in drivers.families() else None
    expected, secrets = _expected(node, is_supported=driver is not None and driver.has_ignition)
    arguments = (document or {}).get("boot", {}).get("arguments")
    return Check(
        node,
        target,
        expected,
        list(arguments) if arguments else None,
        driver.platform_keys if driver is not None else frozenset(),
        secrets,
    )


def _expected(node: Node, *, is_supported: bool) -> tuple[pure.Expected | Failure, list[tuple[str, str]]]:
    version = node.applied_version
    if not is_supported or version is None:
        return Failure("not_supported", {"family": node.os_name or node.os_family or "–"}), []
    try:
        if not version.declarations:
            return _plain(version.pk), []
        rendered = render(version, node=node)
        return pure.expect(rendered.text, rendered.shown), _secrets(version, node)
    except FleetError as error:
        return Failure("no_config", {"why": error.message, "mend": error.mend}), []
    except UnreadableDocument as error:
        return Failure("no_config", {"why": str(error), "mend": ""}), []


@lru_cache(maxsize=16)
def _plain(version_id: uuid.UUID) -> pure.Expected:
    """A version without variables is the same for all its nodes, and never changes."""
    return pure.expect(IgnitionVersion.objects.values_list("rendered", flat=True).get(pk=version_id))


def _secrets(version: IgnitionVersion, node: Node) -> list[tuple[str, str]]:
    """Each secret whole and by its lines, the longest first."""
    found = []
    for value in values_for(from_json(version.declarations), node=node).values():
        if value.is_secret:
            found += [(part, value.name) for part in {value.text, *value.text.splitlines()} if part.strip()]
    return sorted(found, key=lambda one: -len(one[0]))


@cache
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="ssh-drift")


def run(checks: Sequence[Check]) -> Iterator[Result]:
    """Compare each, as they come; all end by their own deadline. Network only, on threads."""
    shared = ssh.SharedJumps()
    threads = _threads(settings.DRIFT_THREADS)
    try:
        running = [threads.submit(_compare, check, shared) for check in checks]
        for future in as_completed(running):
            yield future.result()
    finally:
        shared.close()


def _compare(check: Check, shared: ssh.SharedJumps) -> Result:
    try:
        return Result(check, compared(check, shared))
    except Exception as error:  # a fault of ours on one host must not take the others with it
        log.exception("drift_failed", node=str(check.node.pk))
        return Result(check, Failure("host_error", {"error": type(error).__name__}))


def compared(check: Check, shared: ssh.SharedJumps | None = None) -> pure.Comparison | Failure:
    """Ask the host and compare."""
    expected = check.expected
    if isinstance(expected, Failure):
        return expected
    deadline = ssh.Deadline.after(DEADLINE_S)

    def look(connection: ssh.Connection) -> pure.Seen:
        ask = asking(connection, deadline)
        return pure.inspect(expected, ask, platform_keys=check.platform_keys)

    try:
        seen = signed_in(check.target, look, deadline=deadline, shared=shared)
    except pure.NotUnderstood as error:
        return Failure("not_understood", {"question": error.question, "why": error.why}, error.raw)
    except HostError as error:
        return Failure(error.kind, dict(error.params))
    return pure.compare(expected, seen, check.arguments)


def asking(connection: ssh.Connection, deadline: ssh.Deadline) -> Callable[[pure.Question], pure.Answer]:
    """Questions over a connection. One that root was not let in for is a failure that says so."""

    def ask(question: pure.Question) -> pure.Answer:
        done = connection.run(question.argv, stdin=question.stdin, deadline=deadline, max_bytes=MOST_OUTPUT_BYTES)
        said = done.stderr.decode("utf-8", "replace")
        if done.exit_status == 1 and said.lstrip().startswith("sudo:"):
            raise CommandFailed(f"sudo -n {question.name}", 1, said[:500])
        return pure.Answer(done.exit_status if done.exit_status is not None else -1, done.stdout, done.stderr)

    return ask
