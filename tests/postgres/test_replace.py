"""Replacing partitions: those that get rows hold the new ones alone, and are otherwise what they were."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest
from publishing import AB, T, counts, load, rows_of
from stages import attempt

from jobs.dbaccess import locks
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import ConstraintViolated, JobError, LoadError, TransientError, UsageError
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.kept.leftovers import sweep
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.partitions import staged
from jobs.dbaccess.load.partitions.attempts import LOCK_WAIT
from jobs.dbaccess.load.partitions.catalog import exact_forms, partitions_of
from jobs.dbaccess.load.partitions.definition import Definition, read
from jobs.dbaccess.load.partitions.replace import build
from jobs.dbaccess.load.partitions.suitability import check_target
from jobs.dbaccess.load.partitions.swap import swap
from jobs.dbaccess.load.publish import publish
from jobs.dbaccess.load.publish_plan import Published, PublishPlan
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session

REPLACE = Move("replace-partitions", AB)

TENS = (
    "CREATE TABLE t (a int NOT NULL, b text) PARTITION BY RANGE (a);"
    "CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO (10);"
    "CREATE TABLE high PARTITION OF t FOR VALUES FROM (10) TO (20);"
    "INSERT INTO t SELECT a, 'old' FROM generate_series(0, 19) AS a;"
)
OLD = [[a, "old"] for a in range(20)]


def definitions(session: Session) -> dict[str, Definition]:
    """The definitions of the table's partitions, by name, without their oids."""
    with session.transaction(), exact_forms(session):
        found = [read(session, partition) for partition in partitions_of(session, T)]
    return {one.partition.name.name: replace(one, partition=replace(one.partition, oid=0)) for one in found}


def left(session: Session) -> list[str]:
    """What is left of a load."""
    names = session.run("SELECT relname FROM pg_class WHERE relname LIKE 'pgjobs%' AND relkind IN ('r', 'p', 'i')")
    checks = session.run("SELECT conname FROM pg_constraint WHERE conname LIKE 'pgjobs%'")
    return [name for [name] in (*names, *checks)]


KEYS = {
    "range": ("RANGE (a)", "FROM (0) TO (10)", "FROM (10) TO (20)"),
    "list": ("LIST (a)", "IN (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)", "IN (10, 11, 12, 13, 14, 15, 16, 17, 18, 19)"),
    "an expression": ("RANGE ((a / 10))", "FROM (0) TO (1)", "FROM (1) TO (2)"),
    "two columns": ("RANGE (a, b)", "FROM (0, MINVALUE) TO (10, MINVALUE)", "FROM (10, MINVALUE) TO (20, MINVALUE)"),
    "a hash": ("HASH (a)", "WITH (MODULUS 2, REMAINDER 0)", "WITH (MODULUS 2, REMAINDER 1)"),
}


@pytest.mark.parametrize("key", [key for key in KEYS if key != "a hash"])
def test_a_partition_that_gets_rows_holds_them_alone_and_the_others_stay(session: Session, key: str) -> None:
    by, low, high = KEYS[key]
    session.run(
        f"CREATE TABLE t (a int NOT NULL, b text) PARTITION BY {by}; CREATE INDEX ON t (b);"
        f"CREATE TABLE low PARTITION OF t FOR VALUES {low}; CREATE TABLE high PARTITION OF t FOR VALUES {high};"
        "INSERT INTO t SELECT a, 'old' FROM generate_series(0, 19) AS a"
    )
    before = definitions(session)
    oids = session.run("SELECT 'low'::regclass::oid")
    published = load(session, REPLACE, [(12, "new"), (11, "new")])
    assert counts(published) == (2, 0, 0)
    assert [table.name for table in published.replaced] == ["high"]
    assert rows_of(session) == [*OLD[:10], [11, "new"], [12, "new"]]
    assert definitions(session) == before
    assert session.run("SELECT 'low'::regclass::oid") == oids
    assert left(session) == []


