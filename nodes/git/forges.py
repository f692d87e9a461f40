"""Where a forge takes the status of a commit, and how it wants to be told: from the address of the repository alone."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote, unquote

from fleetui.core.addresses import is_loopback
from nodes.git.address import Address
from nodes.git.errors import GitProblem

Verdict = Literal["success", "failure"]
#: What GitHub takes; the others take more.
MOST_DESCRIPTION: Final = 140
#: SSH by way of the https port has names of its own, and `www` is the same forge.
_SAME: Final = {"ssh.github.com": "github.com", "www.github.com": "github.com", "altssh.gitlab.com": "gitlab.com"}
_HEADER: Final = re.compile(r"^[\x21-\x7e]+$")
#: How GitLab says that a status stands already.
_STANDS: Final = re.compile(r"Cannot transition status via :\w+ from :(\w+)")


@dataclass(frozen=True)
class Call:
    """A POST that tells a forge."""

    url: str
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Status:
    """What is said of a commit; `target_url` is empty where nobody knows our address."""

    sha: str
    verdict: Verdict
    name: str
    description: str
    target_url: str


def is_sendable(token: str) -> bool:
    """Whether a token can stand in a header."""
    return bool(_HEADER.match(token))


def endpoint(forge: str, address: Address) -> str:
    """The address below which statuses are put; the commit follows. Raises GitProblem of the kind `status`."""
    if address.scheme == "file" or forge not in ("github", "gitlab", "gitea", "forgejo"):
        raise GitProblem("status", "no_forge")
    if address.scheme == "http" and not is_loopback(address.host):
        # The operator may allow to read without TLS; a token is another matter.
        raise GitProblem("status", "in_clear", host=address.host)
    steps = _steps(address.path)
    if forge == "gitlab":
        return f"{_root(address)}/api/v4/projects/{quote('/'.join(steps), safe='')}/statuses/"
    # Gitea may stand below a folder of its host, which SSH does not show.
    folder, project = steps[:-2], "/".join(quote(step, safe="") for step in steps[-2:])
    if folder and (forge == "github" or address.scheme == "ssh"):
        raise GitProblem("status", "path", path=address.path)
    if forge == "github":
        api = "https://api.github.com" if _host(address) == "github.com" else f"{_root(address)}/api/v3"
        return f"{api}/repos/{project}/statuses/"
    below = "".join(f"/{quote(step, safe='')}" for step in folder)
    return f"{_root(address)}{below}/api/v1/repos/{project}/statuses/"


def call(forge: str, address: Address, token: str, status: Status) -> Call:
    """The request. Raises GitProblem of the kind `status` when there is none for this repository."""
    url = endpoint(forge, address) + quote(status.sha, safe="")
    description = status.description
    if len(description) > MOST_DESCRIPTION:
        description = description[: MOST_DESCRIPTION - 1].rstrip() + "…"
    said: dict[str, str] = {"description": description}
    if forge == "gitlab":
        said |= {"state": _gitlab(status.verdict), "name": status.name}
        headers = {"PRIVATE-TOKEN": token}
    else:
        said |= {"state": status.verdict, "context": status.name}
        headers = {"Authorization": f"{'Bearer' if forge == 'github' else 'token'} {token}"}
    if forge == "github":
        headers |= {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
    if status.target_url:
        said["target_url"] = status.target_url
    headers |= {"Content-Type": "application/json", "User-Agent": "FleetUI"}
    return Call(url, json.dumps(said).encode(), headers)


def stands_already(forge: str, verdict: Verdict, answer: str) -> bool:
    """Whether a refusal says that the forge has this very status: GitLab takes none twice."""
    found = _STANDS.search(answer) if forge == "gitlab" else None
    return found is not None and found[1] == _gitlab(verdict)


def _gitlab(verdict: Verdict) -> str:
    return "success" if verdict == "success" else "failed"


def _host(address: Address) -> str:
    return _SAME.get(address.host.lower(), address.host.lower())


def _root(address: Address) -> str:
    host = _host(address)
    named = f"[{host}]" if ":" in host else host
    # The port of SSH says nothing of the one of https; plain http is for hosts that the operator names.
    scheme, port = ("https", None) if address.scheme == "ssh" else (address.scheme, address.port)
    return f"{scheme}://{named}{f':{port}' if port else ''}"


def _steps(path: str) -> list[str]:
    """The path of the project, without what git adds to it."""
    steps = [unquote(step) for step in path.removeprefix("/~").strip("/").removesuffix(".git").split("/")]
    if len(steps) < 2 or any(step in ("", ".", "..") or "/" in step or not step.isprintable() for step in steps):
        raise GitProblem("status", "path", path=path)
    return steps
