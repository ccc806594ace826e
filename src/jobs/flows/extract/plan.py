"""What an extract reads: columns, rows and parts, determined inside the snapshot."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import types as t

from jobs.copyformat.read_types import MAX_PRECISION, ExtractColumn, extract_column
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
"""A part has at least this size: smaller ones are not worth a connection."""

BLOCK_BYTES = 8192

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wanted:
    """What to extract.

    Attributes:
        table, query: One of them is given.
        columns: The columns to extract; all if empty. With `with_key` or `require_primary_key`, the primary key's
            columns are added.
        filter: An SQL expression, which becomes part of statements as it is.
        split_by: The column by whose ranges parts are divided. Without it, a table is divided by blocks, and a query is
            one part.
        text_columns: Columns to extract as PostgreSQL's text.
        flat: Whether composite types, hstore, vectors and geometries are extracted as PostgreSQL's text, too.
        unbounded: What numeric without precision becomes: "text", "fit" (the decimal that holds all of the column's
            values, if there is one), or "decimal(p,s)".
        parallelism: The number of parts, and so the maximum number of connections; None to choose by size and by how
            many connections are free.
    """

    table: TableName | None = None
    query: str | None = None
    columns: tuple[str, ...] = ()
    filter: str = ""
    split_by: str = ""
    text_columns: tuple[str, ...] = ()
    unbounded: str = "text"
    require_primary_key: bool = False
    with_key: bool = False
    flat: bool = False
    parallelism: int | None = None

    def __str__(self) -> str:
        return str(self.table) if self.table else "the query"


@dataclass(frozen=True)
class ExtractPlan:
    """What an extract reads, as determined in the snapshot.

    Attributes:
        columns: The columns.
        selection: The rows.
        parts: The SELECTs of each part.
    """

    columns: tuple[ExtractColumn, ...]
    selection: Selection
    parts: tuple[tuple[str, ...], ...]


def find_source(session: Session, wanted: Wanted) -> Table | None:
    """Find the table in the catalog; None for a query.

    Raises:
        UsageError: neither or both are wanted; there is no such table; it has no primary key.
    """
    if (wanted.table is None) == (wanted.query is None):
        raise UsageError("An extract reads either a table or a query.", "Give --table or --query.")
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
    """Lock what will be read, and then take a snapshot. Both are held until the session ends or releases them.

    Raises:
        UsageError: The table does not exist, or the query or the filter is wrong.
        TransientError: Another session holds a lock that prevents reading.
    """
    with table_locks.awaited(session, snapshot.WAIT):
        selection = selected(session, wanted, find_source(session, wanted))
    return snapshot.export(session, selection.select(["1"]))


def plan_extract(session: Session, wanted: Wanted, table: Table | None, condition: str = "") -> ExtractPlan:
    """Determine columns, rows and parts.

    Args:
        session: Sees the snapshot.
        wanted: What to extract.
        table: The table in the catalog.
        condition: A further condition of our own.

    Raises:
        UsageError: A column does not exist, or the filter is wrong.
    """
    selection, columns = plan_columns(session, wanted, table, condition)
    expressions = [column.sql for column in columns]
    parts = tuple(
        tuple(select(expressions, piece, selection.condition) for piece in part)
        for part in divided(session, wanted, table, selection)
    )
    return ExtractPlan(columns, selection, parts)


def plan_columns(
    session: Session, wanted: Wanted, table: Table | None, condition: str = ""
) -> tuple[Selection, tuple[ExtractColumn, ...]]:
    """Determine rows and columns, without the parts."""
    chosen = source_columns(session, wanted, table)
    selection = selected(session, wanted, table)
    if condition:
        selection = selection.where(condition)
    columns = tuple(
        extract_column(
            column,
            as_text=column.name in wanted.text_columns,
            flat=wanted.flat,
            unbounded=_unbounded(session, wanted, selection, column),
        )
        for column in chosen
    )
    return selection, columns


def selected(session: Session, wanted: Wanted, table: Table | None) -> Selection:
    """Return the rows to extract, by a filter or a query that the server has checked."""
    selection = _relation(session, wanted, table)
    return filtered(session, selection, wanted.filter) if wanted.filter else selection


def _relation(session: Session, wanted: Wanted, table: Table | None) -> Selection:
    if table is not None:
        return Selection.of_table(table.name)
    check_query(session, wanted.query or "")
    return Selection.of_query(wanted.query or "")


def source_columns(session: Session, wanted: Wanted, table: Table | None) -> Sequence[SourceColumn]:
    """Return the columns to extract, in the order of the table or query."""
    selection = _relation(session, wanted, table)
    dimensions = tables.array_dimensions(session, table.name) if table else {}
    described = query_columns.describe(session, selection.select(["*"]), dimensions)
    names = [column.name for column in described]
    if not names:
        raise UsageError(f"{wanted} has no columns.", "There is nothing to extract.")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UsageError(
            f"{wanted} has more than one column {', '.join(twice)}.", "Give each a name of its own, with AS."
        )
    unknown = [name for name in (*wanted.columns, *wanted.text_columns, wanted.split_by) if name and name not in names]
    if unknown:
        raise UsageError(
            f"{wanted} has no column {', '.join(unknown)}: it has {', '.join(names)}.", "Correct the name."
        )
    key = tables.primary_key(session, table.name) if table and (wanted.require_primary_key or wanted.with_key) else []
    return [column for column in described if not wanted.columns or column.name in (*wanted.columns, *key)]


_DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")


def _unbounded(session: Session, wanted: Wanted, selection: Selection, column: SourceColumn) -> t.DecimalType | None:
    """Return the decimal for a column of numeric without precision; None for text."""
    unbounded = column.scalar.base == "numeric" and column.scalar.precision_and_scale is None and not column.dimensions
    if not unbounded or wanted.unbounded == "text":
        return None
    if wanted.unbounded == "fit":
        return _fitting(session, selection, column.name)
    decimal = _DECIMAL.fullmatch(wanted.unbounded)
    precision, scale = map(int, decimal.groups()) if decimal else (0, 0)
    if not max(scale, 1) <= precision <= MAX_PRECISION:
        raise UsageError(
            f"{wanted.unbounded!r} is not a decimal of Spark.", "Write text, fit, or a type such as decimal(38,9)."
        )
    return t.DecimalType(precision, scale)


def _fitting(session: Session, selection: Selection, name: str) -> t.DecimalType | None:
    """Return the decimal that holds every value of a column; None if there is none. This reads the column once."""
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
        raise UsageError(
            f"{wanted} cannot be split by {wanted.split_by}: {error.message}", "Name another one."
        ) from None


_NO_ORDER = "42883"
"""The SQLSTATE of a type that has no ordering operator."""


def divided(session: Session, wanted: Wanted, table: Table | None, selection: Selection) -> tuple[Part, ...]:
    """Divide the rows into parts. A single part is logged."""
    if wanted.split_by:
        count = wanted.parallelism or capacity(session).share()
        bounds = _bounds(session, wanted, selection, count)
        schema = partitioning.comparing_schema(session, selection.relation, wanted.split_by)
        return partitioning.by_key(selection.relation, wanted.split_by, bounds, schema)
    parts = by_blocks(session, table.name, wanted.parallelism) if table else ()
    if not parts and (wanted.parallelism is None or wanted.parallelism > 1):
        logger.info(
            "Reading %s as one part, because it has no blocks of its own. (--split-by COLUMN splits it.)", wanted
        )
    return parts or ((Range(selection.relation),),)


def by_blocks(session: Session, table: TableName, parallelism: int | None) -> tuple[Part, ...]:
    """Divide a table into parts by its blocks; none if it must be read as a whole.

    Args:
        session: Sees the snapshot.
        table: The table's full name.
        parallelism: As in `Wanted`.
    """
    leaves = partitioning.leaves_of(session, table)
    if not leaves:
        return ()
    size = sum(leaf.blocks for leaf in leaves) * BLOCK_BYTES
    count = parallelism or min(capacity(session).share(), max(1, size // PART_BYTES))
    return partitioning.by_blocks(leaves, count)