def test_partitions_by_hash_and_by_text_in_another_collation_are_replaced(session: Session) -> None:
    session.run(
        'CREATE TABLE t (a int, b text COLLATE "C") PARTITION BY HASH (b);'
        "CREATE TABLE even PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
        "CREATE TABLE odd PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 1);"
        "INSERT INTO t SELECT a, 'old ' || a FROM generate_series(1, 50) AS a"
    )
    before = definitions(session)
    rows = [(a, f"new {a}") for a in range(50)]
    assert len(load(session, REPLACE, rows).replaced) == 2
    assert rows_of(session) == [list(row) for row in rows]
    assert definitions(session) == before


def test_a_load_without_rows_replaces_nothing(session: Session) -> None:
    session.run(TENS)
    assert load(session, REPLACE, []).replaced == ()
    assert rows_of(session) == OLD
    assert left(session) == []


RICH = """
CREATE SCHEMA elsewhere;
CREATE ROLE {role};
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE DOMAIN word AS text CHECK (VALUE <> '');
CREATE TABLE t (
    a int NOT NULL, gone int, b word, c int DEFAULT 7 CHECK (c > 0), d int GENERATED ALWAYS AS (c * 2) STORED,
    e bigint GENERATED BY DEFAULT AS IDENTITY (START 100), PRIMARY KEY (a) INCLUDE (c)
) PARTITION BY RANGE (a);
CREATE TABLE elsewhere."we ""ird" (
    e bigint NOT NULL, extra int, d int GENERATED ALWAYS AS (c * 2) STORED, c int DEFAULT 8, b word, a int NOT NULL,
    CHECK (c > 0), CONSTRAINT own CHECK (b <> 'it''s'), UNIQUE (e) DEFERRABLE INITIALLY DEFERRED
) WITH (fillfactor = 70, toast.autovacuum_enabled = false);
ALTER TABLE t DROP COLUMN gone; ALTER TABLE elsewhere."we ""ird" DROP COLUMN extra;
ALTER TABLE t ADD f serial;
CREATE SEQUENCE elsewhere.numbers;
ALTER TABLE elsewhere."we ""ird" ADD f int NOT NULL DEFAULT nextval('elsewhere.numbers');
ALTER SEQUENCE elsewhere.numbers OWNED BY elsewhere."we ""ird".f;
ALTER TABLE elsewhere."we ""ird" RENAME CONSTRAINT "we ""ird_c_check" TO t_c_check;
ALTER TABLE t ATTACH PARTITION elsewhere."we ""ird" FOR VALUES FROM (0) TO (10);
CREATE INDEX by_b ON t (lower(b), c DESC NULLS LAST) WITH (fillfactor = 60) WHERE c > 1;
CREATE INDEX "own index" ON elsewhere."we ""ird" USING brin (c);
CREATE TABLE other PARTITION OF t DEFAULT;
CREATE TRIGGER touched BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE elsewhere."we ""ird" ADD EXCLUDE USING gist (int4range(a, a, '[]') WITH &&);
CREATE STATISTICS elsewhere."stat ""s" (ndistinct, mcv) ON a, c FROM elsewhere."we ""ird";
CREATE STATISTICS of_expression ON (lower(b)) FROM elsewhere."we ""ird";
ALTER STATISTICS elsewhere."stat ""s" SET STATISTICS 5;
COMMENT ON STATISTICS of_expression IS 'of statistics';
ALTER TABLE elsewhere."we ""ird" ALTER c SET STATISTICS 17;
ALTER TABLE elsewhere."we ""ird" ALTER c SET (n_distinct = 5);
ALTER TABLE elsewhere."we ""ird" CLUSTER ON "we ""ird_pkey";
ALTER TABLE elsewhere."we ""ird" REPLICA IDENTITY USING INDEX "we ""ird_pkey";
ALTER TABLE elsewhere."we ""ird" ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE elsewhere."we ""ird" IS 'it''s \\ a comment';
COMMENT ON COLUMN elsewhere."we ""ird".c IS 'of a column';
COMMENT ON INDEX elsewhere."own index" IS 'of an index';
COMMENT ON CONSTRAINT own ON elsewhere."we ""ird" IS 'of a check';
COMMENT ON CONSTRAINT "we ""ird_pkey" ON elsewhere."we ""ird" IS 'of a key';
GRANT SELECT ON elsewhere."we ""ird" TO PUBLIC;
GRANT INSERT, UPDATE (c) ON elsewhere."we ""ird" TO {role} WITH GRANT OPTION;
GRANT {role} TO CURRENT_USER;
GRANT ALL ON SCHEMA elsewhere TO {role};
ALTER DEFAULT PRIVILEGES IN SCHEMA elsewhere GRANT DELETE ON TABLES TO PUBLIC;
ALTER STATISTICS elsewhere."stat ""s" OWNER TO {role};
ALTER TABLE elsewhere."we ""ird" OWNER TO {role};
INSERT INTO t (a, b) SELECT a, 'old' FROM generate_series(0, 19) AS a
"""

