"""The statements of an upsert that DELETEs, then UPDATEs, then INSERTs: `merge` executes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jobs.dbaccess.load import identity
from jobs.dbaccess.load.move.by_keys.upsert import Upsert
from jobs.dbaccess.load.move.deletion import AFTER_DELETE
from jobs.dbaccess.query.condition import enclosed
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
        return (
            f"UPDATE {self.target.quoted} AS target SET {', '.join(sets)} FROM {self._chosen} WHERE {self._is_updated}"
        )

    def replace(self, columns: Sequence[str]) -> str:
        """Return the statement that deletes the rows that `update` updates, and inserts them as they are to be.

        So they may exchange unique values, of which an UPDATE would find the first one taken. Foreign keys are checked
        at the end of the statement.

        Args:
            columns: The columns of the table, without those that an expression generates.
        """
        names = ", ".join(map(quote_name, columns))
        new = (f"{'source' if name in self.move.values else 'target'}.{quote_name(name)}" for name in columns)
        return (
            f"WITH pgjobs_gone ({names}) AS (DELETE FROM {self.target.quoted} AS target USING {self._chosen} "
            f"WHERE {self._is_updated} RETURNING {', '.join(new)}) "
            f"INSERT INTO {self.target.quoted} ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM pgjobs_gone "
            f"{AFTER_DELETE}"
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
    def _is_updated(self) -> str:
        conditions = [self._matching, *([f"NOT ({self._unchanged})"] if self.skips else []), *self._update_when]
        return " AND ".join(conditions)

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
