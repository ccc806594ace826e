"""A task copies its part in blocks, and puts aside the lines that the server refuses.

Each block is copied in a savepoint. When the server refuses a line, its number is in the error: the task returns to the
savepoint, sends the lines before it, puts the line aside, and goes on after it. What was read from Spark is not read
again, and no row is sent alone, unless its neighbours are bad, too.

The rows of a savepoint have a transaction id of their own as xmin. So each block leaves a mark in the same savepoint,
by which the rows of attempts that do not count are found (see receipts).
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Optional

from jobs.dbaccess.copy_text import COPY_ESCAPES, NULL, parse_line
from jobs.dbaccess.errors import DatabaseError, LoadError
from jobs.dbaccess.load.parts import COPY_SETTINGS, Counted
from jobs.dbaccess.load.rejects.policy import Policy
from jobs.dbaccess.load.rejects.reasons import concerns_row, reason_of
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import quote_names
from jobs.dbaccess.sqlstates import BAD_COPY_FILE_FORMAT, NOT_UTF8, TOO_LARGE, UNTRANSLATABLE

COST_OF_BLOCK = 20_000
"""Bytes that the server copies in the time that it takes to begin and end a block: 0.3 ms."""

SMALLEST, LARGEST = 4 << 10, 4 << 20
"""Bytes of a block."""

WINDOW = 16 << 20
"""Bytes over which the frequency of bad lines is estimated."""

FLUSHED, LARGEST_FLUSHED = 1000, 4 << 20
"""How many rejects a task keeps before it writes them to staging, and how many bytes of them."""

RECORD = "record"
"""The field of jsonb that has a record that Spark could not read."""

_NO_RECORD = "Spark could not read the record: too many or too few fields, a value of another type, or broken text."

_SAVEPOINT = "pgjobs_block"

COLUMNS = ("part", "attempt", "part_row", "file", "file_row", "column_name", "sqlstate", "reason", "message", "row")
"""The columns of rejects in staging. A mark has a part and an attempt alone."""

_HASH = struct.Struct("!q")

_Reject = tuple[list[object], Mapping[str, Optional[str]]]
"""The values of a reject in staging, all but the last; and its row."""


@dataclass(frozen=True)
class Outcome:
    """What became of a part's rows.

    Attributes:
        rows: The number of rows in staging.
        hashes: The sum of their hashes, if there are any.
        rejected: The number of rows that were put aside.
    """

    rows: int
    hashes: int
    rejected: int


def copy_part(
    session: Session, staging: Staging, part: int, attempt: int, blocks: Iterable[Counted], *, policy: Policy
) -> Outcome:
    """Copy a part's lines, put aside those that the server refuses, and claim the part, in one transaction.

    Raises:
        TooManyRejects: More are refused than the policy allows.
        LoadError: The server counted a different number of rows than was sent.
        DatabaseError: The COPY failed for another reason than a row.
    """
    sender = _Sender(session, staging, part, attempt, policy=policy)
    with session.transaction(**COPY_SETTINGS):
        with session.users_path():  # domains' checks are the user's
            for counted in gathered(blocks, sender.block_size):
                sender.send(counted)
            sender.close()
        session.run(
            f"UPDATE {staging.parts.quoted} SET rows = %s, bytes = %s WHERE part = %s AND attempt = %s",
            *(sender.rows, sender.bytes, part, attempt),
        )
    return Outcome(sender.rows, sender.hashes, sender.rejected)


def gathered(blocks: Iterable[Counted], size: Iterator[int]) -> Iterator[Counted]:
    """Yield the same lines in larger blocks.

    Args:
        blocks: The blocks, each of whole lines.
        size: The size of each block to yield, in bytes: at least that, unless it is the last one.
    """
    some: list[Counted] = []
    held, wanted = 0, next(size)
    for counted in blocks:
        some.append(counted)
        held += len(counted.block)
        if held >= wanted:
            yield _joined(some)
            some, held, wanted = [], 0, next(size)
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


class _Sender:
    """Copies blocks, each in a savepoint.

    Attributes:
        rows, hashes, bytes: What is in staging.
        rejected: How many lines were put aside.
    """

    def __init__(self, session: Session, staging: Staging, part: int, attempt: int, *, policy: Policy) -> None:
        if staging.rejects is None:
            raise ValueError("these staging tables have none for rejects")
        self.rows = self.hashes = self.bytes = self.rejected = 0
        self._session, self._staging, self._rejects = session, staging, staging.rejects
        self._part, self._attempt, self._policy = part, attempt, policy
        self._before: list[str] = []
        self._read = 0
        self._waiting: list[_Reject] = []
        self._waiting_bytes = 0
        self._recent_bytes, self._recent_bad = WINDOW, 1

    @property
    def block_size(self) -> Iterator[int]:
        """Yield the best size of the next block: a bad line costs half a block that is copied twice."""
        while True:
            yield self._size()

    def _size(self) -> int:
        spacing = self._recent_bytes / self._recent_bad
        return int(min(max(math.sqrt(2 * COST_OF_BLOCK * spacing), SMALLEST), LARGEST))

    def send(self, counted: Counted) -> None:
        """Copy the lines of a block, except for those that the server refuses."""
        lines, ranges = _Lines(counted), [(0, counted.rows)]
        while ranges:
            first, end = ranges.pop()
            middle = lines.middle(first, end, self._size())
            error = self._copy(lines.text(first, end), end - first) if middle is None else None
            if error is not None:
                bad = _place(error, first, end)
                if bad is not None:
                    self._put_aside(counted, bad, bytes(lines.text(bad, bad + 1)), error)
                    if len(self._waiting) >= FLUSHED or self._waiting_bytes >= LARGEST_FLUSHED:
                        self._flush()
                    ranges += [piece for piece in ((bad + 1, end), (first, bad)) if piece[0] < piece[1]]
                    continue
                middle = (first + end) // 2  # the server does not name the line, or in a language that we do not know
            if middle is not None:
                ranges += [(middle, end), (first, middle)]
        self.hashes += counted.hashes
        self._read += counted.rows

    def _copy(self, lines: memoryview, rows: int) -> DatabaseError | None:
        """Copy lines in a savepoint. Return the server's error if it refuses one, and none of them is in staging."""
        mark = f"INSERT INTO {self._rejects.quoted} (part, attempt) VALUES ({self._part}, {self._attempt})"
        before = [*(self._before or [f"SAVEPOINT {_SAVEPOINT}"]), mark]
        try:
            copied = self._session.copy_in(self._staging.copy_statement, [lines], before)
        except DatabaseError as error:
            if self._session.closed or not concerns_row(error):
                raise
            self._before = [f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}"]
            return error
        if copied != rows:
            raise LoadError(f"Part {self._part}: {rows} rows were sent, but the server counted {copied}.")
        self._before = [f"RELEASE SAVEPOINT {_SAVEPOINT}", f"SAVEPOINT {_SAVEPOINT}"]
        self.rows += rows
        self.bytes += len(lines)
        self._count(len(lines), 0)
        return None

    def _count(self, size: int, bad: int) -> None:
        """Take note of what was copied, and forget what is long ago."""
        self._recent_bytes += size
        self._recent_bad += bad
        if self._recent_bytes > 2 * WINDOW:
            self._recent_bytes //= 2
            self._recent_bad = max(1, self._recent_bad // 2)

    def _put_aside(self, counted: Counted, place: int, line: bytes, error: DatabaseError) -> None:
        """Keep a line that the server refuses.

        Raises:
            TooManyRejects: More are refused than the policy allows.
        """
        self.rejected += 1
        self._policy.check_count(self.rejected, f"; the last one: {error.message.rstrip('.')}")
        self._count(len(line), 1)
        if counted.row_hashes:
            self.hashes -= _HASH.unpack_from(counted.row_hashes, place * _HASH.size)[0]
        file, file_row = counted.origins[place].split(b"\t")[:2] if counted.origins else (b"", b"")
        reason = reason_of(error.sqlstate, line)
        values = parse_line(line)
        is_record = error.sqlstate == BAD_COPY_FILE_FORMAT
        row = {RECORD: values[0]} if is_record else dict(zip(self._staging.columns, values))
        about: list[object] = [
            *(self._part, self._attempt, self._read + place + 1),
            *(int(file) if file else None, int(file_row) + 1 if file_row else None),
            *(error.column, error.sqlstate, reason, _NO_RECORD if is_record else error.message),
        ]
        self._waiting.append((about, row))
        self._waiting_bytes += len(line)

    def _flush(self) -> None:
        """Write the rejects to staging."""
        if self._waiting:
            self._write(self._waiting)
        self._waiting, self._waiting_bytes = [], 0

    def _write(self, rejects: Sequence[_Reject]) -> None:
        """Write rejects. In a row with characters that the database's encoding lacks, those are written as escapes."""
        try:
            self._copy_rejects(rejects)
        except DatabaseError as error:
            if error.sqlstate not in (NOT_UTF8, UNTRANSLATABLE):
                raise
            if len(rejects) == 1:
                self._copy_rejects(rejects, ascii_only=True)
                return
            middle = len(rejects) // 2
            self._write(rejects[:middle])
            self._write(rejects[middle:])

    def _copy_rejects(self, rejects: Sequence[_Reject], *, ascii_only: bool = False) -> None:
        lines = b"".join(_copy_line([*about, _as_json(row, ascii_only=ascii_only)]) for about, row in rejects)
        statement = f"COPY {self._rejects.quoted} ({quote_names(COLUMNS)}) FROM STDIN"
        before = self._before or [f"SAVEPOINT {_SAVEPOINT}"]
        self._before = [f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}"]
        self._session.copy_in(statement, [lines], before)
        self._before = [f"RELEASE SAVEPOINT {_SAVEPOINT}", f"SAVEPOINT {_SAVEPOINT}"]

    def close(self) -> None:
        """End the last savepoint."""
        self._flush()
        if not self._before:
            return
        if self._before[0].startswith("ROLLBACK"):
            self._session.run(self._before[0])
        self._session.run(f"RELEASE SAVEPOINT {_SAVEPOINT}")
        self._before = []


def _place(error: DatabaseError, first: int, end: int) -> int | None:
    """Return the place of the line that the server refused, among lines of these places; None if it named none."""
    if end - first == 1:
        return first
    if error.sqlstate == TOO_LARGE and error.column is None:
        return None  # the server writes many rows at once, and names the last that it has read
    place = first - 1 + (error.line or 0)
    return place if first <= place < end else None


class _Lines:
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


def _as_json(values: Mapping[str, str | None], *, ascii_only: bool) -> str:
    """Return the row as jsonb can store it: it has no NUL, nor what the database's encoding lacks."""

    def storable(value: str) -> str:
        value = value.replace("\0", "\ufffd")
        return value.encode("ascii", "backslashreplace").decode() if ascii_only else value

    row = {name: None if value is None else storable(value) for name, value in values.items()}
    return json.dumps(row, ensure_ascii=False)


def _copy_line(values: Iterable[object]) -> bytes:
    return "\t".join(_field(value) for value in values).encode() + b"\n"


def _field(value: object) -> str:
    if value is None:
        return NULL
    text = str(value)
    for character, escape in COPY_ESCAPES:
        text = text.replace(character, escape)
    return text
