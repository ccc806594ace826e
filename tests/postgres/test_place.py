"""Rows without a partition: it is created like the others, with their bounds, indexes and names, and only attached."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from publishing import AB, T, load, rows_of

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import ConstraintViolated, JobError, LoadError, UsageError
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.move.suitable import check_target
from jobs.dbaccess.load.partitions import staged
from jobs.dbaccess.load.partitions.catalog import exact_forms, partitions_of
from jobs.dbaccess.load.publish import AlreadyRecorded, publish
from jobs.dbaccess.load.publish_plan import Published, PublishPlan
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session

REPLACE = Move("replace-partitions", AB)
APPEND = Move("append", AB, new_partitions="auto")
UPSERT = Move("upsert", AB, ("a",), new_partitions="auto")

DAYS = (
    "CREATE TABLE t (a date, b text) PARTITION BY RANGE (a);"
    "CREATE TABLE t_2026_11_19 PARTITION OF t FOR VALUES FROM ('2026-11-19') TO ('2026-11-20');"
    "CREATE TABLE t_2026_11_20 PARTITION OF t FOR VALUES FROM ('2026-11-20') TO ('2026-11-21');"
    "INSERT INTO t VALUES ('2026-11-19', 'old'), ('2026-11-20', 'old');"
)
BOUNDS = (
    "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid "
    "WHERE inhparent = 't'::regclass ORDER BY 1"
)
INDEXES = (
    "SELECT i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = to_regclass(%s) "
    "AND EXISTS (SELECT FROM pg_inherits WHERE inhrelid = i.oid) ORDER BY 1"
)


def bounds(session: Session) -> dict[str, str]:
    return {name: bound.removeprefix("FOR VALUES ") for name, bound in session.run(BOUNDS)}


def created(published: Published) -> list[str]:
    return [table.name for table in published.created]


def left(session: Session) -> list[str]:
    names = session.run("SELECT relname FROM pg_class WHERE relname LIKE 'pgjobs%' AND relkind IN ('r', 'p', 'i')")
    checks = session.run("SELECT conname FROM pg_constraint WHERE conname LIKE 'pgjobs%'")
    return [name for [name] in (*names, *checks)]


@pytest.mark.parametrize("move", [REPLACE, APPEND, UPSERT], ids=lambda move: move.mode)
def test_a_partition_that_rows_lack_is_created_as_the_others_are(session: Session, move: Move) -> None:
    session.run(
        "CREATE TABLE t (a int, b text DEFAULT 'x', CHECK (a < 1000), PRIMARY KEY (a)) PARTITION BY RANGE (a);"
        "CREATE TABLE t_p0 PARTITION OF t FOR VALUES FROM (0) TO (10); CREATE INDEX ON t (lower(b)) WHERE a > 1;"
        "INSERT INTO t VALUES (1, 'old')"
    )
    published = load(session, move, [(20, "new"), (29, "new"), (-10, "new")])
    assert created(published) == ["t_pm10", "t_p20"]
    assert published.replaced == ()
    assert rows_of(session) == [[-10, "new"], [1, "old"], [20, "new"], [29, "new"]]
    assert bounds(session) == {
        "t_p0": "FROM (0) TO (10)",
        "t_p20": "FROM (20) TO (30)",
        "t_pm10": "FROM ('-10') TO (0)",
    }
    assert session.run(INDEXES, "t_p20") == [["t_p20_lower_idx"], ["t_p20_pkey"]]
    with pytest.raises(ConstraintViolated):
        session.run("INSERT INTO t_p20 VALUES (1001, '')")
    assert left(session) == []


def test_a_new_partition_beside_one_that_is_replaced_has_its_rows_written_once(session: Session) -> None:
    """Staging's own table for them becomes the partition."""
    session.run(DAYS + "CREATE INDEX ON t (b)")
    oids: list[object] = []

    def note() -> None:
        oids.extend(session.run("SELECT oid::bigint FROM pg_class WHERE relname ~ '^pgjobs_rows_.*_0$'"))

    published = load(session, REPLACE, [("2026-11-20", "new"), ("2026-11-23", "new")], meanwhile=note)
    assert created(published) == ["t_2026_11_23"]
    assert [table.name for table in published.replaced] == ["t_2026_11_20"]
    assert oids == session.run("SELECT 't_2026_11_23'::regclass::bigint")
    assert session.run(INDEXES, "t_2026_11_23") == [["t_2026_11_23_b_idx"]]
    assert session.run("SELECT a::text, b FROM t ORDER BY 1") == [
        ["2026-11-19", "old"],
        ["2026-11-20", "new"],
        ["2026-11-23", "new"],
    ]
    assert left(session) == []


