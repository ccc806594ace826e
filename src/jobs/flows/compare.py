"""Compare a DataFrame with a snapshot of a table by key: which keys are missing, extra or different."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

from pyspark.sql import DataFrame
from pyspark.sql import functions as f

from jobs.copyformat.match_columns import columns_named
from jobs.dbaccess.catalog.kinds import SPATIAL
from jobs.dbaccess.catalog.tables import Column, Table
from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import UsageError, plural
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.extract.dataframe import extracting, reading_snapshot
from jobs.flows.extract.plan import Wanted, find_source
from jobs.flows.report import SourceTable, Stopwatch
from jobs.spark import comparing, key_buckets
from jobs.spark.comparing import Compared, Sums
from jobs.spark.key_buckets import Key

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CompareJob:
    """What to compare.

    Attributes:
        keys: The table's columns that identify a row.
        filter: An SQL expression: only these rows of the table are compared. It becomes part of statements as it is.
        sample: The share of the keys to compare, greater than 0 and at most 1.
        parallelism: The maximum number of connections; None to choose.
    """

    table: TableName
    settings: Settings
    keys: tuple[str, ...]
    filter: str = ""
    sample: float = 1.0
    parallelism: int | None = None

    @property
    def connector(self) -> Connector:
        """Opens the sessions that read the table."""
        return Connector(self.settings, "compare", str(self.table))

    def check(self) -> None:
        """Check the options.

        Raises:
            UsageError: Keys or sample cannot be right.
        """
        if not self.keys or "" in self.keys:
            raise UsageError("A comparison needs the columns that identify a row.", "Give --keys A,B.")
        if not 0 < self.sample <= 1:
            raise UsageError(f"{self.sample} is not a share of the keys.", "Give --sample a number above 0, at most 1.")


@dataclass(frozen=True)
class CompareReport:
    """A finished comparison.

    Attributes:
        keys: The number of keys that differ, by difference: missing, extra, different, repeated.
        seconds: Of the whole comparison, as total.
        source_table: The table of Spark's catalogs that was read, if it is one.
    """

    table: str
    rows_source: int
    rows_table: int
    sample: float
    keys: dict[str, int]
    seconds: dict[str, float] = field(default_factory=dict)
    source_table: SourceTable | None = None

    @property
    def equal(self) -> bool:
        """Whether no key differs."""
        return not self.keys

    def to_json(self) -> str:
        """Return one JSON object, for --report."""
        return json.dumps({**asdict(self), "equal": self.equal}, indent=2) + "\n"

    def summary(self) -> str:
        """Return one readable line."""
        of = "" if self.sample == 1 else f" (a sample of {self.sample:g} of the keys)"
        rows = f"{self.rows_source:,} rows of the source with {self.rows_table:,} of {self.table}{of}"
        differences = ", ".join(f"{plural(count, 'key')} {difference}" for difference, count in self.keys.items())
        return f"compared {rows} in {self.seconds['total']:.1f} s: {differences or 'equal'}"


@dataclass(frozen=True)
class Comparison:
    """Two sides, compared, while the table's snapshot is held.

    Attributes:
        rows_source, rows_table: The number of rows that were compared.
        differences: One row for each key that differs: the key, `difference`, and the names of the `columns` that
            differ.
    """

    rows_source: int
    rows_table: int
    differences: DataFrame

    def keys(self) -> dict[str, int]:
        """Return the number of keys that differ, by difference; empty if none does."""
        counted = self.differences.groupBy(comparing.DIFFERENCE).count().collect()
        return {str(row[0]): int(row[1]) for row in sorted(counted)}


@contextmanager
def compared(source: DataFrame, session: Session, job: CompareJob) -> Iterator[Comparison]:
    """Compare, and hold the table's snapshot for the block.

    Args:
        source: The rows that the table should hold. Columns are matched by name. Other columns of the table are not
            compared.
        session: Holds the snapshot. It can do nothing else in the block.
        job: What to compare.

    Raises:
        UsageError: A column or key is not in both.
        ExtractError: The table could not be read.
    """
    job.check()
    spark = source.sparkSession
    table = find_source(session, Wanted(job.table))
    assert table is not None  # noqa: S101 - a table is wanted, and find_source refuses one that is missing
    names = _matched(source, table, job.keys)
    conditions = [f"({job.filter})"] if job.filter else []
    if job.sample < 1:
        conditions.append(key_buckets.sample_condition(job.keys[0], _steps(job)))
    wanted = Wanted(job.table, None, tuple(names), " AND ".join(conditions), parallelism=job.parallelism)
    with extracting(spark, session, job.connector, wanted) as extraction:
        columns = _columns(source, extraction.df, table, names)
        keys = [column for name in job.keys for column in columns if column.name == name]
        left = comparing.aligned(source, columns, is_source=True)
        right = comparing.aligned(extraction.df, columns, is_source=False)
        if job.sample < 1:
            left = _sampled(left, keys[0].key, _steps(job))
        sums = Sums.of(left, keys, columns), Sums.of(right, keys, columns)
        buckets = sums[0].unlike(sums[1])
        logger.info("%d of %d buckets of keys differ.", len(buckets), key_buckets.BUCKETS)
        # Where the server can compute the buckets, it sends only their rows again.
        some_rows = key_buckets.bucket_condition([column.key for column in keys], buckets)
        connector = job.connector.at(session.server)
        with reading_snapshot(spark, connector, wanted, extraction.snapshot, some_rows) as rereading:
            right = comparing.aligned(rereading.df, columns, is_source=False)
            differences = comparing.differences(left, right, keys=keys, columns=columns, buckets=buckets)
            # Computed once and now: otherwise each action would read both sides, and need the snapshot.
            differences = (differences if buckets else differences.where(f.lit(False))).localCheckpoint(eager=True)
        yield Comparison(sums[0].rows, sums[1].rows, differences)


def compare_dataframe(
    df: DataFrame,
    *,
    table: str,
    settings: Settings,
    keys: Sequence[str],
    filter: str = "",  # noqa: A002 - SQL's own word, and the flag's
    sample: float = 1.0,
    parallelism: int | None = None,
) -> DataFrame:
    """Return the keys in which a DataFrame and a table differ, each with its difference and the columns that differ.

    The result is already computed, and needs no connection.

    Args:
        df: The rows that the table should hold. Columns are matched by name.
        table: `[schema.]table`.
        settings: Of the connection.
        keys: The table's columns that identify a row.
        filter: An SQL expression over the table's columns: only these rows are compared.
        sample: The share of the keys to compare.
        parallelism: The maximum number of connections.

    Raises:
        UsageError: A column or key is not in both.
        JobError: The table could not be read.
    """
    job = CompareJob(
        table=TableName.parse(table),
        settings=settings,
        keys=tuple(keys),
        filter=filter,
        sample=sample,
        parallelism=parallelism,
    )
    with job.connector.open() as session, compared(df, session, job) as comparison:
        return comparison.differences


def report(comparison: Comparison, job: CompareJob, watch: Stopwatch) -> CompareReport:
    """Return the report of a comparison."""
    return CompareReport(
        table=str(job.table),
        rows_source=comparison.rows_source,
        rows_table=comparison.rows_table,
        sample=job.sample,
        keys=comparison.keys(),
        seconds=watch.seconds(),
    )


def _matched(source: DataFrame, table: Table, keys: Sequence[str]) -> dict[str, str]:
    """Return the table's columns to compare, each with its name in the source.

    Raises:
        UsageError: A column of the source is not in the table, or a key is not in both.
    """
    meant = {name: columns_named(name, table.columns) for name in source.columns}
    unclear = [name for name, columns in meant.items() if len(columns) != 1]
    if unclear:
        raise UsageError(
            f"{table.name} has no unique column for {', '.join(unclear)} of the source.",
            f"It has {', '.join(column.name for column in table.columns)}. Rename or leave out columns with --select.",
        )
    names = {columns[0].name: name for name, columns in meant.items()}
    lacking = [key for key in keys if key not in names]
    if lacking:
        raise UsageError(f"The key {', '.join(lacking)} is not in both.", f"Both have {', '.join(names)}.")
    return names


def _columns(source: DataFrame, df: DataFrame, table: Table, names: dict[str, str]) -> list[Compared]:
    """Return the columns to compare, with their types on both sides.

    Raises:
        UsageError: Some types cannot be compared.
    """
    types = {column.name: column for column in table.columns}
    spatial = {column.name for column in table.columns if _is_spatial(column)}
    kinds = {field.name: field.dataType for field in df.schema}
    given = {field.name: field.dataType for field in source.schema}
    refused = [
        f"{name!r} is {given[theirs].simpleString()} and {types[name].base_type}"
        for name, theirs in names.items()
        if name in spatial or not comparing.can_be_compared(given[theirs], kinds[name])
    ]
    if refused:
        raise UsageError(
            f"These columns cannot be compared: {'; '.join(refused)}.", "Cast them, or leave them out, with --select."
        )
    return [
        Compared(
            name,
            theirs,
            kinds[name],
            types[name].base_type,
            element=types[name].element,
            fields=types[name].fields,
        )
        for name, theirs in names.items()
    ]


def _is_spatial(column: Column) -> bool:
    """Return whether a column holds geometries: the same one may be written by different bytes."""
    return column.kind in SPATIAL or any(map(_is_spatial, column.fields))


def _steps(job: CompareJob) -> int:
    return max(1, round(job.sample * key_buckets.SAMPLE_STEPS))


def _sampled(df: DataFrame, key: Key, steps: int) -> DataFrame:
    if not key.can_be_sampled:
        raise UsageError(
            f"Keys of the type {key.spark_type.simpleString()} cannot be sampled.",
            "Put a key that is an integer, a date or text first, or leave --sample out.",
        )
    return df.where(key_buckets.is_sampled(key, steps))
