"""What can go wrong with the API of a cluster. `kind` and `params` are worded where they are shown (ops.wording.kubernetes)."""

from __future__ import annotations

from typing import Any, Final

#: Time alone may mend these: they are waited for. The others need somebody.
PASSING: Final = frozenset({"unreachable", "no_name", "timed_out", "broke_off", "busy", "server_error"})
SAID_CHARS = 300


class ClusterError(Exception):
    """The API did not do what it was asked for.

    unreachable, no_name, timed_out, broke_off: no answer. certificate: TLS, or another authority than ours. unauthorized,
    forbidden, not_found, conflict, busy (too many requests), server_error, refused (other 4xx), garbled: it answered so.
    """

    def __init__(self, kind: str, **params: Any) -> None:
        super().__init__(f"{kind} {params}" if params else kind)
        self.kind, self.params = kind, params

    @property
    def is_passing(self) -> bool:
        return self.kind in PASSING


class Blocked(ClusterError):
    """An eviction that a disruption budget does not allow now. The API gives no time after which it would."""

    def __init__(self, said: str) -> None:
        super().__init__("blocked", said=said[:SAID_CHARS])
