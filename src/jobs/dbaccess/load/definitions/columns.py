"""Columns as the user defines them: a type, and what may follow it in CREATE TABLE.

A definition is SQL of the user's own, and the server judges it (`trial`). This module checks that it is a single
definition: it neither ends the statement, nor adds another column or constraint to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.tables import Table
from jobs.dbaccess.catalog.unique_indexes import has_unique_index
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.local_settings import local_settings
from jobs.dbaccess.query import script
from jobs.dbaccess.query.execute import PARSED_AS_SPLIT
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name, quote_names

COLUMN_TYPE, METADATA = "--column-type", "--metadata-columns"
"""The flags, as messages name them."""

_NAMED = re.compile(r'\s*(?:"(?P<quoted>(?:[^"]|"")+)"|(?P<plain>[^="]+?))\s*=(?P<sql>.*)', re.DOTALL)


@dataclass(frozen=True)
class Definition:
    """A column's definition.

    Attributes:
        name: The column's name.
        sql: What follows the name in CREATE TABLE: `varchar(10)`, `bigserial`, `text NOT NULL DEFAULT 'x'`.
    """

    name: str
    sql: str

    @property
    def quoted(self) -> str:
        """The definition in a statement. The newline ends a comment."""
        return f"{quote_name(self.name)} {self.sql}\n"


def parse(texts: Iterable[str], flag: str) -> tuple[Definition, ...]:
    """Parse `name=definition`, for each of some columns. A name with `=` or a quote is in double quotes, as in SQL.

    Args:
        texts: One for each column.
        flag: The flag that gave them.

    Raises:
        UsageError: A text is not a definition, or a column occurs twice.
    """
    definitions = []
    for text in texts:
        named = _NAMED.fullmatch(text)
        if named is None or not named["sql"].strip():
            raise UsageError(f"{flag} {text!r} is not NAME=TYPE.", 'Write, for example, "id=bigserial".')
        name = named["quoted"].replace('""', '"') if named["quoted"] else named["plain"]
        definitions.append(Definition(name, named["sql"].strip()))
    check(definitions, flag)
    return tuple(definitions)


def check(definitions: Sequence[Definition], flag: str) -> None:
    """Check without a server that each is the definition of one column, and that no column is defined twice.

    Raises:
        UsageError: They are not.
    """
    names = [definition.name for definition in definitions]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise UsageError(f"{flag} defines {', '.join(repeated)} more than once.", "Give each column once.")
    for definition in definitions:
        if not script.is_one_item(definition.sql):
            raise UsageError(
                f"{flag}: {definition.sql!r} is not the type of one column.",
                "Write the type, and what may follow it: \"varchar(20) NOT NULL DEFAULT 'none'\".",
            )


def create(
    session: Session, name: TableName, definitions: Sequence[Definition], keys: Sequence[str] = (), clause: str = ""
) -> None:
    """Create the table in the open transaction. Types and defaults are looked up as in the user's own sessions."""
    run_definitions(session, [creation(name, definitions, clause)])
    add_key(session, name, keys)


def creation(name: TableName, definitions: Iterable[Definition], clause: str = "") -> str:
    """Return the statement that creates a table with these columns, and what follows them."""
    columns = ",\n".join(definition.quoted for definition in definitions)
    return f"CREATE TABLE {name.quoted} (\n{columns}){clause}"


def addition(name: TableName, definitions: Iterable[Definition]) -> list[str]:
    """Return the statements that add columns to an existing table."""
    return [f"ALTER TABLE {name.quoted} ADD COLUMN IF NOT EXISTS {column.quoted}" for column in definitions]


def adding_key(name: TableName, keys: Iterable[str]) -> str:
    """Return the statement that adds a primary key."""
    return f"ALTER TABLE {name.quoted} ADD PRIMARY KEY ({quote_names(keys)})"


def add_key(session: Session, name: TableName, keys: Sequence[str]) -> None:
    """Make the keys the primary key, unless a definition has made them unique."""
    if keys and not has_unique_index(session, name, keys):
        session.run(adding_key(name, keys))


def add_missing(session: Session, name: TableName, definitions: Sequence[Definition]) -> None:
    """Add columns to an existing table, those that it does not have, in the open transaction.

    A default such as that of a serial has the server write all rows again. The savepoint gives them another transaction
    id than the load's rows, which are verified by theirs.
    """
    table = tables.find_table(session, name) if definitions else None
    missing = () if table is None else missing_from(table, definitions)
    if missing:
        session.run("SAVEPOINT pgjobs_columns")
        run_definitions(session, addition(name, missing))
        session.run("RELEASE SAVEPOINT pgjobs_columns")


def run_definitions(session: Session, statements: Sequence[str]) -> None:
    """Run statements that contain definitions, on the user's own path. The server reads strings as `check` did."""
    if not statements:
        return
    with local_settings(session, PARSED_AS_SPLIT), session.users_path():
        for statement in statements:
            session.ask(statement)


def missing_from(table: Table, definitions: Iterable[Definition]) -> tuple[Definition, ...]:
    """Return the definitions of columns that a table does not have, by their names as written or ignoring case."""
    present = {column.name.casefold() for column in table.columns}
    return tuple(definition for definition in definitions if definition.name.casefold() not in present)
