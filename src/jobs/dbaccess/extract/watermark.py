"""The progress of an incremental extract: up to which transaction it has come, and where that is recorded.

A run extracts a `window` of transactions, and moves the watermark when its rows are committed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from jobs.dbaccess import locks
from jobs.dbaccess.catalog.own_tables import OwnTable
from jobs.dbaccess.errors import ExtractError, UsageError
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
