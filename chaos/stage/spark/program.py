"""A Spark driver that runs one job after another, controlled by lines of JSON. `drivers` starts it, and may kill it.

The jobs are the real ones: the entrypoints' own `main` with a command line, and Spark's own calls for `pgcopy`.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from jobs import Ledger, connect, connection, copy_rows, extract_table, load_table
from jobs.capture_changes import main as capture_changes_main
from jobs.cli.run import run_job
from jobs.copy_table import main as copy_table_main
from jobs.dbaccess.load.ledger import MARKER_TABLE
from jobs.load_release import main as load_release_main
from jobs.run_query import main as run_query_main


def main() -> None:
    """Start Spark, report that, and run the requested jobs until standard input ends."""
    answers = os.fdopen(int(sys.argv[1]), "w")
    spark = SparkSession.builder.appName("pgjobs chaos").getOrCreate()
    threading.Thread(target=_kill_tasks_on_demand, args=(spark, sys.argv[2]), daemon=True).start()
    _answer(answers, {"ready": True})
    for line in sys.stdin:
        _answer(answers, _run(spark, json.loads(line)))


def _answer(answers: io.TextIOWrapper, answer: Mapping[str, object]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def _run(spark: SparkSession, asked: Mapping[str, Any]) -> dict[str, object]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = _JOBS[asked["job"]](spark, asked)
        except SystemExit as error:
            status = int(error.code or 0)
    return {"status": status, "out": out.getvalue(), "err": err.getvalue()}


def _load_table(_: SparkSession, asked: Mapping[str, Any]) -> int:
    return load_table.main(asked["arguments"], os.environ)


def _extract_table(_: SparkSession, asked: Mapping[str, Any]) -> int:
    return extract_table.main(asked["arguments"], os.environ)


def _run_query(_: SparkSession, asked: Mapping[str, Any]) -> int:
    return run_query_main(asked["arguments"], os.environ)


def _capture_changes(_: SparkSession, asked: Mapping[str, Any]) -> int:
    return capture_changes_main(asked["arguments"], os.environ)


def _copy_table(_: SparkSession, asked: Mapping[str, Any]) -> int:
    return copy_table_main(asked["arguments"], os.environ)


def _load_release(_: SparkSession, asked: Mapping[str, Any]) -> int:
    return load_release_main(asked["arguments"], os.environ)


def _copy_rows(_: SparkSession, asked: Mapping[str, Any]) -> int:
    def job() -> None:
        table, ledger = pq.read_table(asked["source"]), Ledger.parse(MARKER_TABLE)
        with connect(connection(**asked["connection"]), "chaos") as session:
            ledger.ensure(session)
            with session.transaction():
                if ledger.record(session, asked["id"], asked["table"]):
                    rows = zip(*(column.to_pylist() for column in table.columns))
                    copy_rows(session, asked["table"], table.column_names, rows)

    return run_job(job, verbose=False)


def _write(spark: SparkSession, asked: Mapping[str, Any]) -> int:
    def job() -> None:
        rows = spark.read.parquet(asked["source"])
        rows.createOrReplaceTempView("source")
        chosen = spark.sql(asked["select"])
        chosen.write.format("pgcopy").options(**asked["options"]).mode(asked["mode"]).save()

    return run_job(job, verbose=False)


def _read(spark: SparkSession, asked: Mapping[str, Any]) -> int:
    def job() -> None:
        rows = spark.read.format("pgcopy").options(**asked["options"]).load()
        rows.write.mode("overwrite").parquet(asked["target"])

    return run_job(job, verbose=False)


def _write_stream(spark: SparkSession, asked: Mapping[str, Any]) -> int:
    def job() -> None:
        schema = spark.read.parquet(asked["source"]).schema
        files = spark.readStream.schema(schema).option("maxFilesPerTrigger", 1).parquet(asked["source"])
        files.createOrReplaceTempView("source")
        query = (
            spark.sql(asked["select"])
            .writeStream.format("pgcopy")
            .options(**asked["options"])
            .option("checkpointLocation", asked["checkpoint"])
            .trigger(availableNow=True)
            .start()
        )
        query.awaitTermination()

    return run_job(job, verbose=False)


def _read_stream(spark: SparkSession, asked: Mapping[str, Any]) -> int:
    def job() -> None:
        query = (
            spark.readStream.format("pgcopy")
            .options(**asked["options"])
            .load()
            .writeStream.format("parquet")
            .option("path", asked["target"])
            .option("checkpointLocation", asked["checkpoint"])
            .trigger(availableNow=True)
            .start()
        )
        query.awaitTermination()

    return run_job(job, verbose=False)


_JOBS: dict[str, Callable[[SparkSession, Mapping[str, Any]], int]] = {
    "load_table": _load_table,
    "extract_table": _extract_table,
    "run_query": _run_query,
    "capture_changes": _capture_changes,
    "copy rows": _copy_rows,
    "copy_table": _copy_table,
    "load_release": _load_release,
    "write": _write,
    "read": _read,
    "write stream": _write_stream,
    "read stream": _read_stream,
}


def _kill_tasks_on_demand(spark: SparkSession, request: str) -> None:
    """Kill a running task when the file of that name appears."""
    scheduler: Any = spark.sparkContext._jsc.sc()  # noqa: SLF001 - PySpark has no public function for killing a task
    while True:
        time.sleep(0.02)
        if os.path.exists(request):  # noqa: PTH110 - many times per second
            os.unlink(request)  # noqa: PTH108 - see above
            with contextlib.suppress(Exception):
                _kill_one(scheduler)


def _kill_one(scheduler: Any) -> None:  # noqa: ANN401 - the JVM's SparkContext
    store = scheduler.statusStore()
    stages = store.activeStages()
    for number in range(stages.size()):
        stage = stages.apply(number)
        tasks = store.taskList(stage.stageId(), stage.attemptId(), 100)
        for index in range(tasks.size()):
            task = tasks.apply(index)
            if task.status() == "RUNNING":
                scheduler.killTaskAttempt(task.taskId(), True, "chaos")
                return


if __name__ == "__main__":
    main()
