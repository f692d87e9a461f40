"""A pack looked over before anything is made of it: what its objects would become, without keeping any."""

from __future__ import annotations

import mmap
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Final

from nodes.git.errors import GitProblem
from nodes.git.limits import GitLimits

_OFS_DELTA: Final = 6
_REF_DELTA: Final = 7
_WHOLE: Final = (1, 2, 3, 4)
_INFLATE_AT_ONCE = 256 * 1024
_DEFLATED_AT_ONCE = 64 * 1024
#: Where the two sizes at the head of a delta end at the latest.
_DELTA_HEAD = 20
_HASH_BYTES = 20


def look_over(file: BinaryIO, limits: GitLimits, check_time: Callable[[], None]) -> int:
    """Refuse a pack whose objects are too many, too large or not what they say; the number of objects otherwise."""
    file.seek(0, 2)
    if file.tell() < 12 + _HASH_BYTES:
        raise GitProblem("hostile", "pack")
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[:4] != b"PACK" or int.from_bytes(data[4:8], "big") != 2:
            raise GitProblem("hostile", "pack")
        count = int.from_bytes(data[8:12], "big")
        if count > limits.objects:
            raise GitProblem("too_large", "objects", limit=f"{limits.objects:,}")
        walk = _Walk(data, limits)
        for number in range(count):
            if number % 256 == 0:
                check_time()
            walk.next_object()
    return count


@dataclass
class _Walk:
    data: mmap.mmap
    limits: GitLimits
    at: int = 12
    inflated: int = 0

    def next_object(self) -> None:
        kind, size = self._head()
        if kind == _OFS_DELTA:
            self._skip_varint()
        elif kind == _REF_DELTA:
            self.at += _HASH_BYTES
        elif kind not in _WHOLE:
            raise GitProblem("hostile", "pack")
        self._count(size)
        begin = self._inflate(size)
        if kind in (_OFS_DELTA, _REF_DELTA):
            self._count(_delta_result(begin))

    def _count(self, size: int) -> None:
        if size > self.limits.object_bytes:
            raise GitProblem("too_large", "object", limit=f"{self.limits.object_bytes // 1024**2}")
        self.inflated += size
        if self.inflated > self.limits.inflated_bytes:
            raise GitProblem("too_large", "inflated", limit=f"{self.limits.inflated_bytes // 1024**2}")

    def _byte(self) -> int:
        if self.at >= len(self.data) - _HASH_BYTES:
            raise GitProblem("hostile", "pack")
        self.at += 1
        return self.data[self.at - 1]

    def _head(self) -> tuple[int, int]:
        byte = self._byte()
        kind, size, shift = (byte >> 4) & 7, byte & 15, 4
        while byte & 0x80:
            byte = self._byte()
            size |= (byte & 0x7F) << shift
            shift += 7
            if shift > 60:
                raise GitProblem("hostile", "pack")
        return kind, size

    def _skip_varint(self) -> None:
        for _ in range(10):
            if not self._byte() & 0x80:
                return
        raise GitProblem("hostile", "pack")

    def _inflate(self, size: int) -> bytes:
        """Pass over the object, which is as large as it says; its first bytes."""
        stream, begin, seen, pending = zlib.decompressobj(), b"", 0, b""
        try:
            while not stream.eof:
                if not pending:
                    pending = self.data[self.at : self.at + _DEFLATED_AT_ONCE]
                    if not pending:
                        raise GitProblem("hostile", "pack")
                    self.at += len(pending)
                piece = stream.decompress(pending, _INFLATE_AT_ONCE)
                pending = stream.unconsumed_tail
                seen += len(piece)
                if seen > size:
                    raise GitProblem("hostile", "bomb")
                if len(begin) < _DELTA_HEAD:
                    begin += piece[:_DELTA_HEAD]
        except zlib.error:
            raise GitProblem("hostile", "pack") from None
        self.at -= len(stream.unused_data)
        if seen != size:
            raise GitProblem("hostile", "pack")
        return begin


def _delta_result(begin: bytes) -> int:
    """How large the object is that a delta makes."""
    at, sizes = 0, []
    for _ in range(2):
        size = shift = 0
        while True:
            if at >= len(begin):
                raise GitProblem("hostile", "pack")
            byte = begin[at]
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        sizes.append(size)
    return sizes[1]
