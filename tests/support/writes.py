"""The ways to write rows: by a load, by pgcopy and by its streams, each in several modes; and to disturb them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pgcopies import options_for
from pyspark.sql import DataFrame, SparkSession
from submitted import until

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import quote_name
from jobs.flows.load.dataframe import load_dataframe

ROWS, PARTS = 20_000, 4
MODES = ("append", "overwrite", "upsert")
TEXT = "repeat('x', 100)"

AFTERWARDS = {"append": (ROWS + 2, 2), "overwrite": (ROWS, 0), "upsert": (ROWS + 1, 1)}
"""Rows in the table when all is done, and how many of them are old: it held the ids -1 and 0."""


@dataclass(frozen=True)
class Write:
    """A way to write, and the mode."""

    way: str
    mode: str

    @property
    def table(self) -> str:
        return f"{self.way} {self.mode}"

    def prepare(self, session: Session) -> None:
        """Make the table, with two rows."""
        session.run(f"CREATE TABLE {quote_name(self.table)} (id bigint {self._key}, v text)")
        session.run(f"INSERT INTO {quote_name(self.table)} VALUES (-1, 'old'), (0, 'old')")

    @property
    def _key(self) -> str:
        return "PRIMARY KEY" if self.mode == "upsert" else ""

    def read(self, spark: SparkSession, source: Path) -> DataFrame:
        """The rows, one part for each file. What a stream overwrites with is an aggregate, by Spark's own rule."""
        if self.way != "stream":
            return spark.read.parquet(str(source))
        rows = spark.readStream.schema("id bigint").parquet(str(source))
        return rows.groupBy("id").count().drop("count") if self.mode == "overwrite" else rows

    def run(self, df: DataFrame, database: Settings, folder: Path) -> None:
        """Write, and come back when all is done."""
        keys = {"keys": "id"} if self.mode == "upsert" else {}
        if self.way == "load":
            table = quote_name(self.table)
            load_dataframe(df, table=table, settings=database, mode=self.mode, keys=tuple(keys.values()))
            return
        mode = {"mode": "upsert"} if self.mode == "upsert" else {}
        options = {**options_for(database, folder), "table": quote_name(self.table), **keys, **mode}
        if self.way == "batch":
            saved = "overwrite" if self.mode == "overwrite" else "append"
            df.write.format("pgcopy").options(**options).mode(saved).save()
            return
        writer = df.writeStream.format("pgcopy").options(**options, streamId=self.table)
        writer = writer.outputMode("complete" if self.mode == "overwrite" else "append")
        query = writer.option("checkpointLocation", str(folder / self.table)).trigger(availableNow=True).start()
        query.awaitTermination()

    def assert_held(self, session: Session) -> None:
        """Every row is there once, by count and sum, and nothing beside."""
        rows, old = AFTERWARDS[self.mode]
        query = "SELECT count(*), sum(id)::bigint, count(*) FILTER (WHERE v = 'old'), count(*) FILTER (WHERE v = "
        held = session.run(f"{query}{TEXT}) FROM {quote_name(self.table)}")
        expected = [[rows, sum(range(ROWS)) - (self.mode != "overwrite"), old, ROWS]]
        assert held == expected, f"{self}: {held} in place of {expected}"


def left_of_staging(session: Session) -> list[list[object]]:
    return session.run("SELECT relname FROM pg_class WHERE relname ~ '^pgjobs_'")


def ask(database: Settings, query: str) -> list[list[object]]:
    with connect(database, "disturber") as session:
        return session.run(query)


def copies_under_way(session: Session) -> set[int]:
    """The server processes that copy a part 1, and have got rows."""
    query = (
        "SELECT pid FROM pg_stat_progress_copy JOIN pg_stat_activity USING (pid) "
        "WHERE application_name ~ ' part 1 ' AND tuples_processed > 0"
    )
    return {int(str(pid)) for [pid] in session.run(query)}


def until_copying(database: Settings, others_than: Collection[int] = ()) -> set[int]:
    """Wait until a COPY of part 1 has brought rows; return the server process, which is none of these."""
    found: set[int] = set()
    with connect(database, "disturber") as session:

        def copying() -> set[int]:
            found.update(copies_under_way(session) - set(others_than))
            return found

        until(copying, "the copying of part 1")
    return found


def until_claimed(database: Settings, parts: int) -> None:
    """Wait until so many parts are claimed."""
    with connect(database, "disturber") as session:

        def claimed() -> bool:
            tables = session.run("SELECT relname FROM pg_class WHERE relname ~ '^pgjobs_parts_' AND relkind = 'r'")
            return any(
                session.run(f"SELECT count(rows) >= {parts} FROM {quote_name(str(name))}")[0][0] for [name] in tables
            )

        until(claimed, "the claims")
