"""Extract into files: all rows, or those that are new since the last run of a watermark."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace

from pyspark.sql import DataFrame, SparkSession

from jobs.dbaccess.catalog.tables import Table
from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import ConnectionFailed, ExtractError, UsageError, plural
from jobs.dbaccess.extract import snapshot
from jobs.dbaccess.extract.watermark import Watermark
from jobs.dbaccess.session import Session
from jobs.flows.extract import watermark_runs
from jobs.flows.extract.dataframe import reading
from jobs.flows.extract.deletes import KeysPlan, find, plan_keys
from jobs.flows.extract.incremental import with_ordinal
from jobs.flows.extract.plan import ExtractPlan, Wanted, find_source, hold_source, plan_extract
from jobs.flows.extract.watermark_runs import Turn
from jobs.flows.file_options import PARSED, to_write, value_of
from jobs.flows.report import Stopwatch, figures, phases_of
from jobs.spark import hadoop_files
from jobs.spark.deleted_keys import Deletes, with_operations
from jobs.spark.file_text import for_text_files, refusal
from jobs.spark.ordinal import Greatest


@dataclass(frozen=True)
class FilesJob:
    """What to extract, and where to.

    Attributes:
        write_mode: "error" (the target must not exist), "append" or "overwrite".
        writer_options: Options of Spark's writer.
        ordinal_column: The integer or timestamp that orders a row's versions. The report has the greatest one.
        watermark_id: Names the watermark. Each run writes its rows into a folder of its own below the target.
        restart_watermark: Extract all rows again, and continue the watermark from there.
        deletes: Also return the keys of rows that were deleted since the last run.
    """

    wanted: Wanted
    settings: Settings
    target: str
    file_format: str = "parquet"
    write_mode: str = "error"
    writer_options: Mapping[str, str] = field(default_factory=dict)
    ordinal_column: str = ""
    watermark_id: str = ""
    restart_watermark: bool = False
    deletes: bool = False

    def check(self) -> None:
        """Check the options together.

        Raises:
            UsageError: They contradict each other.
        """
        if self.ordinal_column and not self.watermark_id:
            raise UsageError("An ordinal column is for incremental extracts.", "Give --watermark-id.")
        if self.restart_watermark and not self.watermark_id:
            raise UsageError("There is no watermark to restart.", "Give --watermark-id.")
        if self.deletes and not self.watermark_id:
            raise UsageError("Deletes are found since the last run of a watermark.", "Give --watermark-id.")
        if self.deletes and self.wanted.unbounded == "fit":
            raise UsageError("With --deletes, the type of a key must not depend on its values.", _DECIMAL)
        if self.watermark_id and self.wanted.table is None:
            raise UsageError("The new rows of a query cannot be determined.", "Give --table.")
        if self.watermark_id and self.write_mode != "append":
            raise UsageError("A run of a watermark only appends.", "Give --write-mode append.")
        if self.ordinal_column and self.ordinal_column in self.wanted.text_columns:
            raise UsageError("The greatest text is not the greatest ordinal.", "Leave it out of --text-columns.")


_DECIMAL = "Give --unbounded-numeric text, or decimal(P,S)."


@dataclass(frozen=True)
class ExtractReport:
    """A finished extract.

    Attributes:
        bytes: Bytes of COPY's text.
        deletes: The number of deletes; None without --deletes. `rows` does not count them.
        snapshot: PostgreSQL's pg_snapshot; empty on a standby.
        watermark_from, watermark_to: The greatest ordinal before and after this run, as text.
        relation: The full name of the table; empty for a query.
        columns: Spark's types by the names of the columns.
        seconds: Of the phases prepare and read (which also writes the files), and total.
    """

    source: str
    target: str
    rows: int
    bytes: int
    parts: int
    snapshot: str
    watermark_from: str | None = None
    watermark_to: str | None = None
    deletes: int | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    relation: str = ""
    columns: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return one JSON object, for --report."""
        return json.dumps(asdict(self), indent=2) + "\n"

    def summary(self) -> str:
        """Return one or two readable lines."""
        total = self.seconds["total"]
        phases = phases_of(self.seconds)
        moved = f"; watermark {self.watermark_from} -> {self.watermark_to}" if self.watermark_to is not None else ""
        deletes = f" and {plural(self.deletes, 'delete')}" if self.deletes is not None else ""
        return (
            f"extracted {plural(self.rows, 'row')}{deletes} of {self.source} to {self.target} in {total:.1f} s: "
            f"{figures(self.rows, self.bytes, self.parts, total)}\n  {phases}{moved}"
        )


