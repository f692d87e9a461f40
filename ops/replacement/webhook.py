"""A service somewhere else: it gets signed JSON, and answers JSON. It is asked again with the same id until it has an end.

What takes longer it may tell by itself, to the address that it was given, signed with the same secret.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from fleetui.core.posting import Answer, NotSent, post, signature
from ops.replacement.answers import DEFAULT_AGAIN_S, MOST_AGAIN_S, read_answer
from ops.replacement.base import Broken, NotReady, Order, Progress

SIGNATURE: Final = "X-FleetUI-Signature"
MOST_BYTES = 256 * 1024
#: A service that takes it and says nothing tells by itself; it is asked again now and then all the same.
SILENT_AGAIN_S = 60.0
_ACCEPTED = 202
#: It may know the answer to the same question later.
_LATER: Final = frozenset({0, 408, 425, 429})
_FAULT_OF_ITS_OWN = 500


@dataclass(frozen=True)
class Webhook:
    """Implements ops.replacement.base.Provisioner. `limit_s` is for the whole of one attempt."""

    url: str
    secret: str
    limit_s: int
    now: Callable[[], datetime]
    at_once: bool = True

    def ready(self) -> None:
        """It is asked something that changes nothing."""
        try:
            self._post({"version": 1, "action": "ping"})
        except NotSent as error:
            raise NotReady("webhook_silent", url=self.url, said=str(error)) from error

    def decide(self, decided: Mapping[str, Any]) -> Mapping[str, Any]:
        return {}

    def commands(self, node: str, address: str) -> list[list[str]]:
        return [["POST", self.url]]

    def start(self, order: Order, attempt: int) -> Mapping[str, Any]:
        heard = order.told.get("number", 0)
        return {"attempt": attempt, "began": self.now().isoformat(), "heard": heard, "silent": 0, "answered": {}}

    def look(self, order: Order, handle: Mapping[str, Any]) -> Progress:
        heard = order.told.get("number", 0)
        try:
            if heard > handle["heard"]:
                # It told by itself, to whoever proved to be it: ops.services.replacing.telling.
                return _went(handle, read_answer(order.told["body"].encode()), heard=heard)
            if self.now() >= datetime.fromisoformat(handle["began"]) + timedelta(seconds=self.limit_s):
                return Progress("failed", "webhook_late", {"minutes": max(1, self.limit_s // 60)})
            answer = self._post({**order.as_json(), "attempt": handle["attempt"], "handle": handle["answered"]})
            if answer.status == _ACCEPTED and not answer.body.strip():
                return Progress("works", "hook_works", handle={**handle, "silent": 0}, again_s=SILENT_AGAIN_S)
            return _went(handle, read_answer(answer.body))
        except NotSent as error:
            if error.status in _LATER or error.status >= _FAULT_OF_ITS_OWN:
                times = handle["silent"] + 1
                again_s = min(DEFAULT_AGAIN_S * 2 ** min(times - 1, 10), MOST_AGAIN_S)
                silent = {**handle, "silent": times}
                return Progress("works", "webhook_is_silent", said=str(error), handle=silent, again_s=again_s)
            return Progress("failed", "webhook_refused", said=str(error))
        except Broken as error:
            return Progress("failed", error.code, said=error.said)

    def forget(self, order: Order) -> None:
        """Nothing of it is here."""

    def _post(self, told: Mapping[str, Any]) -> Answer:
        body = json.dumps(told).encode()
        at = int(self.now().timestamp())
        headers = {"Content-Type": "application/json", SIGNATURE: signature(self.secret, at, body)}
        return post(self.url, body, headers, most_bytes=MOST_BYTES)


def _went(handle: Mapping[str, Any], found: Progress, **heard: int) -> Progress:
    return replace(found, handle={**handle, **heard, "silent": 0, "answered": dict(found.handle)})
