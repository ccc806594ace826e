"""A table that is another one when rows are published does not round or cut them without a word."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from publishing import AB, load, rows_of

from jobs.dbaccess.errors import LoadError
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.session import Session

APPEND = Move("append", AB)
DOUBLE = ("integer", "double precision")


def run(session: Session, sql: str) -> Callable[[], None]:
    """What somebody does."""

    def action() -> None:
        session.run(sql)

    return action


@pytest.mark.parametrize(
    ("types", "made", "value"),
    [
        (DOUBLE, "b int", "1.5"),
        (("integer", "numeric(5,2)[]"), "b bigint[]", "{1.5}"),
        (("integer", "timestamp with time zone"), "b date", "2026-11-22 10:00Z"),
        (("integer", "timestamp without time zone"), "b timestamptz", "2026-11-22 10:00"),
    ],
)
def test_values_are_not_lost_in_a_table_that_somebody_made_meanwhile(
    session: Session, types: Sequence[str], made: str, value: str
) -> None:
    with pytest.raises(LoadError, match=rf"public\.t was created or changed .* values: b is .* and not {types[1][:5]}"):
        load(session, APPEND, [(1, value)], types, meanwhile=run(session, f"CREATE TABLE t (a int, {made})"))
    assert rows_of(session) == []


@pytest.mark.parametrize(
    "move", [APPEND, Move("overwrite", AB), Move("upsert", AB, ("a",))], ids=lambda move: str(move.mode)
)
def test_nor_in_one_that_took_the_name(session: Session, move: Move) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b float8)")

    def swap() -> None:
        session.run("ALTER TABLE t RENAME TO before; CREATE TABLE t (a int PRIMARY KEY, b int)")
        session.run("INSERT INTO t VALUES (1, 7)")

    with pytest.raises(LoadError, match="b is integer and not double precision"):
        load(session, move, [(2, "1.5")], meanwhile=swap)
    assert rows_of(session) == [[1, 7]]


def test_types_that_hold_the_values_are_no_matter(session: Session) -> None:
    load(session, APPEND, [(1, "1.5")], DOUBLE, meanwhile=run(session, "CREATE TABLE t (a bigint, b numeric)"))
    assert [[a, str(b)] for a, b in rows_of(session)] == [[1, "1.5"]]
