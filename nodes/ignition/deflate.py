"""Deflate streams as Go's compressor makes them at its best level, up to Go 1.26.

Why not zlib: which encoding of a body is the shortest, and so what butane writes, depends on the last byte of the
compressed length. RFC 1951 leaves the choice of matches and codes open; what is made here is what Go chooses:
matches of at least four bytes found lazily, block codes by package-merge with packages first among equals, every
block not final, and an empty stored block as the end.
"""

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from itertools import groupby

LONGEST_BODY = 300_000
_LONGEST_STORED = 65_535
_WINDOW = 32_768
_LEAST_MATCH, _MOST_MATCH = 4, 258
_CHAIN = 4_096
_FAR = 4_096  # farther away a match of only four bytes is not worth it
_BLOCK_TOKENS = 16_384
_CHAIN_LENGTHS = (_LEAST_MATCH, 8, 32)
_SHORT_BODY = 32_768
_LOOKS_OF_BLOCK, _LOOKS_OF_BYTE = 1_500, 2  # what codes and chains cost, measured in looks
_END = 256
_BIT_LIMIT, _CODE_BIT_LIMIT = 15, 7

_LENGTH_EXTRA = (*([0] * 8), *(bits for bits in range(1, 6) for _ in range(4)), 0)
_LENGTH_BASE = [3]
for _bits in _LENGTH_EXTRA[:-2]:
    _LENGTH_BASE.append(_LENGTH_BASE[-1] + (1 << _bits))
_LENGTH_BASE.append(_MOST_MATCH)
_OFFSET_EXTRA = (0, 0, *(bits for bits in range(14) for _ in range(2)))
_OFFSET_BASE = [1]
for _bits in _OFFSET_EXTRA[:-1]:
    _OFFSET_BASE.append(_OFFSET_BASE[-1] + (1 << _bits))
_CODE_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
_REPEAT, _SHORT_ZEROS, _LONG_ZEROS = 16, 17, 18
_RUN_EXTRA = {_REPEAT: 2, _SHORT_ZEROS: 3, _LONG_ZEROS: 7}
_FIXED_LITERALS = {
    symbol: 8 if symbol < 144 else 9 if symbol < 256 else 7 if symbol < 280 else 8 for symbol in range(288)
}
_FIXED_OFFSETS = dict.fromkeys(range(32), 5)

# A literal is its byte, a match is (length, offset).
Token = int | tuple[int, int]


class TooSlow(Exception):
    """There were too many looks at earlier positions."""