def run(job: FilesJob, start_spark: Callable[[], SparkSession]) -> ExtractReport:
    """Run the extract. Errors in the request are found before Spark starts.

    Args:
        job: What to extract, and where to.
        start_spark: Starts Spark.

    Raises:
        UsageError: The request cannot be right.
        ExtractError: A value could not be read, or the snapshot was lost. The watermark has not moved.
    """
    watch = Stopwatch()
    job.check()
    wanted = with_ordinal(job.wanted, job.ordinal_column)
    # A text of PostgreSQL's can be loaded from any file. CSV has no nested values, and JSON does not state their types.
    wanted = replace(wanted, with_key=bool(job.watermark_id), flat=job.file_format in PARSED)
    job = replace(job, wanted=wanted)
    connector = Connector(job.settings, "extract", str(job.wanted))
    with connector.open() as session:
        with watch.phase("prepare"):
            mark = _taken(session, job)
            exported = hold_source(session, job.wanted)
            at_server = connector.at(session.server)
            with at_server.open("plan") as planner:
                with snapshot.adopted(planner, exported):
                    plan = _planned(planner, job, mark, exported.seen)
                spark = start_spark()
                if plan.turn is not None:
                    plan = replace(plan, turn=watermark_runs.begin(planner, spark, plan.turn))
        turn = plan.turn
        target = turn.folder(turn.number) if turn else job.target
        greatest, deletes = Greatest(job.ordinal_column), Deletes()
        with watch.phase("read"), reading(spark, at_server, plan.rows, exported) as extraction:
            rows = greatest.observed(extraction.df)
            if turn is not None and plan.keys is not None:
                found = find(spark, at_server, plan.keys, exported, turn)
                rows = deletes.observed(with_operations(rows, plan.keys.names, found))
            write(rows, replace(job, target=target))
        with suppress(ConnectionFailed):  # all parts were read in the snapshot before it was lost
            snapshot.release(session)
        moved = watermark_runs.end(session, connector, spark, turn, greatest.text()) if turn else None
    return ExtractReport(
        source=str(job.wanted),
        target=target,
        rows=extraction.rows,
        bytes=extraction.bytes,
        parts=len(plan.rows.parts),
        snapshot=exported.seen,
        watermark_from=mark.ordinal if mark else None,
        watermark_to=moved.ordinal if moved else None,
        deletes=deletes.count() if plan.keys else None,
        seconds=watch.seconds(),
        relation=str(plan.table.name) if plan.table else "",
        columns={column.name: column.spark_type.simpleString() for column in plan.rows.columns},
    )


@dataclass(frozen=True)
class _Planned:
    """What a run extracts.

    Attributes:
        table: The table in the catalog; None for a query.
        turn: The run of the watermark, if the job has one.
        keys: The keys of all rows, if deletes are to be found.
    """

    table: Table | None
    rows: ExtractPlan
    turn: Turn | None = None
    keys: KeysPlan | None = None


def _planned(session: Session, job: FilesJob, mark: Watermark | None, seen: str) -> _Planned:
    """Determine what a run extracts, in the snapshot that a session sees."""
    table = find_source(session, job.wanted)
    if mark is None or table is None:
        return _Planned(table, plan_extract(session, job.wanted, table))
    watermark_runs.check(session, table, job.ordinal_column, job.deletes)
    definition, window = watermark_runs.plan(session, job.wanted, table, mark, seen, deletes=job.deletes)
    turn = Turn(job.watermark_id, job.target, definition, mark, window)
    keys = plan_keys(session, job.wanted, table) if job.deletes else None
    return _Planned(table, plan_extract(session, job.wanted, table, window.condition), turn, keys)


def write(df: DataFrame, job: FilesJob) -> None:
    """Write a DataFrame to the target. Files to be overwritten are removed after the new ones are committed.

    Spark's own overwrite removes them first, so that a job that fails has lost them.

    Raises:
        ExtractError: The files could not represent a value.
    """
    spark = df.sparkSession
    old = hadoop_files.below(spark, job.target) if job.write_mode == "overwrite" else []
    mode = "append" if job.write_mode == "overwrite" else job.write_mode
    if job.file_format in PARSED:
        df = for_text_files(df, null_rows=job.file_format != "csv" or bool(value_of(job.writer_options, "nullValue")))
    options = {**to_write(job.file_format, job.writer_options), _ATTEMPT: str(secrets.randbelow(_MOST_ATTEMPTS) + 1)}
    with _refusals_translated():
        df.write.format(job.file_format).options(**options).mode(mode).save(job.target)
    hadoop_files.remove(spark, old)


_ATTEMPT = "mapreduce.job.application.attempt.id"
"""Names the folder below _temporary in which the finished tasks of a write wait for its commit.

Spark gives every write the number 0, and its commit takes all that waits there: also the tasks of a driver that was
killed, so that a rerun would write their rows a second time.
https://github.com/apache/hadoop/blob/trunk/hadoop-mapreduce-project/hadoop-mapreduce-client/hadoop-mapreduce-client-core/src/main/java/org/apache/hadoop/mapreduce/lib/output/FileOutputCommitter.java
(getJobAttemptPath)
"""

_MOST_ATTEMPTS = 2**31 - 1


@contextmanager
def _refusals_translated() -> Iterator[None]:
    """Raise our own error in place of Spark's for a value that the files could not represent."""
    try:
        yield
    except Exception as error:
        reason = refusal(str(error))
        if reason is None:
            raise
        raise ExtractError(
            reason,
            "Extract as Parquet, give the column to --text-columns, or state --option nullValue to write and to load.",
        ) from None


def _taken(session: Session, job: FilesJob) -> Watermark | None:
    """Take the watermark, which the session holds until it ends; None if the job has no watermark."""
    if not job.watermark_id:
        return None
    watermark_runs.check(session, find_source(session, job.wanted), job.ordinal_column, job.deletes)
    return watermark_runs.take(session, job.watermark_id, job.restart_watermark)
