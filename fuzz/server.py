"""Targets that use a server: it stores what was written, and no name, value or filter injects SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st
from pyspark.sql import types as t

from fuzz import texts
from fuzz.arguments import NAMES_TO_QUOTE, SCRIPTS
from fuzz.connections import refused
from fuzz.copying import ARRAYS, BINARY, ROWS, TEXT, lines
from fuzz.target import Target
from jobs.dbaccess.errors import DatabaseError, UsageError
from jobs.dbaccess.extract.selection import Selection, filtered
from jobs.dbaccess.query.execute import PARSED_AS_SPLIT
from jobs.dbaccess.query.script import split
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name

FILTERS = texts.of("a", " = ", "1", " AND ", "true", "(", ")", "'x'", "--", "/*", "*/", ";", "b", " OR ", "%s", size=8)
VALUES = texts.of("value", size=4)
"""A bound value: anything."""

KEPT = TableName("kept", "pg_temp")


def stored_rows(
    session: Session, value: tuple[list[tuple[str | None, bytes | None]], list[list[str | None] | None]]
) -> None:
    """What COPY stored is what was given, as the server reads it back."""
    rows, arrays = value
    rows, arrays = rows[: len(arrays)], arrays[: len(rows)]
    kind = (t.ArrayType(t.StringType()), pa.list_(pa.string()))
    columns: dict[str, list[Any]] = {"a": [a for a, _ in rows], "b": [b for _, b in rows], "c": arrays}
    session.run("TRUNCATE fuzzed")
    copied = session.copy_in("COPY fuzzed FROM STDIN", [lines(columns, {"a": TEXT, "b": BINARY, "c": kind})])
    assert copied == len(rows)
    found = session.run("SELECT a, b, to_jsonb(c) FROM fuzzed ORDER BY ctid")
    assert found == [[a, b, c] for (a, b), c in zip(rows, arrays)]


def names(session: Session, name: str) -> None:
    """A column and a table of any name are created, filled and read, without other effects."""
    quoted = refused(lambda: quote_name(name))
    if quoted is None:
        return
    table = TableName(name, "pg_temp")
    with session.transaction():
        session.run(f"CREATE TABLE {table.quoted} ({quoted} int)")
        assert session.copy_in(f"COPY {table.quoted} ({quoted}) FROM STDIN", [b"7\n"]) == 1
        assert session.run(f"SELECT {quoted}, %s::text FROM {table.quoted} WHERE {quoted} = %s", "x", 7) == [[7, "x"]]
        assert list(session.copy_out(f"COPY (SELECT {quoted} FROM {table.quoted}) TO STDOUT")) == [b"7\n"]
        session.run(f"DROP TABLE {table.quoted}")


def values(session: Session, given: list[str]) -> None:
    """Bound values are returned unchanged, or refused; the session remains usable."""
    try:
        found = session.run("SELECT " + ", ".join("%s::text" for _ in given), *given)
    except (DatabaseError, UsageError):
        assert any("\0" in value or "\ud800" in value for value in given)
    else:
        assert found == [given]
    assert session.run("SELECT 1") == [[1]]


def filters(session: Session, condition: str) -> None:
    """A filter that is accepted is one condition: the selection has only its column, and only rows of its table."""
    try:
        selection = filtered(session, Selection.of_table(KEPT), condition)
    except UsageError:
        assert session.run("SELECT count(*) FROM pg_temp.kept") == [[3]]
        return
    try:
        found = b"".join(session.copy_out(f"COPY ({selection.select(['a'])}) TO STDOUT"))
    except DatabaseError:
        return  # such as a division by zero, which only rows cause
    assert set(found.split(b"\n")) <= {b"", b"1", b"2", b"3"}


def scripts(session: Session, text: str) -> None:
    """The server takes each statement of a script for one, never for several."""
    for statement in refused(lambda: split(text)) or []:
        try:
            with session.transaction(**PARSED_AS_SPLIT):
                session.ask(statement.text)
        except UsageError:  # text that PostgreSQL cannot represent
            continue
        except DatabaseError as error:
            assert "multiple commands" not in error.message


TARGETS: Mapping[str, tuple[st.SearchStrategy[Any], Callable[[Session, Any], None]]] = {
    "stored_rows": (st.tuples(ROWS, st.lists(ARRAYS, max_size=20)), stored_rows),
    "names_on_a_server": (NAMES_TO_QUOTE, names),
    "bound_values": (st.lists(VALUES, min_size=1, max_size=3), values),
    "filters": (FILTERS, filters),
    "scripts": (SCRIPTS, scripts),
}


def targets(session: Session) -> Mapping[str, Target]:
    """Return the targets, with a session in which they create temporary tables."""
    session.run("CREATE TEMPORARY TABLE fuzzed (a text, b bytea, c text[])")
    session.run(f"CREATE TEMPORARY TABLE {KEPT.name} AS SELECT n AS a, n::text AS b FROM generate_series(1, 3) AS n")
    return {name: Target(name, strategy, partial(check, session)) for name, (strategy, check) in TARGETS.items()}