@dataclass
class Looks:
    """How many looks at earlier positions are left: a million takes about half a second."""

    left: int

    def take(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise TooSlow


def deflate(body: bytes, looks: Looks) -> bytes:
    """The stream of a body of at most LONGEST_BODY bytes. Raises TooSlow."""
    writer = _Writer()
    looks.take(_LOOKS_OF_BYTE * len(body))
    for tokens, block in _blocks(body, looks):
        looks.take(_LOOKS_OF_BLOCK)
        _write_block(writer, tokens, block)
    writer.stored(b"", is_final=True)
    return bytes(writer.out)


Block = tuple[list[Token], bytes | None]


def _blocks(body: bytes, looks: Looks) -> list[Block]:
    """Tokens, and the bytes that they stand for where they are still in the window, block by block."""
    blocks: list[Block] = []
    tokens: list[Token] = []
    block_start = 0
    matcher = _Matcher(body, looks)
    end = len(body)
    index = 0
    length, offset = _LEAST_MATCH - 1, 0
    is_pending = False  # the byte before the index has no token yet
    while index < end:
        if end > matcher.base + 2 * _WINDOW and matcher.base + 2 * _WINDOW - index < _LEAST_MATCH + _MOST_MATCH:
            matcher.base += _WINDOW  # the window moves on, by half of its size
        head = matcher.insert(index)
        before_length, before_offset = length, offset
        length, offset = _LEAST_MATCH - 1, 0
        if head >= max(index - _WINDOW, matcher.base) and before_length < min(end - index, _MOST_MATCH):
            length, offset = matcher.find(index, head)
        if before_length >= _LEAST_MATCH and length <= before_length:
            tokens.append((before_length, before_offset))
            following = index + before_length - 1
            for position in range(index + 1, following):
                matcher.insert(position)
            index = following
            is_pending = False
            length = _LEAST_MATCH - 1
            boundary = index
        else:
            if is_pending:
                tokens.append(body[index - 1])
            boundary = index
            index += 1
            is_pending = True
        if len(tokens) == _BLOCK_TOKENS:
            blocks.append((tokens, body[block_start:boundary] if block_start >= matcher.base else None))
            tokens, block_start = [], boundary
    if is_pending:
        tokens.append(body[end - 1])
    if tokens:
        blocks.append((tokens, body[block_start:end] if block_start >= matcher.base else None))
    return blocks


class _Chain:
    """Earlier positions of the same bytes, so many of them, the latest first."""

    def __init__(self, body: bytes, length: int) -> None:
        self.length = length
        self.previous = [-1] * len(body)
        self._body = body
        self._last = len(body) - length
        self._heads: dict[bytes, int] = {}

    def insert(self, index: int) -> None:
        if index <= self._last:
            key = self._body[index : index + self.length]
            self.previous[index] = self._heads.get(key, -1)
            self._heads[key] = index


class _Matcher:
    """Finds matches. In a longer body chains of longer strings save most of the looks."""

    def __init__(self, body: bytes, looks: Looks) -> None:
        self.base = 0  # nothing before it can be matched
        self._body = body
        self._looks = looks
        lengths = _CHAIN_LENGTHS if len(body) > _SHORT_BODY else _CHAIN_LENGTHS[:1]
        self._chains = [_Chain(body, length) for length in lengths]
        self._rank = [0] * len(body)  # how many earlier positions have the same four bytes

    def insert(self, index: int) -> int:
        """The latest earlier position of the four bytes at the index; -1 without one."""
        for chain in self._chains:
            chain.insert(index)
        head = self._chains[0].previous[index]
        if head >= 0:
            self._rank[index] = self._rank[head] + 1
        return head

    def find(self, index: int, head: int) -> tuple[int, int]:
        """Length and offset of the best match; the shortest that is none when there is none."""
        body = self._body
        most = min(_MOST_MATCH, len(body) - index)
        wanted = body[index : index + most]
        # Only so many positions with the same four bytes are looked at.
        oldest = max(index - _WINDOW, self.base)
        least_rank = self._rank[head] - _CHAIN
        length, offset = _LEAST_MATCH - 1, 0
        at_least = length
        position = head
        previous = self._chains[0].previous
        while position >= oldest and self._rank[position] > least_rank:
            self._looks.take(1)
            if body[position + at_least] == wanted[at_least]:
                found = _common(body[position : position + most], wanted)
                if found > length and (found > _LEAST_MATCH or index - position <= _FAR):
                    length, offset = found, index - position
                    if found >= most:
                        break
                    previous = self._longest_chain(found)
            # A far match of four bytes is none, so beyond that five are looked for.
            at_least = max(length, _LEAST_MATCH) if index - position >= _FAR else length
            if at_least >= most:
                break
            position = previous[position]
        return length, offset

    def _longest_chain(self, length: int) -> list[int]:
        """The chain of strings that are as long as can be, but not longer than what is equal."""
        return next(chain.previous for chain in reversed(self._chains) if chain.length <= length)


def _common(one: bytes, other: bytes) -> int:
    """How many bytes from the start are equal."""
    if one == other:
        return len(one)
    differing = int.from_bytes(one, "little") ^ int.from_bytes(other, "little")
    return ((differing & -differing).bit_length() - 1) // 8


class _Writer:
    """Bits, the lowest first."""

    def __init__(self) -> None:
        self.out = bytearray()
        self._bits = 0
        self._count = 0

    def write(self, value: int, count: int) -> None:
        self._bits |= value << self._count
        self._count += count
        while self._count >= 8:
            self.out.append(self._bits & 0xFF)
            self._bits >>= 8
            self._count -= 8

    def stored(self, block: bytes, *, is_final: bool) -> None:
        """A block without compression; it starts at a byte."""
        self.write(int(is_final), 3)
        if self._count:
            self.write(0, 8 - self._count)
        self.write(len(block), 16)
        self.write(len(block) ^ 0xFFFF, 16)
        self.out += block


def _write_block(writer: _Writer, tokens: list[Token], block: bytes | None) -> None:
    """A block in the shortest of three forms: fixed codes, codes of its own, stored."""
    literals: Counter[int] = Counter([_END])
    offsets: Counter[int] = Counter()
    extra_bits = 0
    for token in tokens:
        if isinstance(token, int):
            literals[token] += 1
            continue
        length_code, offset_code = _length_code(token[0]), _offset_code(token[1])
        literals[_END + 1 + length_code] += 1
        offsets[offset_code] += 1
        extra_bits += _LENGTH_EXTRA[length_code] + _OFFSET_EXTRA[offset_code]
    if not offsets:
        offsets[0] = 1  # a code for offsets has to be there
    literal_lengths, offset_lengths = _code_lengths(literals, _BIT_LIMIT), _code_lengths(offsets, _BIT_LIMIT)
    header = _Header(literal_lengths, offset_lengths)
    fixed_bits = 3 + _cost(literals, _FIXED_LITERALS) + _cost(offsets, _FIXED_OFFSETS) + extra_bits
    own_bits = header.bits + _cost(literals, literal_lengths) + _cost(offsets, offset_lengths) + extra_bits
    if block is not None and len(block) <= _LONGEST_STORED and (len(block) + 5) * 8 < min(fixed_bits, own_bits):
        writer.stored(block, is_final=False)
        return
    if own_bits < fixed_bits:
        header.write(writer)
        _write_tokens(writer, tokens, _codes(literal_lengths), _codes(offset_lengths))
    else:
        writer.write(0b010, 3)
        _write_tokens(writer, tokens, _codes(_FIXED_LITERALS), _codes(_FIXED_OFFSETS))


def _cost(counts: Counter[int], lengths: dict[int, int]) -> int:
    return sum(count * lengths[symbol] for symbol, count in counts.items())


def _length_code(length: int) -> int:
    return bisect_right(_LENGTH_BASE, length) - 1


def _offset_code(offset: int) -> int:
    return bisect_right(_OFFSET_BASE, offset) - 1


Code = tuple[int, int]


def _write_tokens(writer: _Writer, tokens: list[Token], literals: dict[int, Code], offsets: dict[int, Code]) -> None:
    for token in tokens:
        if isinstance(token, int):
            writer.write(*literals[token])
            continue
        length, offset = token
        length_code, offset_code = _length_code(length), _offset_code(offset)
        writer.write(*literals[_END + 1 + length_code])
        writer.write(length - _LENGTH_BASE[length_code], _LENGTH_EXTRA[length_code])
        writer.write(*offsets[offset_code])
        writer.write(offset - _OFFSET_BASE[offset_code], _OFFSET_EXTRA[offset_code])
    writer.write(*literals[_END])


class _Header:
    """The code lengths of a block, in runs and with a code of their own."""

    def __init__(self, literals: dict[int, int], offsets: dict[int, int]) -> None:
        self._literal_count, self._offset_count = max(literals) + 1, max(offsets) + 1
        lengths = [literals.get(symbol, 0) for symbol in range(self._literal_count)]
        lengths += [offsets.get(symbol, 0) for symbol in range(self._offset_count)]
        self._runs = [step for length, run in groupby(lengths) for step in _run(length, len(list(run)))]
        counts = Counter(symbol for symbol, _ in self._runs)
        self._lengths = _code_lengths(counts, _CODE_BIT_LIMIT)
        used = [place for place, symbol in enumerate(_CODE_ORDER) if symbol in counts]
        self._order = _CODE_ORDER[: max(4, used[-1] + 1)]
        self.bits = (
            3 + 5 + 5 + 4 + 3 * len(self._order)
            + sum(count * (self._lengths[symbol] + _RUN_EXTRA.get(symbol, 0)) for symbol, count in counts.items())
        )  # fmt: skip

    def write(self, writer: _Writer) -> None:
        writer.write(0b100, 3)
        writer.write(self._literal_count - 257, 5)
        writer.write(self._offset_count - 1, 5)
        writer.write(len(self._order) - 4, 4)
        for symbol in self._order:
            writer.write(self._lengths.get(symbol, 0), 3)
        codes = _codes(self._lengths)
        for symbol, extra in self._runs:
            writer.write(*codes[symbol])
            writer.write(extra, _RUN_EXTRA.get(symbol, 0))


def _run(length: int, count: int) -> list[tuple[int, int]]:
    """The steps for so many equal lengths: symbol, and what follows it."""
    steps: list[tuple[int, int]] = []
    if length:
        steps.append((length, 0))
        count -= 1
        while count >= 3:
            part = min(6, count)
            steps.append((_REPEAT, part - 3))
            count -= part
    else:
        while count >= 11:
            part = min(138, count)
            steps.append((_LONG_ZEROS, part - 11))
            count -= part
        if count >= 3:
            steps.append((_SHORT_ZEROS, count - 3))
            count = 0
    return steps + [(length, 0)] * count


def _code_lengths(counts: Counter[int], limit: int) -> dict[int, int]:
    """Optimal code lengths of at most `limit` bits, by package-merge."""
    if len(counts) <= 2:
        return dict.fromkeys(sorted(counts), 1)
    symbols = sorted(counts, key=lambda symbol: (counts[symbol], symbol))
    weights = [counts[symbol] for symbol in symbols]
    levels: list[list[bool]] = []  # of each level, from the deepest: which items are leaves
    merged: list[int] = []
    for _ in range(min(limit, len(symbols) - 1)):
        packages = [merged[at] + merged[at + 1] for at in range(0, len(merged) - 1, 2)]
        merged, leaves = _merged(weights, packages)
        levels.append(leaves)
    lengths = dict.fromkeys(symbols, 0)
    taken = 2 * len(symbols) - 2
    for leaves in reversed(levels):
        count = sum(leaves[:taken])
        for symbol in symbols[:count]:
            lengths[symbol] += 1
        taken = 2 * (taken - count)
    return lengths


def _merged(weights: list[int], packages: list[int]) -> tuple[list[int], list[bool]]:
    """Leaves and packages by weight; among equals packages come first."""
    merged: list[int] = []
    leaves: list[bool] = []
    at = 0
    for weight in weights:
        while at < len(packages) and packages[at] <= weight:
            merged.append(packages[at])
            leaves.append(False)
            at += 1
        merged.append(weight)
        leaves.append(True)
    rest = packages[at:]
    return merged + rest, leaves + [False] * len(rest)


def _codes(lengths: dict[int, int]) -> dict[int, Code]:
    """The canonical code of each symbol, its bits reversed, with its length."""
    codes: dict[int, Code] = {}
    code = 0
    for length in range(1, max(lengths.values()) + 1):
        code <<= 1
        for symbol in sorted(symbol for symbol, bits in lengths.items() if bits == length):
            codes[symbol] = (int(f"{code:0{length}b}"[::-1], 2), length)
            code += 1
    return codes
