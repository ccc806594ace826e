"""History: each row of the data becomes a version of its key, valid from its time until the next one (SCD, type 2).

What a load says of a key at a time holds until the next time from which the table has something else to say of this
key. So a row that comes late becomes a version between others, and a rerun replaces what the first run said. A row that
is equal to the version before it makes no version of its own.

The versions of the keys that the data has are computed anew, from all that is known of them, into a temporary table.
Then the table gets what differs, by DELETE, UPDATE and INSERT, under a lock that keeps other writers out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from jobs.dbaccess import table_locks
from jobs.dbaccess.catalog import tables
from jobs.dbaccess.errors import DatabaseError, LoadError, TransientError, UsageError
from jobs.dbaccess.load.move import conditions, deletion, keys, merge
from jobs.dbaccess.load.move.merge import Merge
from jobs.dbaccess.load.move.modes import Move, Written
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name, quote_names

VERSIONS = "pg_temp.pgjobs_versions"
"""The versions that the keys of the data are to have. Rows without one stand for keys."""

_IS_VERSION = "pgjobs_is_version"
_EQUALS = "OPERATOR(pg_catalog.=)"


@dataclass(frozen=True)
class Versions(Merge):
    """The statements of one load. The time of the data, where it is no column of it, is their $1.

    Attributes:
        time_type: The type of the column of the times from which versions are valid.
    """

    time_type: str = "pg_catalog.timestamptz"

    def statements(self) -> Iterator[str]:
        """Yield what is executed after the table was locked, in this order."""
        yield from filter(None, [self.judge()])
        yield from (self.create(), self.fill(), self.delete_old(), self.update_changed(), self.insert_new(), DROP)
        yield from filter(None, [self.forget()])

    def create(self) -> str:
        """Return the statement that creates the temporary table."""
        columns = ", ".join(quote_name(name) for name in self._table_columns)
        return (
            f"CREATE TEMPORARY TABLE pgjobs_versions AS SELECT {columns}, true AS {_IS_VERSION} "
            f"FROM {self.target.quoted} WITH NO DATA"
        )

    def fill(self) -> str:
        """Return the statement that computes the versions.

        What is told are the rows of the data, and the keys that it lacks. What is known are the begins and ends of the
        table's versions of these keys. Of both, what is told counts. What is equal to the one before is left out.
        Names of our own begin with pgjobs: the table may have a column `weight`.
        """
        keys, columns = self._keys, quote_names(self.move.columns)
        known = ", ".join(f"target.{quote_name(name)}" for name in self.move.columns)
        of_told = f"EXISTS (SELECT FROM told WHERE {self.same_keys('target', 'told')})"
        versions = f"FROM {self.target.quoted} AS target WHERE {of_told}"
        order = f"PARTITION BY {keys} ORDER BY pgjobs_from"
        return (
            f"INSERT INTO {VERSIONS} WITH told AS MATERIALIZED ({self._told}), known AS ("
            f"SELECT *, 0 AS pgjobs_weight FROM told "
            f"UNION ALL SELECT {known}, target.{self._from}, false, 1 {versions} "
            f"UNION ALL SELECT {known}, target.{self._to}, true, 2 {versions} AND target.{self._to} IS NOT NULL), "
            f"times AS (SELECT DISTINCT ON ({keys}, pgjobs_from) * FROM known "
            f"ORDER BY {keys}, pgjobs_from, pgjobs_weight), "
            f"neighbours AS (SELECT *, pg_catalog.lag(pgjobs_gone) OVER earlier AS pgjobs_gone_before, "
            f"pg_catalog.lag({self._image}) OVER earlier AS pgjobs_before FROM times WINDOW earlier AS ({order})), "
            f"changes AS (SELECT * FROM neighbours WHERE CASE WHEN pgjobs_gone THEN NOT pgjobs_gone_before "
            f"ELSE pgjobs_gone_before IS NOT FALSE "
            f"OR NOT pg_catalog.record_image_eq(pgjobs_before, {self._image}) END) "
            f"SELECT {columns}, pgjobs_from, pg_catalog.lead(pgjobs_from) OVER later, "
            f"pg_catalog.lead(pgjobs_from) OVER later IS NULL, NOT pgjobs_gone FROM changes WINDOW later AS ({order}) "
            f"UNION ALL SELECT {columns}, pgjobs_from, NULL, NULL, false FROM told"
        )

    def values(self, time: str) -> tuple[str, ...]:
        """Return the values of `fill` and `count_closing`."""
        return () if self._as_of is not None else (time,)

    def delete_old(self) -> str:
        """Return the statement that deletes versions that are none any more."""
        return (
            f"DELETE FROM {self.target.quoted} AS target WHERE EXISTS (SELECT FROM {VERSIONS} AS v "
            f"WHERE {self.same_keys('target', 'v')}) AND NOT EXISTS (SELECT FROM {VERSIONS} AS v WHERE {self._same})"
        )

    def update_changed(self) -> str:
        """Return the statement that updates versions: most often their ends."""
        names = [quote_name(name) for name in self._table_columns if name not in self.move.keys]
        sets = ", ".join(f"{name} = v.{name}" for name in names if name != self._from)
        compared = [*map(quote_name, self._compared), self._to, self._current]
        ours, theirs = (", ".join(f"{table}.{name}" for name in compared) for table in ("target", "v"))
        return (
            f"UPDATE {self.target.quoted} AS target SET {sets} FROM {VERSIONS} AS v WHERE {self._same} "
            f"AND NOT pg_catalog.record_image_eq(ROW({ours}), ROW({theirs}))"
        )

    def insert_new(self) -> str:
        """Return the statement that inserts versions."""
        columns = quote_names(self._table_columns)
        return (
            f"INSERT INTO {self.target.quoted} ({columns}) SELECT {columns} FROM {VERSIONS} AS v "
            f"WHERE v.{_IS_VERSION} AND NOT EXISTS (SELECT FROM {self.target.quoted} AS target WHERE {self._same})"
        )

    def count_told(self) -> str:
        """Return a query for how many rows of the data say what is valid, and not that nothing is."""
        return f"SELECT pg_catalog.count(*) FROM {self._chosen} WHERE NOT source.pgjobs_deletes"

    def count_corrected(self) -> str:
        """Return a query for how many versions of the table get other values."""
        ours, theirs = (", ".join(f"{t}.{quote_name(name)}" for name in self._compared) for t in ("target", "v"))
        return (
            f"SELECT pg_catalog.count(*) FROM {self.target.quoted} AS target JOIN {VERSIONS} AS v ON {self._same} "
            f"WHERE NOT pg_catalog.record_image_eq(ROW({ours}), ROW({theirs}))"
        )

    def count_closing(self) -> str:
        """Return a query for how many versions are valid at the time of the data, and how many of them it ends."""
        row = f"SELECT FROM {self._chosen} WHERE {self.same_keys('target', 'source')}"
        ends = f"EXISTS ({row} AND source.pgjobs_deletes)"
        if self.move.changes.delete_missing:
            ends += f" OR NOT EXISTS ({row})"
        return (
            f"SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE {ends}) "
            f"FROM {self.target.quoted} AS target WHERE {self._is_valid if self._as_of is None else self._is_open}"
        )

    @property
    def _told(self) -> str:
        """The rows of the data, each with its time; and the keys that it lacks, which end at its time."""
        columns = ", ".join(f"source.{quote_name(name)}" for name in self.move.columns)
        time = "$1" if self._as_of is None else f"source.{quote_name(self._as_of)}"
        begin = f"{self._cast(time)} AS pgjobs_from"
        rows = f"SELECT {columns}, {begin}, source.pgjobs_deletes AS pgjobs_gone FROM {self._chosen}"
        if not self.move.changes.delete_missing:
            return rows
        known = ", ".join(f"target.{quote_name(name)}" for name in self.move.columns)
        return (
            f"{rows} UNION ALL SELECT {known}, {self._cast('$1')}, true FROM {self.target.quoted} AS target "
            f"WHERE {self._is_valid} AND NOT EXISTS (SELECT FROM {self.staged.quoted} AS source "
            f"WHERE {self.same_keys('target', 'source')})"
        )

    def _cast(self, time: str) -> str:
        return f"{time}::{self.time_type}"

    @property
    def _same(self) -> str:
        """A condition: that `target` and `v` are one version."""
        same = self.same_keys("target", "v")
        return f"v.{_IS_VERSION} AND {same} AND target.{self._from} {_EQUALS} v.{self._from}"

    @property
    def _is_valid(self) -> str:
        time = self._cast("$1")
        return (
            f"target.{self._from} OPERATOR(pg_catalog.<=) {time} "
            f"AND (target.{self._to} IS NULL OR target.{self._to} OPERATOR(pg_catalog.>) {time})"
        )

    @property
    def _is_open(self) -> str:
        return f"target.{self._to} IS NULL"

    @property
    def _image(self) -> str:
        return f"ROW({quote_names(self._compared)})"

    @property
    def _compared(self) -> tuple[str, ...]:
        """The columns that make a version: not the keys, nor the time from which it is valid."""
        return tuple(name for name in self.move.values if name != self._as_of)

    @property
    def _table_columns(self) -> tuple[str, ...]:
        return (*self.move.columns, *self.move.history.columns)

    @property
    def _keys(self) -> str:
        return quote_names(self.move.keys)

    @property
    def _as_of(self) -> str | None:
        return self.move.history.as_of_column

    @property
    def _from(self) -> str:
        return quote_name(self.move.history.valid_from)

    @property
    def _to(self) -> str:
        return quote_name(self.move.history.valid_to)

    @property
    def _current(self) -> str:
        return quote_name(self.move.history.is_current)


DROP = f"DROP TABLE {VERSIONS}"

_TIMES = {"timestamptz": "pg_catalog.timestamptz", "timestamp": "pg_catalog.timestamp", "date": "pg_catalog.date"}


def check(session: Session, move: Move, target: TableName) -> str:
    """Check that an existing table can hold the history of its keys. A transaction must be open.

    Returns:
        The type of the times from which versions are valid.

    Raises:
        UsageError: A column of the history is missing, or is of another type; or a condition is none.
        LoadError: Nothing keeps a key from having two current versions; or as for `merge.check`.
        DatabaseError: The user may not delete.
    """
    merge.check(session, move, target)
    table = tables.find_table(session, target)
    columns = {column.name: column for column in table.columns} if table else {}
    history = move.history
    lacking = [name for name in history.columns if name not in columns]
    if lacking:
        raise UsageError(
            f"{target} has no {', '.join(lacking)}, which a history needs.",
            "Give --history-columns the names of the begin, the end and the mark of the current version, add the "
            "columns, or let the load create the table.",
        )
    begin, end, mark = (columns[name] for name in history.columns)
    if begin.base_type not in _TIMES or end.base_type != begin.base_type or mark.base_type != "bool":
        raise UsageError(
            f"{', '.join(history.columns)} of {target} are {begin.type_name}, {end.type_name} and {mark.type_name}.",
            "A history needs two timestamps (or dates) of one type, and a boolean.",
        )
    if not session.run(_ONE_CURRENT, history.is_current, history.valid_to, sorted(move.keys), target.quoted):
        listed, current = quote_names(move.keys), quote_name(history.is_current)
        raise LoadError(
            f"Nothing keeps a key of {target} from having two current versions.",
            keys.no_unique_index(session, move, target)
            or f"Create an index: CREATE UNIQUE INDEX ON {target.quoted} ({listed}) WHERE {current};",
        )
    rounds = begin.type_name.startswith("timestamp(")  # versions are computed of times as they are stored
    time_type = begin.type_name if rounds else _TIMES[begin.base_type]
    check_time(session, move, conditions.data_of(move, target), time_type)
    return time_type


_ONE_CURRENT = """
WITH asked AS (
    SELECT quote_ident(%s) AS mark, quote_ident(%s) AS ends, %s::text[] AS keys, to_regclass(%s)::oid AS relid
), one AS (
    SELECT ARRAY[mark, '(' || mark || ' = true)', '(' || mark || ' IS TRUE)', '(' || ends || ' IS NULL)'] AS current,
        keys, relid FROM asked
)
SELECT 1 FROM one JOIN pg_index i ON i.indrelid = relid AND i.indisunique AND i.indisvalid AND i.indexprs IS NULL
    AND pg_get_expr(i.indpred, i.indrelid) = ANY (current) AND keys = (
        SELECT array_agg(a.attname::text ORDER BY a.attname::text COLLATE "C")
        FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1])
    )
