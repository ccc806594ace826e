"""The keys of the rows that files contain. They determine whether a row of a batch is inserted, updated or deleted.

They are stored in a table beside the table of changes, in two steps. Before the files of a batch are written, the keys
of its rows are added, with the number of the batch. Afterwards, the keys of deleted rows are removed, together with
storing the new position. If the job dies in between, the files may be complete or not: the keys of batches whose files
are incomplete are removed by the next run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.dbaccess.capture.changes import Source
from jobs.dbaccess.capture.objects import Capture
from jobs.dbaccess.capture.position import Seen
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_literal, quote_name, quote_names

OWN_COLUMNS = ("_op", "_key", "_ordinal")


@dataclass(frozen=True)
class FileBatch:
    """The SQL of a batch of files: its rows, and how their keys are stored.

    Attributes:
        reader: The reader's id.
        source: What is captured.
        types: The types of the key's columns in the source.
        ordinal: The column that orders the versions of a row; empty for none.
        seen: The last position; None to compare all rows with the stored keys.
        is_few: Whether to find each row by an index, whatever the server estimates.
    """

    reader: str
    source: Source
    types: tuple[str, ...]
    ordinal: str = ""
    seen: Seen | None = None
    is_few: bool = False

    @property
    def table(self) -> TableName:
        """The table of the keys."""
        return self.source.capture.file_keys

    @property
    def _stored(self) -> str:
        """The keys of the rows that earlier files contain."""
        keys = ", ".join(self.source.capture.columns)
        return (
            f"(SELECT {keys} FROM {self.table.quoted} "
            f"WHERE reader OPERATOR(pg_catalog.=) {quote_literal(self.reader)}::pg_catalog.text)"
        )

    def _same(self, left: str, right: str) -> str:
        pairs = zip(self.source.capture.keys, self.source.capture.columns)
        return " AND ".join(f"{left}.{column} {key.equality} {right}.{column}" for key, column in pairs)

    def _joined(self, rows: str, alias: str, condition: str) -> str:
        """Return a left join. OFFSET 0 keeps the planner from another way than one look-up for each key."""
        if self.is_few:
            rows = f"LATERAL (SELECT {alias}.* FROM {rows} AS {alias} WHERE {condition} OFFSET 0)"
            condition = "true"
        return f"LEFT JOIN {rows} AS {alias} ON {condition}"

    @property
    def _present(self) -> str:
        pairs = zip(self.source.capture.keys, self.source.capture.columns)
        return " AND ".join(f"t.{quote_name(key.name)} {key.equality} k.{column}" for key, column in pairs)

    @property
    def _keys(self) -> str:
        """The keys to look at: those that changed, or all."""
        capture = self.source.capture
        if self.seen is not None:
            return self.source.changed_keys(self.seen)
        own = ", ".join(f"t.{quote_name(key.name)} AS {name}" for key, name in zip(capture.keys, capture.columns))
        return f"SELECT {own} FROM ({self.source.rows}) AS t UNION SELECT * FROM {self._stored} AS f"

    def all_rows(self, relation: str, place: str = "") -> str:
        """Return a SELECT of rows as a reader without stored keys tells them: all as inserted.

        Args:
            relation: The captured table, or a partition of it, as written in FROM.
            place: The condition on a row's place in it; empty for all rows.
        """
        keys = self.source.capture.keys
        key = ", ".join(f"{quote_literal(key.name)}, {quote_name(key.name)}::{key.type_name}" for key in keys)
        ordinal = quote_name(self.ordinal) if self.ordinal else "NULL::pg_catalog.int8"
        conditions = [place, f"(\n{self.source.condition}\n)" if self.source.condition else ""]
        where = " AND ".join(condition for condition in conditions if condition)
        return (
            f"SELECT 'I' AS _op, pg_catalog.jsonb_build_object({key})::pg_catalog.text AS _key, {ordinal} AS _ordinal, "
            f"{quote_names(self.source.columns)} FROM {relation}{f' WHERE {where}' if where else ''}"
        )

    def select(self) -> str:
        """Return a SELECT of the batch's rows: inserted and updated ones, and the keys of deleted ones."""
        capture = self.source.capture
        first = quote_name(capture.keys[0].name)
        of_key = {key.name: f"k.{column}" for key, column in zip(capture.keys, capture.columns)}
        types = {key.name: type_name for key, type_name in zip(capture.keys, self.types)}
        key = ", ".join(f"{quote_literal(name)}, {column}" for name, column in of_key.items())
        columns = ", ".join(
            f"COALESCE(t.{quote_name(name)}, {of_key[name]}::{types[name]}) AS {quote_name(name)}"
            if name in of_key
            else f"t.{quote_name(name)}"
            for name in self.source.columns
        )
        ordinal = f"t.{quote_name(self.ordinal)}" if self.ordinal else "NULL::pg_catalog.int8"
        operation = f"CASE WHEN t.{first} IS NULL THEN 'D' WHEN f.{capture.columns[0]} IS NULL THEN 'I' ELSE 'U' END"
        return (
            f"SELECT {operation} AS _op, pg_catalog.jsonb_build_object({key})::pg_catalog.text AS _key, "
            f"{ordinal} AS _ordinal, {columns} FROM ({self._keys}) AS k "
            f"{self._joined(f'({self.source.rows})', 't', self._present)} "
            f"{self._joined(self._stored, 'f', self._same('f', 'k'))} "
            f"WHERE t.{first} IS NOT NULL OR f.{capture.columns[0]} IS NOT NULL"
        )

    def add(self, number: int) -> str:
        """Return the statement that adds the keys of a batch's rows."""
        columns = ", ".join(self.source.capture.columns)
        keys = ", ".join(f"k.{column}" for column in self.source.capture.columns)
        return (
            f"INSERT INTO {self.table.quoted} (reader, batch, {columns}) "
            f"SELECT {quote_literal(self.reader)}, {number}, {keys} FROM ({self._keys}) AS k "
            f"WHERE EXISTS (SELECT FROM ({self.source.rows}) AS t WHERE {self._present}) ON CONFLICT DO NOTHING"
        )

    def remove(self) -> str:
        """Return the statement that removes the keys of deleted rows."""
        return (
            f"DELETE FROM {self.table.quoted} AS f USING ({self._keys}) AS k "
            f"WHERE f.reader OPERATOR(pg_catalog.=) {quote_literal(self.reader)}::pg_catalog.text "
            f"AND {self._same('f', 'k')} AND NOT EXISTS (SELECT FROM ({self.source.rows}) AS t WHERE {self._present})"
        )


