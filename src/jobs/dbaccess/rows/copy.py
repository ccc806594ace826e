"""Copies rows of Python values into a table, and the rows of a table or query out of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from jobs.dbaccess.catalog import query_columns, tables
from jobs.dbaccess.catalog.tables import Column
from jobs.dbaccess.errors import LoadError, UsageError, plural
from jobs.dbaccess.rows.decode import RowDecoder
from jobs.dbaccess.rows.encode import RowEncoder, blocks
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name, quote_names

BLOCK_SIZE = 1 << 18
"""Characters that are sent at once, and held in memory."""

_IN_SETTINGS: Mapping[str, str] = {"array_nulls": "on"}
_OUT_SETTINGS: Mapping[str, str] = {
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
}
"""The forms that `encode` and `decode` know; a role may have others."""


def copy_rows(
    session: Session,
    table: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    null_values: Collection[str] = (),
    progress: Callable[[int], None] | None = None,
) -> int:
    """Append rows to a table by COPY, without Spark: all of them or none. Memory does not grow with the rows.

    Strings are the server's input for a column's type. Other values: bool, int, float, Decimal, bytes, date, time,
    datetime, timedelta, UUID, addresses; lists for arrays; anything JSON has for json and jsonb.

    Args:
        session: In a transaction that is open, the rows are part of it.
        table: `[schema.]table`.
        columns: The names of the columns, in the order of a row's values.
        rows: Each with a value for each column.
        null_values: Strings that stand for NULL.
        progress: Is called with the number of rows so far, about each quarter of a megabyte.

    Returns:
        The number of rows that the server reports.

    Raises:
        UsageError: The table has no such columns, or a row cannot be copied. Its number and the column are named.
        DatabaseError: The server refuses a row, or the connection broke.
    """
    name, chosen = _columns(session, TableName.parse(table), columns)
    meter = _Meter(RowEncoder(chosen, null_values), rows, progress)
    statement = f"COPY {name.quoted} ({quote_names(column.name for column in chosen)}) FROM STDIN"
    with session.in_transaction(**_IN_SETTINGS), session.users_path():  # domains' checks are the user's
        copied = session.copy_in(statement, meter)
    if copied != meter.rows:
        raise LoadError(
            f"{plural(meter.rows, 'row was', 'rows were')} sent to {name}, but the server counted {copied:,}."
        )
    return copied


class _Meter:
    """Encodes rows, and counts those that were sent."""

    def __init__(
        self, encoder: RowEncoder, rows: Iterable[Sequence[object]], progress: Callable[[int], None] | None
    ) -> None:
        self._blocks = blocks(encoder, rows, BLOCK_SIZE)
        self._progress = progress
        self.rows = 0

    def __iter__(self) -> Iterator[bytes]:
        for block, count in self._blocks:
            self.rows = count
            yield block
            if self._progress is not None:
                self._progress(self.rows)


def _columns(session: Session, name: TableName, wanted: Sequence[str]) -> tuple[TableName, list[Column]]:
    """Return the table's full name, and the columns.

    Raises:
        UsageError: There is no such table, or it has no such columns.
    """
    table = tables.find_table(session, name)
    if table is None:
        raise UsageError(f"There is no table {name}.", "Create it first.")
    by_name = {column.name: column for column in table.columns}
    missing = [column for column in wanted if column not in by_name]
    if missing or not wanted or len(set(wanted)) < len(wanted):
        what = f"has no column {', '.join(missing)}" if missing else "takes each column once, and at least one"
        raise UsageError(f"{table.name} {what}.", f"It has {', '.join(by_name)}.")
    return table.name, [by_name[column] for column in wanted]


def copy_out(
    session: Session,
    source: str,
    *,
    columns: Sequence[str] = (),
    text_columns: Sequence[str] = (),
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a table or query by COPY, without Spark. Memory does not grow with the rows.

    Args:
        session: Can do nothing else until all rows are read. If they are not, it is closed.
        source: `[schema.]table`, or a query: a SELECT, VALUES or WITH.
        columns: Those that are wanted; by default all.
        text_columns: Columns to leave as text, such as dates that may be infinite.

    Raises:
        UsageError: There is no such table or column.
        ExtractError: Python has no value for one of the server's. The message names the column.
        DatabaseError: The server refuses the query, or the connection broke.
    """
    relation = _relation(session, source)
    chosen = ", ".join(map(quote_name, columns)) or "*"
    query = f"SELECT {chosen} FROM {relation}"
    with session.in_transaction(**_OUT_SETTINGS):
        decoder = RowDecoder(query_columns.describe(session, query), text_columns)
        for block in session.copy_out(f"COPY ({query}) TO STDOUT"):
            for line in block.decode().split("\n")[:-1]:
                yield decoder.row(line)


def _relation(session: Session, source: str) -> str:
    first = source.split(None, 1)[0].lower() if source.strip() else ""
    if first in {"select", "values", "with", "table"} and source.strip().lower() != first:
        return f"(\n{source.strip().rstrip(';')}\n) AS query"
    table = tables.find_table(session, TableName.parse(source))
    if table is None:
        raise UsageError(f"There is no table {source}.", "Check its name and schema; names are taken as written.")
    return table.name.quoted
