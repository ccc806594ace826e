"""The modes of a load as SQL: how staged rows become rows of the target. Values in, statements out.

- append: INSERT. A row that the table rejects fails the load.
- overwrite: DELETE, then INSERT. Readers see the old rows until the commit. TRUNCATE, if wanted, makes them wait.
- upsert: INSERT .. ON CONFLICT (keys) DO UPDATE. It may leave out rows that are equal to the table's. With deletes or
  conditions, or without a unique index, it is several statements (`merge`).
- ignore: INSERT .. ON CONFLICT [(keys)] DO NOTHING.
- history: each row becomes a version of its key, by several statements (`history`).
- replace-partitions: no statement about rows. They are copied into tables that replace partitions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from jobs.dbaccess.load import identity
from jobs.dbaccess.load.move.changes import NO_CHANGES, NO_HISTORY, Changes, History
from jobs.dbaccess.load.move.order import OrderBy
from jobs.dbaccess.sql import TableName, quote_name, quote_names

REPLACE_PARTITIONS, HISTORY = "replace-partitions", "history"
MODES = ("append", "overwrite", "upsert", "ignore", REPLACE_PARTITIONS, HISTORY)
KEYED = ("upsert", "ignore", HISTORY)
CHANGING = ("upsert", HISTORY)
"""The modes in which the data may say what is deleted."""

SKIPPING = ("auto", "yes", "no")
"""Whether an upsert leaves out rows that are equal to the table's. "auto" decides by a sample."""

DELETE, TRUNCATE, DIFF = STRATEGIES = ("delete", "truncate", "diff")
"""How overwrite replaces rows: all of them, by DELETE or by TRUNCATE; or only those that differ."""

MISSING_SHARE = 0.2
"""The largest share of a table's rows that is deleted because the data lacks their keys, unless another one is given.

Data that is not there yet, or only a part of it, must not empty a table.
"""


