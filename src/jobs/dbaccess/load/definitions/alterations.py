"""Changes of an existing table for data of other columns or wider types, as values: columns are added or widened."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from jobs.dbaccess.catalog.tables import Column
from jobs.dbaccess.load.definitions import columns
from jobs.dbaccess.load.definitions.columns import Definition
from jobs.dbaccess.sql import TableName, quote_name

SCHEMA_MODE = "--schema-mode"
"""The flag, as messages name it."""

STRICT, ADD_COLUMNS, WIDEN = SCHEMA_MODES = ("strict", "add-columns", "widen")
"""What a load may change in an existing table: nothing; it may add columns; it may also widen types."""

_NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")


@dataclass(frozen=True)
class Added:
    """A column that the table lacks.

    Attributes:
        definition: As the statement that adds it has it.
        column: What it will be in the catalog.
    """

    definition: Definition
    column: Column


@dataclass(frozen=True)
class Widened:
    """A column of the table before and after its type is changed."""

    before: Column
    after: Column

    @property
    def definition(self) -> str:
        """The type in a statement, with the column's collation: by itself, the type has that of the database."""
        collate = f" COLLATE {self.before.collation}" if self.before.collation else ""
        return f"{self.after.definition}{collate}"

    @property
    def rewrites(self) -> bool:
        """Whether the server writes all rows anew: what it stores alike is longer text, and digits before the point."""
        if self.before.base_type == "varchar":
            return False
        numerics = map(_NUMERIC.fullmatch, (self.before.type_name, self.after.type_name))
        return len({found[2] for found in numerics if found}) != 1  # of the same scale

    @property
    def is_needed(self) -> bool:
        """Whether the type of the data says that values may not fit. That of a string says nothing of its length."""
        return self.after.base_type != "text"


@dataclass(frozen=True)
class Alterations:
    """What is changed in a table.

    Attributes:
        added: The columns that it gets. They may be NULL, unless the user defines them otherwise.
        widened: The columns whose type is changed.
        size: The size of the table with its indexes, in bytes, if the server rewrites it; else 0.
        restoring: Statements that give widened columns the settings again that the server resets.
    """

    added: tuple[Added, ...] = ()
    widened: tuple[Widened, ...] = ()
    size: int = 0
    restoring: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self.added or self.widened)

    @property
    def rewrites(self) -> bool:
        """Whether the server writes all rows of the table, and its indexes, anew."""
        return any(one.rewrites for one in self.widened)

    @property
    def types(self) -> tuple[tuple[str, str], ...]:
        """The columns with their types, as statements write them."""
        added = [(one.column.name, one.column.definition) for one in self.added]
        return (*added, *((one.after.name, one.definition) for one in self.widened))

    @property
    def names_added(self) -> tuple[str, ...]:
        """The names of the columns that are added."""
        return tuple(one.column.name for one in self.added)

    @property
    def names_widened(self) -> tuple[str, ...]:
        """The names of the columns that are widened."""
        return tuple(one.after.name for one in self.widened)

    def statements(self, table: TableName) -> Iterator[str]:
        """Yield the statements that change the table. All types are changed by one, which rewrites it once at most."""
        yield from columns.addition(table, [one.definition for one in self.added])
        types = [f"ALTER COLUMN {quote_name(one.after.name)} TYPE {one.definition}" for one in self.widened]
        if types:
            yield f"ALTER TABLE {table.quoted} {', '.join(types)}"
            yield from self.restoring

    def told(self) -> str:
        """Return them as text: "note is added (text), n becomes bigint (integer before)"."""
        added = [f"{one.column.name} is added ({one.column.type_name})" for one in self.added]
        widened = [
            f"{one.after.name} becomes {one.after.type_name} ({one.before.type_name} before)" for one in self.widened
        ]
        return ", ".join([*added, *widened])


NO_ALTERATIONS = Alterations()
