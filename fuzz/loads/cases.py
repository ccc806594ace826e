"""A case: a table, its rows, the rows of a load, and its options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from fuzz.loads.stored import Key
from fuzz.loads.tables import TABLE, Column, Row, Table, filling
from fuzz.loads.values import BIGINT, TEXT, Kind, Text, Value

DataRow = Mapping[str, Value]

OPERATION, EXTRA = Column("op", TEXT), Column("extra", BIGINT)
"""Columns of the data that the table does not have: one says by D what is deleted, the other one may be added."""

DELETE_WHEN, UPDATE_WHEN = "source.op = 'D'", "source.n > target.n"

FAIL, QUARANTINE = "fail", "quarantine"


@dataclass(frozen=True)
class Options:
    """The arguments of a load, by the names that `load_dataframe` gives them."""

    mode: str = "append"
    keys: tuple[str, ...] = ()
    dedupe_order: str = ""
    skip_unchanged: str = "auto"
    overwrite_where: str | None = None
    overwrite_strategy: str = "delete"
    max_delete_share: float | None = None
    delete_when: str | None = None
    delete_missing: bool = False
    soft_delete: str | None = None
    update_columns: tuple[str, ...] = ()
    update_when: str | None = None
    order_by: tuple[str, ...] = ()
    new_partitions: str = ""
    schema_mode: str = "strict"
    on_error: str = FAIL
    max_errors: int | None = None
    publish: str = "auto"

    @property
    def deletes(self) -> bool:
        """Whether rows may be deleted, or marked as deleted."""
        return self.delete_when is not None or self.delete_missing

    @property
    def by_statements(self) -> bool:
        """Whether INSERT .. ON CONFLICT cannot do it."""
        return self.deletes or self.update_when is not None

    @property
    def is_ordered(self) -> bool:
        """Whether one row of each key is chosen."""
        return bool(self.dedupe_order or self.order_by)

    @property
    def quarantines(self) -> bool:
        """Whether bad rows are put aside."""
        return self.on_error == QUARANTINE

    def given(self) -> dict[str, object]:
        """Return those that are not the defaults."""
        return {one.name: getattr(self, one.name) for one in fields(self) if getattr(self, one.name) != one.default}


@dataclass(frozen=True)
class Case:
    """A load to try.

    Attributes:
        rows: The rows of the table before.
        children: The keys that rows of another table refer to.
        columns: The columns of the data.
        data: Its rows.
        parts: How many parts the rows are divided into.
        lost: Attempts whose rows do not count, because Spark accepts another one: each with its part, and the share of
            its rows that it copied.
    """

    table: Table
    rows: tuple[Row, ...]
    children: tuple[Text, ...]
    columns: tuple[str, ...]
    data: tuple[DataRow, ...]
    options: Options
    parts: int = 1
    lost: tuple[tuple[int, float], ...] = ()

    def __str__(self) -> str:
        """Return the case as SQL that creates the table, the rows of the data, and the arguments of the load."""
        sql = [*self.table.statements(), *filling(self.table, self.rows, self.children), *self.table.triggering()]
        rows = [", ".join(f"{name}={row[name].spark!r}" for name in self.columns) for row in self.data]
        types = ", ".join(f"{name} {self.kind(name).spark.simpleString()}" for name in self.columns)
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.arguments().items())
        lines = [*(f"{one};" for one in sql), f"-- data: {types}", *(f"--   {row}" for row in rows)]
        lines += [f"-- load_dataframe({arguments})", f"-- {self.parts} parts, attempts that do not count: {self.lost}"]
        return "\n".join(lines)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ANN401 - as Hypothesis calls it
        """Print the case, when it has failed."""
        del cycle
        printer.text(f"\n{self}\n")

    @property
    def widens(self) -> bool:
        """Whether columns get wider types."""
        return self.options.schema_mode == "widen"

    def kind(self, name: str) -> Kind:
        """Return the type of a column of the data."""
        known = (*self.table.columns, OPERATION, EXTRA)
        return next(column.kind for column in known if column.name == name)

    @property
    def loaded(self) -> tuple[str, ...]:
        """The columns of the data that go into the table."""
        return tuple(name for name in self.columns if name != OPERATION.name)

    def refusals(self, row: DataRow) -> list[str]:
        """Return the SQLSTATEs by which columns refuse values of a row."""
        found = [row[name] for name in self.columns]
        return [one.refused for one in found if one.refused and not (self.widens and one.wide is not None)]

    def staged(self, row: DataRow) -> Row:
        """Return what columns store of a row."""
        return {name: row[name].stored(widened=self.widens) for name in self.columns}

    def divided(self) -> list[tuple[DataRow, ...]]:
        """Return the parts of the data, in their order."""
        size = -(-len(self.data) // self.parts)
        return [self.data[part * size : (part + 1) * size] for part in range(self.parts)]

    def arguments(self) -> dict[str, object]:
        """Return the arguments of `load_dataframe`."""
        return {"table": TABLE, **self.options.given()}

    def key(self, row: Row) -> Key:
        """Return the key of a row of the data; None if a part of it is NULL."""
        parts = [(row[name], self.table.column(name).kind.equal) for name in self.options.keys]
        return (
            None if any(text is None for text, _ in parts) else tuple(e(text) for text, e in parts if text is not None)
        )
