"""Does a load without Spark: all of the flow, but for the encoder of the JVM, in whose place is that of `pgcopy`.

Parts are copied by what a task runs, one after the other. Attempts that Spark would not accept copy rows, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count

import pyarrow as pa
from pyspark.sql.types import StructField, StructType

from fuzz.loads.cases import Case, DataRow
from jobs.copyformat import encode_arrow
from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.tables import Table
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.copying import claims
from jobs.dbaccess.load.copying.direct import AUTO, PARTS, Direct, why_not
from jobs.dbaccess.load.copying.parts import Counted
from jobs.dbaccess.load.copying.receipts import Receipt
from jobs.dbaccess.load.definitions.alterations import STRICT
from jobs.dbaccess.load.move.changes import Changes
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.move.order import order_of
from jobs.dbaccess.load.publish_plan import Published, PublishPlan
from jobs.dbaccess.load.rejects import table as rejects
from jobs.dbaccess.load.rejects.policy import Policy, check_policy
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.load.defined import NONE_DEFINED
from jobs.flows.load.direct.direct_parts import Parts, check_table, load_parts
from jobs.flows.load.direct.one_part import load_one_part
from jobs.flows.load.job import LoadJob
from jobs.flows.load.publish import Driver, publish_once, staging_tables
from jobs.flows.load.run import report_of
from jobs.flows.load.targets.settle import find_table, settle_target
from jobs.flows.load.targets.target import Target
from jobs.flows.report import LoadReport, Stopwatch
from jobs.spark.tasks.load_tasks import Delivery, deliver

_BLOCK = 4
"""Rows of a block: few, so that bad rows are in several."""


def job_of(case: Case, settings: Settings, load_id: str) -> LoadJob:
    """Return the load, as `load_dataframe` makes it of the arguments."""
    options = case.options
    changes = Changes(
        delete_when=options.delete_when,
        delete_missing=options.delete_missing,
        soft_delete=options.soft_delete,
        update_columns=options.update_columns,
        update_when=options.update_when,
        order_by=options.order_by,
    )
    move = Move(
        options.mode,
        (),
        options.keys,
        order_of(options.dedupe_order or None, options.order_by),
        options.skip_unchanged,
        where=options.overwrite_where,
        strategy=options.overwrite_strategy,
        max_delete_share=options.max_delete_share,
        changes=changes,
        new_partitions=options.new_partitions,
    )
    return LoadJob(
        TableName("t", "fuzz"),
        settings,
        load_id,
        move,
        policy=Policy(options.on_error, options.max_errors),
        publish=options.publish,
        defined=replace(NONE_DEFINED, schema_mode=options.schema_mode or STRICT),
    )


def load(case: Case, settings: Settings, load_id: str) -> LoadReport:
    """Do the load, in the way that its options and its table allow.

    Raises:
        JobError: It fails.
    """
    job, watch = job_of(case, settings, load_id), Stopwatch()
    job.check()
    driver = Driver(job.connector)
    with driver.connect() as session:
        job.ledger.ensure(session)
        job = replace(job, table=tables.full_name(session, job.table), ledger=job.ledger.located(session))
        table = find_table(session, job.table, job.create)
        target = settle_target(session, job.table, table, _schema(case), job.move, defined=job.defined)
        check_policy(job.policy, target.move, job.publish)
        if job.policy.quarantines:
            rejects.check(session, target.name)
        encode_arrow.check(target.matches)
        prepared = _Prepared(case, job, driver, session, target)
        if job.publish == PARTS and table is not None:
            check_table(session, table)
            published = _parts(prepared)
        else:
            published = _one_part(prepared) if _is_one_part(prepared, table) else _staged(prepared)
        assert published is not None, "nobody else has recorded this load"
    return report_of(job, target, published, watch)


@dataclass(frozen=True)
class _Prepared:
    """A load whose target is known."""

    case: Case
    job: LoadJob
    driver: Driver
    session: Session
    target: Target

    def plan(self) -> PublishPlan:
        """Return what is to be published, with names for new staging tables."""
        stream = claims.stream(self.job.ledger, self.job.load_id)
        names = staging.plan_staging(self.target.name, self.target.columns, stream, self.target.not_yet)
        return self.job.plan(self.target, names)

    def attempt(
        self, plan: PublishPlan, part: int, number: int, *, into: Direct | None = None, share: float = 1.0
    ) -> Receipt:
        """Copy a part, or a share of its rows."""
        rows = self.case.divided()[part]
        delivery = Delivery(self.job.connector, plan.staging, into, self.job.policy)
        outcome = deliver(delivery, part, number, _blocks(self.case, self.target, rows[: int(len(rows) * share)]))
        if outcome is None:
            return Receipt(part, number, len(rows))
        return Receipt(part, number, outcome.rows, outcome.hashes, outcome.rejected)


def _staged(load: _Prepared) -> Published | None:
    """Copy into staging, also by attempts that do not count, and publish."""
    plan, numbers = load.plan(), count()
    with staging_tables(load.driver, load.session, plan.staging, load.target):
        receipts = []
        for part in range(load.case.parts):
            for share in [share for of, share in load.case.lost if of == part]:
                load.attempt(plan, part, next(numbers), share=share)
            receipts.append(load.attempt(plan, part, next(numbers)))
        return publish_once(load.driver, load.session, plan.received(receipts))


def _is_one_part(load: _Prepared, table: Table | None) -> bool:
    """Return whether the load may be one transaction of its task, as the flow decides that."""
    job, target = load.job, load.target
    is_plain = job.move.mode == "append" and not job.policy.quarantines and not target.alterations
    return (
        job.publish == AUTO
        and load.case.parts == 1
        and is_plain
        and table is not None
        and not why_not(load.session, table)
    )


def _one_part(load: _Prepared) -> Published | None:
    """Copy straight into the table, by as many attempts as there are: one of them commits."""
    plan = load.plan()

    def copy(into: Direct) -> None:
        for number in range(1 + len(load.case.lost)):
            load.attempt(plan, 0, number, into=into)

    return load_one_part(load.driver, load.session, plan, copy, Stopwatch())


class _Killed(Exception):
    """A driver was killed."""


def _parts(load: _Prepared) -> Published | None:
    """Copy parts straight into the table. If attempts are lost, a run copies their parts alone, and is killed."""
    job = load.job
    before = sorted({part for part, _ in load.case.lost})
    known = claims.open_claims(load.session, job.ledger, job.load_id, load.target.name, [("input", "the same")])
    for only in [before, None] if before else [None]:
        claims.end_earlier_runs(load.session, job.ledger, job.load_id, load.target.name)
        plan = load.plan()

        def copy(
            into: Direct, missing: Sequence[int], only: Collection[int] | None = only, plan: PublishPlan = plan
        ) -> None:
            for part in missing:
                if only is None or part in only:
                    load.attempt(plan, part, part, into=into)
            if only is not None:
                raise _Killed

        parts = Parts(known, load.case.parts, known.parts(load.session))
        with suppress(_Killed):
            return load_parts(load.driver, load.session, plan, parts, copy, watch=Stopwatch())
    raise AssertionError("the last run returns or raises")


def _schema(case: Case) -> StructType:
    return StructType([StructField(name, case.kind(name).spark) for name in case.columns])


def _blocks(case: Case, target: Target, rows: Sequence[DataRow]) -> Iterator[Counted]:
    for start in range(0, len(rows), _BLOCK):
        some = rows[start : start + _BLOCK]
        [columns] = batch(case, some).to_batches()
        yield Counted(encode_arrow.lines(columns, target.matches), len(some))


def batch(case: Case, rows: Sequence[DataRow]) -> pa.Table:
    """Return rows of the data in columns."""
    columns = {name: pa.array([row[name].spark for row in rows], case.kind(name).arrow) for name in case.columns}
    return pa.table(columns)
