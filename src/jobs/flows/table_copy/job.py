"""Copy a table from one server into a table of another: staged in parts of one snapshot, and published as any load."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from pyspark.sql.types import StringType

from jobs.copyformat.match_columns import Match
from jobs.dbaccess.catalog import query_columns, tables
from jobs.dbaccess.catalog.capacity import capacity
from jobs.dbaccess.catalog.publications import tell_subscribers
from jobs.dbaccess.catalog.query_columns import SourceColumn
from jobs.dbaccess.catalog.same_table import is_same
from jobs.dbaccess.catalog.tables import Column, Table
from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import ConnectionFailed, LoadError, UsageError, plural
from jobs.dbaccess.extract import snapshot
from jobs.dbaccess.extract.selection import select
from jobs.dbaccess.extract.snapshot import Snapshot
from jobs.dbaccess.load import identity, staging, verify
from jobs.dbaccess.load.copying import claims
from jobs.dbaccess.load.definitions import columns as definitions
from jobs.dbaccess.load.definitions.columns import Definition
from jobs.dbaccess.load.kept import leftovers
from jobs.dbaccess.load.kept.listing import give_up
from jobs.dbaccess.load.move import combinations
from jobs.dbaccess.load.move.suitable import check_target
from jobs.dbaccess.load.publish_plan import Published
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name
from jobs.flows.extract.plan import Wanted, divided, find_source, hold_source, selected, source_columns
from jobs.flows.load.job import LoadJob
from jobs.flows.load.prepare import take_load_id
from jobs.flows.load.publish import Driver, analyze, publish_once, staging_tables
from jobs.flows.load.run import report_of
from jobs.flows.load.targets.settle import find_table
from jobs.flows.load.targets.target import Target
from jobs.flows.report import LoadedColumn, Stopwatch
from jobs.flows.table_copy.copied_columns import CopiedColumn, check_money, is_written_alike, matched
from jobs.flows.table_copy.crossing import Crossing
from jobs.flows.table_copy.line_hashes import LineHashes, row_text
from jobs.flows.table_copy.report import CopyReport

MODES = ("append", "overwrite", "upsert")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CopyJob:
    """A table to copy.

    Attributes:
        wanted: What is read: a table, its columns and a filter.
        source: The settings of the connection to its server.
        load: Where it goes: a load, whose rows are text.
    """

    wanted: Wanted
    source: Settings
    load: LoadJob

    def check(self) -> None:
        """Check what can be checked without a server.

        Raises:
            UsageError: An argument is wrong, or does not fit the others.
        """
        if self.load.move.mode not in MODES:
            raise UsageError(f"{self.load.move.mode!r} is not one of {', '.join(MODES)}.")
        self.load.check()


@dataclass(frozen=True)
class Planned:
    """A copy whose parts and target are known, while its snapshot is held."""

    target: Target
    columns: tuple[CopiedColumn, ...]
    crossing: Crossing
    at_once: int


def run(job: CopyJob) -> CopyReport:
    """Copy the table. The source is not read if a load of this id has finished.

    Raises:
        UsageError: The request cannot be right, or the columns do not fit. Nothing was copied.
        LoadError: A part could not be copied, or the table does not suit the mode. Nothing was loaded.
        DatabaseError: A server refuses.
    """
    watch = Stopwatch()
    job.check()
    driver = Driver(job.load.connector)
    with driver.connect() as session:
        with watch.phase("prepare"):
            job = replace(job, load=_located(session, job.load))
            load = job.load
            stream = claims.stream(load.ledger, load.load_id)
            if take_load_id(session, load):
                give_up(session, load.table, stream, "the load is recorded")
                return _already_loaded(load, watch)
            claims.check_none(session, load.ledger, load.load_id, load.table)
            give_up(session, load.table, stream, "this run has no --keep-staging")
            leftovers.sweep(session)
            table = find_table(session, load.table, load.create)
        connector = Connector(job.source, "copy", str(job.wanted))
        with connector.open() as holder:
            with watch.phase("prepare"):
                exported = hold_source(holder, job.wanted)
                planned = _planned(session, connector.at(holder.server), job, table, exported)
            published = _copied(driver, session, holder, job.load, planned=planned, watch=watch)
        if published is None:
            return _already_loaded(load, watch)
        with watch.phase("analyze"):
            analyze(driver, session, planned.target.name, planned.target.move, published)
    report = CopyReport.of(report_of(job.load, planned.target, published, watch))
    return replace(report, columns=tuple(_shown(column) for column in planned.columns))


def _located(session: Session, load: LoadJob) -> LoadJob:
    load.ledger.ensure(session)
    return replace(load, table=tables.full_name(session, load.table), ledger=load.ledger.located(session))


def _already_loaded(load: LoadJob, watch: Stopwatch) -> CopyReport:
    return CopyReport(load.load_id, str(load.table), load.move.mode, already_loaded=True, seconds=watch.seconds())


def _shown(column: CopiedColumn) -> LoadedColumn:
    return LoadedColumn(column.source.name, column.source.type_name, column.target.name, column.target.type_name)


def _planned(session: Session, source: Connector, job: CopyJob, table: Table | None, exported: Snapshot) -> Planned:
    """Determine columns, parts and target, which is created if it is missing.

    Raises:
        UsageError: They do not fit.
        LoadError: The table does not suit the mode.
    """
    with source.open("plan") as planner, snapshot.adopted(planner, exported):
        there = find_source(planner, job.wanted)
        if there is None:
            raise UsageError("There is no table to copy.", "Give --source-table.")
        if table is not None:
            check_other(planner, there.name, session, table.name)
        chosen = source_columns(planner, job.wanted, there)
        selection = selected(planner, job.wanted, there)
        if table is None:
            keys = tables.primary_key(planner, there.name)
            new = _definitions(planner, there, chosen)
            table = _created(session, job.load, new, keys if set(keys) <= {column.name for column in new} else [])
        types = query_columns.describe_table(session, table.name)
        columns = matched(chosen, table, types)
        money = "SELECT pg_catalog.current_setting('lc_monetary')"
        check_money(columns, planner.value(money), session.value(money), table.name)
        expressions = [quote_name(column.source.name) for column in columns]
        parts = divided(planner, job.wanted, there, selection)
        free = min(capacity(planner).share(), capacity(session).share())
        encodings = [one.value("SHOW server_encoding") for one in (planner, session)]
        alike = encodings.count("SQL_ASCII") != 1
        kept = tuple(is_written_alike(one.source, types[one.target.name], counts_alike=alike) for one in columns)
        row = row_text(planner, session, columns, kept) if job.load.verify else None
    if row is not None:
        verify.check_target(session, table)
    target = replace(_target(session, job.load, table, columns), row=row)
    queries = tuple(tuple(select(expressions, piece, selection.condition) for piece in part) for part in parts)
    stream = claims.stream(job.load.ledger, job.load.load_id)
    names = staging.plan_staging(target.name, target.columns, stream, encoded_for=target.encoded_for)
    hashes = None if row is None else LineHashes(kept)
    crossing = Crossing(source, exported, job.load.connector, names, queries, hashes=hashes)
    return Planned(target, columns, crossing, min(len(queries), job.wanted.parallelism or free))


def check_other(there: Session, source: TableName, here: Session, target: TableName) -> None:
    """Check that a table is not the one that it is copied into, seen by the same server or by a standby of it.

    Args:
        there: A session that reads.
        source: The table there.
        here: A session of the target.
        target: The table here.

    Raises:
        UsageError: It is.
    """
    if is_same(there, source, here, target):
        raise UsageError(f"{target} would be copied into itself.", "Give --source-table, or the URL of another server.")


def _definitions(planner: Session, source: Table, chosen: Sequence[SourceColumn]) -> tuple[Definition, ...]:
    """Return the definitions of a new table's columns: the types of the source's, and which of them are NOT NULL."""
    names = [column.name for column in chosen]
    nullable = tables.nullable_keys(planner, source.name, names)
    known = {column.name: column for column in source.columns}
    return tuple(
        Definition(name, known[name].definition + ("" if source.kind == "v" or name in nullable else " NOT NULL"))
        for name in names
    )


def _created(session: Session, load: LoadJob, new: tuple[Definition, ...], keys: list[str]) -> Table:
    """Create the table, empty. It is then loaded as any other; if that fails, it stays, and a rerun fills it."""
    name = tables.name_for_new_table(session, load.table)
    with session.transaction():
        definitions.create(session, name, new, keys)
    tell_subscribers(session, name)
    table = tables.find_table(session, name)
    if table is None:
        raise LoadError(f"There is no {name} any more.", "Run the copy again.")
    return table


def _target(session: Session, load: LoadJob, table: Table, columns: tuple[CopiedColumn, ...]) -> Target:
    """Return where the rows go.

    Raises:
        UsageError: The mode does not fit the columns.
        LoadError: The table does not suit the mode.
    """
    takes: list[Column] = [column.target for column in columns]
    always = [column.name for column in takes if column.generated]
    overriding = identity.SYSTEM if always else ""
    move = replace(load.move, columns=tuple(column.name for column in takes), overriding=overriding)
    combinations.check_columns(move)
    identity.check_updates(overriding, always, move.values if move.mode == "upsert" else ())
    check_target(session, table.name, move)
    matches = tuple(Match(column.name, StringType(), column) for column in takes)
    return Target(table.name, matches, move, is_new=False)


def _copied(
    driver: Driver, session: Session, holder: Session, load: LoadJob, *, planned: Planned, watch: Stopwatch
) -> Published | None:
    """Copy all parts into staging, and publish. Return None if another run has published this load id."""
    crossing, target = planned.crossing, planned.target
    parts = plural(len(crossing.queries), "part")
    logger.info("Copying %s in %s, %d at once.", target.name, parts, planned.at_once)
    with staging_tables(driver, session, crossing.staging, target):
        with watch.phase("copy"):
            receipts = crossing.copy(planned.at_once)
        with suppress(ConnectionFailed):  # all parts were read in the snapshot before it was lost
            snapshot.release(holder)
        with watch.phase("publish"):
            return publish_once(driver, session, load.plan(target, crossing.staging).received(receipts))
