"""Upsert: staged rows are inserted, or update the table's rows with the same keys. Equal rows may be left alone.

A row that an upsert updates is written anew, with its index entries and its WAL, even if no value changes. Rows that
are equal to the table's can be found by a join instead. It costs time if most rows differ, so a sample of the staged
rows decides (`SKIPPING` in modes).

Two values are equal if their stored bytes are: 1.0 and 1.00 differ, as do two spellings of one citext.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.row_triggers import takes_every_row
from jobs.dbaccess.catalog.unique_indexes import equalities
from jobs.dbaccess.errors import LoadError
from jobs.dbaccess.load.move import keys
from jobs.dbaccess.load.move.modes import Move, Written
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name, quote_names

SAMPLED_ROWS = 2000
"""How many staged rows are compared with the table's to decide."""

WORTHWHILE = 0.3
"""The share of unchanged rows from which the join pays: where no row is unchanged, it takes about 0.3 of the time."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Upsert:
    """The statements of one upsert.

    Attributes:
        staged: The table of the staged rows.
        equalities: For each key column, the operator by which the target's unique index compares it.
    """

    move: Move
    target: TableName
    staged: TableName
    equalities: Mapping[str, str]

    def insert(self, result: str) -> str:
        """Return the statement that writes all rows. It returns its count of rows for which an expression is true."""
        moved = self.move.insert(self.target, self.staged)
        return f"WITH moved (is_new) AS ({moved} RETURNING {result}) SELECT {_COUNTS}, 0 FROM moved"

    def insert_changed(self, result: str) -> str:
        """Return the statement that writes the rows that differ from the table's.

        It compares the rows that would be moved: a row that --dedupe-order leaves out must not take the place of an
        unchanged one.
        """
        chosen = f"({self.move.source(self.staged, 'ctid')}) AS s"
        changed = (
            f"SELECT {quote_names(self.move.columns)} FROM {chosen} WHERE NOT EXISTS "
            "(SELECT FROM unchanged WHERE unchanged.place OPERATOR(pg_catalog.=) s.ctid)"
        )
        return (
            f"WITH unchanged (place) AS MATERIALIZED (SELECT s.ctid FROM {chosen} JOIN {self._target} "
            f"WHERE {self._same_values}), "
            f"moved (is_new) AS ({self.move.insert_from(self.target, changed)} RETURNING {result}) "
            f"SELECT {_COUNTS}, (SELECT pg_catalog.count(*) FROM unchanged) FROM moved"
        )

    def writing(self, *, skips: bool, is_partitioned: bool, takes_every_row: bool = True) -> str:
        """Return the statement that writes the rows, all of them or those that differ from the table's."""
        result = self._new_row(is_partitioned=is_partitioned, takes_every_row=takes_every_row)
        return (self.insert_changed if skips else self.insert)(result)

    def _new_row(self, *, is_partitioned: bool, takes_every_row: bool) -> str:
        """Return what is true for rows that were inserted, of those that the statement returns."""
        if not self.move.values:
            return "true"  # rows that are there are neither updated nor returned
        if not is_partitioned:
            return _IS_NEW
        there = f"SELECT FROM {self.target.quoted} AS t WHERE {self.same_keys('t', 'target')}"
        return _ANY if takes_every_row else f"NOT EXISTS ({there})"

    def matching(self) -> str:
        """Return a query for how many rows of the target have a staged key."""
        return (
            f"SELECT count(*) FROM {self.target.quoted} AS t "
            f"WHERE EXISTS (SELECT FROM {self.staged.quoted} AS s WHERE {self._same_keys})"
        )

    def delete_missing(self) -> str:
        """Return the statement that deletes the target's rows whose keys are not staged."""
        return (
            f"DELETE FROM {self.target.quoted} AS t "
            f"WHERE NOT EXISTS (SELECT FROM {self.staged.quoted} AS s WHERE {self._same_keys})"
        )

    def respelled(self, keys: Sequence[str]) -> str:
        """Return a query for a row of the target whose key is staged, with other bytes in some of its columns."""
        before, after = (", ".join(f"{table}.{quote_name(key)}" for key in keys) for table in "ts")
        return (
            f"SELECT 1 FROM {self.staged.quoted} AS s JOIN {self._target} "
            f"WHERE NOT pg_catalog.record_image_eq(ROW({before}), ROW({after})) LIMIT 1"
        )

    def sample(self, percent: float) -> str:
        """Return a query for the size of a sample of the staged rows, and how many of it are unchanged."""
        return (
            f"SELECT count(*), count(*) FILTER (WHERE t.{quote_name(self.move.keys[0])} IS DISTINCT FROM NULL "
            f"AND {self._same_values}) FROM {self.staged.quoted} AS s TABLESAMPLE SYSTEM ({percent}) "
            f"LEFT JOIN {self._target}"
        )

    @property
    def _target(self) -> str:
        return f"{self.target.quoted} AS t ON {self._same_keys}"

    @property
    def _same_keys(self) -> str:
        return self.same_keys("t", "s")

    def same_keys(self, target: str, source: str) -> str:
        """Return a condition over rows of two aliases: that they have the same keys."""
        names = [(quote_name(key), self.equalities[key]) for key in self.move.keys]
        return " AND ".join(f"{target}.{name} {equals} {source}.{name}" for name, equals in names)

    @property
    def _same_values(self) -> str:
        return self.same_values("t", "s")

    def same_values(self, target: str, source: str) -> str:
        """Return a condition over rows of two aliases: that the values that an upsert updates are equal."""
        return f"pg_catalog.record_image_eq(ROW({self._values(target)}), ROW({self._values(source)}))"

    def _values(self, table: str) -> str:
        return ", ".join(f"{table}.{quote_name(name)}" for name in self.move.values)


