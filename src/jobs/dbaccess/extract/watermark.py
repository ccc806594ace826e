"""The progress of an incremental extract: a window of transactions, and where it is recorded.

The order of ordinals is not the order of commits: a transaction that is still running may commit a lower ordinal than
one that was read. So a run reads the row versions of a window of transactions, from the end of the last window up to
the oldest transaction that is still running (a snapshot's xmin). No row version with a lower transaction id can appear
after that. Each version is in one window. The id of a subtransaction is greater than that of its transaction, so it,
too, is lower than xmin only after the whole transaction has ended.
https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT-PARTS
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from jobs.dbaccess import locks
from jobs.dbaccess.catalog.own_tables import OwnTable
from jobs.dbaccess.errors import ExtractError, UsageError
from jobs.dbaccess.extract.selection import Selection
from jobs.dbaccess.session import Session

TABLE = "pgjobs_watermarks"

_WATERMARKS = OwnTable(
    TABLE,
    "watermark_id text PRIMARY KEY, source text NOT NULL, runs bigint NOT NULL, below xid8 NOT NULL, "
    "ordinal text, moved timestamptz NOT NULL DEFAULT now()",
    # NULL for an older watermark, whose folders continue as `run=N`.
    added={
        "table_oid": "bigint",
        "columns": "text[]",
        "filter": "text",
        "folder": "text",
        "begun": "bigint[]",
        "deletes": "boolean",
    },
)

XIDS = 1 << 32
"""A row version stores only the lower 32 bits of its transaction id."""

_MOST_APART = 1 << 31
"""Ids that are further apart cannot be distinguished by these bits."""


@dataclass(frozen=True)
class Definition:
    """What a watermark extracts. Its runs add up to the rows of one table only while this stays the same.

    Attributes:
        source: The table as the user names it.
        oid: The oid of the table.
        columns: The columns that were requested; None for all.
        deletes: Whether runs also find deletes, and so keep the keys of all rows.
    """

    source: str
    oid: int
    columns: tuple[str, ...] = ()
    filter: str = ""
    deletes: bool = False


@dataclass(frozen=True)
class Watermark:
    """What has been extracted.

    Attributes:
        definition: None if the watermark is older than definitions.
        runs: The number of the run that moved it last.
        xmin: All transactions with a lower id have been extracted; 0 for none.
        ordinal: The greatest extracted ordinal, as text; None for none.
        folder: The prefix of the names of its runs' folders, below the target.
        begun: The numbers of runs that began and may have left files. A run removes these files after it has moved the
            watermark, and the next run removes them once more: a run that did not know yet that another one was faster
            may have written meanwhile.
    """

    source: str
    runs: int = 0
    xmin: int = 0
    ordinal: str | None = None
    definition: Definition | None = None
    folder: str = ""
    begun: tuple[int, ...] = ()

    def check(self, definition: Definition) -> None:
        """Check that runs of a definition can continue this watermark.

        Raises:
            UsageError: It has another definition. The message names the difference.
        """
        if not self.xmin:
            return
        was = self.definition
        if was is None and self.source != definition.source:
            raise UsageError(f"The watermark is of {self.source}, not of {definition.source}.", _ANOTHER)
        if (was is not None and was.deletes) != definition.deletes:
            how = "without" if definition.deletes else "with"
            raise UsageError(
                f"The watermark is of runs {how} --deletes: deletes between them would never be found.",
                _ANOTHER,
            )
        if was is None or replace(was, source=definition.source) == definition:
            return
        differs = {
            f"of {was.source}, which was another table (its oid was {was.oid}, and that of {definition.source} is "
            f"{definition.oid})": was.oid != definition.oid,
            "with other columns": was.columns != definition.columns,
            "with another filter": was.filter != definition.filter,
        }
        what = ", ".join(text for text, is_so in differs.items() if is_so)
        raise UsageError(f"The watermark is {what}: rows that it has passed would never be extracted.", _ANOTHER)


_ANOTHER = "Give another --watermark-id, or --restart-watermark to extract all rows again."


@dataclass(frozen=True)
class Window:
    """A range of transactions: from `start` (None for the first of all) up to, but not including, `xmin`.

    Attributes:
        xmax: The first transaction id that had not been assigned when the snapshot was taken.
        whole: Tables whose older rows are new, too: oid -> how far after the start they were attached.
        later: Tables none of whose rows are new yet.
    """

    start: int | None
    xmin: int
    xmax: int
    whole: tuple[tuple[int, int], ...] = ()
    later: tuple[int, ...] = ()

    @property
    def condition(self) -> str:
        """Return the condition on row versions, as SQL."""
        ended = f"{_distance(self.xmin)} OPERATOR(pg_catalog.>=) {self.xmax - self.xmin}"
        new = (
            ended if self.start is None else f"{_distance(self.start)} OPERATOR(pg_catalog.<) {self.xmin - self.start}"
        )
        if self.whole:
            new = f"({new} OR {_is_of(oid for oid, _ in self.whole)} AND {ended})"
        return f"({new} AND NOT {_is_of(self.later)})" if self.later else f"({new})"

    def distance(self, start: int) -> str:
        """Return how far after a start a row became new, as SQL."""
        written = _distance(start)
        if not self.whole:
            return written
        attached = " ".join(f"WHEN {_is_of([oid])} THEN {distance}" for oid, distance in self.whole)
        is_new = f"{written} OPERATOR(pg_catalog.<) {self.xmin - start}"
        return f"greatest(CASE WHEN {is_new} THEN {written} ELSE 0 END, CASE {attached} ELSE 0 END)::bigint"


def _is_of(oids: Iterable[int]) -> str:
    """Return whether a row belongs to one of these tables, as SQL."""
    listed = ", ".join(map(str, oids))
    return f"tableoid OPERATOR(pg_catalog.=) ANY ('{{{listed}}}'::pg_catalog.oid[])"


def _distance(xid: int) -> str:
    """Return how many ids a row version's transaction is after another one, modulo 2^32."""
    ids = f"xmin::pg_catalog.text::bigint OPERATOR(pg_catalog.-) {xid % XIDS} OPERATOR(pg_catalog.+) {XIDS}"
    return f"pg_catalog.mod({ids}, {XIDS})"


