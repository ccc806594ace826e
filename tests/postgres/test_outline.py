"""The outline of a load is what the load does: the same statements in the same order, and the same locks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from columns_only import Columns
from publishing import T
from pyspark.sql import types as t
from stages import attempt, lines
from told import Told, does, executed, held_locks, planned_locks

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.load import scripts, staging
from jobs.dbaccess.load.copying import direct
from jobs.dbaccess.load.copying.direct import Direct, Marker
from jobs.dbaccess.load.definitions.columns import Definition
from jobs.dbaccess.load.dry_run.steps import ANALYZE, COPY
from jobs.dbaccess.load.ledger import LUIGIS
from jobs.dbaccess.load.move.changes import Changes, History
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.move.order import OrderBy
from jobs.dbaccess.load.publish import publish
from jobs.dbaccess.load.rejects.policy import FAILS, QUARANTINE, Policy
from jobs.dbaccess.load.scripts import Scripts
from jobs.dbaccess.session import Session
from jobs.flows.load.defined import Defined
from jobs.flows.load.dry_run.foresee import foresee
from jobs.flows.load.dry_run.plan import LoadPlan
from jobs.flows.load.job import LoadJob
from jobs.flows.load.pace.governor import NO_LIMITS, Limits
from jobs.flows.load.targets.settle import find_table, settle_target

AB = t.StructType([t.StructField("a", t.IntegerType()), t.StructField("b", t.StringType())])


@dataclass(frozen=True)
class Case:
    """A load, of rows with the columns a and b."""

    move: Move
    table: str = "CREATE TABLE t (a int PRIMARY KEY, b text)"
    scripts: Scripts = field(default_factory=Scripts)
    defined: Defined = field(default_factory=Defined)
    limits: Limits = NO_LIMITS
    policy: Policy = FAILS

    def job(self, database: Settings) -> LoadJob:
        job = LoadJob(T, database, "one", self.move, scripts=self.scripts, defined=self.defined, limits=self.limits)
        return replace(job, policy=self.policy)


class AtOnce:
    """A pace that waits for nothing."""

    def wait(self) -> None: ...

    def ended(self) -> None: ...


KEYED = Move("upsert", (), ("a",))
MISSING = replace(KEYED, max_delete_share=1, changes=Changes(delete_missing=True))
OVERWRITE = Move("overwrite", ())
PARTITIONED = (
    "CREATE TABLE t (a int PRIMARY KEY, b text) PARTITION BY RANGE (a); CREATE TABLE t_1 PARTITION OF t DEFAULT"
)
REFERENCED = "CREATE TABLE other (b text PRIMARY KEY); INSERT INTO other VALUES ('x'); "
REFERENCING = "CREATE TABLE t (a int PRIMARY KEY, b text); CREATE TABLE child (a int REFERENCES t)"
CASES = {
    "append": Case(Move("append", ())),
    "append with foreign key": Case(
        Move("append", ()), f"{REFERENCED} CREATE TABLE t (a int, b text REFERENCES other)"
    ),
    "append with partitions": Case(Move("append", ()), PARTITIONED),
    "append with scripts": Case(Move("append", ()), scripts=scripts.parse("SET LOCAL work_mem = '8MB'", None)),
    "append and columns": Case(Move("append", ()), defined=Defined((), (Definition("c", "int DEFAULT 1"),))),
    "append and wider types": Case(
        Move("append", ()),
        "CREATE TABLE t (a int PRIMARY KEY, b varchar(9))",
        defined=Defined(schema_mode="widen"),
    ),
    "append in slices": Case(Move("append", ()), limits=Limits(wal_rate=1e9)),
    "append to a table that refers to itself": Case(
        Move("append", ()),
        "CREATE TABLE t (a int PRIMARY KEY, b text, c int REFERENCES t)",
        limits=Limits(wal_rate=1e9),
    ),
    "new with a limited pace": Case(Move("append", ()), "", limits=Limits(wal_rate=1e9)),
    "new": Case(Move("append", ()), ""),
    "new with keys": Case(KEYED, ""),
    "new by the first of each key": Case(replace(KEYED, order=(OrderBy("b"),)), ""),
    "new with types": Case(KEYED, "", defined=Defined((Definition("b", "varchar(9) NOT NULL"),))),
    "new overwritten with types": Case(OVERWRITE, "", defined=Defined((Definition("b", "varchar(9) NOT NULL"),))),
    "new slice": Case(replace(OVERWRITE, where="a < 100"), ""),
    "overwrite": Case(OVERWRITE),
    "overwrite by truncating": Case(replace(OVERWRITE, strategy="truncate"), PARTITIONED),
    "new by truncating": Case(replace(OVERWRITE, strategy="truncate"), ""),
    "overwrite with scripts": Case(OVERWRITE, scripts=scripts.parse("SET LOCAL work_mem = '8MB'", None)),
    "overwrite what is referenced": Case(OVERWRITE, REFERENCING),
    "overwrite partitions": Case(OVERWRITE, PARTITIONED),
    "slice": Case(replace(OVERWRITE, where="a < 100")),
    "slice of what is referenced": Case(replace(OVERWRITE, where="a < 100"), REFERENCING),
    "difference": Case(replace(OVERWRITE, strategy="diff", keys=("a",))),
    "upsert all": Case(replace(KEYED, skip_unchanged="no")),
    "upsert what changed": Case(replace(KEYED, skip_unchanged="yes")),
    "upsert by a sample": Case(KEYED),
    "upsert the first of each key": Case(replace(KEYED, order=(OrderBy("b", descending=True),))),
    "upsert partitions": Case(KEYED, PARTITIONED),
    "upsert with deletes": Case(
        replace(KEYED, max_delete_share=1, changes=Changes(delete_when="b = 'gone'", delete_missing=True))
    ),
    "upsert with conditions": Case(
        replace(KEYED, changes=Changes(update_when="source.b > target.b", update_columns=("b",))), PARTITIONED
    ),
    "upsert that marks": Case(
        replace(MISSING, changes=Changes(delete_missing=True, soft_delete="gone")),
        "CREATE TABLE t (a int PRIMARY KEY, b text, gone date); CREATE TABLE child (a int REFERENCES t)",
    ),
    "upsert of what is referenced": Case(MISSING, REFERENCING),
    "upsert without an index": Case(KEYED, "CREATE TABLE t (a int, b text)"),
    "upsert with scripts": Case(MISSING, scripts=scripts.parse("SET LOCAL work_mem = '8MB'", None)),
    "new with deletes": Case(MISSING, ""),
    "history": Case(
        Move("history", (), ("a",), changes=Changes(delete_missing=True), history=History(as_of="2026-01-01")),
        "CREATE TABLE t (a int, b text, valid_from date, valid_to date, is_current boolean); "
        "CREATE UNIQUE INDEX ON t (a) WHERE is_current",
    ),
    "new with an index": Case(Move("append", ()), "", defined=Defined(indexes=("b",))),
    "new with an index by which rows are put aside": Case(
        Move("append", ()), "", defined=Defined(indexes=("b", "UNIQUE (a)")), policy=Policy(QUARANTINE)
    ),
    "new with history": Case(Move("history", (), ("a",)), ""),
    "ignore": Case(Move("ignore", (), ("a",))),
}

WEAKER = {("public.t", "ROW SHARE")}
"""What the check of a referencing table takes on a table on which the load holds a stronger lock."""


def load(session: Session, case: Case, database: Settings) -> Told:
    """Do a load of two rows, and return its session."""
    schema, job = AB, case.job(database)
    told = Told(session)
    found = find_table(session, T, create=True)
    target = settle_target(session, T, found, schema, job.moving, defined=job.defined)
    names = staging.plan_staging(target.name, target.columns, extras=target.not_yet)
    names = names.with_rejects() if job.policy.quarantines else names
    staging.create(told, names, target.name, target.new_types, logged=target.is_staging)
    receipt = attempt(session, names, 0, 0, 1, 2)
    pace = AtOnce() if case.limits else None
    publish(told, replace(target.plan("one", names, (receipt,)), scripts=case.scripts, pace=pace))
    token = names.rows.name.rpartition("_")[2]
    told.said = [statement.replace(token, "TOKEN").strip() for statement in told.said]
    return told


def plan_of(session: Session, case: Case, database: Settings, staged: str = "it is") -> LoadPlan:
    return foresee(session, case.job(database), lambda: Columns(AB, 1, staged))


def prepared(session: Session, case: Case) -> None:
    """Make the table, with a row."""
    for statement in filter(str.strip, case.table.split(";")):
        session.run(statement)
    if case.table:
        session.run("INSERT INTO t (a, b) VALUES (5, 'x')")
    session.pin()


@pytest.mark.parametrize("name", CASES)
def test_a_plan_is_what_the_load_does(session: Session, database: Settings, name: str) -> None:
    case = CASES[name]
    prepared(session, case)
    plan = plan_of(session, case, database)
    told = load(session, case, database)
    steps = [step for step in plan.steps if executed(step)]
    scripted = [statement.text for statement in case.scripts.before]
    assert [step.statement.strip() for step in steps if step.statement not in scripted] == [*filter(does, told.said)]
    assert set(scripted) <= set(told.said)
    assert planned_locks(steps) == held_locks(told, *(["t"] if plan.is_new else [])) - WEAKER


@pytest.mark.parametrize("name", ["append", "append with foreign key", "append with partitions"])
def test_a_plan_of_one_part_is_what_the_attempt_does(session: Session, database: Settings, name: str) -> None:
    case = CASES[name]
    prepared(session, case)
    plan = plan_of(session, case, database, staged="")
    assert plan.publish == "one part"
    told, names = Told(session), staging.plan_staging(T, ["a", "b"])
    straight = Direct(T, names, Marker(LUIGIS.located(session), "one", T))
    staging.create_parts(told, names)
    assert direct.begin_attempt(session, straight, 0, 0)
    direct.copy_part(told, straight, 0, 0, lines(1, 2))
    direct.close(told, names)
    token = names.rows.name.rpartition("_")[2]
    said = [statement.replace(token, "TOKEN") for statement in told.said]
    assert [step.statement for step in plan.steps if step.phase != ANALYZE] == [
        statement for statement in said if does(statement) and not statement.startswith("LOCK TABLE")
    ]
    copying = [step for step in plan.steps if step.phase == COPY]
    assert planned_locks(copying) == held_locks(told, names.parts.name) - WEAKER


def test_a_column_of_its_own_key_needs_no_second_key(session: Session, database: Settings) -> None:
    case = Case(KEYED, "", defined=Defined((Definition("a", "int UNIQUE NOT NULL"),)))
    plan = plan_of(session, case, database)
    [key] = [step for step in plan.steps if "ADD PRIMARY KEY" in step.statement]
    assert key.condition == "unless the columns' definitions make the keys unique"
