"""Types of staging that the table does not have any more: an INSERT would round or cut values without a word.

Staging has the types of the table, so there are none, unless the table was created, exchanged or altered since.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from jobs.dbaccess.catalog import tables
from jobs.dbaccess.errors import LoadError
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

_FRACTIONS = frozenset({"float4", "float8", "numeric"})
_MOMENTS = frozenset({"timestamp", "timestamptz"})

_LOSING: Mapping[str, Collection[str]] = {
    **dict.fromkeys(("int2", "int4", "int8"), _FRACTIONS),
    "date": _MOMENTS,
    "time": {*_MOMENTS, "timetz", "interval"},
    "timetz": {"timestamptz"},
    "timestamp": {"timestamptz"},
    "timestamptz": {"timestamp"},
}
"""By the type of a column, those from which an INSERT converts values that are others then. The server refuses all else
that does not fit, and Spark's loads round to the scale of a numeric, too."""


def check(session: Session, target: TableName, staged: TableName, columns: Sequence[str]) -> None:
    """Check that the table has stored the values of staging. It is written, so that nobody can alter it any more.

    Raises:
        LoadError: It has converted some. The message names the columns.
    """
    others = session.run(_OTHER_TYPES, target.quoted, staged.quoted, list(columns))
    if not others:
        return
    to, of = _types(session, target), _types(session, staged)
    wrong = [f"{name} is {to[name][1]} and not {of[name][1]}" for [name] in others if _loses(of[name][0], to[name][0])]
    if wrong:
        raise LoadError(
            f"{target} was created or changed while rows were copied, and cannot hold their values: "
            f"{', '.join(wrong)}.",
            "Nothing was loaded. Run the load again. If --before-sql makes the table, give it these types.",
        )


_OTHER_TYPES = (
    "SELECT t.attname::text FROM pg_attribute t JOIN pg_attribute s ON s.attname = t.attname "
    "AND s.atttypid <> t.atttypid WHERE t.attrelid = to_regclass(%s) AND s.attrelid = to_regclass(%s) "
    "AND t.attname = ANY (%s::text[]) AND t.attnum > 0 AND s.attnum > 0 ORDER BY t.attnum"
)


def _loses(staged: str, stored: str) -> bool:
    """Return whether values of one type are changed by another one. The name of an array's type begins with _."""
    return staged.startswith("_") == stored.startswith("_") and staged.strip("_") in _LOSING.get(stored.strip("_"), ())


def _types(session: Session, name: TableName) -> dict[str, tuple[str, str]]:
    """Return, by column, the name of the type in the catalog, and as SQL writes it."""
    table = tables.find_table(session, name)
    return {} if table is None else {column.name: (column.base_type, column.type_name) for column in table.columns}
