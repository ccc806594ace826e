"""The result of a script as a table: it is committed with the marker, written to files by an extract, and dropped.

The table is logged, so that it survives a crash of the server, as the marker does. If a publication of logical
replication would include it, it is unlogged, because subscribers lack it. Its number of rows is stored with it, in its
comment, which shows whether a crash has emptied it.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.own_tables import OwnTable
from jobs.dbaccess.catalog.publications import publications_of
from jobs.dbaccess.errors import ExtractError, TransientError, UsageError, plural
from jobs.dbaccess.query import script
from jobs.dbaccess.query.script import Statement
from jobs.dbaccess.session import Answer, ResultColumn, Session
from jobs.dbaccess.sql import TableName, quote_name

_QUERIES = frozenset({"select", "values", "table", "with", "insert", "update", "delete", "merge"})
"""The first words of statements whose rows can be written. EXPLAIN, SHOW, FETCH, EXECUTE and CALL return rows, too."""


@dataclass(frozen=True)
class Pending:
    """A result that is to be written.

    Attributes:
        table: Contains it.
        target: Where it is to be written.
        rows: How many it has.
    """

    table: TableName
    target: str
    rows: int


def check(statements: Sequence[Statement]) -> None:
    """Refuse what would undo the result.

    Raises:
        UsageError: A statement rolls back to a savepoint.
    """
    for statement in statements:
        if statement.words[:1] == ("rollback",):
            raise UsageError(
                f"Line {statement.line}: ROLLBACK TO is not possible together with --target.", "Leave it out."
            )


def name_of(identity: str) -> str:
    """Return the name of the table of a run's result.

    Args:
        identity: What no other run of the database has: its load id and its ledger.
    """
    return f"pgjobs_result_{hashlib.sha256(identity.encode()).hexdigest()[:32]}"


def find(session: Session, name: str) -> Pending | None:
    """Return the result that an earlier run has left, or None if it was written, or never made.

    Raises:
        UsageError: The table's owner is not trusted.
        ExtractError: The table is not as it was committed.
    """
    table = OwnTable(name, "").find(session)
    if table is None:
        return None
    comment = session.value("SELECT obj_description(to_regclass(%s)::oid, 'pg_class')", table.quoted)
    rows = session.value(f"SELECT count(*) FROM {table.quoted}")
    try:
        stored = json.loads(comment or "")
        pending = Pending(table, stored["target"], stored["rows"])
    except (ValueError, KeyError):
        raise ExtractError(f"{table} has no comment of ours.", "Was it changed? Drop it if it is not needed.") from None
    if pending.rows != rows:
        raise ExtractError(
            f"The result of an earlier run is lost: {table} has {rows:,} of {plural(pending.rows, 'row')}, because "
            "the server crashed, or somebody changed it.",
            f"What the statements changed is done. Drop it: DROP TABLE {table.quoted};",
        )
    return pending


class Result:
    """The table that receives the rows of the last query of a script, in the transaction of the script.

    Attributes:
        rows: How many rows it has; None if no statement has returned rows yet.
    """

    def __init__(self, session: Session, name: str) -> None:
        self.table = tables.name_for_new_table(session, TableName(name))
        if self.table.schema is None:
            raise UsageError("There is no schema for the result's table.", "Create one, and have search_path name it.")
        self.rows: int | None = None
        session.run(f"DROP TABLE IF EXISTS {self.table.quoted}")  # of a load id that was forgotten
        session.run(f"CREATE TABLE {self.table.quoted} ()")
        self._kind = "UNLOGGED TABLE" if publications_of(session, self.table) else "TABLE"

    def ask(self, session: Session, statement: Statement, values: Sequence[object]) -> Answer:
        """Run a statement. If it is a query, its rows become those of the table.

        Raises:
            UsageError: Two columns have the same name.
            DatabaseError: The server refused the statement.
        """
        columns = session.result_columns(statement.text) if _QUERIES.issuperset(statement.words[:1]) else []
        if not columns:
            return session.ask(statement.text, values)
        self._create(session, columns)
        answer = session.ask(_inserted(statement.text, self.table), values)
        self.rows = answer.count
        return Answer(None, [], answer.count)

    def _create(self, session: Session, columns: Sequence[ResultColumn]) -> None:
        names = [column.name for column in columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UsageError(
                f"The query has more than one column {', '.join(twice)}.", "Give each a name of its own, with AS."
            )
        types = session.run(
            "SELECT pg_catalog.format_type(type, modifier) FROM unnest(%s::pg_catalog.oid[], %s::pg_catalog.int4[]) "
            "WITH ORDINALITY AS described (type, modifier, place) ORDER BY place",
            [column.type_oid for column in columns],
            [column.modifier for column in columns],
        )
        defined = ", ".join(f"{quote_name(name)} {type_}" for name, [type_] in zip(names, types))
        session.ask(f"DROP TABLE {self.table.quoted}")
        session.ask(f"CREATE {self._kind} {self.table.quoted} ({defined})")

    def keep(self, session: Session, load_id: str, target: str) -> Pending:
        """Note in the table's comment what is to be done with it.

        Raises:
            UsageError: No statement returned rows.
        """
        if self.rows is None:
            raise UsageError(
                "None of the statements is a query, so there is nothing to write.",
                "Nothing was done. End with a SELECT or RETURNING, or leave --target out.",
            )
        comment = json.dumps({"pgjobs": "result of run_query", "load_id": load_id, "target": target, "rows": self.rows})
        statement = session.value(
            "SELECT concat('COMMENT ON TABLE ', %s::text, ' IS ', quote_literal(%s::text))", self.table.quoted, comment
        )
        session.ask(statement)
        return Pending(self.table, target, self.rows)


def drop(session: Session, pending: Pending, tidy: Callable[[], None]) -> None:
    """Drop the table of a result that was written, if it is still there.

    Args:
        session: Without an open transaction.
        pending: The result.
        tidy: Called when nobody else writes the result any more: a run that does has locked the table until its files
            are complete, also if it has lost the lock of its load id.
    """
    while not _is_dropped(session, pending, tidy):
        time.sleep(_PAUSE)


_ATTEMPT, _PAUSE = "100ms", 1.0
"""The time for an attempt to lock the table, and the seconds between two: readers wait behind each."""


_NOT_GRANTED = "55P03"


def _is_dropped(session: Session, pending: Pending, tidy: Callable[[], None]) -> bool:
    """Drop the table. Return False if another session uses it."""
    try:
        with session.transaction(lock_timeout=_ATTEMPT):
            if session.value("SELECT to_regclass(%s) IS NOT NULL", pending.table.quoted):
                session.run(f"LOCK TABLE {pending.table.quoted} IN ACCESS EXCLUSIVE MODE")
            tidy()
            session.run(f"DROP TABLE IF EXISTS {pending.table.quoted}")
    except TransientError as error:
        if error.sqlstate != _NOT_GRANTED:
            raise
        return False
    return True


def _inserted(query: str, table: TableName) -> str:
    """Return the statement that inserts the rows of a query, or of RETURNING, into a table.

    The statement becomes the last one of its own WITH clause, which must remain at the top level if it changes rows.
    """
    place = script.after_with(query)
    clause = f"{query[:place].rstrip()}," if place else "WITH"
    return f"{clause} pgjobs_query AS (\n{query[place:]}\n) INSERT INTO {table.quoted} SELECT * FROM pgjobs_query"
