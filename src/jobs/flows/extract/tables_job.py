"""Extract many tables: all in one snapshot, one after another, as DataFrames or each into a folder of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field, replace

from pyspark.sql import DataFrame, SparkSession

from jobs.copyformat.read_types import ExtractColumn
from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import ConnectionFailed, ExtractError, UsageError, plural
from jobs.dbaccess.extract import snapshot
from jobs.dbaccess.extract.snapshot import Snapshot
from jobs.dbaccess.sql import TableName
from jobs.flows.extract.dataframe import held, reading
from jobs.flows.extract.job import ExtractReport, FilesJob, write
from jobs.flows.extract.table_folders import folder_of
from jobs.flows.extract.tables_plan import PlannedTable, WantedTables, plan_tables, refuse
from jobs.flows.file_options import PARSED
from jobs.flows.report import Stopwatch, figures, phases_of, readable_size
from jobs.flows.spark_connect import is_remote
from jobs.spark import hadoop_files


@dataclass(frozen=True)
class TablesJob:
    """Which tables to extract, and where to. The attributes are those of `FilesJob`."""

    wanted: WantedTables
    settings: Settings
    target: str
    file_format: str = "parquet"
    write_mode: str = "error"
    writer_options: Mapping[str, str] = field(default_factory=dict)

    def of(self, table: TableName) -> FilesJob:
        """Return the extract of one of the tables."""
        return FilesJob(
            wanted=self.wanted.one(table),
            settings=self.settings,
            target=f"{self.target.rstrip('/')}/{folder_of(table)}",
            file_format=self.file_format,
            write_mode=self.write_mode,
            writer_options=self.writer_options,
        )


@dataclass(frozen=True)
class TablesReport:
    """A finished extract of many tables.

    Attributes:
        source: The patterns.
        rows, bytes, parts: Of all tables.
        snapshot: PostgreSQL's pg_snapshot; empty on a standby.
        tables: The report of each table.
        seconds: Of the phases prepare and read (which also writes the files), and total.
    """

    source: str
    target: str
    rows: int
    bytes: int
    parts: int
    snapshot: str
    tables: tuple[ExtractReport, ...]
    seconds: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return one JSON object, for --report."""
        return json.dumps(asdict(self), indent=2) + "\n"

    def summary(self) -> str:
        """Return one line for all tables, the phases, and one line for each table."""
        total = self.seconds["total"]
        phases = phases_of(self.seconds)
        counts = f"{plural(len(self.tables), 'table')} with {plural(self.rows, 'row')}"
        moved = figures(self.rows, self.bytes, self.parts, total)
        lines = [f"extracted {counts} to {self.target} in {total:.1f} s: {moved}", f"  {phases}"]
        for each in self.tables:
            size = f"{readable_size(each.bytes)} in {plural(each.parts, 'part')}"
            lines.append(f"  {each.source}: {plural(each.rows, 'row')}, {size}, {each.seconds['total']:.1f} s")
        return "\n".join(lines)


def run(job: TablesJob, start_spark: Callable[[], SparkSession]) -> TablesReport:
    """Extract the tables into files. What cannot be extracted is found, in all tables, before anything is read.

    Args:
        job: Which tables, and where to.
        start_spark: Starts Spark.

    Raises:
        UsageError: The request cannot be right, or a folder exists.
        ExtractError: A value could not be read, or the snapshot was lost. Tables before that one are written.
    """
    watch = Stopwatch()
    job.wanted.check()
    job = replace(job, wanted=replace(job.wanted, flat=job.file_format in PARSED))  # as in a job for one table
    connector = Connector(job.settings, "extract", str(job.wanted))
    with connector.open() as session:
        with watch.phase("prepare"):
            planned = plan_tables(session, connector, job.wanted)
            problems = [*planned.problems, *_refused_by_files(planned.tables, job.file_format)]
            refuse(problems, len(planned.tables) + len(planned.problems))
            spark = start_spark()
            _check_names(spark, planned.tables)
            _check_free(spark, job, planned.tables)
        with watch.phase("read"):
            at_server = connector.at(session.server)
            reports = [_extracted(spark, at_server, job, each, planned.snapshot) for each in planned.tables]
        with suppress(ConnectionFailed):  # all tables were read in the snapshot before it was lost
            snapshot.release(session)
    return TablesReport(
        source=str(job.wanted),
        target=job.target,
        rows=sum(report.rows for report in reports),
        bytes=sum(report.bytes for report in reports),
        parts=sum(report.parts for report in reports),
        snapshot=planned.snapshot.seen,
        tables=tuple(reports),
        seconds=watch.seconds(),
    )


def _refused_by_files(planned: Sequence[PlannedTable], file_format: str) -> list[str]:
    """Return which columns the files cannot hold: those of CSV are single values."""
    arrays = {each.name: [c.name for c in each.plan.columns if c.dimensions] for each in planned}
    return [
        f"{table} has arrays, which CSV cannot hold: {', '.join(columns)}."
        for table, columns in arrays.items()
        if columns and file_format == "csv"
    ]


