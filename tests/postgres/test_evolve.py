"""A table gets the columns and the wider types of the data, when the load is published, or else says why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest
from columns_only import Columns
from publishing import T
from pyspark.sql import types as t

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import JobError, LoadError, TransientError, UsageError
from jobs.dbaccess.load import scripts, staging
from jobs.dbaccess.load.copying import parts
from jobs.dbaccess.load.copying.parts import Counted
from jobs.dbaccess.load.copying.receipts import Receipt
from jobs.dbaccess.load.definitions.alterations import ADD_COLUMNS, STRICT, WIDEN
from jobs.dbaccess.load.move.changes import Changes, History
from jobs.dbaccess.load.move.modes import APPEND, Move
from jobs.dbaccess.load.publish import publish
from jobs.dbaccess.load.publish_plan import Published
from jobs.dbaccess.postgres_connectivity import connect, connect_pinned
from jobs.dbaccess.session import Session
from jobs.flows.load.defined import Defined
from jobs.flows.load.dry_run.foresee import foresee
from jobs.flows.load.job import LoadJob
from jobs.flows.load.targets.settle import find_table, settle_target
from jobs.flows.load.targets.target import Target

IDS = count()


def data(**kinds: t.DataType) -> t.StructType:
    return t.StructType([t.StructField(name, kind) for name, kind in kinds.items()])


LONG, STRING = t.LongType(), t.StringType()
ABC = data(a=LONG, b=STRING, c=STRING)


def settle(session: Session, schema: t.StructType, mode: str = WIDEN, move: Move = APPEND, **types: str) -> Target:
    defined = replace(Defined.of(types, None), schema_mode=mode)
    return settle_target(session, T, find_table(session, T, create=True), schema, move, defined=defined)


def load(
    session: Session,
    target: Target,
    *rows: str,
    meanwhile: Callable[[], object] = lambda: None,
    lock_timeout: int | None = None,
    after: str | None = None,
) -> Published:
    """Stage rows, whose values a blank separates, and publish them."""
    names = staging.plan_staging(target.name, target.columns, extras=target.not_yet)
    staging.create(session, names, target.name)
    lines = "".join(row.replace(" ", "\t") + "\n" for row in rows)
    parts.begin_attempt(session, names, 0, 0)
    parts.copy_part(session, names, 0, 0, [Counted(lines.encode(), len(rows))])
    meanwhile()
    plan = replace(target.plan(f"load {next(IDS)}", names, (Receipt(0, 0),)), lock_timeout=lock_timeout)
    try:
        return publish(session, replace(plan, scripts=scripts.parse(None, after)))
    except BaseException:
        staging.discard(session, names)
        raise


def types_of(session: Session, table: str = "t") -> dict[str, str]:
    rows = session.run(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
        f"WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
    )
    return {str(name): str(type_name) for name, type_name in rows}


def changed(published: Published) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return published.columns_added, published.columns_widened


def test_columns_are_added_and_types_are_widened_once(session: Session, database: Settings) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b varchar(3), n numeric(6,2), r real, d date)")
    session.run("INSERT INTO t VALUES (1, 'old', 1234.56, 0.5, '2026-11-20')")
    schema = data(
        a=LONG, b=STRING, n=t.DecimalType(12, 4), r=t.DoubleType(), note=STRING, tags=t.ArrayType(t.IntegerType())
    )
    with connect_pinned(database, "load") as loader:
        target = settle(loader, schema)
        assert types_of(session)["a"] == "integer"
        assert changed(load(loader, target, "3000000000 longer 12345678.1234 0.1 new {1,2}")) == (
            ("note", "tags"),
            ("a", "b", "n", "r"),
        )
        again = settle(loader, schema)
        assert not again.alterations
        assert changed(load(loader, again, "5 \\N 1 1 \\N \\N")) == ((), ())
    assert types_of(session) == {
        "a": "bigint",
        "b": "text",
        "n": "numeric(12,4)",
        "r": "double precision",
        "d": "date",
        "note": "text",
        "tags": "integer[]",
    }
    assert session.run("SELECT a, b, n::text, r, d::text, note, tags FROM t WHERE a <> 5 ORDER BY a") == [
        [1, "old", "1234.5600", 0.5, "2026-11-20", None, None],
        [3_000_000_000, "longer", "12345678.1234", 0.1, None, "new", [1, 2]],
    ]


def test_each_mode_changes_what_its_name_says(session: Session) -> None:
    session.run("CREATE TABLE t (a int, b text)")
    with pytest.raises(UsageError, match="'c' is not a column of the table"):
        settle(session, ABC, STRICT)
    target = settle(session, ABC, ADD_COLUMNS)
    assert target.alterations.names_added == ("c",)
    assert target.alterations.names_widened == ()
    assert settle(session, ABC, WIDEN).alterations.names_widened == ("a",)
    assert not settle(session, data(a=t.ShortType(), B=STRING)).alterations


def test_a_column_that_is_widened_keeps_its_collation(session: Session) -> None:
    session.run("CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    session.run('CREATE TABLE t (a varchar(3) COLLATE any_case PRIMARY KEY, b varchar(3) COLLATE "C")')
    session.run("INSERT INTO t VALUES ('abc', 'x')")
    load(session, settle(session, data(a=STRING, b=STRING), move=Move("upsert", (), ("a",))), "ABC longer")
    assert session.run("SELECT a, b FROM t") == [["abc", "longer"]]
    collations = (
        "SELECT collation_name::text FROM information_schema.columns WHERE table_name = 't' ORDER BY column_name"
    )
    assert session.run(collations) == [["any_case"], ["C"]]


def test_a_column_that_is_widened_is_stored_and_compressed_as_before_in_each_table(session: Session) -> None:
    session.run("CREATE TABLE t (a varchar(3), n numeric(5,2)); CREATE TABLE child () INHERITS (t)")
    session.run("ALTER TABLE t ALTER a SET STORAGE EXTERNAL, ALTER a SET COMPRESSION pglz, ALTER a SET STATISTICS 77")
    session.run("ALTER TABLE child ALTER a SET STORAGE MAIN, ALTER a SET COMPRESSION pglz, ALTER n SET STORAGE PLAIN")
    settings = (
        "SELECT attrelid::regclass::text, attname, attstorage::text, attcompression::text, "
        "coalesce(attstattarget, -1)::int FROM pg_attribute "
        "WHERE attrelid IN ('t'::regclass, 'child'::regclass) AND attnum > 0 ORDER BY 1, 2"
    )
    before = session.run(settings)
    assert [row[2:] for row in before] == [["m", "p", 77], ["p", "", -1], ["e", "p", 77], ["m", "", -1]]
    target = settle(session, data(a=STRING, n=t.DecimalType(12, 2)))
    assert [text for text in target.alterations.statements(target.name) if "SET STORAGE EXTERNAL" in text] == [
        'ALTER TABLE ONLY "public"."t" ALTER COLUMN "a" SET STORAGE EXTERNAL, ALTER COLUMN "a" SET COMPRESSION pglz'
    ]
    load(session, target, "longer 1234567.5")
    assert types_of(session, "child") == {"a": "text", "n": "numeric(12,2)"}
    assert session.run(settings) == before


def test_a_column_that_is_added_may_be_defined_by_the_user(session: Session) -> None:
    session.run("CREATE TABLE t (a bigint, b text); INSERT INTO t VALUES (1, 'x')")
    load(session, settle(session, ABC, ADD_COLUMNS, C="varchar(9) DEFAULT 'before'"), "2 y z")
    assert types_of(session)["c"] == "character varying(9)"
    assert session.run("SELECT a, b, c FROM t ORDER BY a") == [[1, "x", "before"], [2, "y", "z"]]
    with pytest.raises(UsageError, match=r"d cannot be added to public\.t: it is NOT NULL with no default"):
        settle(session, data(a=LONG, d=STRING), ADD_COLUMNS, d="text NOT NULL")


MISSING = Changes(delete_when="c = 'gone'", delete_missing=True)
KEYED = "CREATE TABLE t (a int PRIMARY KEY, b text); INSERT INTO t VALUES (1, 'x'), (2, 'y')"
VERSIONED = (
    "CREATE TABLE t (a int, b text, valid_from timestamptz, valid_to timestamptz, is_current bool); "
    "CREATE UNIQUE INDEX ON t (a) WHERE is_current; INSERT INTO t VALUES (1, 'x', '2026-01-01', NULL, true)"
)


@pytest.mark.parametrize(
    ("table", "move"),
    [
        (KEYED, Move("overwrite", ())),
        (KEYED, Move("overwrite", (), strategy="truncate")),
        (KEYED, Move("overwrite", (), where="a > 0")),
        (KEYED, Move("overwrite", (), ("a",), strategy="diff")),
        (KEYED, Move("upsert", (), ("a",), skip_unchanged="yes")),
        (KEYED, Move("upsert", (), ("a",), skip_unchanged="no")),
        (KEYED, Move("upsert", (), ("a",), max_delete_share=1, changes=MISSING)),
        (KEYED.replace(" PRIMARY KEY", ""), Move("upsert", (), ("a",))),
        (KEYED, Move("ignore", (), ("a",))),
        (VERSIONED, Move("history", (), ("a",), history=History.of((), "2026-11-20T00:00:00Z"))),
    ],
)
def test_the_modes_load_columns_that_they_add(session: Session, table: str, move: Move) -> None:
    session.run(table)
    published = load(session, settle(session, ABC, move=move), "1 x new", "3000000000 z new")
    assert published.columns_widened == ("a",)
    assert published.columns_added == (() if move.changes.delete_when else ("c",))
    if published.columns_added:
        assert session.run("SELECT b, c FROM t WHERE a = 3000000000") == [["z", "new"]]
    assert session.run("SELECT count(*) FROM t WHERE a = 3000000000 AND b = 'z'") == [[1]]


def test_partitions_and_children_change_with_their_table(session: Session) -> None:
    session.run("CREATE TABLE t (k int, a int, b text) PARTITION BY RANGE (k)")
    session.run("CREATE TABLE part PARTITION OF t FOR VALUES FROM (0) TO (10)")
    load(session, settle(session, data(k=t.IntegerType(), a=LONG, c=STRING)), "1 3000000000 x")
    assert types_of(session, "part") == {"k": "integer", "a": "bigint", "b": "text", "c": "text"}
    session.run("DROP TABLE t; CREATE TABLE t (a int, b text); CREATE TABLE child () INHERITS (t)")
    load(session, settle(session, ABC), "3000000000 x y")
    assert types_of(session, "child") == {"a": "bigint", "b": "text", "c": "text"}


A = data(a=LONG)
_FOREIGN = (
    "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE FOREIGN TABLE t (a int) SERVER s"
)
_SEEN = (
    "CREATE TABLE t (k int, a int) PARTITION BY RANGE (k); CREATE TABLE p PARTITION OF t DEFAULT; "
    "CREATE VIEW seen AS SELECT a FROM p"
)
_TRIGGERED = (
    "CREATE TABLE t (a int); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; "
    "CREATE TRIGGER g AFTER UPDATE OF a ON t FOR EACH ROW EXECUTE FUNCTION f()"
)
_INDEXED = (
    "CREATE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1'; CREATE TABLE t (a int); "
    "CREATE INDEX ON t (f(a))"
)
REFUSED = {
    "view": ("CREATE TABLE s (a int); CREATE VIEW t AS SELECT a FROM s", ABC, "public.t is not a plain or partitioned"),
    "foreign table": (
        _FOREIGN,
        A,
        "public.t is not a plain or partitioned table",
    ),
    "partition": (
        "CREATE TABLE p (a int) PARTITION BY RANGE (a); CREATE TABLE t PARTITION OF p DEFAULT",
        data(c=STRING),
        "public.t is a partition, which has the columns of its parent",
    ),
    "type of a parent": (
        "CREATE TABLE p (k int, a int) PARTITION BY RANGE (k); CREATE TABLE t PARTITION OF p DEFAULT",
        A,
        "the parent of the table depends on it",
    ),
    "typed": ("CREATE TYPE y AS (a int); CREATE TABLE t OF y", A, "public.t is of a composite type"),
    "used by a view": (
        "CREATE TABLE t (a int); CREATE VIEW seen AS SELECT a FROM t; CREATE MATERIALIZED VIEW kept AS SELECT a FROM t",
        A,
        "a is integer, and the data needs bigint, but the materialized view kept and the view seen depends on it",
    ),
    "used by a view of a partition": (
        _SEEN,
        A,
        "the view seen depends on it",
    ),
    "generated": (
        "CREATE TABLE t (a int, g int GENERATED ALWAYS AS (a + 1) STORED)",
        A,
        r"the generated column g.* depends on it",
    ),
    "policy": ("CREATE TABLE t (a int); CREATE POLICY few ON t USING (a > 1)", A, "the policy few on table t depends"),
    "trigger": (
        _TRIGGERED,
        A,
        "the trigger g on table t depends on it",
    ),
    "partition key": (
        "CREATE TABLE t (a int) PARTITION BY RANGE (a)",
        A,
        "the partition key of t depends on it",
    ),
    "expression of a partition key": (
        "CREATE TABLE t (a int) PARTITION BY RANGE ((a + 1))",
        A,
        "the partition key of t depends on it",
    ),
    "row type": (
        "CREATE TABLE t (a int); CREATE TABLE u (r t)",
        A,
        "the column r of u, which stores rows of the table",
    ),
    "another parent of a child": (
        "CREATE TABLE t (a int); CREATE TABLE o (a int); CREATE TABLE child () INHERITS (t, o)",
        A,
        "another parent of child depends on it",
    ),
    "an index's expression": (
        _INDEXED,
        A,
        r"public\.t cannot have these types \(a becomes bigint.*function f\(bigint\) does not exist",
    ),
    "an index's operator class": (
        "CREATE TABLE t (a int); CREATE INDEX ON t USING brin (a int4_minmax_multi_ops)",
        A,
        'operator class "int4_minmax_multi_ops" does not accept data type bigint',
    ),
    "names alike": ("CREATE TABLE t (a int)", data(New=LONG, new=LONG), "differ in case alone: New, new"),
    "a column that a child has": (
        "CREATE TABLE t (a int); CREATE TABLE child (c int) INHERITS (t); CREATE TABLE below (d text) INHERITS (child)",
        data(a=t.IntegerType(), c=STRING, d=STRING),
        r"c, d cannot be added .*: c of public\.below, which is integer, and would be text; c of public\.child, ",
    ),
    "no type": ("CREATE TABLE t (a int)", data(n=t.NullType()), "cannot add columns to public.t: n is a void"),
    "a system column": ("CREATE TABLE t (a int)", data(xmin=LONG), 'column name "xmin" conflicts with a system column'),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_cannot_be_changed_is_refused_by_name_before_anything_is_copied(session: Session, why: str) -> None:
    setup, schema, told = REFUSED[why]
    session.run(setup)
    with pytest.raises(UsageError, match=told):
        settle(session, schema)


def test_only_the_owner_changes_columns(session: Session, database: Settings) -> None:
    role = f"{database.dbname}_reader"
    session.run(f'CREATE ROLE "{role}" LOGIN; CREATE TABLE t (a int); GRANT ALL ON t TO "{role}"')
    try:
        with connect(replace(database, user=role), "reader") as reader:
            with pytest.raises(UsageError, match=r"only its owner \w+ can change the columns of public\.t\."):
                settle(reader, A)
            assert not settle(reader, data(a=t.IntegerType())).alterations
    finally:
        session.run(f'DROP OWNED BY "{role}"; DROP ROLE "{role}"')


def test_text_that_a_view_uses_stays_as_it_is(session: Session, caplog: pytest.LogCaptureFixture) -> None:
    session.run("CREATE TABLE t (a int, b varchar(3)); CREATE VIEW seen AS SELECT b FROM t")
    target = settle(session, data(b=STRING, c=STRING))
    assert target.alterations.names_widened == ()
    assert "Some types of public.t are not widened: the view seen depends on b." in caplog.text
    load(session, target, "abc x")
    assert types_of(session) == {"a": "integer", "b": "character varying(3)", "c": "text"}


def test_a_key_must_be_in_the_table(session: Session) -> None:
    session.run("CREATE TABLE t (b text)")
    with pytest.raises(UsageError, match=r"public\.t has no a, which --keys names"):
        settle(session, ABC, move=Move("upsert", (), ("a",)))


def test_replaced_partitions_keep_their_columns(session: Session) -> None:
    session.run("CREATE TABLE t (a int, b text) PARTITION BY RANGE (a); CREATE TABLE p PARTITION OF t DEFAULT")
    told = (
        r'changes no columns of public\.t.*c is added \(text\)\. Change the table first: ALTER TABLE "public"\."t" ADD'
    )
    with pytest.raises(UsageError, match=told):
        settle(session, data(a=t.IntegerType(), c=STRING), move=Move("replace-partitions", ()))


def test_of_two_loads_that_add_the_same_column_the_second_one_finds_it(session: Session, database: Settings) -> None:
    session.run("CREATE TABLE t (a int, b text)")
    first, second = settle(session, ABC), settle(session, ABC)

    def other() -> None:
        with connect(database, "other") as session_of_other:
            load(session_of_other, first, "1 x y")

    assert changed(load(session, second, "2 x y", meanwhile=other)) == ((), ())
    assert session.run("SELECT a, c FROM t ORDER BY a") == [[1, "y"], [2, "y"]]


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("ALTER TABLE t ADD c int", "c has been added, as integer"),
        ('ALTER TABLE t ADD "C" text', "C has been added, as text"),
        ("ALTER TABLE t DROP a", "a is gone"),
        ("ALTER TABLE t ALTER a TYPE numeric", "a is numeric"),
        ("ALTER TABLE t RENAME TO u", r"There is no public\.t any more"),
    ],
)
def test_columns_that_somebody_changes_meanwhile_fail_the_load(session: Session, statement: str, told: str) -> None:
    session.run("CREATE TABLE t (a int, b text)")
    with pytest.raises(LoadError, match=told):
        load(session, settle(session, ABC), "1 x y", meanwhile=lambda: session.run(statement))
    assert session.run("SELECT count(*) FROM table_updates") == [[0]]


def test_a_load_that_fails_changes_no_column(session: Session) -> None:
    session.run("CREATE TABLE t (a int, b text)")
    with pytest.raises(JobError, match="division by zero"):
        load(session, settle(session, ABC), "1 x y", after="SELECT 1/0")
    assert types_of(session) == {"a": "integer", "b": "text"}


def test_the_lock_is_waited_for_without_a_queue_and_not_for_ever(session: Session, database: Settings) -> None:
    session.run("CREATE TABLE t (a int, b text)")
    target = settle(session, ABC)
    with connect(database, "reader") as reader:
        with reader.transaction():
            reader.run("SELECT FROM t")
            with pytest.raises(TransientError, match=r"A lock on public\.t or its rows was not granted.*reader"):
                load(session, target, "1 x y", lock_timeout=1)
        assert types_of(session) == {"a": "integer", "b": "text"}
    load(session, target, "1 x y", lock_timeout=1)
    assert session.run("SHOW lock_timeout") == [["0"]]


def test_a_plan_tells_statements_locks_and_what_is_written_anew(session: Session, database: Settings) -> None:
    session.run("CREATE TABLE t (a int, b text); INSERT INTO t SELECT n, 'x' FROM generate_series(1, 3000) AS n")
    job = LoadJob(T, database, "one", defined=Defined(schema_mode=WIDEN))
    with connect_pinned(database, "plan") as planner:
        plan = foresee(planner, job, lambda: Columns(ABC))
    text = plan.summary()
    assert "The table changes: c is added (text), a becomes bigint (integer before)." in text
    assert 'ALTER TABLE "public"."t" ADD COLUMN IF NOT EXISTS "c" pg_catalog.text' in text
    assert "-- which writes the table and its indexes anew, 0.1 MB, while readers wait:" in text
    assert ("public.t", "ACCESS EXCLUSIVE") in {(lock.on, lock.mode) for step in plan.steps for lock in step.locks}
    assert types_of(session) == {"a": "integer", "b": "text"}
