"""References of container images, as Podman, Docker and registries write them."""

import re
from dataclasses import dataclass

_NAME = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|\[[0-9a-fA-F:]{2,45}\])(?::[0-9]{1,5})?"
_REFERENCE = re.compile(
    rf"(?P<repository>(?:{_HOST}/)?{_NAME}(?:/{_NAME})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
LONGEST = 500


@dataclass(frozen=True)
class Reference:
    """`repository` with its registry where one is named; a tag, a digest, both or neither."""

    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def registry(self) -> str:
        """HOST or HOST:PORT; empty for a short name."""
        first, slash, _rest = self.repository.partition("/")
        return first if slash and (first == "localhost" or any(mark in first for mark in ".:")) else ""

    @property
    def path(self) -> str:
        """What the registry calls it."""
        return self.repository.removeprefix(f"{self.registry}/") if self.registry else self.repository

    @property
    def pinned(self) -> str:
        """By its digest alone: what a tag means can change, this cannot."""
        return f"{self.repository}@{self.digest}" if self.digest else str(self)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.repository}{tag}" + (f"@{self.digest}" if self.digest else "")


def parse(text: str) -> Reference | None:
    """None for what is no reference, an image id among them."""
    if len(text) > LONGEST or re.fullmatch(r"(?:sha256:)?[0-9a-f]{12,64}", text):
        return None
    found = _REFERENCE.fullmatch(text)
    if found is None:
        return None
    return Reference(found["repository"], found["tag"] or "", found["digest"] or "")
