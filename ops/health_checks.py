"""Checks of a host after a restart: the exact command of each, and what its answer means. Pure.

They run on the host itself: a service often listens on the host's own address only, or behind a firewall that lets
FleetUI's SSH through and nothing else; and a host that is reached by a jump host has no other way in at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from nodes.hosts.drivers.base import Command
from nodes.hosts.drivers.systemd import parse_show
from nodes.hosts.drivers.units import whole_name
from nodes.hosts.ssh import CommandResult
from ops.preflight import Check

MOST_ARGUMENTS = 32
LONGEST_ARGUMENT = 1000
LONGEST_URL = 500
LEAST_TIMEOUT_S, MOST_TIMEOUT_S = 1, 10
LATE_STATUS = 124
SAID_CHARS = 200
_UNIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9:_.\\@-]{0,199}")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:]{2,39}")
_ARGUMENT = re.compile(r"[ -~]+|[^\x00-\x1f\x7f]+")
_CONNECT = 'exec 3<>"/dev/tcp/$1/$2"'
_READY = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
_KUBECTL = ("sudo", "-n", "kubectl", "--kubeconfig=/etc/kubernetes/kubelet.conf", "--request-timeout=5s")
_CURL = ("curl", "-q", "--silent", "--show-error", "--globoff", "--noproxy", "*", "--proto", "=http,https")


class CheckRefused(ValueError):
    """A check that cannot be used: which field, its value, and a code that is worded for page and API."""

    def __init__(self, field: str, code: str, value: object = "") -> None:
        super().__init__(f"{field}: {code}")
        self.field, self.code, self.value = field, code, str(value)[:200]


def checked(kind: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters in the one form in which they are stored; raises CheckRefused."""
    given = dict(params)
    read = {"unit": _unit, "tcp": _tcp, "http": _http, "command": _command}[kind]
    found = read(given)
    if given:
        raise CheckRefused(sorted(given)[0], "check_param_unknown", given[sorted(given)[0]])
    return found


def _unit(given: dict[str, Any]) -> dict[str, Any]:
    name = given.pop("unit", "")
    if not isinstance(name, str) or not _UNIT.fullmatch(name):
        raise CheckRefused("unit", "check_unit", name)
    return {"unit": whole_name(name)}


def _tcp(given: dict[str, Any]) -> dict[str, Any]:
    host, port = given.pop("host", "") or "127.0.0.1", given.pop("port", None)
    if not isinstance(host, str) or not _HOST.fullmatch(host):
        raise CheckRefused("host", "check_host", host)
    if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65535:
        raise CheckRefused("port", "check_port", port)
    return {"host": host, "port": port}


def _http(given: dict[str, Any]) -> dict[str, Any]:
    url, status, lax = given.pop("url", ""), given.pop("status", 200), given.pop("any_certificate", False)
    if not isinstance(url, str) or not _is_url(url):
        raise CheckRefused("url", "check_url", url)
    if isinstance(status, bool) or not isinstance(status, int) or not 100 <= status <= 599:
        raise CheckRefused("status", "check_status", status)
    if not isinstance(lax, bool):
        raise CheckRefused("any_certificate", "not_a_flag", lax)
    return {"url": url, "status": status, "any_certificate": lax}


def _is_url(text: str) -> bool:
    if len(text) > LONGEST_URL or not re.fullmatch(r"[!-~]+", text):
        return False
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018  (raises when it is no number)
    except ValueError:
        return False
    # A password in it would stand in plain text on the page, in the log and in the process list of the host.
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc


def _command(given: dict[str, Any]) -> dict[str, Any]:
    argv = given.pop("argv", None)
    if not isinstance(argv, list) or not 1 <= len(argv) <= MOST_ARGUMENTS:
        raise CheckRefused("argv", "check_argv", argv or "")
    for word in argv:
        if not isinstance(word, str) or len(word) > LONGEST_ARGUMENT or not _ARGUMENT.fullmatch(word):
            raise CheckRefused("argv", "check_argument", word)
    if argv[0].startswith("-"):
        raise CheckRefused("argv", "check_argument", argv[0])
    return {"argv": list(argv)}


