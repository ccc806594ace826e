"""Tables that a load creates have partitions as needed, keys, indexes, comments and NOT NULL, in one transaction."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from columns_only import Columns
from publishing import T
from pyspark.sql import types as t
from stages import attempt

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import ConstraintViolated, JobError, LoadError, UsageError
from jobs.dbaccess.load import scripts, staging
from jobs.dbaccess.load.definitions.columns import Definition
from jobs.dbaccess.load.definitions.shape import parse_partition_by
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.publish import publish
from jobs.dbaccess.load.publish_plan import Published
from jobs.dbaccess.session import Session
from jobs.flows.load.defined import Defined
from jobs.flows.load.dry_run.foresee import foresee
from jobs.flows.load.job import LoadJob
from jobs.flows.load.targets.settle import find_table, settle_target
from jobs.flows.load.targets.target import Target

AB = t.StructType(
    [
        t.StructField("a", t.IntegerType(), nullable=False, metadata={"comment": "it's \\ the key"}),
        t.StructField("b", t.StringType()),
    ]
)


def target_of(session: Session, move: Move, defined: Defined) -> Target:
    return settle_target(session, T, find_table(session, T, create=True), AB, move, defined=defined)


def load(session: Session, move: Move, defined: Defined, *numbers: int, after: str | None = None) -> Published:
    target = target_of(session, move, defined)
    names = staging.plan_staging(target.name, target.columns)
    staging.create(session, names, target.name, target.new_types, logged=target.is_staging)
    receipt = attempt(session, names, 0, 0, *numbers)
    load_id = f"load {names.rows.name}"
    return publish(session, replace(target.plan(load_id, names, (receipt,)), scripts=scripts.parse(None, after)))


def partitions(session: Session) -> list[list[object]]:
    return session.run(
        "SELECT relname, count(x.indexrelid), bool_and(x.indisvalid) FROM pg_inherits "
        "JOIN pg_class c ON c.oid = inhrelid LEFT JOIN pg_index x ON x.indrelid = c.oid "
        "WHERE inhparent = 't'::regclass GROUP BY 1 ORDER BY 1"
    )


def by(text: str, **others: object) -> Defined:
    return Defined(partition_by=parse_partition_by(text), **others)  # type: ignore[arg-type] # fields of Defined


def test_a_table_partitioned_by_ranges_grows_by_each_load(session: Session) -> None:
    move = Move("upsert", (), ("a",), new_partitions="10")
    defined = by("range(a)", indexes=("b",), not_null=True)
    published = load(session, move, defined, 1, 5, 25)
    assert [table.name for table in published.created] == ["t_0", "t_20"]
    assert [table.name for table in load(session, move, defined, 5, 99).created] == ["t_90"]
    assert partitions(session) == [["t_0", 2, True], ["t_20", 2, True], ["t_90", 2, True]]
    assert session.run("SELECT a FROM t ORDER BY 1") == [[1], [5], [25], [99]]
    assert session.run("SELECT col_description('t'::regclass, 1), col_description('t_90'::regclass, 1)") == [
        ["it's \\ the key"] * 2
    ]


@pytest.mark.parametrize("mode", ["append", "overwrite", "ignore"])
def test_lists_and_hashes_need_no_rule(session: Session, mode: str) -> None:
    published = load(session, Move(mode, ()), by("list(b)"), 1, 2)
    assert [table.name for table in published.created] == ["t_x"]
    session.run("DROP TABLE t")
    load(session, Move(mode, ()), by("hash(a, 3)"), *range(30))
    assert [name for name, _, _ in partitions(session)] == ["t_p0", "t_p1", "t_p2"]
    load(session, Move(mode, ()), by("hash(a, 3)"), *range(30, 40))
    assert session.run("SELECT count(*) FROM t") == [[10 if mode == "overwrite" else 40]]


def test_columns_defined_by_the_user_are_those_of_the_partitions(session: Session) -> None:
    types = (Definition("b", "varchar(9) NOT NULL"), Definition("c", "bigserial"))
    load(session, Move("append", (), new_partitions="10"), by("range(a)", types=types), 1, 12)
    assert session.run("SELECT a, b, c FROM t ORDER BY 1") == [[1, "x", 1], [12, "x", 2]]


def test_a_load_that_fails_leaves_neither_table_nor_partition(session: Session) -> None:
    with pytest.raises(JobError, match="division by zero"):
        load(session, Move("append", (), new_partitions="10"), by("range(a)"), 1, after="SELECT 1/0")
    assert session.run("SELECT to_regclass('t')::text, to_regclass('t_0')::text") == [[None, None]]


@pytest.mark.parametrize("keys", [(), ("a",)])
def test_without_partitions_a_table_has_comments_and_what_spark_knows_to_be_not_null(
    session: Session, keys: tuple[str, ...]
) -> None:
    move = Move("upsert" if keys else "append", (), keys)
    load(session, move, Defined(not_null=True), 1)
    assert session.run(
        "SELECT attname, attnotnull, col_description(attrelid, attnum) FROM pg_attribute "
        "WHERE attrelid = 't'::regclass AND attnum > 0 ORDER BY attnum"
    ) == [["a", True, "it's \\ the key"], ["b", False, None]]
    with pytest.raises(ConstraintViolated):
        session.run("INSERT INTO t VALUES (NULL, 'x')")
    session.run("DROP TABLE t")
    load(session, Move("append", ()), Defined(), 1)
    session.run("INSERT INTO t VALUES (NULL, 'x')")


def test_what_the_server_cannot_partition_is_refused_before_anything_is_copied(session: Session) -> None:
    json_type = (Definition("b", "json"),)
    with pytest.raises(UsageError, match="cannot have these partitions: data type json has no default operator class"):
        target_of(session, Move("append", ()), by("list(b)", types=json_type))
    with pytest.raises(
        LoadError, match=r"'month' is not a rule for public\.t, which is partitioned by ranges of integer"
    ):
        target_of(session, Move("append", (), new_partitions="month"), by("range(a)"))
    with pytest.raises(UsageError, match="give --partition-by"):
        target_of(session, Move("replace-partitions", ()), Defined())
    assert session.run("SELECT count(*) FROM pg_class WHERE relname LIKE 'pgjobs_trial%'") == [[0]]


def test_a_plan_tells_the_partitions(session: Session, database: Settings) -> None:
    session.pin()
    job = LoadJob(T, database, "one", Move("append", (), new_partitions="10"), defined=by("range(a)"))
    plan = json.loads(foresee(session, job, lambda: Columns(AB, 1, "it is")).to_json())
    said = [step["statement"] for step in plan["steps"] if step["phase"] == "publish"]
    assert any('PARTITION BY RANGE ("a")' in text for text in said)
    assert any("ATTACH PARTITION" in text for text in said)


def test_a_plan_tells_that_readers_of_a_default_partition_wait_for_new_ones(
    session: Session, database: Settings
) -> None:
    session.run("CREATE TABLE parent (a int PRIMARY KEY); CREATE TABLE t (a int, b text) PARTITION BY RANGE (a)")
    session.run("ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES parent; CREATE TABLE other PARTITION OF t DEFAULT")
    job = LoadJob(T, database, "one", Move("append", (), new_partitions="10"))
    session.pin()
    plan = json.loads(foresee(session, job, lambda: Columns(AB, 1, "it is")).to_json())
    [attaching] = [step for step in plan["steps"] if "ATTACH PARTITION" in step["statement"]]
    assert [(lock["on"], lock["mode"]) for lock in attaching["locks"]] == [
        ("public.t", "SHARE UPDATE EXCLUSIVE"),
        ("public.other", "ACCESS EXCLUSIVE"),
        ("public.parent", "SHARE ROW EXCLUSIVE"),
    ]
