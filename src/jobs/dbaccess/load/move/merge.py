"""Upsert by statements: what INSERT .. ON CONFLICT cannot do, which is deletes, conditions, and keys without an index.

The table is locked against other writers (SHARE ROW EXCLUSIVE), so that rows that one statement does not find are not
there for the next one either: DELETE, then UPDATE, then INSERT. It is what MERGE does, on each version of PostgreSQL,
with two differences. Two loads cannot both insert a key, though no unique index keeps them from it. And a unique value
may move from a row that is deleted to one that is inserted. Readers are not blocked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from jobs.dbaccess import table_locks
from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.tables import PARTITIONED
from jobs.dbaccess.errors import LoadError, UsageError
from jobs.dbaccess.load import identity
from jobs.dbaccess.load.move import conditions, deletion, keys, upsert
from jobs.dbaccess.load.move.modes import Move, Written
from jobs.dbaccess.load.move.upsert import Upsert
from jobs.dbaccess.query.condition import enclosed
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name

_DELETES = "pgjobs_deletes"
"""The column of the chosen rows that says whether a row deletes."""


@dataclass(frozen=True)
class Merge(Upsert):
    """The statements of one upsert.

    Attributes:
        skips: Whether rows that are equal to the table's are left alone.
        marks_by_time: Whether the column of --soft-delete stores when a row was deleted. Otherwise it is boolean.
    """

    skips: bool = True
    marks_by_time: bool = False

    def statements(self) -> Iterator[str]:
        """Yield what is executed after the table was locked, in this order."""
        yield from filter(None, [self.judge()])
        if self.move.changes.delete_when is not None:
            yield self.delete_told()
        if self.move.changes.delete_missing:
            yield self.delete_missing()
        yield from filter(None, [self.update()])
        yield self.insert_missing()
        yield from filter(None, [self.forget()])

    def judge(self) -> str:
        """Return the statement that stores which rows of the data delete; empty if none can.

        --delete-when is evaluated once: a volatile function, or a query of the table, has another result in the next
        statement, and a row that deleted would be inserted.
        """
        when = self.move.changes.delete_when
        if when is None:
            return ""
        rows = f"SELECT source.pgjobs_place FROM ({self._rows}) AS source WHERE {enclosed(when)}"
        return f"CREATE UNLOGGED TABLE {self._judged.quoted} AS {rows}"

    def forget(self) -> str:
        """Return the statement that drops what `judge` stored; empty for nothing."""
        return "" if self.move.changes.delete_when is None else f"DROP TABLE {self._judged.quoted}"

    def delete_told(self) -> str:
        """Return the statement that deletes, or marks, rows whose keys the data has with --delete-when."""
        same = f"{self.same_keys('target', 'source')} AND source.{_DELETES}"
        if self.move.changes.soft_delete is None:
            return f"DELETE FROM {self.target.quoted} AS target USING {self._chosen} WHERE {same}"
        return f"{self._marking} FROM {self._chosen} WHERE {same} AND {self._is_alive}"

    def delete_missing(self) -> str:
        """Return the statement that deletes, or marks, rows whose keys the data lacks."""
        missing = f"NOT EXISTS (SELECT FROM {self.staged.quoted} AS source WHERE {self.same_keys('target', 'source')})"
        if self.move.changes.soft_delete is None:
            return f"DELETE FROM {self.target.quoted} AS target WHERE {missing}"
        return f"{self._marking} WHERE {missing} AND {self._is_alive}"

    def update(self) -> str:
        """Return the statement that updates rows; empty if there is nothing to update in them."""
        sets = [f"{quote_name(name)} = source.{quote_name(name)}" for name in self.move.values]
        sets += [f"{self._mark} = {self._alive}"] if self._mark else []
        if not sets:
            return ""
        conditions = [self._matching, *([f"NOT ({self._unchanged})"] if self.skips else []), *self._update_when]
        return (
            f"UPDATE {self.target.quoted} AS target SET {', '.join(sets)} FROM {self._chosen} "
            f"WHERE {' AND '.join(conditions)}"
        )

    def insert_missing(self) -> str:
        """Return the statement that inserts rows whose keys the table lacks."""
        names = [quote_name(name) for name in self.move.columns]
        into = ", ".join([*names, *([self._mark] if self._mark else [])])
        values = ", ".join([*(f"source.{name}" for name in names), *([self._alive] if self._mark else [])])
        return (
            f"INSERT INTO {self.target.quoted} ({into}) {identity.clause(self.move.overriding)}"
            f"SELECT {values} FROM {self._chosen} "
            f"WHERE NOT source.{_DELETES} AND NOT EXISTS "
            f"(SELECT FROM {self.target.quoted} AS target WHERE {self.same_keys('target', 'source')})"
        )

    def count_unchanged(self) -> str:
        """Return a query for how many rows of the data are equal to the table's."""
        joined = f"{self.target.quoted} AS target JOIN {self._chosen} ON {self._matching}"
        return f"SELECT pg_catalog.count(*) FROM {joined} WHERE {self._unchanged}"

    def count_ambiguous(self) -> str:
        """Return a query for how many keys of the data are those of several rows of the table."""
        keys = ", ".join(f"source.{quote_name(key)}" for key in self.move.keys)
        joined = f"{self.target.quoted} AS target JOIN ({self._rows}) AS source ON {self.same_keys('target', 'source')}"
        return f"SELECT pg_catalog.count(*) FROM (SELECT FROM {joined} GROUP BY {keys} HAVING {_SEVERAL}) AS repeated"

    def count_rows(self) -> str:
        """Return a query for how many rows of the table may be deleted."""
        alive = f" WHERE {self._is_alive}" if self._mark else ""
        return f"SELECT pg_catalog.count(*) FROM {self.target.quoted} AS target{alive}"

    @property
    def _judged(self) -> TableName:
        """The places of the rows that delete. It is made and dropped in the transaction, beside the staged rows."""
        return TableName(f"{self.staged.name}_d", self.staged.schema)

    @property
    def _rows(self) -> str:
        """A query for the rows of the data, one for each key, with their places in staging."""
        extras = [quote_name(name) for name, _ in self.move.staged_only]
        return self.move.source(self.staged, *extras, "ctid AS pgjobs_place")

    @property
    def _chosen(self) -> str:
        """The rows of the data, one for each key, as an item of FROM."""
        if self.move.changes.delete_when is None:
            return f"(SELECT source.*, false AS {_DELETES} FROM ({self._rows}) AS source) AS source"
        return (
            f"(SELECT source.*, judged.pgjobs_place IS NOT NULL AS {_DELETES} FROM ({self._rows}) AS source LEFT JOIN "
            f"{self._judged.quoted} AS judged ON judged.pgjobs_place OPERATOR(pg_catalog.=) source.pgjobs_place) "
            "AS source"
        )

    @property
    def _matching(self) -> str:
        return f"{self.same_keys('target', 'source')} AND NOT source.{_DELETES}"

    @property
    def _unchanged(self) -> str:
        same = [self.same_values("target", "source")] if self.move.values else []
        return " AND ".join([*same, *([self._is_alive] if self._mark else [])]) or "true"

    @property
    def _update_when(self) -> list[str]:
        when = self.move.changes.update_when
        return [] if when is None else [f"{enclosed(when)} IS TRUE"]

    @property
    def _mark(self) -> str:
        name = self.move.changes.soft_delete
        return "" if name is None else quote_name(name)

    @property
    def _alive(self) -> str:
        """The mark of a row that is not deleted."""
        return "NULL" if self.marks_by_time else "false"

    @property
    def _is_alive(self) -> str:
        return f"target.{self._mark} IS {'NULL' if self.marks_by_time else 'NOT TRUE'}"

    @property
    def _marking(self) -> str:
        mark = "pg_catalog.now()" if self.marks_by_time else "true"
        return f"UPDATE {self.target.quoted} AS target SET {self._mark} = {mark}"


