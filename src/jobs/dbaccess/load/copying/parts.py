"""Parts: attempts copy them into staging, and claim them.

An attempt copies its rows and claims its part in one transaction. Several attempts at a part may do so; which of them
counts is not decided here, but by Spark's driver (see receipts.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from jobs.dbaccess.errors import ConstraintViolated, DatabaseError, DataRejected, JobError, LoadError, plural
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.network.copy_in import Block
from jobs.dbaccess.session import Session

COPY_SETTINGS: Mapping[str, str] = {"array_nulls": "on"}
"""What the meaning of a COPY line depends on: with array_nulls off, a NULL among an array's elements is the text NULL.

The line's own forms of numbers, dates, instants and bytes are the same in every DateStyle, IntervalStyle and TimeZone.
client_encoding is set when connecting. Other settings are the user's: they decide how the server reads text that the
data brings for a column of another type (01/02/2026 for a date), and which limits, triggers and tablespaces apply.
"""

_READING = ("DateStyle", "IntervalStyle", "TimeZone", "timezone_abbreviations", "lc_monetary", "xmloption")
"""The user's settings on which it depends how the server reads text."""


@dataclass(frozen=True)
class Counted:
    """A block of a COPY stream, and the number of lines that end in it.

    Attributes:
        hashes: The sum of their rows' hashes, if any.
        row_hashes: Each hash, 8 bytes; only with origins.
        origins: Where each row comes from, as Spark wrote it, if that is asked for.
    """

    block: Block
    rows: int
    hashes: int = 0
    row_hashes: bytes = b""
    origins: Sequence[bytes] = ()


@dataclass(frozen=True)
class Tally:
    """What is staged of a load.

    Attributes:
        discarded: The number of attempts whose rows are not counted.
        failure: Why the load cannot succeed, or None if no attempt has recorded a reason.
    """

    parts: int
    rows: int
    bytes: int
    discarded: int
    failure: str | None


def begin_attempt(session: Session, staging: Staging, part: int, attempt: int) -> bool:
    """Record that an attempt at a part begins. Return False if the load has failed, so that it need not begin.

    An attempt also begins if another one has claimed the part, because Spark may not accept that one.
    """
    parts = staging.parts.quoted
    return bool(
        session.change(
            f"INSERT INTO {parts} (part, attempt) SELECT %s::integer, %s::bigint "
            f"WHERE NOT EXISTS (SELECT FROM {parts} WHERE failure IS NOT NULL)",
            part,
            attempt,
        )
    )


def copy_part(
    session: Session,
    staging: Staging,
    part: int,
    attempt: int,
    blocks: Iterable[Counted],
    *,
    settings: Mapping[str, str] = COPY_SETTINGS,
) -> None:
    """Copy a part's lines and claim the part, in one transaction with these settings.

    Raises:
        LoadError: The server counted a different number of rows than was sent.
        DatabaseError: The COPY failed. Nothing of this attempt remains.
    """
    meter = Meter(blocks)
    with session.transaction(**settings):
        with session.users_path():  # domains' checks are the user's
            copied = session.copy_in(staging.copy_statement, meter)
        if copied != meter.rows:
            raise LoadError(
                f"Part {part}: {plural(meter.rows, 'row was', 'rows were')} sent, but the server counted {copied:,}."
            )
        session.run(
            f"UPDATE {staging.parts.quoted} SET rows = %s, bytes = %s, hashes = %s WHERE part = %s AND attempt = %s",
            *(meter.rows, meter.bytes, meter.hashes, part, attempt),
        )


class Meter:
    """Counts the rows and bytes of a part's blocks as they pass, and sums the hashes of its rows."""

    def __init__(self, blocks: Iterable[Counted]) -> None:
        self._blocks = blocks
        self.rows = 0
        self.bytes = 0
        self.hashes = 0

    def __iter__(self) -> Iterator[Block]:
        for counted in self._blocks:
            self.rows += counted.rows
            self.bytes += len(counted.block)
            self.hashes += counted.hashes
            yield counted.block


def reading(session: Session) -> tuple[tuple[str, str], ...]:
    """Return the settings by which the server reads text: parts that several runs copy are to be read alike."""
    values = session.row(len(_READING), f"SELECT {', '.join(['current_setting(%s)'] * len(_READING))}", *_READING)
    return tuple((f"the server's {name}", str(value)) for name, value in zip(_READING, values))


def row_of(error: JobError) -> int | None:
    """Return the row of its part that an error is about, from 1, if the server named it."""
    return error.line if isinstance(error, DatabaseError) else None


def reason(error: JobError) -> str:
    """Return why a part could not be copied, for `record_failure`. Not every error concerns a row."""
    is_row = isinstance(error, (DataRejected, ConstraintViolated))
    return f"{'The server refused a row' if is_row else 'A part could not be copied'}: {error}"


def record_failure(
    session: Session, staging: Staging, part: int, attempt: int, failure: str, *, row: int | None = None
) -> None:
    """Record why the load cannot succeed: later attempts end at once, and the driver reports the reason.

    Args:
        session: A session of the table's database.
        staging: The tables of the load.
        part: The number of the part.
        attempt: The attempt that failed.
        failure: The reason.
        row: The row of the part that is the reason, from 1, if it is one row.
    """
    session.change(
        f"UPDATE {staging.parts.quoted} SET failure = %s, failed_row = %s::bigint WHERE part = %s AND attempt = %s",
        failure,
        row,
        part,
        attempt,
    )


@dataclass(frozen=True)
class Refused:
    """The row that is the reason why a load cannot succeed: the number of its part, and its own in it, from 1."""

    part: int
    row: int


def refused_row(session: Session, staging: Staging) -> Refused | None:
    """Return the row that is the reason that `tally` reports, if it is one row."""
    found = session.run(
        f"SELECT part, failed_row FROM {staging.parts.quoted} WHERE failure IS NOT NULL ORDER BY failure, part LIMIT 1"
    )
    return Refused(*found[0]) if found and found[0][1] is not None else None


def tally(session: Session, staging: Staging) -> Tally:
    """Return what is claimed so far, accepted or not. If a part was claimed repeatedly, the last claim counts."""
    parts = staging.parts.quoted
    [row] = session.run(
        "SELECT count(*), coalesce(sum(rows), 0)::bigint, coalesce(sum(bytes), 0)::bigint, "
        f"(SELECT count(*) FROM {parts}) - count(*), (SELECT min(failure) FROM {parts}) "
        f"FROM (SELECT DISTINCT ON (part) rows, bytes FROM {parts} "
        "WHERE rows IS NOT NULL ORDER BY part, attempt DESC) AS claimed"
    )
    return Tally(*row)


def in_progress(session: Session, staging: Staging) -> tuple[int, int]:
    """Return the rows and bytes that running COPYs have sent and not yet claimed (by pg_stat_progress_copy)."""
    [rows, size] = session.row(
        2,
        "SELECT coalesce(sum(tuples_processed), 0)::bigint, coalesce(sum(bytes_processed), 0)::bigint "
        "FROM pg_stat_progress_copy WHERE relid = to_regclass(%s)",
        staging.rows.quoted,
    )
    return rows, size