TABLES: dict[str, tuple[str, str, Sequence[object], dict[str, str]]] = {
    "weeks": (
        "date",
        "FROM ('2026-11-16') TO ('2026-11-23')",
        ["2026-11-29"],
        {"t_2026_11_23": "FROM ('2026-11-23') TO ('2026-11-30')"},
    ),
    "months": (
        "timestamp",
        "FROM ('2026-02-01') TO ('2026-03-01')",
        ["2026-04-30 23:59:59.999999"],
        {"t_2026_04": "FROM ('2026-04-01 00:00:00') TO ('2026-05-01 00:00:00')"},
    ),
    "years": (
        "date",
        "FROM ('2025-01-01') TO ('2026-01-01')",
        ["0001-01-01"],
        {"t_0001": "FROM ('0001-01-01') TO ('0002-01-01')"},
    ),
    "hours": (
        "timestamp",
        "FROM ('2026-02-01 06:00') TO ('2026-02-01 12:00')",
        ["2026-02-01 05:59:59"],
        {"t_2026_02_01_0000": "FROM ('2026-02-01 00:00:00') TO ('2026-02-01 06:00:00')"},
    ),
    "big integers": (
        "bigint",
        "FROM (3) TO (10)",
        [-9223372036854775807],
        {"t_m9223372036854775812": "FROM ('-9223372036854775812') TO ('-9223372036854775805')"},
    ),
    "numbers": ("numeric(9, 2)", "FROM (0) TO (10)", ["-0.01"], {"t_m10": "FROM ('-10.00') TO (0.00)"}),
    "values": (
        "text",
        "IN ('de')",
        ["it's \\\\ a", "\\N"],
        {"t_it's \\ a": "IN ('it''s \\ a')", "t_null": "IN (NULL)"},
    ),
    "days in a zone": (
        "timestamptz",
        "FROM ('2026-03-27 Europe/Berlin') TO ('2026-03-28 Europe/Berlin')",
        ["2026-03-29 12:00+02", "2026-10-25 23:59:59+01"],
        {
            "t_2026_03_29": "FROM ('2026-03-28 23:00:00+00') TO ('2026-03-29 22:00:00+00')",
            "t_2026_10_25": "FROM ('2026-10-24 22:00:00+00') TO ('2026-10-25 23:00:00+00')",
        },
    ),
}
"""The type of the key, a bound, keys of new rows, and the partitions that they need."""


@pytest.mark.parametrize("what", [key for key in TABLES if key != "big integers"])
@pytest.mark.parametrize("move", [REPLACE, APPEND], ids=lambda move: move.mode)
def test_the_bounds_of_new_partitions_follow_those_of_the_others(session: Session, what: str, move: Move) -> None:
    type_sql, bound, keys, expected = TABLES[what]
    how = "LIST" if bound.startswith("IN") else "RANGE"
    session.run(f"CREATE TABLE t (a {type_sql}, b text) PARTITION BY {how} (a)")
    session.run(f"CREATE TABLE first PARTITION OF t FOR VALUES {bound}")
    session.run("SET TimeZone = 'Europe/Berlin'")
    load(session, move, [(key, "new") for key in keys])
    session.run("SET TimeZone = 'UTC'")
    found = bounds(session)
    del found["first"]
    assert found == expected
    assert session.run("SELECT count(*) FROM t WHERE b = 'new'") == [[len(keys)]]