def window(seen: str, extracted: int) -> Window:
    """Return the window of what is new in a snapshot.

    Args:
        seen: The snapshot, as PostgreSQL's pg_snapshot.
        extracted: All transactions with a lower id have been extracted; 0 for none.

    Raises:
        ExtractError: `extracted` cannot belong to this server's history.
    """
    xmin, xmax = (int(part) for part in seen.split(":")[:2])
    if not extracted:
        return Window(None, xmin, xmax)
    if extracted > xmin or xmin - extracted >= _MOST_APART:
        raise ExtractError(
            f"The watermark is at transaction {extracted:,}, and the server's oldest is {xmin:,}: the database "
            "was restored elsewhere, or two billion transactions have passed.",
            "Extract all rows again, with another --watermark-id or with --restart-watermark.",
        )
    return Window(extracted, xmin, xmax)


def reached(session: Session, selection: Selection, window: Window, most: int | None) -> int | None:
    """Return how much of a window to extract at once: its end, as in `Window.xmin`; None if the window is empty.

    This reads the rows of the window once.

    Args:
        session: A session that sees the snapshot of the window.
        selection: The rows of the window.
        window: The window of transactions.
        most: The number of rows after which to stop. Transactions are not split, so there may be more. None for no
            limit.
    """
    if most is None:
        return window.xmin if session.query(selection.select(["1"]) + " LIMIT 1") else None
    start = window.start or window.xmax - _MOST_APART
    versions = selection.select([f"{window.distance(start)} AS distance"])
    counted = session.query(
        f"SELECT distance, pg_catalog.sum(pg_catalog.count(*)) OVER (ORDER BY distance)::bigint "
        f"FROM ({versions}) AS versions GROUP BY distance ORDER BY distance"
    )
    if not counted:
        return None
    last = next((distance for distance, rows in counted if rows >= most), None)
    return window.xmin if last is None else min(start + last + 1, window.xmin)


