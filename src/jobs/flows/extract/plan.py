"""What an extract reads: which columns and rows of what, and in which parts. Settled inside the snapshot."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import types as t

from jobs.copyformat.read_types import MAX_PRECISION, Reading, reading_of
from jobs.dbaccess import table_locks
from jobs.dbaccess.catalog import query_columns, tables
from jobs.dbaccess.catalog.capacity import capacity
from jobs.dbaccess.catalog.query_columns import SourceColumn
from jobs.dbaccess.catalog.tables import Table
from jobs.dbaccess.errors import DatabaseError, UsageError
from jobs.dbaccess.extract import partitioning, snapshot
from jobs.dbaccess.extract.partitioning import Part, Range
from jobs.dbaccess.extract.selection import Selection, check_query, filtered, select
from jobs.dbaccess.extract.snapshot import Snapshot
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name

PART_BYTES = 64 << 20
"""Smaller parts are not worth a connection each."""

BLOCK_BYTES = 8192

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wanted:
    """What is to be read.

    Attributes:
        table, query: one of them.
        columns: those that are wanted; all where empty. With `require_primary_key`, the key's come along.
        filter: an SQL expression; it goes into statements as it is.
        split_by: the column by whose ranges parts are cut; else tables are cut by blocks, and queries not at all.
        text_columns: those that are to come as PostgreSQL writes them.
        unbounded: what numeric without precision becomes: "text", "fit" (the decimal that holds all of the column's
            values, where there is one), or "decimal(p,s)".
        parallelism: the number of parts, so the most connections at once; None to choose by size and what is free.
    """

    table: TableName | None = None
    query: str | None = None
    columns: tuple[str, ...] = ()
    filter: str = ""
    split_by: str = ""
    text_columns: tuple[str, ...] = ()
    unbounded: str = "text"
    require_primary_key: bool = False
    parallelism: int | None = None

    def __str__(self) -> str:
        return str(self.table) if self.table else "the query"


@dataclass(frozen=True)
class Source:
    """What is read, settled.

    Attributes:
        readings: the columns.
        selection: which rows of what.
        parts: of each, its SELECTs.
    """

    readings: tuple[Reading, ...]
    selection: Selection
    parts: tuple[tuple[str, ...], ...]


def find_source(session: Session, wanted: Wanted) -> Table | None:
    """The table in the catalogue; None for a query.

    Raises:
        UsageError: neither or both are wanted; there is no such table; it has no primary key.
    """
    if (wanted.table is None) == (wanted.query is None):
        raise UsageError("What is to be extracted is one table or one query.", "Give --table or --query.")
    if wanted.table is None:
        if wanted.require_primary_key:
            raise UsageError("A query has no primary key.", "Give --table.")
        return None
    table = tables.find_table(session, wanted.table)
    if table is None:
        raise UsageError(f"There is no table {wanted.table}.", "Check its name and schema; names are taken as written.")
    if wanted.require_primary_key and not tables.primary_key(session, table.name):
        raise UsageError(f"{table.name} has no primary key.", "Add one, or leave --require-primary-key out.")
    return table


def hold_source(session: Session, wanted: Wanted) -> Snapshot:
    """Lock what is wanted, and take a snapshot then; both are held until the session ends or releases them.

    Raises:
        UsageError: there is no such table; the query or the filter cannot be right.
        TransientError: somebody keeps a lock that lets nobody read.
    """
    with table_locks.awaited(session, snapshot.WAIT):
        selection = selected(session, wanted, find_source(session, wanted))
    return snapshot.export(session, selection.select(["1"]))


def settle_source(session: Session, wanted: Wanted, table: Table | None, condition: str = "") -> Source:
    """Settle columns, rows and parts.

    Args:
        session: sees the snapshot.
        wanted: what is to be read.
        table: it, in the catalogue.
        condition: one more, of our own making.

    Raises:
        UsageError: a column or the filter cannot be right.
    """
    selection, readings = settle_readings(session, wanted, table, condition)
    expressions = [reading.sql for reading in readings]
    parts = tuple(
        tuple(select(expressions, piece, selection.condition) for piece in part)
        for part in _parts(session, wanted, table, selection)
    )
    return Source(readings, selection, parts)


def settle_readings(
    session: Session, wanted: Wanted, table: Table | None, condition: str = ""
) -> tuple[Selection, tuple[Reading, ...]]:
    """Settle rows and columns alone; as `settle_source`, which cuts them into parts."""
    columns = _columns(session, wanted, table)
    selection = selected(session, wanted, table)
    if condition:
        selection = selection.where(condition)
    readings = tuple(
        reading_of(
            column, as_text=column.name in wanted.text_columns, unbounded=_unbounded(session, wanted, selection, column)
        )
        for column in columns
    )
    return selection, readings


def selected(session: Session, wanted: Wanted, table: Table | None) -> Selection:
    """The wanted rows, by a filter or a query that the server has checked."""
    selection = _relation(session, wanted, table)
    return filtered(session, selection, wanted.filter) if wanted.filter else selection


def _relation(session: Session, wanted: Wanted, table: Table | None) -> Selection:
    if table is not None:
        return Selection.of_table(table.name)
    check_query(session, wanted.query or "")
    return Selection.of_query(wanted.query or "")


def _columns(session: Session, wanted: Wanted, table: Table | None) -> Sequence[SourceColumn]:
    """The wanted columns, in the source's order."""
    selection = _relation(session, wanted, table)
    dimensions = tables.array_dimensions(session, table.name) if table else {}
    described = query_columns.describe(session, selection.select(["*"]), dimensions)
    names = [column.name for column in described]
    if not names:
        raise UsageError(f"{wanted} has no columns.", "There is nothing to extract.")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UsageError(f"{wanted} has more than one column {', '.join(twice)}.", "Name them apart: AS.")
    unknown = [name for name in (*wanted.columns, *wanted.text_columns, wanted.split_by) if name and name not in names]
    if unknown:
        raise UsageError(f"{wanted} has no column {', '.join(unknown)}: it has {', '.join(names)}.", "Mend the name.")
    key = tables.primary_key(session, table.name) if table and wanted.require_primary_key else []
    return [column for column in described if not wanted.columns or column.name in (*wanted.columns, *key)]


_DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")


def _unbounded(session: Session, wanted: Wanted, selection: Selection, column: SourceColumn) -> t.DecimalType | None:
    """What a column of numeric without precision becomes; None for text."""
    unbounded = column.scalar.base == "numeric" and column.scalar.precision_and_scale is None and not column.dimensions
    if not unbounded or wanted.unbounded == "text":
        return None
    if wanted.unbounded == "fit":
        return _fitting(session, selection, column.name)
    found = _DECIMAL.fullmatch(wanted.unbounded)
    precision, scale = map(int, found.groups()) if found else (0, 0)
    if not max(scale, 1) <= precision <= MAX_PRECISION:
        raise UsageError(
            f"{wanted.unbounded!r} is no decimal of Spark's.", "Write text, fit, or a type such as decimal(38,9)."
        )
    return t.DecimalType(precision, scale)


def _fitting(session: Session, selection: Selection, name: str) -> t.DecimalType | None:
    """The decimal that holds every value of a column, or None where there is none. It reads the column once."""
    column = quote_name(name)
    finite = f"FILTER (WHERE {column} OPERATOR(pg_catalog.<>) 'NaN')"
    largest = f"pg_catalog.max(pg_catalog.abs({column})) {finite}"
    numbers_alone = f"pg_catalog.bool_and({column}::pg_catalog.text OPERATOR(pg_catalog.!~) '[NI]')"
    [[whole, scale, numbers]] = session.query(
        selection.select(
            [
                f"pg_catalog.length(pg_catalog.trunc({largest})::pg_catalog.text)",
                f"pg_catalog.max(pg_catalog.scale({column}))",
                f"coalesce({numbers_alone}, true)",
            ]
        )
    )
    digits = (whole or 1) + (scale or 0)
    return t.DecimalType(digits, scale or 0) if numbers and digits <= MAX_PRECISION else None


def _bounds(session: Session, wanted: Wanted, selection: Selection, count: int) -> list[str]:
    try:
        return partitioning.key_bounds(session, selection.relation, wanted.split_by, selection.condition, count)
    except DatabaseError as error:
        if error.sqlstate != _NO_ORDER:
            raise
        raise UsageError(f"{wanted} cannot be cut by {wanted.split_by}: {error.message}", "Name another one.") from None


_NO_ORDER = "42883"
"""The SQLSTATE of a type that has no ordering operator."""


def _parts(session: Session, wanted: Wanted, table: Table | None, selection: Selection) -> tuple[Part, ...]:
    """The parts, told where there is one alone."""
    if wanted.split_by:
        count = wanted.parallelism or capacity(session).share()
        bounds = _bounds(session, wanted, selection, count)
        schema = partitioning.comparing_schema(session, selection.relation, wanted.split_by)
        return partitioning.by_key(selection.relation, wanted.split_by, bounds, schema)
    leaves = partitioning.leaves_of(session, table.name) if table else ()
    if not leaves:
        if wanted.parallelism is None or wanted.parallelism > 1:
            logger.info("Reading %s as one part, for it has no blocks of its own. (--split-by COLUMN cuts it.)", wanted)
        return ((Range(selection.relation),),)
    size = sum(leaf.blocks for leaf in leaves) * BLOCK_BYTES
    count = wanted.parallelism or min(capacity(session).share(), max(1, size // PART_BYTES))
    return partitioning.by_blocks(leaves, count)
