"""The rules that the rows of a table have to meet, as SQL over its columns."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.dbaccess.sql import TableName


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes:
        default: The expression of its default, or of a generated column; empty for none.
        is_known: Whether its value in a new row can be told before the row is inserted.
    """

    name: str
    type_name: str
    required: bool
    generated: bool
    default: str
    is_known: bool


@dataclass(frozen=True)
class Rule:
    """A rule for rows.

    Attributes:
        message: What the server says of a row that violates it.
        column: The column, if it is about one.
        violated: A condition that is true for such rows, if it depends on the row alone.
    """

    sqlstate: str
    message: str
    column: str | None = None
    violated: str = ""


@dataclass(frozen=True)
class Unique(Rule):
    """A unique index.

    Attributes:
        keys: Its columns and expressions.
        operators: Those by which they are compared.
        predicate: The condition of a partial index.
        nulls_are_equal: NULLS NOT DISTINCT.
    """

    keys: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    predicate: str = ""
    nulls_are_equal: bool = False


@dataclass(frozen=True)
class Exclusion(Unique):
    """An exclusion constraint: no two rows may have keys for which all operators are true."""


@dataclass(frozen=True)
class ForeignKey(Rule):
    """A foreign key: its columns, the table and its columns that they reference, and how they are compared.

    Attributes:
        relation: The rows that may be referenced: not those of tables that inherit the referenced one.
        is_full: MATCH FULL.
    """

    columns: tuple[str, ...] = ()
    table: TableName | None = None
    relation: str = ""
    keys: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    is_full: bool = False


@dataclass(frozen=True)
class Rules:
    """The rules of a table, without those about columns whose values cannot be told.

    Attributes:
        relation: The rows that its unique indexes cover: not those of tables that inherit it.
    """

    relation: str
    columns: tuple[Column, ...]
    local: tuple[Rule, ...]
    unique: tuple[Unique, ...]
    exclusion: tuple[Exclusion, ...]
    foreign: tuple[ForeignKey, ...]
