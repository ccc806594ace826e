"""Columns as the user defines them, for a table that a load creates: a type, and what may follow it in CREATE TABLE.

A definition is SQL of the user's own, and the server judges it: before anything is copied, a table with these columns
is created in a transaction that is rolled back. What is checked here is that a definition is one: that it neither ends
the statement nor adds another column or constraint to it.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.tables import Table
from jobs.dbaccess.errors import DatabaseError, UsageError
from jobs.dbaccess.query import script
from jobs.dbaccess.query.execute import PARSED_AS_SPLIT
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name, quote_names

COLUMN_TYPE, METADATA, INDEX = "--column-type", "--metadata-columns", "--index"
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
        UsageError: A text is none, or a column occurs twice.
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


@dataclass(frozen=True)
class NewTable:
    """A table that a load is to create.

    Attributes:
        table: What it will be in the catalog.
        has_types_only: Whether its columns have types and nothing else: no default, constraint, collation and so on.
    """

    table: Table
    has_types_only: bool


def foresee(session: Session, name: TableName, definitions: Sequence[Definition], keys: Sequence[str] = ()) -> NewTable:
    """Return the table that these definitions make. It is created in its schema, by another name, and rolled back.

    Args:
        session: A session without an open transaction.
        name: The table's full name.
        definitions: Of all of its columns.
        keys: The primary key, if the definitions have none.

    Raises:
        UsageError: The server does not accept a definition, or one defines something else than its column.
        DatabaseError: The user may not create tables there, or the connection broke.
    """
    trial = _trial(name)
    with _rolled_back(session, trial, name):
        create(session, trial, definitions)
        has_types_only = _has_types_only(session, trial)
        _add_key(session, trial, keys)
        return NewTable(_made(session, trial, name, (), definitions), has_types_only)


def foresee_addition(session: Session, table: Table, definitions: Sequence[Definition]) -> Table:
    """Return an existing table as it will be when columns are added. They are added to a copy that is rolled back.

    Raises:
        UsageError: As `foresee`.
        DatabaseError: Likewise.
    """
    trial = _trial(table.name)
    with _rolled_back(session, trial, table.name):
        session.run(f"CREATE TABLE {trial.quoted} (LIKE {table.name.quoted})")
        add_missing(session, trial, definitions)
        return _made(session, trial, table.name, [column.name for column in table.columns], definitions)


def _trial(name: TableName) -> TableName:
    return name.sibling(f"pgjobs_trial_{uuid.uuid4().hex}")


class _Undone(Exception):
    """Ends a transaction that was only a trial."""


def check_indexes(indexes: Iterable[str]) -> None:
    """Check without a server that each text can be what follows the table in CREATE INDEX.

    Raises:
        UsageError: One is empty, or would end the statement.
    """
    for text in indexes:
        if not text.strip() or not script.is_one_item(f"({text}\n)"):
            raise UsageError(f"{INDEX} {text!r} is no index.", 'Write its columns: "day, name"; or "USING gin (tags)".')


def foresee_indexes(
    session: Session, name: TableName, definitions: Sequence[Definition], indexes: Sequence[str]
) -> None:
    """Check that the server accepts the indexes of a new table. It is created by another name, and rolled back.

    Raises:
        UsageError: It does not.
    """
    trial = _trial(name)
    with _rolled_back(session, trial, name, f"the indexes that {INDEX} gives", f"Check {INDEX}."):
        create(session, trial, definitions)
        create_indexes(session, trial, indexes)


def create_indexes(session: Session, name: TableName, indexes: Iterable[str]) -> None:
    """Create indexes in the open transaction. For B-trees, the server uses several processes where it has them free."""
    _run(session, [creating_index(name, text) for text in indexes])


def creating_index(name: TableName, text: str) -> str:
    """Return the statement that creates an index.

    Args:
        name: The table.
        text: Columns or expressions; or what follows the table in CREATE INDEX, from USING or a parenthesis on. UNIQUE
            may come before.
    """
    unique, rest = ("UNIQUE ", text.split(None, 1)[1]) if _UNIQUE.match(text) else ("", text)
    given = rest if _FROM_METHOD_ON.match(rest) else f"({rest}\n)"
    return f"CREATE {unique}INDEX ON {name.quoted} {given}"


_UNIQUE = re.compile(r"\s*unique\s+\S", re.IGNORECASE)
_FROM_METHOD_ON = re.compile(r"\s*(\(|using\s)", re.IGNORECASE)


@contextmanager
def _rolled_back(
    session: Session,
    trial: TableName,
    name: TableName,
    what: str = "the columns that are defined",
    hint: str = f"Check {COLUMN_TYPE} and {METADATA}.",
) -> Iterator[None]:
    """Roll the block's transaction back.

    Raises:
        UsageError: The server does not accept a definition.
    """
    try:
        with suppress(_Undone), session.transaction():
            yield
            raise _Undone
    except DatabaseError as error:
        if error.sqlstate[:2] not in _DEFINITIONS_FAULT or error.sqlstate == _INSUFFICIENT_PRIVILEGE:
            raise
        message = error.message.replace(trial.name, name.name)
        raise UsageError(f"{name} cannot have {what}: {message}", hint) from None


_DEFINITIONS_FAULT = frozenset({"0A", "22", "42"})
"""Classes of SQLSTATE: not supported, a default that its type rejects, syntax and names."""

_INSUFFICIENT_PRIVILEGE = "42501"


def _made(
    session: Session, trial: TableName, name: TableName, present: Sequence[str], definitions: Sequence[Definition]
) -> Table:
    """Return the table that was made, under the name that it is to have.

    Raises:
        UsageError: It has other columns than those that were defined.
    """
    table = tables.find_table(session, trial)
    names = [*present, *(definition.name for definition in definitions)]
    if table is None or [column.name for column in table.columns] != names:
        raise UsageError(f"What defines the columns {', '.join(names)} defines others, too.", f"Check {COLUMN_TYPE}.")
    return replace(table, name=name)


def create(session: Session, name: TableName, definitions: Sequence[Definition], keys: Sequence[str] = ()) -> None:
    """Create the table in the open transaction. Types and defaults are looked up as in the user's own sessions."""
    _run(session, [creation(name, definitions)])
    _add_key(session, name, keys)