DESCRIBED = """
SELECT c.relhastriggers, c.relreplident::text, col_description(c.oid, (SELECT attnum FROM pg_attribute
    WHERE attrelid = c.oid AND attname = 'c')), (SELECT reloptions FROM pg_class WHERE oid = c.reltoastrelid),
    ARRAY(SELECT tgname::text FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal),
    ARRAY(SELECT i.relname || ' of ' || p.relname FROM pg_inherits JOIN pg_class i ON i.oid = inhrelid
        JOIN pg_class p ON p.oid = inhparent JOIN pg_index x ON x.indexrelid = i.oid WHERE x.indrelid = c.oid
        ORDER BY 1)
FROM pg_class c WHERE relname = 'we "ird'
"""


def test_all_else_that_a_partition_is_remains(session: Session, database: Settings) -> None:
    role = f"owner_{database.dbname}"
    session.run(RICH.format(role=role))
    try:
        before, described = definitions(session), session.run(DESCRIBED)
        [other] = [one for one in before.values() if one.partition.name.name == 'we "ird']
        assert (len(other.indexes), len(other.checks), len(other.sequences), len(other.tuned)) == (5, 2, 1, 1)
        assert [one.name.name for one in other.statistics] == ['stat "s', "of_expression"]
        session.run("SET DateStyle = 'SQL, DMY'")
        published = load(session, REPLACE, [(a, f"new {a}") for a in range(5)])
        assert [str(table) for table in published.replaced] == ['elsewhere."we ""ird"']
        assert definitions(session) == before
        assert session.run(DESCRIBED) == described
        assert session.run("SELECT a, b, c, d, e FROM t WHERE a < 10 ORDER BY a") == [
            [a, f"new {a}", 7, 14, 120 + a] for a in range(5)
        ]
        assert session.run("SELECT count(*) FROM pg_stats WHERE tablename = 'we \"ird'") != [[0]]
        assert left(session) == []
    finally:
        session.run(f'ALTER TABLE elsewhere."we ""ird" OWNER TO CURRENT_USER; DROP OWNED BY {role}; DROP ROLE {role}')


def test_an_unlogged_partition_and_tablespaces_remain_what_they_are(session: Session, database: Settings) -> None:
    if session.value("SELECT current_setting('server_version_num')::int") < 150000:
        pytest.skip("a tablespace without a folder of its own needs PostgreSQL 15")
    space = f"space_{database.dbname}"
    session.run("SET allow_in_place_tablespaces = on")
    session.run(f"CREATE TABLESPACE {space} LOCATION ''")
    try:
        session.run(
            f"{TENS} ALTER TABLE high SET UNLOGGED; ALTER TABLE high SET TABLESPACE {space};"
            f"CREATE UNIQUE INDEX i ON high (a) TABLESPACE {space}; CREATE INDEX j ON high (b)"
        )
        where = (
            "SELECT relname, relpersistence::text, spcname FROM pg_class c LEFT JOIN pg_tablespace s "
            "ON s.oid = reltablespace WHERE relname IN ('high', 'i', 'j') ORDER BY 1"
        )
        before = session.run(where)
        load(session, REPLACE, [(12, "new")])
        assert session.run(where) == before == [["high", "u", space], ["i", "u", space], ["j", "u", None]]
    finally:
        session.run("DROP TABLE IF EXISTS t")
        session.run(f"DROP TABLESPACE {space}")