RULES: dict[str, tuple[str, Sequence[object], dict[str, str]]] = {
    "day": ("date", ["2026-11-20"], {"t_2026_11_20": "FROM ('2026-11-20') TO ('2026-11-21')"}),
    "1 week": ("date", ["2026-11-20"], {"t_2026_11_16": "FROM ('2026-11-16') TO ('2026-11-23')"}),
    "quarter": ("date", ["2026-11-20"], {"t_2026_10": "FROM ('2026-10-01') TO ('2027-01-01')"}),
    "day in America/New_York": (
        "timestamptz",
        ["2026-11-20 00:00+00"],
        {"t_2026_11_19": "FROM ('2026-11-19 05:00:00+00') TO ('2026-11-20 05:00:00+00')"},
    ),
    "1000": ("int", [-1], {"t_m1000": "FROM ('-1000') TO (0)"}),
    "value": (
        "text",
        ["x" * 80, "x" * 81],
        {f"t_{'x' * 40}": f"IN ('{'x' * 80}')", f"t_{'x' * 40}_2": f"IN ('{'x' * 81}')"},
    ),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_that_the_user_gives_needs_no_other_partition(session: Session, rule: str) -> None:
    type_sql, keys, expected = RULES[rule]
    session.run(f"CREATE TABLE t (a {type_sql}, b text) PARTITION BY {'LIST' if rule == 'value' else 'RANGE'} (a)")
    session.run("SET TimeZone = 'UTC'")
    load(session, replace(APPEND, new_partitions=rule), [(key, "new") for key in keys])
    assert bounds(session) == expected


FOREVER = {
    "day": ("date", "9999-12-31", "FROM ('9999-12-31') TO ('10000-01-01')"),
    "month": ("date", "9999-12-31", "FROM ('9999-12-01') TO ('10000-01-01')"),
    "year": ("timestamp", "9999-12-31 23:59:59.999999", "FROM ('9999-01-01 00:00:00') TO ('10000-01-01 00:00:00')"),
    "1 week": ("date", "9999-12-31", "FROM ('9999-12-27') TO ('10000-01-03')"),
    "10 years": ("date", "0001-01-01", "FROM ('0001-01-01 BC') TO ('0010-01-01')"),
    "6 hours": ("timestamp", "9999-12-31 23:59", "FROM ('9999-12-31 18:00:00') TO ('10000-01-01 00:00:00')"),
    "day in UTC": (
        "timestamptz",
        "9999-12-31 23:59:59Z",
        "FROM ('9999-12-31 00:00:00+00') TO ('10000-01-01 00:00:00+00')",
    ),
    "day in Europe/Berlin": (
        "timestamptz",
        "9999-12-31 23:59:59Z",
        "FROM ('9999-12-31 23:00:00+00') TO ('10000-01-01 23:00:00+00')",
    ),
    "day in America/New_York": (
        "timestamptz",
        "0001-01-01 00:00:00Z",
        "FROM ('0001-12-31 04:56:02+00 BC') TO ('0001-01-01 04:56:02+00')",
    ),
}
"""For a rule, the type of the key, its last or first value of four digits, and the bound of the partition for it."""


@pytest.mark.parametrize("rule", FOREVER)
@pytest.mark.parametrize("move", [REPLACE, APPEND], ids=lambda move: move.mode)
def test_what_others_write_for_ever_has_a_partition_and_the_next_load_goes_on_beside_it(
    session: Session, rule: str, move: Move
) -> None:
    type_sql, forever, bound = FOREVER[rule]
    session.run(f"CREATE TABLE t (a {type_sql}, b text) PARTITION BY RANGE (a)")
    session.run("SET TimeZone = 'UTC'")
    load(session, replace(move, new_partitions=rule), [(forever, "x")])
    [(name, found)] = bounds(session).items()
    assert found == bound
    zone = rule.partition(" in ")[2] or "UTC"
    session.run(f"SET TimeZone = '{zone}'")
    load(session, replace(move, new_partitions="auto"), [(forever, "y"), ("2026-11-20", "z")])
    assert len(bounds(session)) == 2
    assert session.run("SELECT b FROM t WHERE a < '2026-11-21' AND a > '2026-11-19'") == [["z"]]
    assert session.run(f"SELECT max(b) FROM {name}") == [["y"]]


REFUSED: dict[str, tuple[str, Move, list[tuple[object, object]], str]] = {
    "NULL": (DAYS, APPEND, [("\\N", "x"), ("2026-11-23", "x")], "1 rows have no value in the partition key .*NULL"),
    "infinity": (DAYS, REPLACE, [("infinity", "x"), ("2026-11-23", "x")], "1 rows have no value"),
    "a late year": (DAYS, APPEND, [("10000-01-01", "x")], "1 rows have no value .* not within the years 1 to 9999"),
    "an early year": (DAYS, REPLACE, [("0044-03-15 BC", "x")], "1 rows have no value"),
    "no rule": (
        "CREATE TABLE t (a date, b text) PARTITION BY RANGE (a)",
        APPEND,
        [("2026-11-23", "x")],
        "no partitions to infer",
    ),
    "another unit": (
        DAYS,
        replace(APPEND, new_partitions="10"),
        [("2026-11-23", "x")],
        "'10' is not a rule for .* ranges of date",
    ),
    "an overlap": (
        DAYS,
        replace(REPLACE, new_partitions="month"),
        [("2026-11-23", "x")],
        "would overlap public.t_2026_11_19",
    ),
    "several columns": (
        "CREATE TABLE t (a int, b text) PARTITION BY RANGE (a, b)",
        APPEND,
        [(1, "x")],
        "it is partitioned by 2 columns",
    ),
    "another type": ("CREATE TABLE t (a int, b text) PARTITION BY RANGE (b)", APPEND, [(1, "x")], "of the type text"),
    "lists of several": (
        "CREATE TABLE t (a int, b text) PARTITION BY LIST (a); CREATE TABLE p PARTITION OF t FOR VALUES IN (1, 2)",
        APPEND,
        [(3, "x")],
        "several values",
    ),
    "partitions below": (
        (
            "CREATE TABLE t (a int, b text) PARTITION BY LIST (a);"
            "CREATE TABLE p PARTITION OF t FOR VALUES IN (1) PARTITION BY LIST (b)"
        ),
        APPEND,
        [(3, "x")],
        "its partitions are partitioned themselves",
    ),
    "too many": (
        DAYS,
        REPLACE,
        [(f"{2000 + n // 300}-{n // 28 % 12 + 1}-{n % 28 + 1}", "x") for n in range(4000)],
        "more than 1,000",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_rows_for_which_no_partition_can_be_created_are_refused_and_nothing_is_left(
    session: Session, what: str
) -> None:
    sql, move, rows, message = REFUSED[what]
    session.run(sql)
    before = bounds(session)
    with pytest.raises(LoadError, match=message):
        load(session, move, rows)
    assert bounds(session) == before
    assert left(session) == []


@pytest.mark.parametrize(
    ("key", "rule", "message"),
    [
        ("RANGE (a)", "value", "'value' is not a rule for public.t, which is partitioned by ranges of integer"),
        ("RANGE (a)", "day", "'day' is not a rule for"),
        ("LIST (a)", "1000", "'1000' is not a rule for public.t, which is partitioned by lists"),
        ("HASH (a)", "auto", "it is partitioned by hash"),
        ("LIST (many)", "auto", r"its key is of the type integer\[\]"),
        ("RANGE (at)", "day in Nowhere/City", "time zone .*not recognized"),
    ],
)
def test_a_rule_that_does_not_go_with_the_table_is_refused_before_anything_is_copied(
    session: Session, key: str, rule: str, message: str
) -> None:
    session.run(f"CREATE TABLE t (a int, b text, at timestamptz, many int[]) PARTITION BY {key}")
    columns = (*AB, "at", "many")
    with pytest.raises(JobError, match=message):
        check_target(session, T, Move("append", columns, new_partitions=rule))
    if rule != "auto":
        with pytest.raises(JobError, match=message):
            check_target(session, T, Move("replace-partitions", columns, new_partitions=rule))


@pytest.mark.parametrize("move", [REPLACE, APPEND], ids=lambda move: move.mode)
def test_of_two_loads_that_need_the_same_partition_at_once_one_creates_it(
    session: Session, database: Settings, move: Move
) -> None:
    session.run(DAYS)
    with connect(database, "other") as other, ThreadPoolExecutor(1) as pool:
        with other.transaction():
            other.run("LOCK TABLE t IN SHARE UPDATE EXCLUSIVE MODE")
            loading = pool.submit(load, session, move, [("2026-11-23", "first")])
            await_waiting(other)
            other.run("CREATE TABLE t_2026_11_23 (LIKE t)")
            other.run("ALTER TABLE t ATTACH PARTITION t_2026_11_23 FOR VALUES FROM ('2026-11-23') TO ('2026-11-24')")
            other.run("INSERT INTO t VALUES ('2026-11-23', 'theirs')")
        published = loading.result(120)
    assert published.created == ()
    expected = [["first"]] if move is REPLACE else [["first"], ["theirs"]]
    assert session.run("SELECT b FROM t WHERE a = '2026-11-23' ORDER BY 1") == expected


def test_a_load_that_waits_to_create_a_partition_has_no_lock_on_the_table_that_others_wait_for(
    session: Session, database: Settings
) -> None:
    """A load that replaces partitions keeps changes out, too, and locks the table after that."""
    session.run(DAYS)
    with connect(database, "other") as other, ThreadPoolExecutor(1) as pool:
        with other.transaction(lock_timeout="1s"):
            other.run("LOCK TABLE t IN SHARE UPDATE EXCLUSIVE MODE")
            loading = pool.submit(load, session, APPEND, [("2026-11-23", "new")])
            await_waiting(other)
            other.run("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        assert created(loading.result(120)) == ["t_2026_11_23"]


def test_beside_a_default_partition_a_load_that_was_published_is_known_to_be_when_it_is_published_again(
    session: Session,
) -> None:
    """So it is after the answer to COMMIT was lost."""
    session.run(DAYS + "CREATE TABLE other PARTITION OF t DEFAULT")

    def twice(of: Session, plan: PublishPlan) -> Published:
        publish(of, plan)
        return publish(of, plan)

    with pytest.raises(AlreadyRecorded):
        load(session, APPEND, [("2026-11-23", "new")], publish=twice)


def await_waiting(other: Session, table: str = "t", mode: str = "ShareUpdateExclusiveLock") -> None:
    """Wait until a load waits for a table's lock, by default to keep changes out."""
    deadline = time.monotonic() + 120
    query = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = %s::regclass AND mode = %s"
    while other.value(query, table, mode) == 0:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_partition_that_others_attach_while_rows_are_copied_is_replaced(session: Session) -> None:
    session.run(DAYS)
    by_day = replace(REPLACE, new_partitions="day")

    def attach() -> None:
        session.run("CREATE TABLE week PARTITION OF t FOR VALUES FROM ('2026-11-23') TO ('2026-11-30')")
        session.run("INSERT INTO t VALUES ('2026-11-24', 'theirs')")

    published = load(session, by_day, [("2026-11-23", "new"), ("2026-12-24", "new")], meanwhile=attach)
    assert [table.name for table in published.replaced] == ["week"]
    assert session.run("SELECT a::text FROM t WHERE a > '2026-11-20' ORDER BY 1") == [["2026-11-23"], ["2026-12-24"]]


def test_partitions_that_others_drop_while_tables_are_made_beside_them_are_no_matter(
    session: Session,
) -> None:
    session.run(DAYS)
    names = staging.plan_staging(T, AB)
    with session.transaction(), exact_forms(session):
        partitions = partitions_of(session, T)
    staged.create(session, names, T)
    session.run("DROP TABLE t_2026_11_19")
    with session.transaction(), exact_forms(session):
        for number in (1, 2):
            session.run(f"DROP TABLE {names.rows.sibling(f'{names.rows.name}_{number}').quoted}")
        staged.create_leaves(session, names, {f"beside_{one.oid}": one for one in partitions})
        assert len(partitions_of(session, names.rows)) == 2  # the other one, and that of rows without a partition
    staging.discard(session, names)


@pytest.mark.parametrize("move", [REPLACE, APPEND], ids=lambda move: move.mode)
def test_readers_go_on_while_a_partition_is_created(session: Session, database: Settings, move: Move) -> None:
    session.run(DAYS)
    with connect(database, "reader") as reader, reader.transaction():
        reader.run("SELECT FROM t; INSERT INTO t VALUES ('2026-11-20', 'theirs')")
        assert created(load(session, move, [("2026-11-23", "new")], lock_timeout=1)) == ["t_2026_11_23"]


def test_a_default_partition_is_told_if_it_has_rows_of_a_new_one_and_else_takes_what_has_no_bound(
    session: Session,
) -> None:
    session.run(DAYS + "CREATE TABLE other PARTITION OF t DEFAULT; INSERT INTO t VALUES ('2026-11-23', 'stray')")
    for move in (REPLACE, APPEND):
        with pytest.raises(LoadError, match=r"other, the DEFAULT partition of public.t, has 1 row that belongs to new"):
            load(session, move, [("2026-11-23", "x")])
    assert left(session) == []
    session.run("DELETE FROM other")
    load(session, APPEND, [("\\N", "x"), ("infinity", "x"), ("10000-01-01", "x"), ("2026-11-23", "x")])
    assert session.run("SELECT a::text FROM other ORDER BY 1") == [["10000-01-01"], ["infinity"], [None]]


def test_a_reader_of_the_default_partition_is_waited_for_and_readers_go_on(
    session: Session, database: Settings
) -> None:
    session.run(DAYS + "CREATE TABLE other PARTITION OF t DEFAULT")

    def be_impatient() -> None:
        session.run("SET idle_in_transaction_session_timeout = 100")

    with (
        connect(database, "reader") as reader,
        connect(database, "late") as late,
        ThreadPoolExecutor(1) as pool,
        reader.transaction(),
    ):
        reader.run("SELECT FROM other")
        loading = pool.submit(load, session, APPEND, [("2026-11-23", "new")], meanwhile=be_impatient)
        await_waiting(late, "other", "AccessExclusiveLock")
        late.run("SET lock_timeout = '60s'")
        assert late.run("SELECT count(*) FROM t") == [[2]]
        reader.run("COMMIT")
        assert created(loading.result(120)) == ["t_2026_11_23"]


def test_a_load_that_fails_after_its_partitions_were_created_leaves_none(session: Session) -> None:
    session.run(DAYS)
    before = bounds(session)
    with pytest.raises(JobError, match="division by zero"):
        load(session, APPEND, [("2026-11-23", "x")], after="SELECT 1/0")
    assert bounds(session) == before


def test_open_ends_and_expressions_and_a_table_that_is_a_partition_itself_have_their_partitions(
    session: Session,
) -> None:
    session.run(
        "CREATE TABLE g (a int, b text) PARTITION BY LIST (b); "
        "CREATE TABLE t (a int, b text) PARTITION BY RANGE ((a % 100));"
        "ALTER TABLE g ATTACH PARTITION t FOR VALUES IN ('new', 'old');"
        "CREATE TABLE low PARTITION OF t FOR VALUES FROM (MINVALUE) TO (0);"
        "CREATE TABLE p0 PARTITION OF t FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE high PARTITION OF t FOR VALUES FROM (50) TO (MAXVALUE)"
    )
    for move in (APPEND, REPLACE):
        load(session, move, [(a, "new") for a in (-5, 99, 149, 139, 7)])
    assert sorted(bounds(session)) == ["high", "low", "p0", "p30", "p40"]
    assert session.run("SELECT count(*) FROM t") == [[5]]
    with pytest.raises(LoadError, match="would overlap"):
        session.run(
            "ALTER TABLE t DETACH PARTITION high; CREATE TABLE up PARTITION OF t FOR VALUES FROM (55) TO (MAXVALUE)"
        )
        load(session, replace(APPEND, new_partitions="10"), [(50, "new")])


def test_only_an_owner_may_have_partitions_created_and_they_are_his(session: Session, database: Settings) -> None:
    role = f"owner_{database.dbname}"
    session.run(f"CREATE ROLE {role}; {DAYS} GRANT ALL ON SCHEMA public TO {role}; CREATE ROLE {role}_2")
    try:
        session.run(f"ALTER TABLE t OWNER TO {role}")
        load(session, APPEND, [("2026-11-23", "x")])
        load(session, REPLACE, [("2026-11-24", "x")])
        query = "SELECT count(*) FROM pg_class WHERE relname ~ '^t_2026_11_2[34]' AND pg_get_userbyid(relowner) = %s"
        assert session.run(query, role) == [[2]]
        session.run(f"GRANT ALL ON t TO {role}_2; SET ROLE {role}_2")
        with pytest.raises(UsageError, match=f"Only its owner {role} can create partitions"):
            check_target(session, T, APPEND)
    finally:
        session.run(f"RESET ROLE; DROP TABLE t; DROP OWNED BY {role}, {role}_2; DROP ROLE {role}, {role}_2")


@pytest.mark.parametrize("columns", [("b",), ("a", "b")])
def test_a_table_without_partitions_or_data_without_the_key_is_refused(
    session: Session, columns: tuple[str, ...]
) -> None:
    session.run(DAYS if columns == ("b",) else "CREATE TABLE t (a date, b text)")
    with pytest.raises(UsageError, match=r"The data has no a, by which|needs a partitioned table"):
        check_target(session, T, replace(APPEND, columns=columns))


def test_an_index_that_is_invalid_but_attached_is_built_before_the_table_is_locked(session: Session) -> None:
    session.run(DAYS + "CREATE INDEX of_t ON ONLY t (b); CREATE INDEX of_p ON t_2026_11_20 (b)")
    session.run("ALTER INDEX of_t ATTACH PARTITION of_p")
    session.run("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'of_p'::regclass")
    load(session, REPLACE, [("2026-11-20", "new")])
    assert session.run(INDEXES, "t_2026_11_20") == [["of_p"]]
    assert session.run("SELECT indisvalid FROM pg_index WHERE indexrelid = 'of_p'::regclass") == [[True]]


def test_what_vacuums_the_toast_of_a_partition_is_waited_for_before_readers_are(
    session: Session, database: Settings
) -> None:
    """An autovacuum of it is ended by the server only for those who wait as long as deadlock_timeout."""
    session.run(DAYS + "ALTER TABLE t_2026_11_20 ALTER b SET STORAGE EXTERNAL")
    session.run("INSERT INTO t SELECT '2026-11-20', repeat('x', 8000) FROM generate_series(1, 10)")
    toast = session.value("SELECT reltoastrelid::regclass::text FROM pg_class WHERE oid = 't_2026_11_20'::regclass")
    with (
        connect(database, "cursor") as cursor,
        connect(database, "vacuum") as vacuum,
        connect(database, "late") as late,
        ThreadPoolExecutor(2) as pool,
    ):
        cursor.run(f"BEGIN; DECLARE c CURSOR FOR SELECT FROM {toast}; FETCH c")  # whose page no VACUUM can freeze
        vacuuming = pool.submit(vacuum.run, f"VACUUM (FREEZE) {toast}")
        at_the_page = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event = 'BufferPin'"
        while not late.run(at_the_page, vacuum.backend.pid):
            assert not vacuuming.done()
        loading = pool.submit(load, session, REPLACE, [("2026-11-20", "new")])
        await_waiting(late, toast)
        with late.transaction(lock_timeout="1ms"):
            assert late.run("SELECT count(*) FROM t") == [[12]]
        cursor.run("COMMIT")
        vacuuming.result(120)
        loading.result(120)


@pytest.mark.parametrize("move", [REPLACE, APPEND], ids=lambda move: move.mode)
def test_a_table_that_is_swapped_for_one_without_partitions_is_told(session: Session, move: Move) -> None:
    session.run(DAYS)

    def swap() -> None:
        session.run("ALTER TABLE t RENAME TO gone; CREATE TABLE t (a date, b text)")

    with pytest.raises((LoadError, UsageError), match=r"not partitioned any more|needs a partitioned table"):
        load(session, move, [("2026-11-23", "x")], meanwhile=swap)
