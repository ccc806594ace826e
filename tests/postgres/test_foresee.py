"""The plan of a load: what it tells, what it refuses as the load would, and that it touches nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from columns_only import Columns
from pyspark.sql import types as t

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import LoadError, UsageError
from jobs.dbaccess.load.definitions.columns import Definition
from jobs.dbaccess.load.definitions.shape import parse_partition_by
from jobs.dbaccess.load.ledger import LUIGIS, Ledger
from jobs.dbaccess.load.move.changes import Changes
from jobs.dbaccess.load.move.modes import APPEND, Move
from jobs.dbaccess.load.rejects.policy import Policy
from jobs.dbaccess.postgres_connectivity import connect_pinned
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name
from jobs.flows.load.defined import Defined
from jobs.flows.load.dry_run.foresee import foresee
from jobs.flows.load.dry_run.plan import LoadPlan
from jobs.flows.load.job import LoadJob
from jobs.flows.load.stage import Copying

AB = t.StructType([t.StructField("A", t.IntegerType()), t.StructField("b", t.StringType())])
UPSERT = Move("upsert", (), ("a",))
DELETING = replace(UPSERT, changes=Changes(delete_missing=True))
UPDATING = replace(UPSERT, changes=Changes(update_when="target.b < source.b"))


def job(database: Settings, table: str = "t", move: Move = APPEND) -> LoadJob:
    return LoadJob(TableName.parse(table), database, "day 1", move)


def plan(wanted: LoadJob, schema: t.StructType = AB, parts: int = 8) -> LoadPlan:
    with connect_pinned(wanted.settings, "plan") as session:
        return foresee(session, wanted, lambda: Columns(schema, parts))


@pytest.fixture
def loader(session: Session, database: Settings) -> Iterator[Settings]:
    """The settings of a role that may do nothing."""
    name = f"{database.dbname}_loader"
    session.run(f"CREATE ROLE {quote_name(name)} LOGIN")
    yield replace(database, user=name)
    session.run(f"DROP OWNED BY {quote_name(name)}")
    session.run(f"DROP ROLE {quote_name(name)}")


def test_a_plan_tells_which_partitions_are_replaced_and_created(session: Session, database: Settings) -> None:
    session.run("CREATE TABLE t (a int, b text) PARTITION BY RANGE (a); CREATE INDEX ON t (b)")
    session.run("CREATE TABLE p0 PARTITION OF t FOR VALUES FROM (0) TO (10)")
    session.run("CREATE TABLE p10 PARTITION OF t FOR VALUES FROM (10) TO (20)")
    before = session.run(FINGERPRINT)
    asked = job(database, move=Move("replace-partitions", ()))
    planned = plan_of_keys(asked, [["12"], ["13"], ["20"]])
    said = [step.statement for step in planned.steps if step.phase == "publish"]
    builds = [text.partition(" INDEX ")[0] for text in said if text.startswith(("SET", "CREATE INDEX"))]
    assert builds[:2] == [
        "SET LOCAL maintenance_work_mem = '128MB'",
        "SET LOCAL max_parallel_maintenance_workers = 4",
    ]
    assert "CREATE" in builds[2:]
    assert [text for text in said if "DETACH" in text] == ['ALTER TABLE "public"."t" DETACH PARTITION "public"."p10"']
    assert any(text.startswith('CREATE TABLE "public"."p20" (LIKE') for text in said)
    assert sum("CREATE INDEX" in text for text in said) == 1
    locked = {(lock.on, lock.mode) for step in planned.steps for lock in step.locks}
    assert {("public.t", "ACCESS EXCLUSIVE"), ("public.p10", "ACCESS EXCLUSIVE")} <= locked
    assert ("public.t and its partitions (2)", "SHARE UPDATE EXCLUSIVE") in locked  # by ANALYZE
    assert session.run(FINGERPRINT) == before
    with pytest.raises(LoadError, match="1 different keys have no value"):
        plan_of_keys(asked, [["12"], [None]])
    with pytest.raises(LoadError, match=r"DEFAULT partition of public\.t, has 1 row"):
        session.run("CREATE TABLE other PARTITION OF t DEFAULT; INSERT INTO t VALUES (25, '')")
        plan_of_keys(asked, [["21"]])


def plan_of_keys(asked: LoadJob, values: list[list[str | None]]) -> LoadPlan:
    with connect_pinned(asked.settings, "plan") as planner:
        return foresee(planner, asked, lambda: Columns(AB, 8, values=values))


def test_no_wrong_plan_is_told_of_a_load_that_depends_on_the_table(session: Session, database: Settings) -> None:
    session.run("CREATE TABLE t (a int, b text) PARTITION BY RANGE ((a + 1))")
    with pytest.raises(UsageError, match="partitioned by an expression"):
        plan_of_keys(job(database, move=Move("replace-partitions", ())), [])
    with pytest.raises(UsageError, match="cannot list the steps of --publish parts"):
        plan(replace(job(database), publish="parts"))


FINGERPRINT = (
    "SELECT (SELECT md5(string_agg((oid, relname, relnatts, relpersistence)::text, '' ORDER BY oid)) FROM pg_class), "
    "(SELECT md5(string_agg(a::text, '' ORDER BY attrelid, attnum)) FROM pg_attribute a), "
    "(SELECT count(*) FROM table_updates), (SELECT count(*) FROM t)"
)


@pytest.mark.parametrize("move", [APPEND, Move("overwrite", ()), replace(Move("overwrite", ()), where="a < 3"), UPSERT])
def test_a_plan_touches_nothing(session: Session, database: Settings, move: Move) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text)")
    session.run("INSERT INTO t VALUES (1, 'x')")
    session.run("CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'DDL'; END$$")
    session.run("CREATE EVENT TRIGGER refuse ON ddl_command_start EXECUTE FUNCTION refuse()")
    before = session.run(FINGERPRINT)
    asked = replace(job(database, move=move), ledger=Ledger.parse("another_ledger"))
    assert plan(asked).steps
    assert plan(replace(asked, table=TableName("new"), move=APPEND)).is_new
    assert session.run(FINGERPRINT) == before
    session.run("DROP EVENT TRIGGER refuse")


def test_a_plan_waits_for_no_lock_of_a_writer_and_holds_up_none(session: Session, database: Settings) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text)")
    with session.transaction():
        session.run("LOCK TABLE t IN SHARE ROW EXCLUSIVE MODE")
        plan(replace(job(database, move=UPSERT), settings=replace(database, startup=(("lock_timeout", "1s"),))))


def test_columns_defined_by_the_user_are_tried_and_leave_nothing(session: Session, database: Settings) -> None:
    session.run("CREATE TABLE t (a int, b text)")
    before = session.run(FINGERPRINT)
    added = replace(job(database), defined=Defined((), (Definition("c", "int DEFAULT 1"),)))
    planned = plan(added)
    assert "ADD COLUMN IF NOT EXISTS" in planned.summary()
    assert planned.unfilled == ("c",)
    assert session.run(FINGERPRINT) == before
    wrong = replace(job(database, "new"), defined=Defined((Definition("b", "varchr(3)"),)))
    with pytest.raises(UsageError, match="varchr"):
        plan(wrong)


def test_the_columns_that_match_are_told_and_those_that_the_server_fills(session: Session, database: Settings) -> None:
    session.run("CREATE TABLE t (a bigint, b varchar(9), c int DEFAULT 1)")
    planned = plan(job(database))
    assert [(one.source, one.spark_type, one.column, one.type_name) for one in planned.columns] == [
        ("A", "int", "a", "bigint"),
        ("b", "string", "b", "character varying(9)"),
    ]
    assert planned.unfilled == ("c",)
    assert "The data does not have c:" in planned.summary()


def test_what_the_load_would_refuse_is_refused(session: Session, database: Settings) -> None:
    session.run("CREATE TABLE t (a int, b text, c int NOT NULL)")
    with pytest.raises(UsageError, match="'c' is missing"):
        plan(job(database))
    session.run("ALTER TABLE t DROP COLUMN c")
    with pytest.raises(LoadError, match="no unique index on exactly"):
        plan(job(database, move=replace(UPSERT, mode="ignore")))
    with pytest.raises(UsageError, match="--delete-when is not one boolean expression"):
        plan(job(database, move=replace(UPSERT, changes=Changes(delete_when="c = 'D'"))))
    session.run("ALTER TABLE t RENAME b TO day")
    with pytest.raises(UsageError, match=r"'b' is not a column of the table public\.t, and no condition uses it"):
        plan(job(database, move=replace(UPSERT, changes=Changes(delete_when="b'1' = b'0'"))))
    with pytest.raises(UsageError, match="whether b is to be a column of it cannot be known"):
        plan(job(database, "new", replace(UPSERT, changes=Changes(delete_when="b = 'D'"))))
    marking = Changes(delete_missing=True, soft_delete="gone")
    with pytest.raises(UsageError, match=r"The new table public\.new would have no column 'gone'"):
        plan(job(database, "new", replace(UPSERT, keys=("A",), changes=marking)))
    with pytest.raises(UsageError, match=r"There is no table public\.new"):
        plan(replace(job(database, "new"), create=False))
    with pytest.raises(UsageError, match="--overwrite-where is not one boolean expression"):
        plan(job(database, "new", replace(Move("overwrite", ()), where="nothing < 3")))


def test_a_load_that_was_done_reads_nothing(session: Session, database: Settings) -> None:
    session.run("CREATE TABLE t (a int, b text)")
    LUIGIS.record(session, "day 1", "public.t")
    with connect_pinned(database, "plan") as planning:
        planned = foresee(planning, job(database), lambda: pytest.fail("the input was read"))
    assert planned.already_loaded
    assert planned.summary().endswith("already loaded: a load of this id has finished, and another one does nothing")
    with pytest.raises(UsageError, match="is taken by a marker"):
        plan(job(database, "other"))


def test_connections_are_those_that_copy_at_once(session: Session, database: Settings) -> None:
    session.run("CREATE TABLE t (a int, b text)")
    few = plan(job(database), parts=2).connections
    assert (few.at_once, few.free < few.allowed) == (2, True)
    assert plan(job(database), parts=1000).connections.at_once == min(16, few.free // 2)
    assert plan(replace(job(database), copying=Copying(3)), parts=9).connections.at_once == 3


def test_privileges_that_are_missing_are_named_with_their_grants(
    session: Session, database: Settings, loader: Settings
) -> None:
    session.run("CREATE TABLE t (a int, b text)")
    with pytest.raises(LoadError, match=r"lacks CREATE on schema public, INSERT on public\.t") as caught:
        plan(replace(job(database), settings=loader))
    assert 'GRANT INSERT ON "public"."t" TO ...' in caught.value.hint


@pytest.mark.parametrize(
    ("move", "grants", "lacking"),
    [
        (APPEND, "INSERT (a, b)", ""),
        (APPEND, "INSERT (a)", 'lacks INSERT on public.t (b). Have them granted: GRANT INSERT ("b") ON'),
        (APPEND, "SELECT", "lacks INSERT on public.t. "),
        (UPSERT, "INSERT (a, b), UPDATE (b), SELECT", ""),
        (UPSERT, "INSERT (a, b), UPDATE (c), SELECT", "lacks UPDATE on public.t (b). Have them granted: GRANT UPDATE"),
        (UPSERT, "INSERT (a, b), UPDATE (b), SELECT (a, b)", "lacks SELECT on public.t. "),
        (DELETING, "INSERT (a, b), UPDATE (b), DELETE, SELECT", ""),
        (DELETING, "INSERT, UPDATE, SELECT", "lacks DELETE on public.t. "),
        (UPDATING, "INSERT (a, b), UPDATE, SELECT", ""),
        (UPDATING, "INSERT, UPDATE (b), SELECT", "lacks UPDATE on public.t. "),
        (Move("ignore", ()), "INSERT (a, b)", ""),
        (Move("ignore", (), ("a",)), "INSERT (a, b), SELECT (a)", ""),
        (Move("ignore", (), ("a",)), "INSERT (a, b)", "lacks SELECT on public.t (a). "),
        (Move("overwrite", (), ("a",), strategy="diff"), "INSERT, DELETE, SELECT", "lacks UPDATE on public.t. "),
    ],
)
def test_columns_may_be_granted_singly(
    session: Session, database: Settings, loader: Settings, move: Move, grants: str, lacking: str
) -> None:
    user = quote_name(loader.user)
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text, c int)")
    session.run(f"GRANT CREATE ON SCHEMA public TO {user}")
    session.run(f"GRANT {grants} ON t TO {user}")
    LUIGIS.ensure(session)
    session.run(f"GRANT SELECT, INSERT ON table_updates TO {user}")
    wanted = replace(job(database, move=move), settings=loader)
    if not lacking:
        assert plan(wanted).steps
        return
    with pytest.raises(LoadError) as caught:
        plan(wanted)
    assert lacking in str(caught.value)


def test_a_plan_is_text_and_json(session: Session, database: Settings) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text)")
    planned = plan(job(database, move=UPSERT))
    assert planned.summary().splitlines()[0] == (
        "plan: upsert by a into public.t, load id 'day 1'. Nothing was loaded."
    )
    document = json.loads(planned.to_json())
    assert [column["column"] for column in document["columns"]] == ["a", "b"]
    assert {step["phase"] for step in document["steps"]} == {"prepare", "copy", "publish", "analyze"}
    [insert] = [step for step in document["steps"] if step["condition"].startswith("unless")]
    assert [(lock["on"], lock["mode"]) for lock in insert["locks"]] == [("public.t", "ROW EXCLUSIVE")]


def test_a_plan_tells_how_many_rows_may_be_deleted(session: Session, database: Settings) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text)")
    planned = plan(job(database, move=DELETING))
    assert planned.limit == "The load fails if the data lacks the keys of more than 0.2 of the table's rows."
    assert planned.limit in planned.summary().splitlines()
    assert json.loads(planned.to_json())["limit"] == planned.limit
    assert plan(job(database, move=replace(DELETING, max_delete_share=1))).limit == ""
    assert plan(job(database, "new", replace(DELETING, keys=("A",)))).limit == ""


def test_a_name_with_control_characters_moves_no_cursor(session: Session, database: Settings) -> None:
    session.run('CREATE TABLE "t\x1b[2J" (a int, b text)')
    shown = plan(job(database, "t\x1b[2J")).summary()
    assert "\x1b" not in shown
    assert 'INSERT INTO "public"."t [2J"' in shown


def test_a_part_is_staged_if_the_user_wants_it(session: Session, database: Settings) -> None:
    session.run("CREATE TABLE t (a int, b text)")
    with connect_pinned(database, "plan") as planning:
        ways = [
            foresee(planning, replace(job(database), publish=way), lambda: Columns(AB, 1, "")).publish
            for way in ("auto", "staged")
        ]
    assert ways == ["one part", "staged"]


def test_a_plan_shows_where_bad_rows_go_and_refuses_what_the_load_would(session: Session, database: Settings) -> None:
    session.run("CREATE TABLE t (a int, b text)")
    asked = replace(job(database), policy=Policy("quarantine"))
    shown = plan(asked).summary()
    assert 'CREATE UNLOGGED TABLE "public"."pgjobs_rejects_TOKEN"' in shown
    assert 'CREATE TABLE IF NOT EXISTS "public"."t_rejects"' in shown
    session.run("CREATE TABLE t_rejects (a int)")
    with pytest.raises(UsageError, match=r"public\.t_rejects is not a table of rejected rows, and has no id, load_id"):
        plan(asked)
    with pytest.raises(UsageError, match="--keep-staging keeps no rows that are put aside"):
        plan(replace(asked, keep_staging=60, load_id="x"))
    with pytest.raises(UsageError, match="--delete-missing needs all rows of the data"):
        plan(replace(asked, move=replace(UPSERT, changes=Changes(delete_missing=True))))
    with pytest.raises(UsageError, match="--publish parts puts no rows aside"):
        plan(replace(asked, publish="parts"))
    with pytest.raises(UsageError, match="limit what --on-error quarantine puts aside"):
        plan(replace(asked, policy=Policy(max_errors=3)))


def test_a_history_partitioned_by_a_column_of_its_own_is_refused_before_anything_is_copied(database: Settings) -> None:
    """Its unique index on the keys, which keeps one current version, could not be created."""
    by = Defined(partition_by=parse_partition_by("range(valid_from)"))
    move = Move("history", (), ("A",), new_partitions="day")
    with pytest.raises(UsageError, match="'valid_from' is no key"):
        plan(replace(job(database, "new", move), defined=by))