IN_THE_WAY: dict[str, tuple[str, str]] = {
    "a foreign key of the table": (
        "CREATE TABLE o (a int PRIMARY KEY); ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES o",
        "foreign key t_a_fkey",
    ),
    "a foreign key to it": (
        "ALTER TABLE t ADD PRIMARY KEY (a); CREATE TABLE o (a int REFERENCES t)",
        "foreign key o_a_fkey of o",
    ),
    "a foreign key to the partition": (
        "ALTER TABLE high ADD PRIMARY KEY (a); CREATE TABLE o (a int REFERENCES high)",
        "foreign key o_a_fkey of o",
    ),
    "a trigger": ("CREATE TRIGGER g AFTER INSERT ON t EXECUTE FUNCTION f()", "trigger g, which would not fire"),
    "a trigger for each row": (
        "CREATE TRIGGER g BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION f()",
        "trigger g, which",
    ),
    "a trigger of the partition": (
        "CREATE TRIGGER g AFTER UPDATE ON high EXECUTE FUNCTION f()",
        "trigger g of its own",
    ),
    "a trigger that is off there": (
        "CREATE TRIGGER g AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f(); ALTER TABLE high DISABLE TRIGGER g",
        "trigger g of its own",
    ),
    "a trigger of a table above": (
        (
            "CREATE TABLE g (LIKE t) PARTITION BY LIST (b); CREATE TRIGGER g AFTER INSERT ON g FOR EACH ROW "
            "EXECUTE FUNCTION f(); ALTER TABLE g ATTACH PARTITION t DEFAULT"
        ),
        "trigger g, which",
    ),
    "a rule": ("CREATE RULE g AS ON INSERT TO t DO ALSO NOTHING", "rule g"),
    "a rule of the partition": ("CREATE RULE g AS ON DELETE TO high DO ALSO NOTHING", "rule g"),
    "a view": ("CREATE VIEW v AS SELECT * FROM high", "view v"),
    "a materialized view": ("CREATE MATERIALIZED VIEW v AS SELECT a FROM high", "view v"),
    "a function of its rows": ("CREATE FUNCTION h(high) RETURNS int LANGUAGE sql AS 'SELECT 1'", "function h"),
    "a table of its rows": ("CREATE TABLE v (r high[])", "column r of table v"),
    "a policy": ("CREATE POLICY g ON high USING (true)", "policy g"),
    "a publication": ("CREATE PUBLICATION g FOR TABLE high", "publication g"),
    "an index that it lacks": ("CREATE INDEX g ON ONLY t (b)", "index g of the table"),
    "a partition below": (
        "DROP TABLE high; CREATE TABLE high PARTITION OF t FOR VALUES FROM (10) TO (20) PARTITION BY LIST (a)",
        "is partitioned itself",
    ),
    "rows of the DEFAULT partition": (
        "DROP TABLE high; CREATE TABLE other PARTITION OF t DEFAULT; INSERT INTO t VALUES (15, 'stray')",
        r"other, the DEFAULT partition of public\.t, has 1 row that belongs to new partitions: public\.t_10",
    ),
    "a partition that is not regular": (
        "DROP TABLE high; CREATE TABLE high PARTITION OF t FOR VALUES FROM (13) TO (14)",
        "the bounds of its partitions are not regular",
    ),
}


@pytest.mark.parametrize("what", IN_THE_WAY)
def test_what_would_be_lost_is_named_and_nothing_is_loaded(session: Session, what: str) -> None:
    sql, message = IN_THE_WAY[what]
    session.run("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';" + TENS)
    session.run("DELETE FROM t" if "REFERENCES o" in sql else "SELECT")
    session.run(sql)
    before = rows_of(session)
    with pytest.raises(LoadError, match=message):
        load(session, REPLACE, [(12, "new"), (11, "new")])
    assert rows_of(session) == before
    assert left(session) == []


@pytest.mark.parametrize("sql", ["SELECT", "CREATE TABLE other PARTITION OF t DEFAULT"])
def test_rows_without_a_partition_are_refused_if_none_is_to_be_created(session: Session, sql: str) -> None:
    session.run(f"{TENS} DROP TABLE high; {sql}")
    with pytest.raises(LoadError, match=r"2 rows, with 2 different values of \(a\), belong to no partition"):
        load(session, replace(REPLACE, new_partitions="no"), [(12, "new"), (11, "new")])
    assert rows_of(session) == OLD[:10]
    assert left(session) == []


