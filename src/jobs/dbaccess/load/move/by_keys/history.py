"""History: each row of the data becomes a version of its key, valid from its time until the next one (SCD, type 2).

`versions` has the statements. They are executed under a lock that keeps other writers out, on a table of which an index
or a constraint keeps a key from having two current versions.
"""

from __future__ import annotations

from jobs.dbaccess import table_locks
from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.row_triggers import takes_every_row
from jobs.dbaccess.catalog.unique_indexes import equalities
from jobs.dbaccess.errors import DatabaseError, LoadError, TransientError, UsageError, plural
from jobs.dbaccess.load.move import conditions, deletion, keys
from jobs.dbaccess.load.move.by_keys import merge
from jobs.dbaccess.load.move.by_keys.versions import DROP, Versions
from jobs.dbaccess.load.move.modes import Move, Written
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name, quote_names

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
    _check_ends(session, move, target)
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


def _check_ends(session: Session, move: Move, target: TableName) -> None:
    """Check that versions that did not end have no end, as here: others write infinity, or the year 9999.

    Raises:
        LoadError: Some have. They would not be current any more.
    """
    end, mark = quote_name(move.history.valid_to), quote_name(move.history.is_current)
    ended = session.value(f"SELECT count(*) FROM {target.quoted} WHERE {mark} AND {end} IS NOT NULL")
    if ended:
        raise LoadError(
            f"{plural(ended, 'version')} of {target} {'is' if ended == 1 else 'are'} current "
            f"({move.history.is_current}), and {'has' if ended == 1 else 'have'} an end ({move.history.valid_to}). "
            "A history has NULL as the end of a version that did not end.",
            f"UPDATE {target.quoted} SET {end} = NULL WHERE {mark};",
        )


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
    statements = Versions(move, target, staged, equalities(session, target, move.keys), time_type=time_type)
    time = move.history.as_of or _now(session, time_type)  # the lock is ours: no later load is there
    takes_all = takes_every_row(session, target)
    with session.users_path():
        return _execute(session, statements, statements.values(time), rows, takes_all=takes_all)


_NOW = """SELECT to_char(clock_timestamp(), 'YYYY-MM-DD"T"HH24:MI:SS.USOF')"""
"""Each DateStyle reads it. Some write abbreviations of time zones, which are those of several (IST)."""


def _now(session: Session, time_type: str) -> str:
    """Return the time of the load.

    Raises:
        LoadError: Without its time zone, it would be later than times that are yet to come.
    """
    now = str(session.value(_NOW))
    comes_again = "SELECT %s::timestamptz <> %s::timestamptz::timestamp::timestamptz"
    is_local = "timestamp" in time_type and not time_type.endswith(("timestamptz", "with time zone"))
    if is_local and session.value(comes_again, now, now):
        raise LoadError(
            f"The time {now} comes again within the hour, as daylight saving ends, and the table stores no time zone.",
            "Load when the hour is over, give --as-of, or ALTER the times of the history to timestamptz.",
        )
    return now


def _execute(session: Session, statements: Versions, time: tuple[str, ...], rows: int, *, takes_all: bool) -> Written:
    move = statements.move
    if move.changes.delete_when is not None:
        session.ask(statements.judge())
    if move.limits_deletes:
        [[valid, ending, missing]] = session.ask(statements.count_closing(), time).rows
        deletion.check_share(move, statements.target, valid, missing=missing, told=ending)
    session.ask(statements.create())
    session.ask(statements.fill(), time)
    [[told]] = session.ask(statements.count_told()).rows
    [[corrected]] = session.ask(statements.count_corrected()).rows
    deleted = session.ask(statements.delete_old()).count or 0
    updated = session.ask(statements.update_changed()).count or 0
    inserted = session.ask(statements.insert_new()).count or 0
    left_out = 0 if takes_all else session.ask(statements.count_missing()).rows[0][0]
    session.ask(DROP)
    if move.changes.delete_when is not None:
        session.ask(statements.forget())
    unchanged = max(0, told - inserted - corrected - left_out)
    return Written(inserted, updated, unchanged, deleted, rows - inserted - updated - unchanged - left_out)


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
                f"{plural(missing, 'row has', 'rows have')} NULL in {as_of!r}, the time from which they are valid "
                "(--as-of).",
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