def command_of(kind: str, params: Mapping[str, Any], timeout_s: int, *, is_first: bool = False) -> Command:
    """What runs on the host. Nothing of a parameter is ever read by a shell.

    The first run of a command that people wrote is for the audit log too: nobody but them knows what it does.
    """
    limit = ("timeout", "--kill-after=1", str(timeout_s))
    argv: Sequence[str]
    if kind == "unit":
        argv = (*limit, "systemctl", "show", params["unit"], "--property=Id,LoadState,ActiveState,SubState,Result")
    elif kind == "tcp":
        argv = (*limit, "bash", "-c", _CONNECT, "fleetui-check", params["host"], str(params["port"]))
    elif kind == "http":
        lax = ("--insecure",) if params.get("any_certificate") else ()
        asked = ("--max-time", str(timeout_s), "--output", "/dev/null", "--write-out", "%{http_code}")
        argv = (*_CURL, *asked, *lax, "--url", params["url"])
    else:
        argv = (*limit, *params["argv"])
    return Command(tuple(argv), changes=False, is_told=is_first and kind == "command")


def read(kind: str, params: Mapping[str, Any], result: CommandResult) -> Check:
    """What the answer means."""
    out = result.stdout.decode("utf-8", "replace").strip()
    said = " ".join(_last(result.stderr) or _last(result.stdout))[:SAID_CHARS]
    late = result.exit_status == LATE_STATUS
    if kind == "unit":
        return _unit_state(params["unit"], out)
    if kind == "tcp":
        told = {"host": params["host"], "port": params["port"]}
        if result.exit_status == 0:
            return Check("port_answers", params=told)
        return Check("port_late" if late else "port_silent", "block", {**told, "said": said.rpartition(": ")[2]})
    if kind == "http":
        told = {"url": params["url"], "wanted": params["status"]}
        seen = int(out[-3:]) if out[-3:].isdigit() else 0
        if seen == params["status"]:
            return Check("http_as_wanted", params={**told, "status": seen})
        return Check("http_other" if seen else "http_silent", "block", {**told, "status": seen or None, "said": said})
    told = {"command": " ".join(params["argv"])[:SAID_CHARS]}
    if result.exit_status == 0:
        return Check("command_good", params=told)
    return Check(
        "command_late" if late else "command_bad", "block", {**told, "status": result.exit_status, "said": said}
    )


def _unit_state(name: str, out: str) -> Check:
    shown: dict[str, str] = next(iter(parse_show(out)), {})
    if shown.get("LoadState") == "not-found":
        return Check("unit_is_absent", "block", {"unit": name})
    if shown.get("ActiveState") == "active":
        return Check("unit_is_active", params={"unit": name, "state": shown.get("SubState", "")})
    told = {"unit": name, "state": shown.get("ActiveState", ""), "why": shown.get("Result", "")}
    return Check("unit_is_not_active", "block", told)


def _last(raw: bytes) -> list[str]:
    lines = [line.strip() for line in raw.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1:]


def node_ready(hostname: str) -> Command:
    """Asks the cluster, with the kubelet's own rights, whether it counts the node as ready."""
    return Command((*_KUBECTL, "get", "node", hostname.lower() or "-", "-o", _READY), changes=False)


KUBELET_WELL = Command((*_CURL, "--max-time", "5", "--url", "http://127.0.0.1:10248/healthz"), changes=False)


def read_ready(result: CommandResult, hostname: str) -> Check | None:
    """None when the cluster could not be asked: no kubectl there, or no API server that answers."""
    word = result.stdout.decode("utf-8", "replace").strip()
    if result.exit_status or word not in ("True", "False", "Unknown"):
        return None
    return Check(
        "kubelet_ready" if word == "True" else "kubelet_not_ready",
        "ok" if word == "True" else "block",
        {"node": hostname},
    )


def read_kubelet(result: CommandResult) -> Check:
    """Without the cluster's word, what the kubelet says of itself."""
    if result.exit_status == 0 and result.stdout.strip() == b"ok":
        return Check("kubelet_well")
    return Check(
        "kubelet_silent", "block", {"said": " ".join(_last(result.stderr) or _last(result.stdout))[:SAID_CHARS]}
    )
