"""Rows of Python values go into a table and come out of it as they were, without Spark."""

from __future__ import annotations

import datetime as dt
import resource
import uuid
from collections.abc import Iterator
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import ConstraintViolated, DataRejected, UsageError
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.rows.copy import copy_out, copy_rows
from jobs.dbaccess.session import Session

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
TIMES = st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30))  # noqa: DTZ001 - naive ones are meant
ZONED = st.datetimes(dt.datetime(1, 1, 3), dt.datetime(9999, 12, 29), timezones=st.just(dt.timezone.utc))  # noqa: DTZ001 - bounds
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=5,
)
VALUES = {
    "bool": ("boolean", st.booleans()),
    "int": ("bigint", st.integers(-(2**63), 2**63 - 1)),
    "float": ("double precision", st.floats(allow_nan=False)),
    "exact": ("numeric", st.decimals(allow_nan=False, allow_infinity=False, places=5)),
    "text": ("text", TEXTS),
    "bytes": ("bytea", st.binary()),
    "day": ("date", st.dates()),
    "at": ("timestamp", TIMES),
    "zoned": ("timestamptz", ZONED),
    "time": ("time", st.times()),
    "id": ("uuid", st.uuids()),
    "json": ("jsonb", JSON.filter(lambda value: value is not None and not isinstance(value, str))),
    "texts": ("text[]", st.lists(TEXTS | st.none())),
    "ints": ("int[]", st.lists(st.integers(-9, 9))),
}
ROWS = st.lists(st.tuples(*(strategy | st.none() for _, strategy in VALUES.values())), max_size=8)


def test_values_of_all_types_come_back_equal(session: Session) -> None:
    defined = ", ".join(f'"{name}" {kind}' for name, (kind, _) in VALUES.items())
    session.run(f"CREATE TABLE t ({defined}, n serial)")
    in_order = "SELECT " + ", ".join(f'"{name}"' for name in VALUES) + " FROM t ORDER BY n"

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    @given(ROWS)
    def round_trip(rows: list[tuple[object, ...]]) -> None:
        session.run("TRUNCATE t")
        assert copy_rows(session, "t", list(VALUES), rows) == len(rows)
        assert list(copy_out(session, in_order)) == rows

    round_trip()


def test_a_row_that_is_refused_leaves_nothing_and_the_session_usable(session: Session) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY)")
    with pytest.raises(ConstraintViolated):
        copy_rows(session, "t", ["a"], [[1], [2], [1]])
    with pytest.raises(DataRejected, match='column "a"'):
        copy_rows(session, "t", ["a"], [[1], ["x"]])
    with pytest.raises(UsageError, match="Row 2, column a"):
        copy_rows(session, "t", ["a"], [[1], [object()]])
    assert list(copy_out(session, "t")) == []


def test_in_an_open_transaction_rows_are_part_of_it(session: Session, database: Settings) -> None:
    session.run("CREATE TABLE t (a int)")
    with pytest.raises(ZeroDivisionError), session.transaction():
        copy_rows(session, "t", ["a"], [[1]])
        raise ZeroDivisionError
    with connect(database, "other") as other, session.transaction():
        copy_rows(session, "t", ["a"], [[1]])
        assert list(copy_out(other, "t")) == []
    assert list(copy_out(session, "t")) == [(1,)]


@pytest.mark.parametrize(
    ("table", "columns", "told"),
    [
        ("none", ["a"], "There is no table none"),
        ("t", ["a", "c"], r"public\.t has no column c"),
        ("t", ["a", "a"], "takes each column once"),
        ("t", [], "takes each column once, and at least one"),
    ],
)
def test_wrong_names_are_refused(session: Session, table: str, columns: list[str], told: str) -> None:
    session.run("CREATE TABLE t (a int, b int)")
    with pytest.raises(UsageError, match=told):
        copy_rows(session, table, columns, [])


def test_strings_stand_for_null_and_progress_is_told(session: Session) -> None:
    session.run("CREATE TABLE t (a text, b int)")
    seen: list[int] = []
    rows = ((("NA", "x" * 100)[number % 2], str(number)) for number in range(20_000))
    copy_rows(session, "t", ["a", "b"], rows, null_values=("NA",), progress=seen.append)
    assert session.run("SELECT count(*), count(a) FROM t") == [[20_000, 10_000]]
    assert seen[-1] == 20_000
    assert seen == sorted(set(seen))
    assert len(seen) > 2


def test_a_query_is_read_with_the_forms_that_are_decoded(session: Session, database: Settings) -> None:
    """Whatever the role's settings are."""
    for setting in ("DateStyle = 'German'", "bytea_output = 'escape'", "extra_float_digits = -3"):
        session.run(f"ALTER DATABASE {database.dbname} SET {setting}")
    with connect(database, "styled") as styled:
        query = "SELECT date '2026-11-21' AS day, '\\x00ff'::bytea AS raw, 0.1::float8 + 0.2 AS sum -- the end"
        assert list(copy_out(styled, query)) == [(dt.date(2026, 11, 21), b"\x00\xff", 0.1 + 0.2)]


def test_an_array_keeps_its_nulls_whatever_the_role_has(session: Session, database: Settings) -> None:
    session.run(f"CREATE TABLE t (a text[]); ALTER DATABASE {database.dbname} SET array_nulls = off")
    with connect(database, "no nulls") as styled:
        copy_rows(styled, "t", ["a"], [[["a", None, "NULL"]]])
    assert list(copy_out(session, "t")) == [(["a", None, "NULL"],)]


def test_memory_does_not_grow_with_the_rows(session: Session) -> None:
    session.run("CREATE UNLOGGED TABLE t (a int, b text)")

    def rows() -> Iterator[tuple[int, str]]:
        for number in range(300_000):
            yield number, "x" * 200

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert copy_rows(session, "t", ["a", "b"], rows()) == 300_000
    assert sum(1 for _ in copy_out(session, "t")) == 300_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000  # KiB, of 60 MB


def test_names_that_look_like_sql_are_names(session: Session) -> None:
    column = "a\"'; DROP TABLE t; --"
    session.run('CREATE TABLE "t; --" (' + '"' + column.replace('"', '""') + '" text)')
    copy_rows(session, "t; --", [column], [["it's"]])
    assert list(copy_out(session, "t; --", columns=[column])) == [("it's",)]


def test_values_of_other_kinds_are_taken(session: Session) -> None:
    session.run("CREATE TABLE t (i interval, n inet, d numeric, u text)")
    copy_rows(session, "t", ["i", "d", "u"], [[dt.timedelta(days=-1, seconds=90), Decimal("NaN"), uuid.UUID(int=1)]])
    assert session.run("SELECT extract(epoch FROM i)::int, d::text, u FROM t") == [
        [-86_310, "NaN", "00000000-0000-0000-0000-000000000001"]
    ]
