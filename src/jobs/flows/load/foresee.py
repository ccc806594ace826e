"""Foresee a load: read what it depends on from the catalog, as the load does, and return its plan.

Nothing is locked, created or changed. Columns that the user defines, or that an existing table gets, are an exception:
whether the server takes them is known only when a table with them was made, in a transaction that is rolled back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from jobs.copyformat import encode_spark
from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.capacity import capacity
from jobs.dbaccess.catalog.health import Right, rights, rights_on_columns, rights_on_sequences
from jobs.dbaccess.catalog.relatives import relatives
from jobs.dbaccess.catalog.tables import Table
from jobs.dbaccess.copy_text import parse_line
from jobs.dbaccess.errors import LoadError, UsageError
from jobs.dbaccess.load import claims, index_settings, staging, verify
from jobs.dbaccess.load.direct import PARTS
from jobs.dbaccess.load.ledger import Ledger
from jobs.dbaccess.load.move import history, merge, overwrite
from jobs.dbaccess.load.move.slices import can_slice
from jobs.dbaccess.load.outline import Known, Step, outline, outline_of_one_part
from jobs.dbaccess.load.partitions.foretell import MOST_KEYS, Keys, foretell, key_columns
from jobs.dbaccess.load.partitions.new import default_of
from jobs.dbaccess.load.publish_plan import PublishPlan
from jobs.dbaccess.load.rejects import table as rejects
from jobs.dbaccess.load.rejects.policy import check_policy
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name
from jobs.flows.load.direct.one_part import why_staged
from jobs.flows.load.files import Files, check, malformed_translated, read
from jobs.flows.load.job import LoadJob
from jobs.flows.load.plan import ONE_PART, STAGED, Connections, LoadPlan, PlannedColumn
from jobs.flows.load.stage import encode
from jobs.flows.load.target import Target, find_table, settle_target
from jobs.flows.report import plural
from jobs.spark.null_values import with_nulls

_EQUALS = 'OPERATOR("pg_catalog".=)'


class NotForeseen(UsageError):
    """The steps of a load are known only when it has copied its rows. Nothing is wrong with it."""


class Data(Protocol):
    """The data of a load."""

    @property
    def schema(self) -> StructType:
        """Its columns."""

    def parts(self, session: Session, job: LoadJob, fitted: Fit, plan: PublishPlan) -> tuple[int, str]:
        """Return the number of parts, and why they are staged; empty if the only one goes straight into the table."""

    def keys(self, fitted: Fit, names: Sequence[str]) -> Keys:
        """Return the different values of some columns of the table, as COPY writes them: MOST_KEYS and one at most."""


@dataclass(frozen=True)
class Rows:
    """The rows of a DataFrame, which the load would encode."""

    df: DataFrame

    @property
    def schema(self) -> StructType:
        """Their columns."""
        return self.df.schema

    def parts(self, session: Session, job: LoadJob, fitted: Fit, plan: PublishPlan) -> tuple[int, str]:
        """Have Spark plan them, as the load does. Where it shuffles, this runs it as far as its last shuffle."""
        encoded = encode(self.df, fitted.target, job.copying, plan.staging.rows.name, merges=not job.can_be_resumed)
        return encoded.parts, why_staged(session, plan, fitted.table, encoded)

    def keys(self, fitted: Fit, names: Sequence[str]) -> Keys:
        """Read these columns of all rows."""
        by_name = {match.target.name: match for match in fitted.target.loaded}
        matches = [by_name[name] for name in names]
        lines = encode_spark.encode(self.df, matches).distinct().limit(MOST_KEYS + 1).collect()
        return [parse_line(row[0].encode()) for row in lines]


def data_of_files(job: LoadJob, files: Files, start_spark: Callable[[], SparkSession]) -> Rows:
    """Return the data of a load of files, which are read as the load reads them.

    Raises:
        JobError: They cannot be read like that.
    """
    check(files)
    with malformed_translated():
        return Rows(with_nulls(read(start_spark(), files).df, job.null_values))


def plan(job: LoadJob, files: Files, start_spark: Callable[[], SparkSession]) -> LoadPlan:
    """Return the plan of a load of files. The arguments are those of the load. Raises as `foresee`."""
    with job.connector.open() as session:
        return foresee(session, job, lambda: data_of_files(job, files, start_spark))


def foresee(session: Session, job: LoadJob, look: Callable[[], Data]) -> LoadPlan:
    """Return the plan of a load.

    Args:
        session: A session of the table's database.
        job: The load.
        look: Returns the data. It is not called if a load of this id has finished.

    Raises:
        UsageError: The data does not fit the table, or an argument is wrong: the load would fail likewise.
        LoadError: The table does not suit the mode, or the user lacks rights.
    """
    job.check()
    _check_foreseeable(job)
    markers, creates_markers = job.ledger.place(session)
    job = replace(job, table=tables.full_name(session, job.table))
    find_table(session, job.table, job.create)
    check_rights(rights(session, job.table, job.move.rights, markers))
    server = capacity(session)
    connections = Connections(job.copying.parallelism or server.share(), server.free, server.allowed)
    planned = LoadPlan(str(job.table), job.move.mode, job.move.keys, job.load_id, connections)
    if not creates_markers and job.ledger.is_recorded(session, job.load_id, job.table):
        return replace(planned, already_loaded=True)
    claims.check_none(session, Ledger(markers), job.load_id, job.table, ends_earlier_runs=False)
    data = look()
    fitted = fit(session, job, data)
    if fitted.table is not None:
        check_rights(rights_on_sequences(session, job.table, fitted.target.move.columns))
        added = fitted.target.alterations.names_added  # its owner has all rights on them
        there = [name for name in fitted.target.move.columns if name not in added]
        check_rights(rights_on_columns(session, job.table, job.move.rights, there, job.move.keys))
        if job.verify:
            verify.check_target(session, fitted.table)
    names = staging.foreseen(job.table, fitted.target.columns, fitted.target.not_yet)
    check_policy(job.policy, fitted.target.move, job.publish)
    if job.policy.quarantines:
        rejects.check(session, fitted.target.name)
    publishing = job.plan(fitted.target, names)
    parts, reason = data.parts(session, job, fitted, publishing)
    is_staged = bool(job.reason_to_stage or reason)
    return replace(
        planned,
        is_new=fitted.target.is_new,
        columns=fitted.columns,
        unfilled=fitted.unfilled,
        changes=fitted.target.alterations.told(),
        parts=parts,
        publish=STAGED if is_staged else ONE_PART,
        connections=replace(connections, at_once=min(parts, connections.at_once)),
        steps=tuple(
            _steps(session, job, fitted, data, publishing, ledger=(markers, creates_markers), is_staged=is_staged)
        ),
    )


def _check_foreseeable(job: LoadJob) -> None:
    if job.publish == PARTS:
        raise NotForeseen(
            "--dry-run cannot list the steps of --publish parts: they depend on which parts are in the table.",
            "docs/load.md describes them.",
        )


def _steps(
    session: Session,
    job: LoadJob,
    fitted: Fit,
    data: Data,
    plan: PublishPlan,
    *,
    ledger: tuple[TableName, str],
    is_staged: bool,
) -> list[Step]:
    known = _known(session, fitted, *ledger)
    if plan.move.replaces_partitions and fitted.table is not None:
        return foretell(session, plan, known, _keys(session, fitted, data))
    if not is_staged:
        return outline_of_one_part(plan, known)
    in_slices = bool(job.limits) and (plan.is_new or can_slice(session, plan.move, plan.target))
    return outline(plan, replace(known, in_slices=in_slices))


def _keys(session: Session, fitted: Fit, data: Data) -> Keys:
    """Return the different partition keys of the data.

    Raises:
        UsageError: The data lacks a column of the key, or has too many keys.
    """
    names = [name for name, _ in key_columns(session, fitted.target.name)]
    if not set(names) <= set(fitted.target.move.columns):
        raise NotForeseen(
            f"--dry-run cannot tell which partitions get rows: the data lacks a column of the key {', '.join(names)}.",
            "docs/load.md describes the steps.",
        )
    keys = data.keys(fitted, names)
    if len(keys) > MOST_KEYS:
        raise NotForeseen(
            f"--dry-run cannot tell which partitions get rows: there are more than {MOST_KEYS:,} different values of "
            f"{', '.join(names)}.",
            "docs/load.md describes the steps.",
        )
    return keys


def check_rights(needed: Iterable[Right]) -> None:
    """Check that the user has the rights that the load needs.

    Raises:
        LoadError: Some are missing. The message names them.
    """
    missing = [right for right in needed if not right.granted]
    if missing:
        raise LoadError(
            f"The load would fail. The user lacks {', '.join(right.what for right in missing)}.",
            f"Have them granted: {'; '.join(f'{right.grant} TO ...' for right in missing)}.",
        )


@dataclass(frozen=True)
class Fit:
    """How data fits a table.

    Attributes:
        table: The table in the catalog, or None if the load creates it.
        target: The columns that match, and how rows are moved.
    """

    table: Table | None
    target: Target

    @property
    def columns(self) -> tuple[PlannedColumn, ...]:
        """The columns of the data, and those of the table for them."""
        return tuple(
            PlannedColumn(match.source, match.spark_type.simpleString(), match.target.name, match.target.type_name)
            for match in self.target.loaded
        )

    @property
    def unfilled(self) -> tuple[str, ...]:
        """The columns of the table that the data does not have."""
        if self.table is None:
            names = [definition.name for definition in self.target.definitions]
        else:
            added = [definition.name for definition in self.target.metadata]
            names = [*(column.name for column in self.table.columns), *added]
        return tuple(name for name in names if name not in set(self.target.move.columns))

    def line(self) -> str:
        """Return a line about it."""
        rest = f"; the server fills {', '.join(self.unfilled)}" if self.unfilled else ""
        return f"{plural(len(self.columns), 'column')} of the data fit {self.target.name}{rest}"


def fit(session: Session, job: LoadJob, data: Data) -> Fit:
    """Return how data fits the table of a load.

    Raises:
        UsageError: It does not, or rows cannot be loaded into the table.
        LoadError: The table does not suit the mode.
    """
    table = find_table(session, job.table, job.create)
    return Fit(table, settle_target(session, job.table, table, data.schema, job.move, defined=job.defined))


def _known(session: Session, fitted: Fit, markers: TableName, creates_markers: str) -> Known:
    """Return what the catalog says.

    Raises:
        UsageError: The condition of a slice of a new table is not a boolean expression.
    """
    table, target = fitted.table, fitted.target
    equalities = dict.fromkeys(target.move.keys, _EQUALS)
    known = Known(markers, creates_markers, equalities=equalities, raising=index_settings.raising(session))
    if table is None:
        _check_condition_of_new(session, target)
        known = replace(known, merges=target.move.changes.by_statements)
        published = tables.publications_of_new(session, target.name)
        return replace(known, types=target.new_types, is_logged=target.is_staging and not published)
    at_once = False
    if target.move.mode == "overwrite" and target.move.strategy != "diff":
        with session.transaction():
            at_once = overwrite.check(session, target.move, target.name).is_one_statement
    if target.move.keeps_history:
        with session.transaction():
            known = replace(known, time_type=history.check(session, target.move, target.name))
    return replace(
        known,
        is_partitioned=table.kind == tables.PARTITIONED,
        at_once=at_once,
        merges=target.move.mode == "upsert" and merge.is_needed(session, target.move, target.name),
        marks_by_time=_marks_by_time(session, target),
        equalities={**known.equalities, **tables.equalities(session, target.name, target.move.keys)},
        relatives=relatives(session, target.name),
        default=_default_of(session, target.name),
    )


def _default_of(session: Session, name: TableName) -> TableName | None:
    found = default_of(session, name)
    return found[0] if found else None


def _marks_by_time(session: Session, target: Target) -> bool:
    added = {definition.name for definition in target.metadata}
    return target.move.changes.soft_delete not in added and merge.marks_by_time(session, target.move, target.name)


def _check_condition_of_new(session: Session, target: Target) -> None:
    """Check the condition of a slice over the columns that the new table will have."""
    if target.move.where is None:
        return
    columns = ", ".join(f"NULL::{type_} AS {quote_name(name)}" for name, type_ in zip(target.columns, target.new_types))
    relation = f"(SELECT {columns}) AS {quote_name(target.name.name)}"
    overwrite.check_condition(session, relation, target.move.where, target.name)
