"""Each carrier, begun while a table is reloaded, rewritten or swapped by somebody who has not committed yet."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pyspark
import pytest
from pgcopies import end_sidecars, options_for
from pyspark.sql import SparkSession
from submitted import until

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.extract.job import FilesJob, run
from jobs.flows.extract.plan import Wanted

OLD, NEW = 10, 20
FILL = f"SELECT n AS id FROM generate_series(1, {NEW}) n"
RELOAD = f"TRUNCATE t; INSERT INTO t {FILL}"
SWAP = f"CREATE TABLE t_new AS {FILL}; ALTER TABLE t RENAME TO t_old; ALTER TABLE t_new RENAME TO t"
REWRITE = f"DROP VIEW v; INSERT INTO t SELECT generate_series({OLD + 1}, {NEW}); ALTER TABLE t ALTER id TYPE numeric(9)"

Read = Callable[[SparkSession, Settings, Path], Callable[[], int]]
"""What is got ready before the change begins, and then begun while it goes on; it gives how many rows it has read."""


def files(wanted: Wanted) -> Read:
    """Overwrites the files of an earlier extract."""

    def ready(spark: SparkSession, database: Settings, folder: Path) -> Callable[[], int]:
        target = str(folder / "files")
        spark.range(1).write.parquet(target)

        def read() -> int:
            run(FilesJob(wanted, database, target, write_mode="overwrite"), lambda: spark)
            return spark.read.parquet(target).count()

        return read

    return ready


def pgcopy(spark: SparkSession, database: Settings, folder: Path) -> Callable[[], int]:
    return spark.read.format("pgcopy").options(**options_for(database, folder), table="t").load().count


def stream(spark: SparkSession, database: Settings, folder: Path) -> Callable[[], int]:
    df = spark.readStream.format("pgcopy").options(**options_for(database, folder), table="t").load()

    def read() -> int:
        writer = df.writeStream.format("parquet").option("checkpointLocation", str(folder / "checkpoint"))
        writer.trigger(availableNow=True).start(str(folder / "files")).awaitTermination()
        return spark.read.parquet(str(folder / "files")).count()

    return read


SPARK_4 = pytest.mark.skipif(pyspark.__version__ < "4", reason="Python data sources are Spark 4's")

CASES = [
    pytest.param(files(Wanted(TableName("t"))), RELOAD, id="files-reload"),
    pytest.param(files(Wanted(TableName("t"), parallelism=3)), SWAP, id="files-swap"),
    pytest.param(files(Wanted(TableName("t"), split_by="id", parallelism=3)), REWRITE, id="files-rewrite"),
    pytest.param(files(Wanted(query="SELECT * FROM t")), SWAP, id="query-swap"),
    pytest.param(files(Wanted(TableName("v"))), RELOAD, id="view-reload"),
    *(
        pytest.param(read, change, id=f"{read.__name__}-{name}", marks=SPARK_4)
        for read, name, change in [
            (pgcopy, "reload", RELOAD),
            (pgcopy, "swap", SWAP),
            (stream, "reload", RELOAD),
        ]
    ),
]


@pytest.mark.parametrize(("ready", "change"), CASES)
def test_each_carrier_reads_what_was_changed_while_it_waited(
    spark: SparkSession, session: Session, database: Settings, tmp_path: Path, ready: Read, change: str
) -> None:
    session.run(f"CREATE TABLE t AS SELECT n AS id FROM generate_series(1, {OLD}) n; CREATE VIEW v AS SELECT * FROM t")
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name ~ '^pgjobs'"
    read = ready(spark, database, tmp_path)
    counted: list[int] = []
    with connect(database, "writer") as writer:
        writer.run(f"BEGIN; {change}")
        reading = threading.Thread(target=lambda: counted.append(read()))
        reading.start()
        until(lambda: session.run(f"{waiting} AND datname = current_database()"), "the lock")
        writer.run("COMMIT")
        reading.join()
    end_sidecars(session)
    assert counted == [NEW]
