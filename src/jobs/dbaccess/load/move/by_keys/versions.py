"""The statements of a history: they compute the versions that keys are to have, and write what differs from the table.

What a load says of a key at a time holds until the next time from which the table has something else to say of this
key. So a row that comes late becomes a version between others, and a rerun replaces what the first run said. A row that
is equal to the version before it makes no version of its own.

The versions of the keys that the data has are computed anew, from all that is known of them, into a temporary table.
Then the table gets what differs, by DELETE, UPDATE and INSERT.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from jobs.dbaccess.load.move.by_keys.merge_statements import Merge
from jobs.dbaccess.sql import quote_name, quote_names

VERSIONS = "pg_temp.pgjobs_versions"
"""The versions that the keys of the data are to have. Rows without one stand for keys."""

DROP = f"DROP TABLE {VERSIONS}"

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

        Versions that others have ended when they began are valid at no time: they stay as they are.
        """
        keys, columns = self._keys, quote_names(self.move.columns)
        known = ", ".join(f"target.{quote_name(name)}" for name in self.move.columns)
        of_told = f"EXISTS (SELECT FROM told WHERE {self.same_keys('target', 'told')})"
        versions = f"FROM {self.target.quoted} AS target WHERE {of_told} AND {self._lasts}"
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
            f"DELETE FROM {self.target.quoted} AS target WHERE {self._lasts} AND EXISTS (SELECT FROM {VERSIONS} AS v "
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
        return f"INSERT INTO {self.target.quoted} ({columns}) SELECT {columns} {self._missing}"

    def count_missing(self) -> str:
        """Return a query for how many versions the table lacks: after `insert_new`, those that a trigger left out."""
        return f"SELECT pg_catalog.count(*) {self._missing}"

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
        """Return a query for how many versions are valid at the time of the data, and how many of them it ends.

        The second number is of those that the data tells to end, the third of those whose keys it lacks.
        """
        row = f"SELECT FROM {self._chosen} WHERE {self.same_keys('target', 'source')}"
        told = f"EXISTS ({row} AND source.pgjobs_deletes)"
        missing = f"NOT EXISTS ({row})" if self.move.changes.delete_missing else "false"
        return (
            f"SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE {told}), "
            f"pg_catalog.count(*) FILTER (WHERE {missing}) "
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
    def _missing(self) -> str:
        there = f"SELECT FROM {self.target.quoted} AS target WHERE {self._same}"
        return f"FROM {VERSIONS} AS v WHERE v.{_IS_VERSION} AND NOT EXISTS ({there})"

    @property
    def _lasts(self) -> str:
        return f"(target.{self._from} OPERATOR(pg_catalog.<) target.{self._to}) IS NOT FALSE"

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
