"""What may be wrong with a repository: a kind, a reason in one word, and the values that a sentence names."""

from __future__ import annotations


class GitProblem(Exception):
    """`kind` is the state that it brings, `reason` which of its sentences; `params` never hold a secret."""

    def __init__(self, kind: str, reason: str, **params: object) -> None:
        super().__init__(f"{kind}: {reason}")
        self.kind, self.reason = kind, reason
        #: Bytes that had come by then, where something was fetched.
        self.received = 0
        self.params = {name: str(value)[:300] for name, value in params.items()}

    def as_detail(self) -> dict[str, object]:
        """As a row keeps it."""
        return {"kind": self.kind, "reason": self.reason, **self.params}