_SEVERAL = "pg_catalog.count(*) OPERATOR(pg_catalog.>) 1"


def is_needed(session: Session, move: Move, target: TableName) -> bool:
    """Return whether an upsert is done by statements: by what it is to do, or because no unique index is there."""
    return move.changes.by_statements or not tables.has_unique_index(session, target, move.keys)


def check(session: Session, move: Move, target: TableName) -> None:
    """Check that an existing table can be changed by statements. A transaction must be open.

    Raises:
        UsageError: A condition is none.
        LoadError: The table is of another kind, or hides rows; other tables' rows would change.
        DatabaseError: The user may not delete.
    """
    [kind, hides] = session.row(
        2, "SELECT relkind::text, row_security_active(oid) FROM pg_class WHERE oid = to_regclass(%s)", target.quoted
    )
    if kind not in ("r", PARTITIONED):
        raise LoadError(
            f"{target} is no plain or partitioned table: it has no unique index on exactly ({', '.join(move.keys)}), "
            "and cannot be locked against other writers.",
            "Load into the table itself.",
        )
    if tables.has_children(session, target):
        raise LoadError(
            f"{target} has inheritance children, to whose rows its unique index does not apply.",
            "Load into the children one by one.",
        )
    if hides:
        raise LoadError(
            f"Row-level security may hide rows of {target} from this user, and the load would not find them.",
            "Load as a user that no policy binds (BYPASSRLS).",
        )
    conditions.check(session, move, conditions.data_of(move, target), target.quoted)
    if move.changes.removes or move.keeps_history:
        deletion.check(session, target)