UNION ALL SELECT 1 FROM one JOIN pg_constraint c ON c.conrelid = relid AND c.contype = 'x'
    JOIN pg_index i ON i.indexrelid = c.conindid
    AND coalesce(pg_get_expr(i.indpred, i.indrelid) = ANY (current), i.indpred IS NULL) AND (
        SELECT coalesce(array_agg(a.attname::text) FILTER (WHERE o.oprname = '='), '{}') @> keys
            AND bool_and(o.oprname = '&&' OR coalesce(o.oprname = '=' AND a.attname::text = ANY (keys), false))
        FROM unnest(c.conkey, c.conexclop) AS part (attnum, operator) JOIN pg_operator o ON o.oid = part.operator
        LEFT JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = part.attnum AND part.attnum > 0
    )
"""
"""Each row says that a key cannot have two current versions: by an index, or because times may not overlap."""


def keep(session: Session, move: Move, target: TableName, staged: TableName, rows: int) -> Written:
    """Make the staged rows versions in the table, in the open transaction.

    Args:
        session: A session in a transaction that excludes other loads of the table.
        move: The columns, the keys, and the history.
        target: The table.
        staged: The table of the staged rows, which nobody else uses.
        rows: How many rows are staged.

    Raises:
        LoadError: A key is NULL, or has several rows of one time, or a time is NULL; or too many versions would end.
        DatabaseError: The target rejects a version.
    """
    table_locks.keep_writers_out(session, target)
    time_type = check(session, move, target)
    keys.check_not_null(session, move, target, staged)
    _check_times(session, move, staged, time_type)
    equalities = tables.equalities(session, target, move.keys)
    statements = Versions(move, target, staged, equalities, time_type=time_type)
    time = move.history.as_of or session.value(_NOW)  # the lock is ours: no later load is there
    with session.users_path():
        return _execute(session, statements, statements.values(time), rows)


_NOW = """SELECT to_char(clock_timestamp(), 'YYYY-MM-DD"T"HH24:MI:SS.USOF')"""
"""Each DateStyle reads it. Some write abbreviations of time zones, which are those of several (IST)."""


def _execute(session: Session, statements: Versions, time: tuple[str, ...], rows: int) -> Written:
    move = statements.move
    if move.changes.delete_when is not None:
        session.ask(statements.judge())
    if move.changes.deletes and move.max_delete_share < 1:
        [[valid, ended]] = session.ask(statements.count_closing(), time).rows
        deletion.check_share(move, statements.target, ended, valid)
    session.ask(statements.create())
    session.ask(statements.fill(), time)
    [[told]] = session.ask(statements.count_told()).rows
    [[corrected]] = session.ask(statements.count_corrected()).rows
    deleted = session.ask(statements.delete_old()).count or 0
    updated = session.ask(statements.update_changed()).count or 0
    inserted = session.ask(statements.insert_new()).count or 0
    session.ask(DROP)
    if move.changes.delete_when is not None:
        session.ask(statements.forget())
    unchanged = max(0, told - inserted - corrected)
    return Written(inserted, updated, unchanged, deleted, rows - inserted - updated - unchanged)


def _check_times(session: Session, move: Move, staged: TableName, time_type: str) -> None:
    """Check that the data says one thing of each key at each time, as the table stores times.

    Raises:
        LoadError: It does not.
    """
    as_of = move.history.as_of_column
    if as_of is not None:
        missing = session.value(f"SELECT count(*) FROM {staged.quoted} WHERE {quote_name(as_of)} IS NULL")
        if missing:
            raise LoadError(
                f"{missing} rows have NULL in {as_of!r}, the time from which they are valid (--as-of).",
                "Leave such rows out with --select.",
            )
    if move.changes.order_by:
        keys.check_last_is_known(session, move, staged)
    if not move.order:
        time = [] if as_of is None else [f"{quote_name(as_of)}::{time_type}"]
        keys.check_not_repeated(session, move, staged, time)


def check_time(session: Session, move: Move, source: str, time_type: str = _TIMES["timestamptz"]) -> None:
    """Check that --as-of is a time, or a column of the data that stores times; and that the user may compute versions.

    Args:
        session: A session.
        move: It has the history.
        source: What has the columns of the data, as written in FROM, without an alias.
        time_type: The type of the times from which versions are valid.

    Raises:
        UsageError: It is none.
        LoadError: The user may not create temporary tables.
    """
    history = move.history
    if not session.value("SELECT has_database_privilege(current_database(), 'TEMP')"):
        raise LoadError(
            "The user may not create temporary tables, in which the mode history computes versions.",
            "GRANT TEMPORARY ON DATABASE ... TO the user.",
        )
    try:
        if history.as_of_column is not None:
            session.describe(f"SELECT source.{quote_name(history.as_of_column)}::{time_type} FROM {source} AS source")
        elif history.as_of is not None:
            session.run("SELECT %s::timestamptz", history.as_of)
    except TransientError:
        raise
    except DatabaseError as error:
        raise UsageError(
            f"--as-of {history.as_of!r} is neither a time nor a column of the data with times: {error.message}",
            "Write, for example: 2026-11-20T00:00:00Z",
        ) from None
