"""From the definition of a partition to the statements that give another table the same one. Values in, SQL out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jobs.dbaccess.errors import LoadError
from jobs.dbaccess.load.partitions.definition import Definition, Grant, Index, Statistics
from jobs.dbaccess.sql import TableName, quote_literal, quote_name

BOUND = "pgjobs_bound"
"""The name of the CHECK by which the server knows, without reading the rows, that they are within the bound."""


def checks(definition: Definition, table: TableName) -> Iterator[str]:
    """Yield the statements for CHECKs: one that adds all of them reads the rows once."""
    added = [f"ADD CONSTRAINT {quote_name(check.name)} {check.definition}" for check in definition.checks]
    if definition.constraint:
        added.append(f"ADD CONSTRAINT {quote_name(BOUND)} CHECK ({definition.constraint})")
    if added:
        yield f"ALTER TABLE {table.quoted} " + ", ".join(added)
    for check in definition.checks:
        yield from _comment(f"CONSTRAINT {quote_name(check.name)} ON {table.quoted}", check.comment)


def _comment(on: str, text: str) -> Iterator[str]:
    """Yield the statement for a comment, if there is one."""
    if text:
        yield f"COMMENT ON {on} IS {quote_literal(text)}"


def index_name(table: TableName, number: int) -> TableName:
    """Return the name of a new table's index, until it gets that of the index which it replaces."""
    return table.sibling(f"{table.name}_i{number}")


def index(definition: Index, table: TableName, name: TableName) -> Iterator[str]:
    """Yield the statements that create an index, and its constraint.

    Raises:
        LoadError: The server describes the index in an unknown way.
    """
    added = f"ALTER TABLE {table.quoted} ADD CONSTRAINT {quote_name(name.name)}"
    if definition.tablespace:
        yield f"SET LOCAL default_tablespace = {quote_literal(definition.tablespace)}"
    if definition.kind and definition.by_constraint:
        yield f"{added} {definition.constraint}"
        if definition.options:
            yield f"ALTER INDEX {name.quoted} SET ({definition.options})"
    else:
        if not definition.definition.startswith(definition.prefix):
            raise LoadError(f"The index {definition.name} has a definition that this job cannot repeat.")
        unique = "UNIQUE " if definition.is_unique else ""
        rest = definition.definition[len(definition.prefix) :]
        yield f"CREATE {unique}INDEX {quote_name(name.name)} ON {table.quoted} {rest}"
        if definition.kind:
            kind = "PRIMARY KEY" if definition.kind == "p" else "UNIQUE"
            when = " DEFERRABLE" if definition.deferrable else ""
            when += " INITIALLY DEFERRED" if definition.deferred else ""
            yield f"{added} {kind} USING INDEX {quote_name(name.name)}{when}"
    if definition.tablespace:
        yield "SET LOCAL default_tablespace = ''"
    yield from _marks(definition, table, name)


def _marks(definition: Index, table: TableName, name: TableName) -> Iterator[str]:
    for column, target in definition.statistics:
        yield f"ALTER INDEX {name.quoted} ALTER COLUMN {column} SET STATISTICS {target}"
    if definition.clustered:
        yield f"ALTER TABLE {table.quoted} CLUSTER ON {quote_name(name.name)}"
    if definition.identifies:
        yield f"ALTER TABLE {table.quoted} REPLICA IDENTITY USING INDEX {quote_name(name.name)}"
    yield from _comment(f"INDEX {name.quoted}", definition.comment)
    yield from _comment(f"CONSTRAINT {quote_name(name.name)} ON {table.quoted}", definition.constraint_comment)


def statistics_name(definition: Statistics, table: TableName, number: int) -> TableName:
    """Return the name of a new table's extended statistics, until they get that of those which they replace."""
    return definition.name.sibling(f"{table.name}_s{number}")


def statistics(definition: Statistics, table: TableName, name: TableName) -> Iterator[str]:
    """Yield the statements that create extended statistics."""
    kinds = f" ({definition.kinds})" if definition.kinds else ""
    yield f"CREATE STATISTICS {name.quoted}{kinds} ON {definition.columns} FROM {table.quoted}"
    if definition.target >= 0:
        yield f"ALTER STATISTICS {name.quoted} SET STATISTICS {definition.target}"
    yield from _comment(f"STATISTICS {name.quoted}", definition.comment)


def settings(definition: Definition, table: TableName) -> Iterator[str]:
    """Yield the statements for settings of the table and its columns, and for its owner."""
    altered = f"ALTER TABLE {table.quoted}"
    if definition.autovacuum:
        yield f"{altered} SET (autovacuum_enabled = {quote_literal(definition.autovacuum)})"
    else:
        yield f"{altered} RESET (autovacuum_enabled)"
    for tuned in definition.tuned:
        if tuned.statistics >= 0:
            yield f"{altered} ALTER COLUMN {quote_name(tuned.column)} SET STATISTICS {tuned.statistics}"
        if tuned.options:
            options = ", ".join(f"{name} = {quote_literal(value)}" for name, _, value in _pairs(tuned.options))
            yield f"{altered} ALTER COLUMN {quote_name(tuned.column)} SET ({options})"
    if definition.identity in _IDENTITIES:
        yield f"{altered} REPLICA IDENTITY {_IDENTITIES[definition.identity]}"
    if definition.row_security:
        yield f"{altered} ENABLE ROW LEVEL SECURITY"
    if definition.force_row_security:
        yield f"{altered} FORCE ROW LEVEL SECURITY"
    yield from _comment(f"TABLE {table.quoted}", definition.comment)


_IDENTITIES = {"n": "NOTHING", "f": "FULL"}


def _pairs(options: Sequence[str]) -> list[tuple[str, str, str]]:
    return [option.partition("=") for option in options]


def grants(wanted: Sequence[Grant], present: Sequence[Grant], table: TableName) -> Iterator[str]:
    """Yield the statements that give a table the wanted privileges, and no others."""
    if list(wanted) == list(present):
        return
    for grantee in sorted({grant.grantee for grant in present}):
        yield f"REVOKE ALL ON {table.quoted} FROM {_grantee(grantee)}"
    for grant in wanted:
        on = f" ({quote_name(grant.column)})" if grant.column else ""
        option = " WITH GRANT OPTION" if grant.grantable else ""
        yield f"GRANT {grant.privilege}{on} ON {table.quoted} TO {_grantee(grant.grantee)}{option}"


def _grantee(name: str) -> str:
    return quote_name(name) if name else "PUBLIC"


def renames(definition: Definition, table: TableName) -> Iterator[str]:
    """Yield the statements that give a table, its indexes and its statistics the names of those that were dropped."""
    for number, old in enumerate(definition.indexes):
        yield f"ALTER INDEX {index_name(table, number).quoted} RENAME TO {quote_name(old.name)}"
    for number, lost in enumerate(definition.statistics):
        yield f"ALTER STATISTICS {statistics_name(lost, table, number).quoted} RENAME TO {quote_name(lost.name.name)}"
    yield f"ALTER TABLE {table.quoted} RENAME TO {quote_name(definition.partition.name.name)}"