def _check_names(spark: SparkSession, planned: Sequence[PlannedTable]) -> None:
    """Refuse columns whose names Spark takes for the same."""
    if spark.conf.get("spark.sql.caseSensitive") == "true":
        return
    alike = {each.name: _alike(each.plan.columns) for each in planned}
    problems = [
        f"{table} has columns that differ only in case, which Spark takes for the same: {', '.join(names)}."
        for table, names in alike.items()
        if names
    ]
    refuse(problems, len(planned))


def _alike(columns: Sequence[ExtractColumn]) -> list[str]:
    lower = [column.name.lower() for column in columns]
    return [column.name for column in columns if lower.count(column.name.lower()) > 1]


def _check_free(spark: SparkSession, job: TablesJob, planned: Sequence[PlannedTable]) -> None:
    """Check, before anything is read, that no table's folder exists, unless files are added or replaced."""
    if job.write_mode != "error":
        return
    folders = [job.of(each.name).target for each in planned]
    taken = [folder for folder in folders if hadoop_files.exists(spark, folder)]
    if taken:
        others = f", and {len(taken) - 1} more of {len(folders)} folders" if len(taken) > 1 else ""
        raise UsageError(
            f"{taken[0]} exists{others}. Nothing was read.", "Give another --target, or --write-mode overwrite."
        )


def _extracted(
    spark: SparkSession, connector: Connector, job: TablesJob, planned: PlannedTable, exported: Snapshot
) -> ExtractReport:
    """Extract one of the tables, in the snapshot of all."""
    watch, files = Stopwatch(), job.of(planned.name)
    try:
        with watch.phase("read"), reading(spark, _of(connector, planned), planned.plan, exported) as extraction:
            write(extraction.df, files)
    except ExtractError as error:
        raise ExtractError(f"{planned.name}: {error.message}", error.hint) from None
    return ExtractReport(
        source=str(planned.name),
        target=files.target,
        rows=extraction.rows,
        bytes=extraction.bytes,
        parts=len(planned.plan.parts),
        snapshot=exported.seen,
        seconds=watch.seconds(),
        relation=str(planned.name),
        columns={column.name: column.spark_type.simpleString() for column in planned.plan.columns},
    )


def _of(connector: Connector, planned: PlannedTable) -> Connector:
    """Return a connector whose sessions are named by the table."""
    return replace(connector, subject=str(planned.name))


def extract_tables(
    spark: SparkSession,
    *,
    tables: str | Sequence[str],
    exclude: str | Sequence[str] = (),
    settings: Settings,
    unbounded_numeric: str = "text",
    require_primary_key: bool = False,
    parallelism: int | None = None,
) -> dict[str, DataFrame]:
    """Return the tables that match patterns, each as a DataFrame, by their full names. All are read in one snapshot.

    A connection of this process holds the snapshot until the process ends, as for `extract_dataframe`.

    Args:
        spark: The session; not one of Spark Connect.
        tables: Patterns as in psql: `sales.*`, `*.orders_?`; names with dots, `*` or `?` in double quotes. Each matches
            at least one table. Views, foreign tables, and tables of extensions and of the system are not matched;
            partitions and child tables are part of their parent if that matches.
        exclude: Patterns of tables that are left out.
        settings: Of the connection.
        unbounded_numeric: What numeric without precision becomes: "text", "fit" or "decimal(p,s)".
        require_primary_key: Refuse tables without a primary key.
        parallelism: The number of parts of each table, and so the maximum number of its connections.

    Raises:
        UsageError: The arguments cannot be right, a pattern matches nothing, or tables cannot be extracted.
        DatabaseError: The server refuses.
    """
    if is_remote(spark):
        raise UsageError(
            "Through Spark Connect, each table has a snapshot of its own.", "Use extract_dataframe for each table."
        )
    wanted = WantedTables(
        patterns=_several(tables),
        excluded=_several(exclude),
        unbounded=unbounded_numeric,
        require_primary_key=require_primary_key,
        parallelism=parallelism,
    )
    wanted.check()
    connector = Connector(settings, "extract", str(wanted))
    with ExitStack() as stack:
        session = stack.enter_context(connector.open())
        planned = plan_tables(session, connector, wanted)
        refuse(planned.problems, len(planned.tables) + len(planned.problems))
        at_server, exported = connector.at(session.server), planned.snapshot
        frames = {
            str(each.name): stack.enter_context(reading(spark, _of(at_server, each), each.plan, exported)).df
            for each in planned.tables
        }
        held.push(stack.pop_all())  # only now: an extract that fails before is not to be held
    return frames


def _several(patterns: str | Sequence[str]) -> tuple[str, ...]:
    return (patterns,) if isinstance(patterns, str) else tuple(patterns)