_COUNTS = "pg_catalog.count(*) FILTER (WHERE is_new), pg_catalog.count(*) FILTER (WHERE NOT is_new)"

_IS_NEW = "xmax OPERATOR(pg_catalog.=) 0"
"""A row that was inserted has no xmax."""

_ANY = "false"
"""A partitioned table does not return xmax: `Upsert.matching` counts there, which costs less than to look for each row.
But if triggers leave rows out, it does not tell which."""


def upsert(session: Session, move: Move, target: TableName, staged: TableName, rows: int) -> Written:
    """Write the staged rows to a table that has a unique index on the keys.

    Args:
        session: A session in a transaction that excludes other loads of the table.
        move: The columns, the keys, and whether unchanged rows are skipped.
        target: The table.
        staged: The table of the staged rows, which nobody else uses.
        rows: How many rows are staged.

    Raises:
        LoadError: A key is NULL, or is staged twice.
        DatabaseError: The target rejects a row.
    """
    keys.check_unique_index(session, move, target)  # it may have been dropped since the load began
    keys.check_not_null(session, move, target, staged)
    statements = Upsert(move, target, staged, equalities(session, target, move.keys))
    skips = _skips_unchanged(session, statements, rows)
    if move.changes.order_by:
        keys.check_last_is_known(session, move, staged)
    if skips and not move.order:
        # ON CONFLICT no longer finds a key if one of its rows is skipped.
        keys.check_not_repeated(session, move, staged)
    table = tables.find_table(session, target)
    is_partitioned = table is not None and table.kind == tables.PARTITIONED
    takes_all = takes_every_row(session, target)
    write = statements.writing(skips=skips, is_partitioned=is_partitioned, takes_every_row=takes_all)
    if not (is_partitioned and takes_all and move.values):
        with session.users_path():
            [inserted, updated, unchanged] = session.row(3, write)
        return Written(inserted, updated, unchanged)
    matched = session.value(statements.matching())
    with session.users_path():
        [_, moved, unchanged] = session.row(3, write)
    updated = matched - unchanged
    return Written(moved - updated, updated, unchanged)


def _skips_unchanged(session: Session, statements: Upsert, rows: int) -> bool:
    """Decide whether to leave out the staged rows that are equal to the table's.

    Raises:
        LoadError: It is demanded, and not possible.
    """
    move = statements.move
    if move.skip_unchanged == "no" or not move.values or not rows:
        return False
    if not is_comparable(session, statements):
        return False
    if move.skip_unchanged == "yes":
        return True
    [sampled, unchanged] = session.row(2, statements.sample(min(100.0, 100.0 * SAMPLED_ROWS / rows)))
    skips: bool = sampled > 0 and unchanged >= WORTHWHILE * sampled
    if unchanged:
        what = "are skipped" if skips else "are written, too: few are expected"
        logger.info("Of %d sampled rows, %d are in the table already. Unchanged rows %s.", sampled, unchanged, what)
    return skips


def is_comparable(session: Session, statements: Upsert) -> bool:
    """Return whether the target's rows can be compared with the staged ones.

    Raises:
        LoadError: They cannot, and that is demanded.
    """
    reason = obstacle(session, statements)
    if reason is not None and statements.move.skip_unchanged == "yes":
        raise LoadError(
            f"Unchanged rows of {statements.target} cannot be found: it {reason}.",
            "Change that, or leave --skip-unchanged yes (or --overwrite-strategy diff) out.",
        )
    return reason is None


def obstacle(session: Session, statements: Upsert) -> str | None:
    """Return why the target's rows cannot be compared with the staged ones; None if they can."""
    if tables.has_children(session, statements.target):
        return "has inheritance children, to whose rows its unique index does not apply"
    same = session.value(
        "SELECT count(*) FROM pg_attribute t JOIN pg_attribute s "
        "ON (s.attname, s.atttypid, s.attcollation) = (t.attname, t.atttypid, t.attcollation) "
        "WHERE t.attrelid = to_regclass(%s) AND s.attrelid = to_regclass(%s) AND t.attname = ANY (%s::text[]) "
        "AND has_column_privilege(t.attrelid, t.attnum, 'SELECT')",
        statements.target.quoted,
        statements.staged.quoted,
        list(statements.move.columns),
    )
    if same != len(statements.move.columns):
        return "has columns that this user may not SELECT, or whose types changed meanwhile"
    return None
