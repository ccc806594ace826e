"""The columns that the user defines: in place of those that a load would make for the data, and beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql.types import StructType

from jobs.copyformat.match_columns import Match, match_new
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.definitions import columns, indexes
from jobs.dbaccess.load.definitions.alterations import SCHEMA_MODE, SCHEMA_MODES, STRICT
from jobs.dbaccess.load.definitions.columns import Definition
from jobs.dbaccess.load.definitions.shape import PartitionBy, Shape


@dataclass(frozen=True)
class Defined:
    """The columns that the user defines.

    Attributes:
        types: For a table that the load creates: in place of our types, and for columns that the data does not have.
        metadata: Columns that the table is to have beside the data's, new or not, as in Luigi.
        indexes: For a table that the load creates: what follows it in CREATE INDEX.
        partition_by: Likewise, how it is partitioned.
        not_null: Likewise, whether columns that Spark knows to have no NULL are NOT NULL.
        schema_mode: One of SCHEMA_MODES: what may be changed in an existing table for the data.
    """

    types: tuple[Definition, ...] = ()
    metadata: tuple[Definition, ...] = ()
    indexes: tuple[str, ...] = ()
    partition_by: PartitionBy | None = None
    not_null: bool = False
    schema_mode: str = STRICT

    def __bool__(self) -> bool:
        """Return whether there are any columns."""
        return bool(self.types or self.metadata)

    @classmethod
    def of(
        cls, types: Mapping[str, str] | None, metadata: Mapping[str, str] | None, indexes: Iterable[str] = ()
    ) -> Defined:
        """Return definitions that are given by the columns' names."""
        defined = [tuple(Definition(*item) for item in (given or {}).items()) for given in (types, metadata)]
        return cls(defined[0], defined[1], tuple(indexes))

    def check(self) -> None:
        """Check what can be checked without a server.

        Raises:
            UsageError: A definition is not one column's, a column is defined twice, or there is no such schema mode.
        """
        if self.schema_mode not in SCHEMA_MODES:
            modes = ", ".join(SCHEMA_MODES)
            raise UsageError(f"{SCHEMA_MODE} {self.schema_mode!r} is not one of {modes}.", f"Give one of {modes}.")
        columns.check(self.types, columns.COLUMN_TYPE)
        indexes.check(self.indexes)
        columns.check([*self.types, *self.metadata], f"{columns.COLUMN_TYPE} or {columns.METADATA}")


NONE_DEFINED = Defined()


def shape_of(schema: StructType, matches: Sequence[Match], defined: Defined) -> Shape:
    """Return what a new table is to be beside its columns' types. Comments are those of the data's columns.

    Spark knows that an expression such as `count(*)` or `coalesce(a, 0)` is never NULL. It takes all columns of files
    for nullable.
    """
    fields = {field.name: field for field in schema}
    known = [(match.target.name, fields[match.source]) for match in matches if match.source in fields]
    comments = [(name, field.metadata.get("comment")) for name, field in known if field.metadata]
    return Shape(
        defined.partition_by,
        tuple(name for name, field in known if defined.not_null and not field.nullable),
        tuple((name, str(comment)) for name, comment in comments if comment),
    )


def complete(schema: StructType, defined: Sequence[Definition]) -> tuple[Definition, ...]:
    """Return the definitions of all columns: the data's in their order, by the user or by us, then the others.

    A column of the data is meant by its name as written, else ignoring case.

    Raises:
        UsageError: A column of the data has no PostgreSQL type, and the user gives none.
    """
    by_column: dict[str, Definition] = {}
    for definition in defined:
        exact = [name for name in schema.names if name == definition.name]
        for name in exact or [name for name in schema.names if name.casefold() == definition.name.casefold()]:
            by_column.setdefault(name, definition)
    ours = StructType([field for field in schema if field.name not in by_column])
    types = {match.source: match.target.definition for match in match_new(ours)} if ours.fields else {}
    of_data = [
        Definition(name, by_column[name].sql if name in by_column else types[name])
        for name in dict.fromkeys(schema.names)
    ]
    used = {definition.name for definition in by_column.values()}
    return (*of_data, *(definition for definition in defined if definition.name not in used))
