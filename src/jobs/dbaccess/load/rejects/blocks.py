"""Blocks of lines that a task copies at once. How large they are best follows from how far apart bad lines are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate

from jobs.dbaccess.load.copying.parts import Counted

COST_OF_BLOCK = 20_000
"""Bytes that the server copies in the time that it takes to begin and end a block: 0.3 ms."""

SMALLEST, LARGEST = 4 << 10, 4 << 20
"""Bytes of a block."""

WINDOW = 16 << 20
"""Bytes over which the frequency of bad lines is estimated."""


class BlockSize:
    """The best size of the next block: a bad line costs half a block that is copied twice."""

    def __init__(self) -> None:
        self._recent_bytes, self._recent_bad = WINDOW, 1

    @property
    def best(self) -> int:
        """The size in bytes, by what was copied of late."""
        spacing = self._recent_bytes / self._recent_bad
        return int(min(max(math.sqrt(2 * COST_OF_BLOCK * spacing), SMALLEST), LARGEST))

    def count(self, size: int, bad: int) -> None:
        """Take note of what was copied, in bytes and in bad lines, and forget what is long ago."""
        self._recent_bytes += size
        self._recent_bad += bad
        if self._recent_bytes > 2 * WINDOW:
            self._recent_bytes //= 2
            self._recent_bad = max(1, self._recent_bad // 2)


def gathered(blocks: Iterable[Counted], size: BlockSize) -> Iterator[Counted]:
    """Yield the same lines in larger blocks.

    Args:
        blocks: The blocks, each of whole lines.
        size: The size of each block to yield: at least that, unless it is the last one.
    """
    some: list[Counted] = []
    held, wanted = 0, size.best
    for counted in blocks:
        some.append(counted)
        held += len(counted.block)
        if held >= wanted:
            yield _joined(some)
            some, held, wanted = [], 0, size.best
    if some:
        yield _joined(some)


def _joined(some: Sequence[Counted]) -> Counted:
    return Counted(
        b"".join(counted.block for counted in some),
        sum(counted.rows for counted in some),
        sum(counted.hashes for counted in some),
        b"".join(counted.row_hashes for counted in some),
        [origin for counted in some for origin in counted.origins],
    )


class Lines:
    """The lines of a block. Where they begin is found out only when it is needed."""

    def __init__(self, counted: Counted) -> None:
        self._block, self._rows = memoryview(counted.block), counted.rows

    @cached_property
    def _starts(self) -> list[int]:
        sizes = (len(line) + 1 for line in bytes(self._block).split(b"\n")[:-1])
        return list(accumulate(sizes, initial=0))

    def text(self, first: int, end: int) -> memoryview:
        """Return some lines."""
        if (first, end) == (0, self._rows):
            return self._block
        return self._block[self._starts[first] : self._starts[end]]

    def middle(self, first: int, end: int, size: int) -> int | None:
        """Return where to cut some lines that are much longer than this size; None for others."""
        length = len(self.text(first, end))
        if length <= 2 * size or end - first == 1:
            return None
        return first + max(1, (end - first) * size // length)
