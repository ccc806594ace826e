"""A source of bytes for tests that gives a few at a time."""

from __future__ import annotations

import io


class Trickle(io.RawIOBase):
    """A socket that gives a few bytes at a time."""

    def __init__(self, data: bytes, size: int) -> None:
        self._source = io.BytesIO(data)
        self._size = size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._source.read(min(self._size, size))

    def readall(self) -> bytes:
        return self._source.read()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # io gives a memoryview
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)
