"""Which columns are copied, and whether the text of each, as one server writes it, means the same to the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs.dbaccess.catalog.fitting_types import TEXTS, fits, shown
from jobs.dbaccess.catalog.query_columns import SourceColumn
from jobs.dbaccess.catalog.tables import Column, Table
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.sql import TableName

_NAMES = (
    *("regclass", "regcollation", "regconfig", "regdictionary", "regnamespace", "regoper", "regoperator", "regproc"),
    *("regprocedure", "regrole", "regtype"),
)
"""Types that are written as names."""


@dataclass(frozen=True)
class CopiedColumn:
    """A column of the source, and the column of the same name that takes it."""

    source: SourceColumn
    target: Column


def matched(
    source: Sequence[SourceColumn], table: Table, types: Mapping[str, SourceColumn]
) -> tuple[CopiedColumn, ...]:
    """Match columns by their names as written. A column that the server computes is left out.

    Args:
        source: The columns that are copied.
        table: The table that takes them.
        types: The types of its columns, with domains and arrays resolved.

    Raises:
        UsageError: The columns do not fit. The message lists all that is wrong.
    """
    targets = {column.name: column for column in table.columns}
    computed = {column.name for column in table.columns if column.generated and not column.identity}
    names = {column.name for column in source}
    problems = [f"{column.name!r} is not a column of the table" for column in source if column.name not in targets]
    found = [column for column in source if column.name in targets and column.name not in computed]
    problems += [
        f"{column.name!r} is {shown(column)}, which {shown(types[column.name])} does not take as it is"
        for column in found
        if not fits(column, types[column.name])
    ]
    problems += [
        f"{column.name!r} is missing, and is NOT NULL with no default"
        for column in table.columns
        if column.required and column.name not in names
    ]
    if not (found or problems):
        problems.append("there is no column to copy")
    if problems:
        raise UsageError(
            f"The source does not fit the table {table.name}: {'; '.join(problems)}.",
            "Leave columns out (--columns), or alter the table.",
        )
    return tuple(CopiedColumn(column, targets[column.name]) for column in found)


def is_written_alike(source: SourceColumn, target: SourceColumn, *, counts_alike: bool = True) -> bool:
    """Return whether the target writes each value, which fits it, as the source does, with the same settings.

    Blanks and zeros at the end follow the declared length. What a name of a relation or type is written as follows the
    search path.

    Args:
        source: The column that is copied.
        target: The one that takes it.
        counts_alike: Whether both servers count a text's characters, or both its bytes, as in SQL_ASCII.
    """
    if target.scalar.base in TEXTS and source.scalar.base not in TEXTS:
        return True  # it stores the text
    if target.scalar.base in _NAMES or (target.scalar.base == "bpchar" and not counts_alike):
        return False
    if target.scalar.modifier < 0 or target.scalar.modifier == source.scalar.modifier:
        return True
    if target.scalar.base == "numeric":
        bounds, wanted = source.scalar.precision_and_scale, target.scalar.precision_and_scale
        return bounds is not None and wanted is not None and bounds[1] == wanted[1]
    return target.scalar.base != "bpchar"


def check_money(columns: Sequence[CopiedColumn], source: str, target: str, table: TableName) -> None:
    """Refuse amounts of money if the servers write them differently.

    Args:
        columns: The columns.
        source: lc_monetary of the source.
        target: That of the table's server.
        table: The table that takes them.

    Raises:
        UsageError: They do.
    """
    money = [column.source.name for column in columns if column.source.scalar.base == "money"]
    if money and source != target:
        raise UsageError(
            f"{', '.join(money)} of {table} is money, which lc_monetary says how to read: {source!r} there, {target!r} "
            "here.",
            "Set the same one for the roles, or leave the column out (--columns).",
        )