@dataclass(frozen=True)
class Move:
    """How staged rows are to become rows of the target.

    Attributes:
        mode: One of MODES.
        columns: The columns of the target that the data has.
        keys: The columns that identify a row; for upsert and, optionally, for ignore.
        order: Of staged rows with the same keys, only the first in this order is moved. Without it, they are an error.
        skip_unchanged: One of SKIPPING; for upsert.
        strategy: One of STRATEGIES; for overwrite.
        max_delete_share: The largest share of the table's rows that may be deleted, 0 to 1. None for the default:
            MISSING_SHARE may be deleted by `delete_missing`, and any number otherwise.
        where: For overwrite: an SQL condition. Only rows that meet it are replaced, and all new rows must meet it.
        changes: For upsert: what it does beside inserting and updating.
        history: For history: where versions are kept, and from when on they are valid.
        staged_only: Columns of the data that the table does not have, each with its type.
        altered: Columns that the table gets, or gets with another type, when the load is published: with these types.
        new_partitions: The rule of partitions that do not exist yet (missing/rules.py), or "auto" or "no"; empty
            for the mode's default: "auto" to replace partitions, else "no".
        overriding: One of identity.OVERRIDING, or empty: what the values of identity columns are.
        emptied: For overwrite: tables that are empty when it is done, so that they refer to no row.
        renames: Whether the staged table may become a new table, if this has the same rows.
        exchanges: For upsert: whether rows exchange unique values, and are deleted and inserted in place of an UPDATE.
    """

    mode: str
    columns: tuple[str, ...]
    keys: tuple[str, ...] = ()
    order: tuple[OrderBy, ...] = ()
    skip_unchanged: str = "auto"
    where: str | None = None
    strategy: str = "delete"
    max_delete_share: float | None = None
    changes: Changes = NO_CHANGES
    staged_only: tuple[tuple[str, str], ...] = ()
    new_partitions: str = ""
    history: History = NO_HISTORY
    altered: tuple[tuple[str, str], ...] = ()
    overriding: str = ""
    emptied: tuple[TableName, ...] = ()
    renames: bool = True
    exchanges: bool = False

    @property
    def privileges(self) -> str:
        """What determines the privileges that the user needs: the mode, the variant of an upsert, or the strategy."""
        if self.mode == "upsert" and self.changes.by_statements:
            return "upsert with deletes" if self.changes.removes else "upsert by statements"
        return self.mode if self.strategy == DELETE else self.strategy

    @property
    def limits_deletes(self) -> bool:
        """Whether a share of the table's rows limits how many may be deleted."""
        if self.max_delete_share is None:
            return self.changes.delete_missing
        return self.max_delete_share < 1 and (self.changes.deletes or self.strategy == DIFF)

    @property
    def replaces_all(self) -> bool:
        """Whether all rows of the table are replaced."""
        return self.mode == "overwrite" and self.where is None

    @property
    def replaces_partitions(self) -> bool:
        """Whether each partition for which there are rows is replaced."""
        return self.mode == REPLACE_PARTITIONS

    @property
    def supplies_partitions(self) -> bool:
        """Whether partitions are created before rows are moved into the table."""
        return not self.replaces_partitions and self.new_partitions not in ("", "no")

    @property
    def keeps_history(self) -> bool:
        """Whether each row becomes a version of its key."""
        return self.mode == HISTORY

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The primary key of a table that the load creates."""
        return (*self.keys, self.history.valid_from) if self.keeps_history else self.keys

    @property
    def first_indexes(self) -> tuple[str, ...]:
        """What follows the table in CREATE INDEX, for a new table: indexes that keep its rows right."""
        one_current = f"UNIQUE ({quote_names(self.keys)}) WHERE {quote_name(self.history.is_current)}"
        return (one_current,) if self.keeps_history else ()

    @property
    def row_keys(self) -> tuple[str, ...]:
        """The columns of staging by which a row is the only one."""
        time = self.history.as_of_column
        return self.keys if time is None or time in self.keys else (*self.keys, time)

    @property
    def may_leave_out(self) -> bool:
        """Whether staged rows may be left out because of a conflict, or of another row with the same key."""
        return (
            self.mode in ("ignore", HISTORY)
            or bool(self.order)
            or self.changes.by_statements
            or (self.mode == "upsert" and set(self.columns) <= set(self.keys))
        )

    @property
    def fills_new_table(self) -> bool:
        """Whether a new table contains exactly the staged rows, so that the staged table can become it."""
        if not self.renames:
            return False
        is_as_staged = not self.order and not self.changes.deletes and not self.staged_only
        return not self.keys or (self.mode not in ("ignore", HISTORY) and is_as_staged)

    @property
    def staged(self) -> tuple[str, ...]:
        """The columns of staging, and of a COPY line."""
        return (*self.columns, *(name for name, _ in self.staged_only))

    @property
    def values(self) -> tuple[str, ...]:
        """The columns that an upsert updates: all that are no keys, or some of them."""
        return self.changes.update_columns or tuple(name for name in self.columns if name not in self.keys)

    def source(self, staged: TableName, *system_columns: str) -> str:
        """Return a query for the rows to move: all staged rows, or one for each key. NULL is no key: it equals none.

        Several statements of a load repeat it. Of rows that are equal in the order, each gets the same one.
        """
        columns = ", ".join([quote_names(self.columns), *system_columns])
        if not self.order:
            return f"SELECT {columns} FROM {staged.quoted}"
        keys = f"{quote_names(self.keys)}, {apart([quote_name(key) for key in self.keys], 'ctid')}"
        order = ", ".join(item.quoted for item in self.order)
        return f"SELECT DISTINCT ON ({keys}) {columns} FROM {staged.quoted} ORDER BY {keys}, {order}, ctid"

    @property
    def into(self) -> str:
        """What follows the table in an INSERT, up to the query."""
        return f"({quote_names(self.columns)}) {identity.clause(self.overriding)}"

    def insert(self, target: TableName, staged: TableName) -> str:
        """Return the statement that moves rows, in every mode. Overwrite deletes rows before."""
        return self.insert_from(target, self.source(staged))

    def insert_from(self, target: TableName, source: str) -> str:
        """Return the statement that moves the rows of a query."""
        # The alias is for a table named `excluded`: in ON CONFLICT, that is the row that was not inserted.
        into = f"INSERT INTO {target.quoted} AS target {self.into}{source}"
        if self.mode == "ignore":
            return f"{into} ON CONFLICT {f'({quote_names(self.keys)})' if self.keys else ''} DO NOTHING"
        if self.mode == "upsert":
            return f"{into} ON CONFLICT ({quote_names(self.keys)}) DO {self._update()}"
        return into

    def _update(self) -> str:
        others = [quote_name(name) for name in self.values]
        return "UPDATE SET " + ", ".join(f"{name} = EXCLUDED.{name}" for name in others) if others else "NOTHING"


def apart(keys: Iterable[str], place: str) -> str:
    """Return what tells rows apart whose keys have a NULL: to DISTINCT and GROUP BY, such keys would be equal.

    Args:
        keys: Columns or expressions.
        place: What is another value in each row.
    """
    is_null = " OR ".join(f"({key}) IS NOT DISTINCT FROM NULL" for key in keys)
    return f"CASE WHEN {is_null} THEN {place} END"


APPEND = Move("append", ())
"""What a load does if nothing else is said."""


@dataclass(frozen=True)
class Written:
    """How many rows a load inserted, updated and deleted, and how many it left alone as they were equal already.

    Attributes:
        otherwise: How many staged rows had an effect that is not counted by rows inserted, updated or unchanged: they
            deleted a row. In a history, where a row may write several versions, it is the difference.
    """

    inserted: int
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    otherwise: int = 0
