"""What a table is cut into: its leaves by blocks, or its keys; read in all its parts, each row comes once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import DatabaseError
from jobs.dbaccess.extract import partitioning
from jobs.dbaccess.extract.partitioning import Part, by_blocks, by_key, key_bounds, leaves_of
from jobs.dbaccess.extract.selection import select
from jobs.dbaccess.extract.table_patterns import TablePattern, choose, relations
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

T = TableName("t", "public")


def read(session: Session, parts: tuple[Part, ...], column: str = "id", condition: str = "") -> list[list[object]]:
    """Of each part the values of a column."""
    return [[row[0] for piece in part for row in session.run(select([column], piece, condition))] for part in parts]


def everything(parts: list[list[object]]) -> list[object]:
    return sorted((value for part in parts for value in part), key=str)


def test_blocks_of_a_table_hold_each_row_once_and_about_as_many(session: Session) -> None:
    session.run("CREATE TABLE t AS SELECT n AS id, repeat('x', 100) AS x FROM generate_series(1, 20000) n")
    session.run("VACUUM t")  # from PostgreSQL 16 on, a table that grows fast has empty blocks at its end
    read_parts = read(session, by_blocks(leaves_of(session, T), 8))
    assert len(read_parts) == 8
    assert everything(read_parts) == everything([list(range(1, 20001))])
    assert max(map(len, read_parts)) < 1.1 * min(map(len, read_parts))


def test_a_range_of_blocks_reads_its_blocks_alone(session: Session) -> None:
    [[version]] = session.run("SELECT current_setting('server_version_num')::int")
    if version < 140000:
        pytest.skip("PostgreSQL 13 has no scan of a range of blocks")
    session.run("CREATE TABLE t AS SELECT n AS id, repeat('x', 100) AS x FROM generate_series(1, 20000) n; ANALYZE t")
    for part in by_blocks(leaves_of(session, T), 4)[1:]:
        plan = session.run(f"EXPLAIN {select(['*'], part[0], '')}")
        assert "Tid Range Scan" in str(plan)


def test_partitions_of_partitions_are_leaves_and_empty_ones_too(session: Session) -> None:
    session.run("CREATE TABLE t (id int, x text) PARTITION BY RANGE (id)")
    session.run("CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO (5000)")
    session.run("CREATE TABLE high PARTITION OF t FOR VALUES FROM (5000) TO (10000) PARTITION BY LIST (id)")
    session.run("CREATE TABLE one PARTITION OF high FOR VALUES IN (7777)")
    session.run("CREATE TABLE rest PARTITION OF high DEFAULT")
    session.run("CREATE TABLE none PARTITION OF t DEFAULT")
    session.run("INSERT INTO t SELECT n, repeat('x', 50) FROM generate_series(1, 9999) n")
    leaves = leaves_of(session, T)
    assert [leaf.name.name for leaf in leaves] == ["low", "none", "one", "rest"]
    assert everything(read(session, by_blocks(leaves, 5))) == everything([list(range(1, 10000))])


def test_a_table_and_its_heirs_are_leaves_each_with_its_own_rows(session: Session) -> None:
    session.run("CREATE TABLE t (id int); CREATE TABLE heir (more int) INHERITS (t)")
    session.run("INSERT INTO t SELECT generate_series(1, 50); INSERT INTO heir SELECT generate_series(51, 99)")
    leaves = leaves_of(session, T)
    assert [leaf.name.name for leaf in leaves] == ["heir", "t"]
    assert everything(read(session, by_blocks(leaves, 3))) == everything([list(range(1, 100))])


def test_a_partition_that_is_being_detached_is_no_leaf_but_a_table_of_its_own(
    session: Session, database: Settings
) -> None:
    """DETACH ... CONCURRENTLY waits for earlier readers. If it is interrupted then, the partition stays so."""
    session.run("CREATE TABLE t (id int) PARTITION BY LIST (id); CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1)")
    session.run("CREATE TABLE t2 PARTITION OF t FOR VALUES IN (2); INSERT INTO t VALUES (1), (2)")
    with connect(database, "pgjobs tests") as reader, reader.transaction(), ThreadPoolExecutor(1) as pool:
        reader.run("SELECT FROM t")
        detaching = pool.submit(session.run, "ALTER TABLE t DETACH PARTITION t1 CONCURRENTLY")
        while not reader.run("SELECT 1 FROM pg_locks WHERE NOT granted AND pid = %s", session.backend.pid):
            assert not detaching.done()
        reader.run("SELECT pg_cancel_backend(%s)", session.backend.pid)
        with pytest.raises(DatabaseError, match="canceling statement due to user request"):
            detaching.result()
    assert session.run("SELECT id FROM t") == [[2]]
    assert everything(read(session, by_blocks(leaves_of(session, T), 1))) == [2]
    chosen = choose(relations(session), [TablePattern.parse("t"), TablePattern.parse("t?")])
    assert [each.name.name for each in chosen] == ["t", "t1"]


def test_a_temporary_child_table_of_another_session_is_no_leaf(session: Session, database: Settings) -> None:
    session.run("CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 9)")
    with connect(database, "pgjobs tests") as other:
        other.run("CREATE TEMPORARY TABLE heir () INHERITS (t); INSERT INTO heir VALUES (10)")
        leaves = leaves_of(session, T)
        assert [leaf.name.name for leaf in leaves] == ["t"]
        assert everything(read(session, by_blocks(leaves, 1))) == list(range(1, 10))


def test_a_materialised_view_has_blocks_and_a_view_has_none(session: Session) -> None:
    session.run("CREATE VIEW v AS SELECT 1 AS id; CREATE MATERIALIZED VIEW t AS SELECT generate_series(1, 9) AS id")
    assert [leaf.blocks for leaf in leaves_of(session, T)] == [1]
    assert leaves_of(session, TableName("v", "public")) == ()


def test_a_foreign_partition_is_a_leaf_read_as_a_whole(session: Session, database: Settings) -> None:
    session.run("CREATE TABLE t (id int) PARTITION BY LIST (id); CREATE TABLE here PARTITION OF t FOR VALUES IN (1)")
    session.run("INSERT INTO t VALUES (1)")
    with foreign_server(session, database):
        session.run("CREATE TABLE there AS SELECT 2 AS id")
        session.run(
            "CREATE FOREIGN TABLE away PARTITION OF t FOR VALUES IN (2) SERVER loop OPTIONS (table_name 'there')"
        )
        leaves = leaves_of(session, T)
        assert [(leaf.name.name, leaf.blocks) for leaf in leaves] == [("away", 0), ("here", 1)]
        assert everything(read(session, by_blocks(leaves, 4))) == [1, 2]
        assert partitioning.has_foreign_leaf(session, T)
        session.run("DROP FOREIGN TABLE away")
    assert not partitioning.has_foreign_leaf(session, T)


@contextmanager
def foreign_server(session: Session, database: Settings) -> Iterator[None]:
    """This database as a server of its own, `loop`."""
    if not session.run("SELECT 1 FROM pg_available_extensions WHERE name = 'postgres_fdw'"):
        pytest.skip("this server has no postgres_fdw")
    [server] = database.servers
    session.run(
        "CREATE EXTENSION postgres_fdw; CREATE SERVER loop FOREIGN DATA WRAPPER postgres_fdw OPTIONS "
        f"(host '{server.host}', port '{server.port}', dbname '{database.dbname}')"
    )
    session.run("CREATE USER MAPPING FOR current_user SERVER loop")
    yield
    session.run("DROP SERVER loop CASCADE; SELECT postgres_fdw_disconnect_all()")


@pytest.fixture
def reader(session: Session, database: Settings) -> Iterator[Session]:
    """A session of a user who owns nothing."""
    name = f"{database.dbname}_reader"
    session.run(f"CREATE ROLE {name} LOGIN PASSWORD 'reader'")
    with connect(replace(database, user=name, password=lambda _: "reader"), "reader") as opened:
        yield opened
    session.run(f"DROP OWNED BY {name}; DROP ROLE {name}")


def test_a_table_with_a_leaf_that_this_user_may_not_read_is_read_as_a_whole(session: Session, reader: Session) -> None:
    session.run("CREATE TABLE t (id int) PARTITION BY LIST (id); CREATE TABLE leaf PARTITION OF t DEFAULT")
    session.run(f"GRANT SELECT ON t TO {current_user(reader)}")
    assert leaves_of(reader, T) == ()
    session.run(f"GRANT SELECT ON leaf TO {current_user(reader)}")
    assert [leaf.name.name for leaf in leaves_of(reader, T)] == ["leaf"]


def test_a_table_whose_rows_are_hidden_by_policies_is_read_as_a_whole(session: Session, reader: Session) -> None:
    session.run("CREATE TABLE t (id int); ALTER TABLE t ENABLE ROW LEVEL SECURITY")
    session.run(f"GRANT SELECT ON t TO {current_user(reader)}")
    assert leaves_of(reader, T) == ()
    assert len(leaves_of(session, T)) == 1


def current_user(session: Session) -> str:
    return str(session.run("SELECT current_user")[0][0])


KEYS = {
    "integers": "n",
    "duplicates": "n / 700",
    "one value": "1",
    "some without a value": "CASE WHEN n % 3 = 0 THEN n END",
    "none with a value": "NULL::int",
    "text": "md5(n::text)",
    "text with quotes": r"'it''s \ ' || n",
    "char(n)": "md5(n::text)::char(40)",
    "bit(n)": "(n * 7919)::bit(20)",
    "uuid": "md5(n::text)::uuid",
    "boolean": "n % 2 = 0",
    "timestamptz": "timestamptz '2026-10-31 20:00+00' + n * interval '17 min'",
    "timestamp, infinity": "CASE WHEN n > 9 THEN timestamp '2026-01-01' + n * interval '1 h' ELSE 'infinity' END",
    "float8 with NaN": "CASE WHEN n < 9 THEN 'NaN'::float8 ELSE sqrt(n) END",
    "numeric": "sqrt(n::numeric)",
    "a domain": "n::pg_temp.even",
    "an enum": "CASE WHEN n % 2 = 0 THEN 'sad' ELSE 'glad' END::pg_temp.mood",
}


@pytest.fixture(scope="module")
def keyed(server: Settings) -> Iterator[Session]:
    """A session with a table that has a column for each of KEYS, for tests that change nothing."""
    with connect(server, "pgjobs tests") as opened:
        opened.run("CREATE DOMAIN pg_temp.even AS int CHECK (true); CREATE TYPE pg_temp.mood AS ENUM ('sad', 'glad')")
        columns = ", ".join(f'{expression} AS "% {name}"' for name, expression in KEYS.items())
        opened.run(f"CREATE TEMP TABLE t AS SELECT n AS id, {columns} FROM generate_series(1, 2000) n")
        yield opened


@pytest.mark.parametrize("name", KEYS)
def test_ranges_of_a_key_hold_each_row_once(keyed: Session, name: str) -> None:
    condition = "id % 2 = 1"
    parts = by_key("t", f"% {name}", key_bounds(keyed, "t", f"% {name}", condition, 6))
    assert everything(read(keyed, parts, condition=condition)) == everything([list(range(1, 2000, 2))])


def test_ranges_of_a_key_hold_about_as_many_rows(session: Session) -> None:
    session.run("CREATE TABLE t AS SELECT n AS id, n * n AS k FROM generate_series(1, 2000) n")
    assert {len(part) for part in read(session, by_key("t", "k", key_bounds(session, "t", "k", "", 4)))} <= {
        499,
        500,
        501,
    }
