"""The report of a load, as a summary for people and as JSON for programs; and what all reports share."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from jobs.dbaccess.errors import UsageError, plural
from jobs.dbaccess.load.verify import Verified
from jobs.dbaccess.query.execute import Done
from jobs.dbaccess.sql import quote_literal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class LoadedColumn:
    """A column of a load.

    Attributes:
        source, spark_type: The data's column and its type.
        name, type: The table's column and its type, as SQL writes it.
    """

    source: str
    spark_type: str
    name: str
    type: str


@dataclass(frozen=True)
class SourceTable:
    """A table or view of Spark's catalogs that was read.

    Attributes:
        name: As it was given.
        format: "iceberg" or "delta"; empty for others.
        version: The id of Iceberg's snapshot, or Delta's version; empty if it has none, or another one may be read.
        places: The folders of its files, and those of the tables that a view reads.
    """

    name: str
    format: str = ""
    version: str = ""
    places: tuple[str, ...] = ()

    def told(self) -> str:
        """Return its name and its version."""
        word = "snapshot" if self.format == "iceberg" else "version"
        return f"{self.name}, {word} {self.version}" if self.version else self.name


@dataclass(frozen=True)
class LoadReport:
    """A finished load, or one that had finished before.

    Attributes:
        attempts_discarded: Attempts at a part whose rows were discarded, because the attempt failed or another one was
            accepted.
        records_malformed: Records that Spark could not read completely, and that --option mode allowed.
        rows_unchanged: Staged rows of an upsert that were equal to the table's, so that nothing was written.
        rows_ignored: Staged rows that the mode, or a trigger of the table, left out.
        rows_deleted: Rows of the table that overwrite replaced; None if partitions were replaced: to count their rows
            would mean to read them.
        partitions_replaced: The partitions that were replaced, by the mode replace-partitions.
        partitions_created: The partitions that were created, because rows had none.
        columns_added: Columns that the table got, because the data has them.
        columns_widened: Columns whose types were changed, so that they hold all values of the data's types.
        verified: The rows and columns that were compared with Spark's before the commit; None without --verify.
        seconds: Of the phases prepare (all work before the copy), copy, publish and analyze, and total.
        before_sql, after_sql: The statements of both scripts, and what they did.
        over_connect: Whether a server of Spark Connect wrote the rows: the client knows only how many were read, and
            the other counts are 0.
        publish: How the rows came into the table: "staged", by one transaction of the driver; "one part", by the
            transaction of the only task; "parts", by a transaction for each part.
        columns: The columns that were loaded.
        parts_kept: Parts that an earlier run of this load id had copied. `bytes_copied` does not include them.
        rows_rejected: Rows that the server refused, and that were put aside in `rejects_table`, by --on-error
            quarantine. They are part of `rows_read`.
        rejects_table: That table; empty if no row was rejected.
        source_state: Of a source that the table follows by its changes: the state that the table has.
        nothing_new: Whether the table had it already, so that there was nothing to load.
        rejected_by: The load id under which they are there: with --replay, that of the load that rejected them first.
        source_table: The table of Spark's catalogs that was read, by --source-table.
    """

    load_id: str
    table: str
    mode: str
    rows_read: int = 0
    rows_staged: int = 0
    rows_inserted: int = 0
    rows_updated: int = 0
    rows_unchanged: int = 0
    rows_ignored: int = 0
    rows_deleted: int | None = 0
    bytes_copied: int = 0
    parts: int = 0
    attempts_discarded: int = 0
    already_loaded: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    records_malformed: int = 0
    partitions_replaced: tuple[str, ...] = ()
    partitions_created: tuple[str, ...] = ()
    columns_added: tuple[str, ...] = ()
    columns_widened: tuple[str, ...] = ()
    verified: Verified | None = None
    before_sql: tuple[Done, ...] = ()
    after_sql: tuple[Done, ...] = ()
    over_connect: bool = False
    publish: str = "staged"
    columns: tuple[LoadedColumn, ...] = ()
    parts_kept: int = 0
    rows_rejected: int = 0
    rejects_table: str = ""
    rejected_by: str = ""
    source_table: SourceTable | None = None
    source_state: str = ""
    nothing_new: bool = False
    read_rejects: Callable[[SparkSession], DataFrame] | None = field(default=None, repr=False, compare=False)

    verb: ClassVar[str] = "loaded"
    """What was done with the rows, for people."""

    def rejects(self, spark: SparkSession) -> DataFrame:
        """Return the rows that were rejected, with the columns of `rejects_table`; none if there are none.

        Raises:
            UsageError: The report is not that of a load that could reject rows.
        """
        if self.read_rejects is None:
            raise UsageError("This load put no rows aside.", "Load with on_error='quarantine'.")
        return self.read_rejects(spark)

    def to_json(self) -> str:
        """Return one JSON object, for --report."""
        return json.dumps(asdict(replace(self, read_rejects=None), dict_factory=_public), indent=2) + "\n"

    def summary(self) -> str:
        """Return a few readable lines."""
        if self.already_loaded:
            return f"already {self.verb}: {self.table} holds the load {self.load_id!r}. Nothing was copied."
        if self.nothing_new:
            has = f"{self.table} has {self.source_state}" if self.source_state else "the source has no rows yet"
            return f"nothing to load: {has}. Load id {self.load_id!r} is recorded."
        total = self.seconds["total"]
        if self.over_connect:
            through = f"through Spark Connect in {total:.1f} s; mode {self.mode}, load id {self.load_id!r}"
            return f"wrote {plural(self.rows_read, 'row')} to {self.table} {through}"
        phases = phases_of(self.seconds)
        other_counts = {
            "updated": self.rows_updated,
            "unchanged": self.rows_unchanged,
            "deleted": self.rows_deleted,
            "ignored": self.rows_ignored,
            "malformed": self.records_malformed,
        }
        other_words = "".join(f", {word} {count:,}" for word, count in other_counts.items() if count)
        return (
            f"{self.verb} {plural(self.rows_inserted, 'row')} into {self.table}{other_words} in {total:.1f} s: "
            f"{figures(self.rows_staged, self.bytes_copied, self.parts, total)}\n"
            f"  {phases}; load id {self.load_id!r}"
            + (f"; {plural(self.attempts_discarded, 'attempt')} discarded" if self.attempts_discarded else "")
            + (f"; {plural(self.parts_kept, 'part')} of an earlier run" if self.parts_kept else "")
            + (f"\n  read: {self.source_table.told()}" if self.source_table and not self.source_state else "")
            + (f"\n  it has {self.source_state}" if self.source_state else "")
            + (f"\n  replaced: {_some(self.partitions_replaced)}" if self.partitions_replaced else "")
            + (f"\n  created: {_some(self.partitions_created)}" if self.partitions_created else "")
            + (f"\n  columns added: {_some(self.columns_added)}" if self.columns_added else "")
            + (f"\n  columns widened: {_some(self.columns_widened)}" if self.columns_widened else "")
            + (f"\n  before: {statements(self.before_sql)}" if self.before_sql else "")
            + (f"\n  {_verified(self.verified)}" if self.verified else "")
            + (f"\n  after: {statements(self.after_sql)}" if self.after_sql else "")
            + (f"\n  {self._rejected()}" if self.rows_rejected else "")
        )

    def _rejected(self) -> str:
        were = "was" if self.rows_rejected == 1 else "were"
        query = f"SELECT * FROM {self.rejects_table} WHERE load_id = {quote_literal(self.rejected_by)}"
        return f"{self.rows_rejected:,} of {plural(self.rows_read, 'row')} {were} rejected, and not loaded: {query}"


def _public(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value for name, value in fields if name != "read_rejects"}


def _verified(verified: Verified) -> str:
    others = f"; not compared: {', '.join(verified.not_compared)}" if verified.not_compared else ""
    return f"verified: {plural(verified.rows, 'row')} in {plural(len(verified.columns), 'column')}{others}"


def _some(names: Sequence[str]) -> str:
    others = f" and {plural(len(names) - _SHOWN, 'other')}" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + others


_SHOWN = 5
"""How many partitions or columns a summary names."""


def statements(done: Sequence[Done]) -> str:
    """Return what statements did: "DELETE FROM 3 rows; SET done"."""
    return "; ".join(f"{one.statement} {'done' if one.rows is None else plural(one.rows, 'row')}" for one in done)


class Stopwatch:
    """Seconds by phase."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._phases: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the block's seconds under a name."""
        start = time.monotonic()
        try:
            yield
        finally:
            self._phases[name] = self._phases.get(name, 0.0) + time.monotonic() - start

    def seconds(self) -> dict[str, float]:
        """Return the phases so far and their total, rounded to milliseconds."""
        total = time.monotonic() - self._start
        return {name: round(value, 3) for name, value in {**self._phases, "total": total}.items()}


MIN_ROWS_FOR_RATE = 1000
"""Fewer rows are moved in milliseconds. The seconds are those of the steps around them, so a rate would mislead."""


def figures(rows: int, size: int, parts: int, seconds: float) -> str:
    """Return how fast rows were moved, unless they are few, and their size: "617 rows/s, 5.6 MB in 2 parts"."""
    rate = f"{rows / seconds:,.0f} rows/s, " if rows >= MIN_ROWS_FOR_RATE and seconds > 0 else ""
    return f"{rate}{readable_size(size)} in {plural(parts, 'part')}"


def readable_size(size: float) -> str:
    """Return a size in bytes as text, in a unit in which it is at least 1: "120 bytes", "5.6 MB"."""
    for unit, factor in _UNITS:
        if size >= factor:
            return f"{size / factor:,.1f} {unit}"
    return plural(round(size), "byte")


_UNITS = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


def phases_of(seconds: Mapping[str, float]) -> str:
    """Return how long each phase took, without the total."""
    return ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items() if name != "total")
