"""Kernel releases in a form that sorts. Pure."""

from __future__ import annotations

import re

_RELEASE = re.compile(r"^([0-9]+(?:\.[0-9]+)*)(.*)$", re.DOTALL)
_ARCHITECTURE = re.compile(r"[._-](x86_64|amd64|aarch64|arm64|ppc64le|s390x|riscv64|i686)(?=$|[+._-])")
_CANDIDATE = re.compile(r"(?<![a-z])rc([0-9]+)")
_VERSION_PARTS, _BUILD_PARTS = 4, 6


def kernel_order(release: str) -> str:
    """`6.11.5-300.fc41.x86_64` as digits only, so that every collation sorts it alike; "" without a leading number.

    Four version numbers of 5 digits, then 0 and the number of a release candidate or 1000, then six build numbers of 8.
    """
    match = _RELEASE.match(release.strip()[:150])
    if not match:
        return ""
    version, rest = match[1], _ARCHITECTURE.sub("", match[2])
    candidate = _CANDIDATE.search(rest)
    stage = f"0{_digits(candidate[1], 3)}" if candidate else "1000"
    build = re.findall(r"[0-9]+", _CANDIDATE.sub("", rest))
    return _fixed(version.split("."), _VERSION_PARTS, 5) + stage + _fixed(build, _BUILD_PARTS, 8)


def _fixed(numbers: list[str], count: int, width: int) -> str:
    return "".join(_digits(text, width) for text in [*numbers, *["0"] * count][:count])


def _digits(text: str, width: int) -> str:
    number = text.lstrip("0")
    return ("9" * width if len(number) > width else number).zfill(width)