def test_an_identity_of_the_partition_is_named(session: Session) -> None:
    if session.value("SELECT current_setting('server_version_num')::int") >= 170000:
        pytest.skip("since PostgreSQL 17, partitions have the identity of their table")
    session.run(
        "CREATE TABLE t (a int NOT NULL, b text) PARTITION BY RANGE (a);"
        "CREATE TABLE high (a int GENERATED ALWAYS AS IDENTITY, b text);"
        "ALTER TABLE t ATTACH PARTITION high FOR VALUES FROM (10) TO (20)"
    )
    with pytest.raises(LoadError, match="identity of its column a"):
        load(session, REPLACE, [(12, "new")])


def test_a_partition_that_a_subscription_writes_is_named(session: Session) -> None:
    """Its successor would get no more changes: a subscription knows tables by their oids."""
    session.run(TENS)
    session.run(
        "CREATE SUBSCRIPTION g CONNECTION 'dbname=none' PUBLICATION g "
        "WITH (connect = false, enabled = false, slot_name = NONE, create_slot = false)"
    )
    try:
        session.run("INSERT INTO pg_subscription_rel SELECT oid, 'high'::regclass, 'r' FROM pg_subscription")
        with pytest.raises(LoadError, match="subscription g"):
            load(session, REPLACE, [(12, "new")])
    finally:
        session.run("DROP SUBSCRIPTION g")


@pytest.mark.parametrize("sql", ["CREATE TABLE t (a int, b text)", "CREATE VIEW t AS SELECT 1 AS a, '' AS b"])
def test_a_table_without_partitions_is_refused(session: Session, sql: str) -> None:
    session.run(sql)
    with pytest.raises(UsageError, match="needs a partitioned table"):
        load(session, REPLACE, [(12, "new")])


def test_a_foreign_partition_or_one_with_a_view_is_no_matter_if_no_row_goes_there(session: Session) -> None:
    session.run(TENS + "CREATE VIEW v AS SELECT * FROM low;")
    load(session, REPLACE, [(12, "new")])
    assert rows_of(session) == [*OLD[:10], [12, "new"]]


def test_rows_that_repeat_a_key_are_refused_by_the_name_of_the_index(session: Session) -> None:
    session.run(TENS + "CREATE UNIQUE INDEX once ON t (a)")
    with pytest.raises(ConstraintViolated, match=r"Rows for public\.high violate its index high_a_idx"):
        load(session, REPLACE, [(12, "new"), (12, "new")])
    assert rows_of(session) == OLD


MEANWHILE = {
    "detached": ("ALTER TABLE t DETACH PARTITION high", LoadError, "were detached or dropped"),
    "given other bounds": (
        "DROP TABLE high; CREATE TABLE high PARTITION OF t FOR VALUES FROM (10) TO (21)",
        LoadError,
        "were detached or dropped",
    ),
    "altered": ("ALTER TABLE t ADD c int", LoadError, "columns of public.high were changed"),
    "stored otherwise": (
        "ALTER TABLE high SET UNLOGGED; ALTER TABLE high SET (fillfactor = 50), ALTER b SET STORAGE MAIN",
        LoadError,
        "high was changed while rows were copied: column b, option fillfactor, storage",
    ),
    "constrained": ("ALTER TABLE t ADD CHECK (b = 'old')", JobError, "check constraint"),
}


@pytest.mark.parametrize("what", MEANWHILE)
def test_a_table_that_others_change_while_rows_are_copied_is_left_alone(session: Session, what: str) -> None:
    sql, error, message = MEANWHILE[what]
    session.run(TENS)
    with pytest.raises(error, match=message):
        load(session, REPLACE, [(12, "new")], meanwhile=run(session, sql))
    assert session.run("SELECT count(*) FROM t WHERE b = 'new'") == [[0]]
    assert left(session) == []


def test_of_two_loads_at_once_of_the_same_partition_the_later_one_replaces_the_rows_of_the_earlier(
    session: Session, database: Settings
) -> None:
    session.run(TENS)

    def meanwhile() -> None:
        with connect(database, "other") as other:
            load(other, REPLACE, [(11, "earlier"), (13, "earlier")])

    load(session, REPLACE, [(12, "later")], meanwhile=meanwhile)
    assert rows_of(session) == [*OLD[:10], [12, "later"]]
    assert left(session) == []


