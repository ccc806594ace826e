"""The outline of a release is what the release does: the same statements in the same order, and the same locks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest
from columns_only import Columns
from pyspark.sql import types as t
from told import Told, does, executed, held_locks, planned_locks

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.copying import parts
from jobs.dbaccess.load.copying.parts import Counted
from jobs.dbaccess.load.copying.receipts import Receipt
from jobs.dbaccess.load.definitions.columns import Definition
from jobs.dbaccess.load.definitions.shape import parse_partition_by
from jobs.dbaccess.load.dry_run.outline_together import outline_together
from jobs.dbaccess.load.dry_run.steps import Step
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.publish import publish_together
from jobs.dbaccess.load.publish_plan import TransactionPlan
from jobs.dbaccess.load.together.arrange import Arrangement
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.load.defined import Defined
from jobs.flows.load.dry_run.foresee import foreseen
from jobs.flows.load.files import Rows
from jobs.flows.load.job import LoadJob
from jobs.flows.load.targets.settle import find_table, settle_target
from jobs.flows.load.together.job import Member, Release

COLUMNS = t.StructType([t.StructField("id", t.IntegerType()), t.StructField("of", t.IntegerType())])
OVERWRITE, APPEND = Move("overwrite", ()), Move("append", ())
UPSERT = Move("upsert", (), ("id",), skip_unchanged="no")
KEYED = (
    "CREATE TABLE customers (id int PRIMARY KEY, of int); CREATE TABLE orders (id int PRIMARY KEY, of int REFERENCES "
    "customers {}); INSERT INTO customers VALUES (1, 1); INSERT INTO orders VALUES (1, 1)"
)


@dataclass(frozen=True)
class Case:
    """A release of tables with the columns id and of, into which each has the row 1, 1."""

    moves: Mapping[str, Move]
    tables: str = KEYED.format("")
    defined: Mapping[str, Defined] = field(default_factory=dict)

    def release(self, session: Session, database: Settings) -> tuple[Release, Arrangement]:
        jobs = [
            LoadJob(TableName(name), database, "one", move, defined=self.defined.get(name, Defined()))
            for name, move in self.moves.items()
        ]
        release = Release(tuple(Member(job, unread) for job in jobs)).named_in_full(session)
        arrangement = release.arrangement(session)
        return release.arranged(arrangement), arrangement


CASES = {
    "all are replaced": Case({"orders": OVERWRITE, "customers": OVERWRITE}),
    "modes are mixed": Case({"orders": replace(OVERWRITE, strategy="diff", keys=("id",)), "customers": UPSERT}),
    "a key is checked at the end": Case({"customers": UPSERT, "orders": UPSERT}, KEYED.format("DEFERRABLE")),
    "tables are new": Case(
        {
            "items": replace(UPSERT, keys=("id",)),
            "orders": OVERWRITE,
            "notes": OVERWRITE,
            "typed": APPEND,
            "customers": UPSERT,
        },
        defined={
            "items": Defined(indexes=("of",)),
            "typed": Defined((Definition("of", "int NOT NULL"),)),
        },
    ),
}


def unread() -> Rows:
    raise NotImplementedError


def planned(session: Session, release: Release, arrangement: Arrangement) -> list[Step]:
    bases = [
        foreseen(session, member.job, lambda: Columns(COLUMNS), f"TOKEN_{number}").basis
        for number, member in enumerate(release.members)
    ]
    plans, known = zip(*(basis for basis in bases if basis is not None))
    return outline_together(TransactionPlan(plans, arrangement.emptied, arrangement.deferred), known)


def stage(told: Told, session: Session, release: Release, arrangement: Arrangement) -> TransactionPlan:
    """Stage the rows, and return what is to be published."""
    plans = []
    for member in release.members:
        job = member.job
        found = find_table(session, job.table, job.create)
        target = settle_target(session, job.table, found, COLUMNS, job.move, defined=job.defined)
        names = staging.plan_staging(target.name, target.columns, extras=target.not_yet)
        staging.create(told, names, target.name, target.new_types, logged=target.is_staging)
        assert parts.begin_attempt(session, names, 0, 0)
        parts.copy_part(session, names, 0, 0, [Counted(b"1\t1\n", 1)])
        plans.append(target.plan("one", names, (Receipt(0, 0),)))
    return TransactionPlan(tuple(plans), arrangement.emptied, arrangement.deferred)


def load(session: Session, release: Release, arrangement: Arrangement) -> Told:
    """Do the release, and return its session."""
    told = Told(session)
    transaction = stage(told, session, release, arrangement)
    publish_together(told, transaction)
    for number, plan in enumerate(transaction.plans):
        token = plan.staging.rows.name.rpartition("_")[2]
        told.said = [statement.replace(token, f"TOKEN_{number}") for statement in told.said]
    return told


@pytest.mark.parametrize("name", CASES)
def test_a_plan_is_what_the_release_does(session: Session, database: Settings, name: str) -> None:
    case = CASES[name]
    for statement in case.tables.split(";"):
        session.run(statement)
    session.pin()
    release, arrangement = case.release(session, database)
    steps = [step for step in planned(session, release, arrangement) if executed(step)]
    told = load(session, release, arrangement)
    assert [step.statement for step in steps] == [*filter(does, told.said)]
    new = [table for table in case.moves if table not in ("orders", "customers")]
    assert stronger(planned_locks(steps)) == stronger(held_locks(told, *new))


def test_a_reader_with_an_older_snapshot_sees_nothing_of_a_table_that_a_release_creates(
    session: Session, database: Settings
) -> None:
    new = CASES["tables are new"]
    case = replace(new, defined={**new.defined, "notes": Defined(partition_by=parse_partition_by("hash(id, 2)"))})
    for statement in case.tables.split(";"):
        session.run(statement)
    session.pin()
    transaction = stage(Told(session), session, *case.release(session, database))
    counts = "SELECT (SELECT sum(id) FROM public.orders), " + ", ".join(
        f"(SELECT count(*) FROM public.{name})" for name in ("items", "notes", "typed")
    )
    session.run("UPDATE public.orders SET id = 5")
    with connect(database, "reader") as reader:
        reader.run("BEGIN ISOLATION LEVEL REPEATABLE READ")
        reader.run("SELECT id FROM public.orders")
        publish_together(session, transaction)
        assert reader.run(counts) == [[5, 0, 0, 0]]
        reader.run("COMMIT")
        assert reader.run(counts) == [[1, 1, 1, 1]]


def stronger(locks: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Without those that checks of foreign keys take on tables that are locked more strongly."""
    return {(on, mode) for on, mode in locks if mode != "ROW SHARE"}
