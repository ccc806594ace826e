"""The real Luigi and pgjobs share one ledger: each recognizes what the other has loaded."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from libpq import environment
from pyspark.sql import SparkSession

from jobs import load_dataframe, run_query
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.ledger import Ledger
from jobs.dbaccess.session import Session

pytestmark = pytest.mark.skipif(sys.version_info < (3, 10), reason="Luigi needs Python 3.10")

TASKS = Path(__file__).parents[1] / "support" / "luigi_tasks.py"

Ask = Callable[..., object]


@pytest.fixture(params=[("psycopg2", "table_updates"), ("pg8000", "etl.marks")], ids=["psycopg2", "pg8000"])
def choice(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Luigi's driver, and its marker table: the default one, and one in its configuration."""
    driver, marker_table = request.param
    return driver, marker_table


@pytest.fixture
def marker_table(choice: tuple[str, str]) -> str:
    return choice[1]


@pytest.fixture
def luigi(choice: tuple[str, str], session: Session, database: Settings, tmp_path: Path) -> Iterator[Ask]:
    """Asks Luigi, in a process of its own."""
    driver, marker_table = choice
    session.run("DROP TABLE table_updates; CREATE SCHEMA etl")
    config = tmp_path / "luigi.cfg"
    config.write_text("[core]\nautoload_range = false\n[postgres]\n" + f"marker-table = {marker_table}\n")
    environ = {
        **os.environ,
        **environment(database),
        "LUIGI_PGSQL_DRIVER": driver,
        "LUIGI_CONFIG_PATH": str(config),
        "PYTHONWARNINGS": "ignore",
    }
    command = [sys.executable, str(TASKS)]
    with subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        requests, answers = process.stdin, process.stdout

        def ask(*words: str) -> object:
            requests.write(" ".join(words) + "\n")
            requests.flush()
            return json.loads(answers.readline())

        yield ask
        requests.close()


def test_each_sees_what_the_other_has_recorded(
    luigi: Ask, marker_table: str, session: Session, database: Settings
) -> None:
    session.run("CREATE TABLE t (a int)")

    def already_run(load_id: str) -> bool:
        report = run_query("SELECT 1", settings=database, load_id=load_id, table="t", marker_table=marker_table)
        return report.already_run

    assert luigi("exists", "ours") is False  # there is no marker table at all
    assert not already_run("ours")
    assert luigi("exists", "ours") is True
    luigi("touch", "theirs", "public.t")
    assert already_run("theirs")
    assert Ledger.parse(marker_table).exists(session, "theirs")
    luigi("touch", "elsewhere", "t")
    with pytest.raises(UsageError, match=r"taken by a marker of 't', which is not public\.t"):
        already_run("elsewhere")


def test_a_marker_table_that_luigi_has_made_is_used_as_it_is(
    luigi: Ask, marker_table: str, session: Session, database: Settings
) -> None:
    luigi("touch", "theirs", "public.t")
    made = session.run("SELECT to_regclass(%s)::oid::bigint", marker_table)
    run_query("SELECT 1", settings=database, load_id="ours", table="t", marker_table=marker_table)
    assert session.run("SELECT to_regclass(%s)::oid::bigint", marker_table) == made
    markers = Ledger.parse(marker_table).markers(session, limit=9)
    assert [marker.load_id for marker in markers] == ["ours", "theirs"]


def test_a_copy_to_table_and_a_load_of_one_id_load_once(
    luigi: Ask, marker_table: str, session: Session, database: Settings, spark: SparkSession
) -> None:
    """Whichever is first. A load goes on in the table that Luigi has made, with its serial and its default."""

    def load(load_id: str) -> bool:
        notes = spark.createDataFrame([("c",)], "note string")
        report = load_dataframe(notes, table="t", settings=database, load_id=load_id, marker_table=marker_table)
        return report.already_loaded

    if marker_table == "etl.marks":  # with pg8000 1.31, Luigi 3.8 cannot make a table: "in failed transaction block"
        session.run("CREATE TABLE t (id SERIAL PRIMARY KEY, note VARCHAR(20) DEFAULT 'none')")
    assert luigi("copy", "first", "public.t") is True
    assert load("first")
    session.run("SELECT setval('t_id_seq', 2)")
    assert not load("second")
    assert luigi("copy", "second", "public.t") is True
    assert session.run("SELECT id, note FROM t ORDER BY id") == [[1, "a\tb"], [2, None], [3, "c"]]


def test_the_task_of_the_docs_loads_once_and_is_complete(
    session: Session, database: Settings, spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(database).items():
        monkeypatch.setenv(name, value)
    spark.range(3).write.parquet(str(tmp_path / "day=2026-11-20"))
    page = (Path(__file__).parents[2] / "docs" / "coming-from.md").read_text()
    [example] = [block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "LoadOrders" in block]
    names: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Luigi's own, while it is imported
        exec(example, names)  # noqa: S102 - our own documentation
        import luigi
    for _ in range(2):
        task = names["LoadOrders"](day=dt.date(2026, 11, 20), folder=str(tmp_path))
        assert luigi.build([task], local_scheduler=True)
        assert task.complete()
    assert session.run("SELECT count(*) FROM orders") == [[3]]
    assert Ledger.parse("table_updates").recorded_target(session, task.task_id) == "public.orders"
