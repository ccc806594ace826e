"""A task copies its part in blocks, and puts aside the lines that the server refuses.

Each block is copied in a savepoint. When the server refuses a line, its number is in the error: the task returns to the
savepoint, sends the lines before it, puts the line aside, and goes on after it. What was read from Spark is not read
again, and no row is sent alone, unless its neighbours are bad, too.

The rows of a savepoint have a transaction id of their own as xmin. So each block leaves a mark in the same savepoint,
by which the rows of attempts that do not count are found (see receipts).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from jobs.dbaccess.copy_text import parse_line
from jobs.dbaccess.errors import DatabaseError, LoadError, plural
from jobs.dbaccess.load.copying.parts import COPY_SETTINGS, Counted
from jobs.dbaccess.load.rejects.aside import Aside
from jobs.dbaccess.load.rejects.blocks import BlockSize, Lines, gathered
from jobs.dbaccess.load.rejects.policy import Policy
from jobs.dbaccess.load.rejects.reasons import concerns_row, reason_of
from jobs.dbaccess.load.rejects.savepoints import Savepoints
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.session import Session
from jobs.dbaccess.sqlstates import BAD_COPY_FILE_FORMAT, TOO_LARGE

RECORD = "record"
"""The field of jsonb that has a record that Spark could not read."""

_NO_RECORD = "Spark could not read the record: too many or too few fields, a value of another type, or broken text."

_PATIENT = {"idle_in_transaction_session_timeout": "0"}
"""Between two blocks, the transaction is idle, while Spark computes. A single COPY would wait for its rows."""

_HASH = struct.Struct("!q")


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
    with session.transaction(**COPY_SETTINGS, **_PATIENT):
        with session.users_path():  # domains' checks are the user's
            for counted in gathered(blocks, sender.size):
                sender.send(counted)
            sender.close()
        session.run(
            f"UPDATE {staging.parts.quoted} SET rows = %s, bytes = %s WHERE part = %s AND attempt = %s",
            *(sender.rows, sender.bytes, part, attempt),
        )
    return Outcome(sender.rows, sender.hashes, sender.rejected)


class _Sender:
    """Copies blocks, each in a savepoint.

    Attributes:
        rows, hashes, bytes: What is in staging.
        rejected: How many lines were put aside.
        size: The best size of a block.
    """

    def __init__(self, session: Session, staging: Staging, part: int, attempt: int, *, policy: Policy) -> None:
        if staging.rejects is None:
            raise ValueError("these staging tables have none for rejects")
        self.rows = self.hashes = self.bytes = self.rejected = 0
        self.size = BlockSize()
        self._session, self._staging, self._part, self._attempt = session, staging, part, attempt
        self._policy = policy
        self._mark = f"INSERT INTO {staging.rejects.quoted} (part, attempt) VALUES ({part}, {attempt})"
        self._savepoints = Savepoints(session)
        self._aside = Aside(staging.rejects, self._savepoints)
        self._read = 0

    def send(self, counted: Counted) -> None:
        """Copy the lines of a block, except for those that the server refuses."""
        lines, ranges = Lines(counted), [(0, counted.rows)]
        while ranges:
            first, end = ranges.pop()
            middle = lines.middle(first, end, self.size.best)
            error = self._copy(lines.text(first, end), end - first) if middle is None else None
            if error is not None:
                bad = _place(error, first, end)
                if bad is not None:
                    self._put_aside(counted, bad, bytes(lines.text(bad, bad + 1)), error)
                    ranges += [piece for piece in ((bad + 1, end), (first, bad)) if piece[0] < piece[1]]
                    continue
                middle = (first + end) // 2  # the server does not name the line, or in a language that we do not know
            if middle is not None:
                ranges += [(middle, end), (first, middle)]
        self.hashes += counted.hashes
        self._read += counted.rows

    def _copy(self, lines: memoryview, rows: int) -> DatabaseError | None:
        """Copy lines in a savepoint. Return the server's error if it refuses one, and none of them is in staging."""
        try:
            copied = self._savepoints.copy(self._staging.copy_statement, lines, self._mark)
        except DatabaseError as error:
            if self._session.closed or not concerns_row(error):
                raise
            return error
        if copied != rows:
            raise LoadError(
                f"Part {self._part}: {plural(rows, 'row was', 'rows were')} sent, but the server counted {copied:,}."
            )
        self.rows += rows
        self.bytes += len(lines)
        self.size.count(len(lines), 0)
        return None

    def _put_aside(self, counted: Counted, place: int, line: bytes, error: DatabaseError) -> None:
        """Put aside a line that the server refuses.

        Raises:
            TooManyRejects: More are refused than the policy allows.
        """
        self.rejected += 1
        self._policy.check_count(self.rejected, f"; the last one: {error.message.rstrip('.')}")
        self.size.count(len(line), 1)
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
        self._aside.put(about, row, len(line))

    def close(self) -> None:
        """Write what is left of the rejects, and end the last savepoint."""
        self._aside.flush()
        self._savepoints.close()


def _place(error: DatabaseError, first: int, end: int) -> int | None:
    """Return the place of the line that the server refused, among lines of these places; None if it named none."""
    if end - first == 1:
        return first
    if error.sqlstate == TOO_LARGE and error.column is None:
        return None  # the server writes many rows at once, and names the last that it has read
    place = first - 1 + (error.line or 0)
    return place if first <= place < end else None