def ensure(session: Session) -> None:
    """Create the table of watermarks if it is missing.

    Raises:
        UsageError: The server is a standby, which does not know the running transactions. Or the table has an owner who
            is not trusted.
    """
    standby = session.value("SELECT pg_is_in_recovery()")
    if standby:
        raise UsageError(
            f"A watermark is kept in the table {TABLE}, and a standby cannot write.", "Connect to the primary."
        )
    _WATERMARKS.ensure(session)


def hold(session: Session, watermark_id: str) -> None:
    """Lock the watermark until the session ends. Waits for another run that holds it.

    Raises:
        TransientError: That run did not end in time. The message names its session.
    """
    locks.wait(session, locks.watermark(watermark_id))


def read(session: Session, watermark_id: str) -> Watermark | None:
    """Return the watermark, or None before its first run begins."""
    rows = session.run(
        "SELECT source, runs, below::text::bigint, ordinal, table_oid, columns, filter, coalesce(folder, 'run='), "
        f"coalesce(begun, '{{}}'), coalesce(deletes, false) FROM {_WATERMARKS.quoted(session)} WHERE watermark_id = %s",
        watermark_id,
    )
    if not rows:
        return None
    [[source, runs, xmin, ordinal, oid, columns, condition, folder, begun, deletes]] = rows
    definition = None if oid is None else Definition(source, oid, tuple(columns), condition, deletes)
    return Watermark(
        source=source,
        runs=runs,
        xmin=xmin,
        ordinal=ordinal,
        definition=definition,
        folder=folder,
        begun=tuple(begun),
    )


def begin(session: Session, watermark_id: str, definition: Definition, folder: str, number: int) -> None:
    """Record that a run begins, before it writes any file.

    Args:
        session: A session that may write.
        watermark_id: The id of the watermark.
        definition: The definition of the run.
        folder: As in `Watermark`, for a new watermark.
        number: The number of the run. No other run has had it, or will have it.
    """
    session.change(
        f"INSERT INTO {_WATERMARKS.quoted(session)} AS w "
        "(watermark_id, source, runs, below, table_oid, columns, filter, deletes, folder, begun) "
        "VALUES (%s, %s, 0, '0'::xid8, %s, %s::text[], %s, %s, %s, ARRAY[%s::bigint]) "
        "ON CONFLICT (watermark_id) DO UPDATE SET begun = coalesce(w.begun, '{}') || excluded.begun",
        watermark_id,
        definition.source,
        definition.oid,
        list(definition.columns),
        definition.filter,
        definition.deletes,
        folder,
        number,
    )


def move(session: Session, watermark_id: str, last: int, to: Watermark) -> None:
    """Record that a run's rows are committed. Recording it again has no effect.

    Args:
        session: A session that may write.
        watermark_id: The id of the watermark.
        last: The number of the run that had moved it when this run began.
        to: The new state.

    Raises:
        ExtractError: Another run has moved it meanwhile.
    """
    assert to.definition is not None  # noqa: S101 - a run has one
    moved = session.change(
        f"UPDATE {_WATERMARKS.quoted(session)} SET "
        "source = %s, runs = %s, below = %s::text::xid8, ordinal = %s, moved = now(), "
        "table_oid = %s, columns = %s::text[], filter = %s, deletes = %s, folder = %s, "
        "begun = ARRAY(SELECT number FROM unnest(begun) AS number WHERE number > %s AND number <> %s) "
        "WHERE watermark_id = %s AND runs IN (%s, %s)",
        to.source,
        to.runs,
        to.xmin,
        to.ordinal,
        to.definition.oid,
        list(to.definition.columns),
        to.definition.filter,
        to.definition.deletes,
        to.folder,
        last,
        to.runs,
        watermark_id,
        last,
        to.runs,
    )
    if not moved:
        raise ExtractError(f"Another run has moved the watermark {watermark_id!r} meanwhile.", "Run this again.")