def test_a_load_that_waits_for_its_turn_keeps_no_lock_for_which_the_other_one_waits(
    session: Session, database: Settings
) -> None:
    session.run(TENS)
    with connect(database, "other") as other, ThreadPoolExecutor(1) as pool:
        with other.transaction(lock_timeout="5s"):
            locks.wait_in_transaction(other, locks.publish(T))
            loading = pool.submit(load, session, REPLACE, [(12, "new")])
            while other.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") == 0:
                time.sleep(0.01)
            other.run("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        assert loading.result().inserted == 1


def test_an_index_and_a_grant_that_are_made_while_rows_are_copied_are_there(session: Session) -> None:
    session.run(TENS)
    load(
        session,
        REPLACE,
        [(12, "new")],
        meanwhile=run(session, "CREATE INDEX i ON t (b); GRANT SELECT ON high TO PUBLIC"),
    )
    assert session.run(
        "SELECT relname FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE indrelid = 'high'::regclass"
    ) == [["high_b_idx"]]
    assert session.run("SELECT has_table_privilege('public', 'high', 'SELECT')") == [[True]]


def test_a_script_may_set_another_time_zone(session: Session) -> None:
    session.run(
        "CREATE TABLE t (a timestamptz, b text) PARTITION BY RANGE (a);"
        "CREATE TABLE day PARTITION OF t FOR VALUES FROM ('2026-11-22 00:00Z') TO ('2026-11-23 00:00Z');"
        "INSERT INTO t VALUES ('2026-11-22 01:00Z', 'old')"
    )
    load(session, REPLACE, [("2026-11-22 10:00Z", "new")], before="SET LOCAL TimeZone = 'Asia/Tokyo'")
    assert session.run("SELECT b FROM t") == [["new"]]


def test_a_partition_whose_detach_is_pending_is_named(session: Session, database: Settings) -> None:
    session.run(TENS)
    with connect(database, "reader") as reader, reader.transaction():
        reader.run("SELECT FROM t")
        session.run("SET lock_timeout = 50")
        with pytest.raises(TransientError):
            session.run("ALTER TABLE t DETACH PARTITION low CONCURRENTLY")
    with pytest.raises(LoadError, match="partition low, whose DETACH is pending"):
        load(session, REPLACE, [(12, "new")])


def test_a_table_whose_policies_bind_the_user_is_refused(session: Session, database: Settings) -> None:
    role = f"bound_{database.dbname}"
    session.run(
        f"{TENS} ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY; CREATE ROLE {role}"
    )
    try:
        session.run(f"ALTER TABLE t OWNER TO {role}; SET ROLE {role}")
        with pytest.raises(LoadError, match="row-level security, whose policies bind this user"):
            check_target(session, T)
        session.run(f"RESET ROLE; ALTER TABLE t OWNER TO CURRENT_USER; SET ROLE {role}")
        with pytest.raises(LoadError, match=r"In the way: owner .*, a role of which this user is not a member"):
            check_target(session, T)
    finally:
        session.run(f"RESET ROLE; DROP ROLE {role}")


def test_what_a_script_alters_in_a_partition_is_not_lost(session: Session) -> None:
    session.run(TENS)
    with pytest.raises(TransientError, match="was changed while the table that replaces it"):
        load(session, REPLACE, [(12, "new")], before="COMMENT ON TABLE high IS 'new'")
    assert rows_of(session) == OLD


def test_rows_of_attempts_that_do_not_count_are_gone_before_a_unique_index_is_built(session: Session) -> None:
    session.run(TENS + "ALTER TABLE t ADD PRIMARY KEY (a)")
    names = staging.plan_staging(T, AB)
    staged.create(session, names, T)
    attempt(session, names, 0, 0, 11, 12)
    receipts = (attempt(session, names, 0, 1, 11, 12), attempt(session, names, 1, 2, 13))
    assert publish(session, PublishPlan("x", T, names, receipts, REPLACE, is_new=False)).inserted == 3
    assert rows_of(session) == [*OLD[:10], *([a, "x"] for a in (11, 12, 13))]


def test_a_driver_that_dies_while_indexes_are_built_leaves_nothing_after_a_sweep(
    session: Session, database: Settings
) -> None:
    session.run(TENS + "CREATE INDEX ON t (b)")
    with connect(database, "driver") as driver:
        names = staging.plan_staging(T, AB)
        staged.create(driver, names, T)
        attempt(driver, names, 0, 0, 11)
        driver.run("BEGIN")
        [built] = build(driver, names, T, 1)
        assert driver.run("SELECT count(*) FROM pg_index WHERE indrelid = to_regclass(%s)", built.table.quoted) == [[1]]
    sweep(session)
    assert left(session) == []
    assert rows_of(session) == OLD


@pytest.mark.parametrize("key", KEYS)
def test_while_the_table_is_locked_no_row_is_read_and_no_index_is_built(session: Session, key: str) -> None:
    by, low, high = KEYS[key]
    session.run(
        f"CREATE TABLE t (a int NOT NULL, b text) PARTITION BY {by}; CREATE INDEX ON t (b);"
        "CREATE INDEX ON t ((a + 1));"
        f"CREATE TABLE low PARTITION OF t FOR VALUES {low}; CREATE TABLE high PARTITION OF t FOR VALUES {high}"
    )
    names = staging.plan_staging(T, AB)
    staged.create(session, names, T)
    attempt(session, names, 0, 0, *range(20))
    work = (
        "SELECT pg_stat_get_xact_numscans(%s::oid), array_agg(pg_relation_filenode(indexrelid) ORDER BY 1) "
        "FROM pg_index WHERE indrelid = %s::oid"
    )
    with session.transaction():
        built = build(session, names, T, 20)
        oids = [session.value("SELECT to_regclass(%s)::oid", one.table.quoted) for one in built]
        done = [session.run(work, oid, oid) for oid in oids]
        swap(session, T, built, None)
        assert [session.run(work, oid, oid) for oid in oids] == done
    assert len(done) == 2
    staging.discard(session, names)


def test_readers_who_poll_throughout_see_old_rows_or_new_ones(session: Session, database: Settings) -> None:
    """Also those who name the partition itself."""
    session.run(TENS + "UPDATE t SET b = '0'; CREATE INDEX ON t (a)")
    with (
        polling(database, "t") as of_table,
        polling(database, "high") as of_partition,
        polling(database, "t", prepared=True) as prepared,
    ):
        for value in range(1, 9):
            load(session, REPLACE, [(a, value) for a in range(10, 20)])
            for look in (of_table, of_partition, prepared):
                look()


@contextmanager
def polling(database: Settings, table: str, *, prepared: bool = False) -> Iterator[Callable[[], None]]:
    """While the block runs, a reader sees ten rows in a partition, all of one load, which is never an earlier one.

    Gives a function that waits until he has looked once more, from beginning to end.
    """
    query = f"SELECT count(*), min(b::int), max(b::int) FROM {table} WHERE a >= 10"
    ended, seen = threading.Event(), []

    def poll() -> None:
        with connect(database, "reader") as reader:
            reader.run(f"PREPARE polled AS {query}" if prepared else "SELECT")
            while not ended.is_set():
                seen.extend(reader.run("EXECUTE polled" if prepared else query))

    def look() -> None:
        looks = len(seen)
        while len(seen) < looks + 2:  # the second one began after this
            assert reader.is_alive()
            time.sleep(0.002)

    reader = threading.Thread(target=poll)
    reader.start()
    try:
        look()
        yield look
    finally:
        ended.set()
        reader.join()
    assert {(count, first == last) for count, first, last in seen} == {(10, True)}
    assert [first for _, first, _ in seen] == sorted(first for _, first, _ in seen)
    assert {first for _, first, _ in seen} == set(range(9))


def test_while_a_reader_keeps_the_table_others_can_read_it_and_then_it_is_replaced(
    session: Session, database: Settings
) -> None:
    session.run(TENS)
    with (
        connect(database, "reader") as reader,
        connect(database, "other") as other,
        loading(session, "SET idle_in_transaction_session_timeout = 100") as begin,
        reader.transaction(),
    ):
        reader.run("SELECT FROM t")
        loaded = begin()
        await_lock(other, "t")
        other.run("SET lock_timeout = '60s'")
        assert other.run("SELECT count(*) FROM t") == [[20]]
        assert not loaded.done()
    assert rows_of(session) == [*OLD[:10], [12, "new"]]


def test_a_sequence_that_the_partition_gets_while_the_swap_is_tried_is_not_dropped(
    session: Session, database: Settings
) -> None:
    session.run(TENS)
    with (
        connect(database, "reader") as reader,
        connect(database, "other") as other,
        ThreadPoolExecutor(1) as pool,
        reader.transaction(),
    ):
        reader.run("SELECT FROM t")
        loading = pool.submit(load, session, REPLACE, [(12, "new")])
        await_lock(other, "t")
        other.run("CREATE SEQUENCE numbers OWNED BY high.a")
        reader.run("COMMIT")
        with pytest.raises(TransientError, match="A partition was changed"):
            loading.result()
    assert session.run("SELECT to_regclass('numbers')::text") == [["numbers"]]


def test_a_reader_of_a_partition_who_goes_on_to_the_table_is_not_ended(session: Session, database: Settings) -> None:
    session.run(TENS)
    by_default = session.value("SELECT boot_val::int FROM pg_settings WHERE name = 'deadlock_timeout'")
    assert by_default / 1000 > LOCK_WAIT, "so a load gives up before the server looks for a deadlock"
    with (
        connect(database, "reader") as reader,
        connect(database, "other") as other,
        loading(session) as begin,
        reader.transaction(deadlock_timeout="10min"),
    ):
        reader.run("SELECT FROM high")
        begin()
        await_lock(other, "high")
        assert reader.run("SELECT count(*) FROM t") == [[20]]
    assert rows_of(session) == [*OLD[:10], [12, "new"]]


def test_what_vacuums_a_partition_is_waited_for_and_readers_go_on(session: Session, database: Settings) -> None:
    """Also an autovacuum, which the server ends only for those who wait as long as deadlock_timeout."""
    session.run(TENS)
    with (
        connect(database, "vacuum") as vacuum,
        connect(database, "other") as other,
        loading(session) as begin,
        vacuum.transaction(),
    ):
        vacuum.run("LOCK TABLE high IN SHARE UPDATE EXCLUSIVE MODE")
        begin()
        await_lock(other, "high", "ShareUpdateExclusiveLock")
        time.sleep(2 * LOCK_WAIT)
        assert other.run("SELECT count(*) FROM pg_locks WHERE NOT granted") == [[1]]
        with other.transaction(lock_timeout="1ms"):
            assert other.run("SELECT count(*) FROM t") == [[20]]
    assert rows_of(session) == [*OLD[:10], [12, "new"]]


def test_a_lock_that_is_not_granted_in_time_is_told_with_who_has_it(session: Session, database: Settings) -> None:
    session.run(TENS)
    with connect(database, "the reader") as reader, reader.transaction():
        reader.run("SELECT FROM t")
        with pytest.raises(TransientError, match=r"held by session .* application 'the reader'"):
            load(session, REPLACE, [(12, "new")], lock_timeout=1)
    assert rows_of(session) == OLD
    assert left(session) == []


@contextmanager
def loading(session: Session, before_publish: str = "SELECT 1") -> Iterator[Callable[[], Future[Published]]]:
    """Gives a function that begins a load, which has to end after the block."""
    begun: list[Future[Published]] = []
    with ThreadPoolExecutor(1) as pool:

        def begin() -> Future[Published]:
            begun.append(pool.submit(load, session, REPLACE, [(12, "new")], meanwhile=run(session, before_publish)))
            return begun[0]

        yield begin
    assert begun[0].result().inserted == 1


def await_lock(other: Session, table: str, mode: str = "AccessExclusiveLock") -> None:
    """Wait until the load waits for a table's lock."""
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = to_regclass(%s) AND mode = %s"
    deadline = time.monotonic() + 120
    while other.value(waiting, table, mode) == 0:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def run(session: Session, sql: str) -> Callable[[], None]:
    def action() -> None:
        session.run(sql)

    return action