def creation(name: TableName, definitions: Iterable[Definition]) -> str:
    """Return the statement that creates a table with these columns."""
    columns = ",\n".join(definition.quoted for definition in definitions)
    return f"CREATE TABLE {name.quoted} (\n{columns})"


def addition(name: TableName, definitions: Iterable[Definition]) -> list[str]:
    """Return the statements that add columns to an existing table."""
    return [f"ALTER TABLE {name.quoted} ADD COLUMN IF NOT EXISTS {column.quoted}" for column in definitions]


def adding_key(name: TableName, keys: Iterable[str]) -> str:
    """Return the statement that adds a primary key."""
    return f"ALTER TABLE {name.quoted} ADD PRIMARY KEY ({quote_names(keys)})"


def _add_key(session: Session, name: TableName, keys: Sequence[str]) -> None:
    """Make the keys the primary key, unless a definition has made them unique."""
    if keys and not tables.has_unique_index(session, name, keys):
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
        _run(session, addition(name, missing))
        session.run("RELEASE SAVEPOINT pgjobs_columns")


def _run(session: Session, statements: Sequence[str]) -> None:
    """Run statements with definitions. The server takes each as one, and reads its strings as `check` did."""
    for statement in statements:
        earlier = session.value("SELECT current_setting(%s)", _STRINGS)
        session.run("SELECT set_config(%s, %s, true)", _STRINGS, PARSED_AS_SPLIT[_STRINGS])
        with session.users_path():
            session.ask(statement)
        session.run("SELECT set_config(%s, %s, true)", _STRINGS, earlier)


_STRINGS = "standard_conforming_strings"


def _has_types_only(session: Session, name: TableName) -> bool:
    rows = session.run(
        "SELECT 1 FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid "
        "WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND (a.attnotnull OR a.atthasdef OR a.attidentity <> '' "
        "OR a.attcollation <> t.typcollation OR a.attstorage <> t.typstorage OR a.attndims > 1 "
        "OR coalesce(to_jsonb(a) ->> 'attcompression', '') <> '') "
        "UNION ALL SELECT 1 FROM pg_constraint WHERE conrelid = to_regclass(%s)",
        name.quoted,
        name.quoted,
    )
    return not rows


def missing_from(table: Table, definitions: Iterable[Definition]) -> tuple[Definition, ...]:
    """Return the definitions of columns that a table does not have, by their names as written or ignoring case."""
    present = {column.name.casefold() for column in table.columns}
    return tuple(definition for definition in definitions if definition.name.casefold() not in present)