def marks_by_time(session: Session, move: Move, target: TableName) -> bool:
    """Return whether the column of --soft-delete stores a time.

    Raises:
        UsageError: The table has no such column, or it stores neither a time nor a boolean.
    """
    name = move.changes.soft_delete
    if name is None:
        return False
    table = tables.find_table(session, target)
    column = next((column for column in table.columns if column.name == name), None) if table else None
    if column is None or (column.base_type not in _TIMES and column.base_type != "bool"):
        what = f"has no column {name!r}" if column is None else f"has a {column.type_name} as {name!r}"
        raise UsageError(
            f"{target} {what}. --soft-delete needs a boolean, or a timestamp that may be NULL.",
            f"Have the load add it: --metadata-columns '{name}=timestamptz'.",
        )
    return column.base_type != "bool"


_TIMES = ("timestamptz", "timestamp", "date")


def merge(session: Session, move: Move, target: TableName, staged: TableName, rows: int) -> Written:
    """Write the staged rows to a table, in the open transaction.

    Args:
        session: A session in a transaction that excludes other loads of the table.
        move: The columns, the keys, and what is to be done.
        target: The table.
        staged: The table of the staged rows, which nobody else uses.
        rows: How many rows are staged.

    Raises:
        LoadError: A key is NULL, is staged twice, or is that of several rows of the table; or too many rows would be
            deleted.
        DatabaseError: The target rejects a row, or another table refers to one that is to be deleted.
    """
    table_locks.keep_writers_out(session, target)
    check(session, move, target)
    keys.check_not_null(session, move, target, staged)
    if move.changes.order_by:
        keys.check_last_is_known(session, move, staged)
    elif not move.order:
        keys.check_not_repeated(session, move, staged)
    statements = Merge(
        move,
        target,
        staged,
        tables.equalities(session, target, move.keys),
        marks_by_time=marks_by_time(session, move, target),
    )
    statements = replace(statements, skips=_skips(session, statements, rows))
    if not tables.has_unique_index(session, target, move.keys):
        _check_unambiguous(session, statements)
    with session.users_path():
        return _execute(session, statements)


def _execute(session: Session, statements: Merge) -> Written:
    changes, move = statements.move.changes, statements.move
    if changes.delete_when is not None:
        session.ask(statements.judge())
    is_limited = changes.deletes and move.max_delete_share < 1
    before = session.ask(statements.count_rows()).rows[0][0] if is_limited else 0
    deleting = _change(session, statements.delete_told()) if changes.delete_when is not None else 0
    missing = _change(session, statements.delete_missing()) if changes.delete_missing else 0
    if is_limited:
        deletion.check_share(move, statements.target, deleting + missing, before)
    update = statements.update()
    unchanged = session.ask(statements.count_unchanged()).rows[0][0] if statements.skips or not update else 0
    updated = _change(session, update) if update else 0
    inserted = _change(session, statements.insert_missing())
    if changes.delete_when is not None:
        session.ask(statements.forget())
    return Written(inserted, updated, unchanged, deleting + missing, otherwise=deleting)


def _change(session: Session, statement: str) -> int:
    """Run a statement that contains SQL of the user's own, and return the number of rows in its command tag."""
    return session.ask(statement).count or 0


def _skips(session: Session, statements: Merge, rows: int) -> bool:
    """Return whether rows that are equal to the table's are left alone. The rows are joined anyway.

    Raises:
        LoadError: It is demanded, and not possible.
    """
    return statements.move.skip_unchanged != "no" and rows > 0 and upsert.is_comparable(session, statements)


def _check_unambiguous(session: Session, statements: Merge) -> None:
    with session.users_path():
        [[repeated]] = session.ask(statements.count_ambiguous()).rows
    if repeated:
        raise LoadError(
            f"{repeated} keys of the data ({', '.join(statements.move.keys)}) are those of several rows of "
            f"{statements.target}.",
            "Nothing was loaded. Delete the surplus rows, or give --keys that identify a row.",
        )
