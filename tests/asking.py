"""A running FleetUI as one person asks its REST API, and as a machine that boots fetches its config."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from tests.installation import Installation


class Asked:
    """The API as one person asks it."""

    def __init__(self, started: Installation, token: str) -> None:
        self.started, self.token = started, token

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(f"{self.started.url}/api/v1/{path}", method=method)
        request.add_header("Authorization", f"Bearer {self.token}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def refused(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """The status of what is not done, and the sentence that says why."""
        try:
            done = self(method, path, body)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)["detail"]
        raise AssertionError(f"{method} {path} was done: {done}")

    def until(self, true: Callable[[], bool], within_s: float = 120) -> None:
        deadline = time.monotonic() + within_s
        while not true():
            assert time.monotonic() < deadline, self.started.output
            time.sleep(0.5)


def fetched(url: str) -> tuple[int, bytes]:
    """As Ignition asks: any Accept header, no session, no token but that in the address."""
    request = urllib.request.Request(url, headers={"User-Agent": "Ignition/2.26.0", "Accept": "*/*"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def file_in(config: bytes, path: str) -> str:
    (found,) = [one for one in json.loads(config)["storage"]["files"] if one["path"] == path]
    return unquote(found["contents"]["source"].removeprefix("data:,"))