def ensure(session: Session, capture: Capture) -> None:
    """Create the table of keys if it is missing."""
    columns = ", ".join(f"{name} {key.type_name} NOT NULL" for name, key in zip(capture.columns, capture.keys))
    with session.transaction():
        session.run(
            f"CREATE TABLE IF NOT EXISTS {capture.file_keys.quoted} (reader text NOT NULL, batch bigint NOT NULL, "
            f"{columns}, PRIMARY KEY (reader, {', '.join(capture.columns)}))"
        )


def take_back(session: Session, capture: Capture, reader: str, batches: Sequence[int]) -> None:
    """Delete the keys that were added for batches whose files are incomplete."""
    session.change(
        f"DELETE FROM {capture.file_keys.quoted} WHERE reader = %s AND batch = ANY (%s::bigint[])",
        reader,
        list(batches),
    )


def unfinished(session: Session, capture: Capture, reader: str, number: int) -> list[int]:
    """Return the numbers of batches after the last one, whose keys were added before the job died."""
    rows = session.run(
        f"SELECT DISTINCT batch FROM {capture.file_keys.quoted} WHERE reader = %s AND batch > %s ORDER BY 1",
        reader,
        number,
    )
    return [batch for [batch] in rows]


def forget(session: Session, capture: Capture, reader: str) -> None:
    """Delete all keys of a reader."""
    exists = session.value("SELECT to_regclass(%s) IS NOT NULL", capture.file_keys.quoted)
    if exists:
        session.change(f"DELETE FROM {capture.file_keys.quoted} WHERE reader = %s", reader)
