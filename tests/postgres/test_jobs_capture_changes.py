"""capture_changes.py: its flags and what it prints; and the copy is equal after kills, cuts and restarts."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from captures import COPY, rows, until_ended
from libpq import environment
from lineage_server import lineage_server
from server_folder import PATIENCE, server_folder, serving

from jobs.capture_changes import check_arguments, main
from jobs.dbaccess.conninfo.resolve import resolve
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.conninfo.sources import Given
from jobs.dbaccess.errors import DatabaseError, UsageError
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from servermgr.postgres import Manager

T = "CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t SELECT g, 'a' FROM generate_series(1, 1000) g"
FLAGS = ["--table", "t", "--into", COPY]

SAYS_WHAT_IS_LOADED = """
import sys
from jobs.capture_changes import main
status = main(sys.argv[1:], __import__("os").environ)
sys.exit(9 if {"pyspark", "boto3", "pyarrow"} & set(sys.modules) else status)
"""


@contextmanager
def started(environ: Mapping[str, str], *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run the job as a process for the block, and kill it if it still runs then."""
    command = [sys.executable, "-c", SAYS_WHAT_IS_LOADED, *FLAGS, *arguments]
    with subprocess.Popen(command, env=environ, stdout=-1, stderr=-1, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_signal_stops_it_cleanly_and_needs_no_spark(database: Settings, session: Session, tmp_path: Path) -> None:
    session.run(T)
    report = tmp_path / "report.json"
    told = ["--report", str(report), "--lineage-url"]
    with lineage_server() as server, started(environment(database), *told, server.url) as process:
        _until(lambda: _is_equal(session))
        session.run("UPDATE t SET a = 'b' WHERE id = 1")
        _until(lambda: _is_equal(session))
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert out.startswith(
        "stopped: public.copy of t is up to date with public.t: 1,001 rows written and 0 deleted in 2 batches"
    )
    assert json.loads(report.read_text())["stopped"]
    assert server.kinds == ["START", "COMPLETE"]
    [copy] = server.events[1]["outputs"]
    assert copy["name"] == f"{database.dbname}.public.copy of t"
    assert copy["outputFacets"]["outputStatistics"]["rowCount"] == 1001
    assert server.events[0]["job"]["facets"]["jobType"]["processingType"] == "STREAMING"
    assert session.run("SELECT number FROM public__t__pgjobs_r") == [[2]]


def test_the_copy_is_equal_after_kills_of_the_job_and_of_its_sessions(database: Settings, session: Session) -> None:
    session.run(T)
    ended = threading.Event()
    writer = threading.Thread(target=_write, args=(database, ended))
    writer.start()
    try:
        for _ in range(3):
            with started(environment(database)) as process:
                time.sleep(0.7)
                assert process.poll() is None
                for _ in range(2):
                    session.run(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%capture%'"
                    )
                    time.sleep(0.4)
    finally:
        ended.set()
        writer.join()
    with started(environment(database)):
        _until(lambda: _is_equal(session))


def test_the_copy_is_equal_after_the_server_crashed_and_restarted() -> None:
    """Also with a transaction that was prepared before, and is committed after that."""
    prepares = {"max_prepared_transactions": 5}
    with (
        server_folder() as folder,
        serving(Manager("127.0.0.1", 0, folder / "data", initialize=True, settings=prepares)) as manager,
    ):
        database = resolve(Given(url=manager.url()), {}).settings
        with connect(database, "test") as session:
            session.run(T)
        ended = threading.Event()
        writer = threading.Thread(target=_write, args=(database, ended))
        writer.start()
        with started(environment(database)) as process:
            time.sleep(1.5)
            with connect(database, "test") as session:
                _until(lambda: _is_copied(session))
                session.run("BEGIN")
                session.run("INSERT INTO t VALUES (0, 'prepared')")
                session.run("PREPARE TRANSACTION 'late'")
                os.kill(session.backend.pid, signal.SIGKILL)  # so the server ends all sessions, and recovers
            time.sleep(1)
            manager.stop()
            time.sleep(0.5)
            manager.start(timeout=PATIENCE)
            time.sleep(0.5)
            ended.set()
            writer.join()
            with connect(database, "test") as session:
                _until(lambda: _is_equal(session))
                session.run("COMMIT PREPARED 'late'")
                _until(lambda: _is_equal(session))
                assert session.run("SELECT a FROM t WHERE id = 0") == [["prepared"]]
            assert process.poll() is None


def test_the_example_of_the_docs_runs(database: Settings, session: Session) -> None:
    session.run("CREATE TABLE products (id int PRIMARY KEY, name text, amount int)")
    session.run("INSERT INTO products VALUES (1, 'a', 1), (2, 'b', 0)")
    page = (Path(__file__).parents[2] / "docs" / "capture.md").read_text()
    [example] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    subprocess.run([sys.executable, "-c", example], env=environment(database), check=True)
    assert session.run("SELECT * FROM products_copy") == [[1, 1]]


def test_status_and_drop_are_told(database: Settings, session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    session.run(T)
    environ = environment(database)
    assert main([*FLAGS, "--once"], environ) == 0
    session.run("DELETE FROM t WHERE id < 4")
    capsys.readouterr()
    until_ended(session)
    assert main(["--table", "t", "--status"], environ) == 0
    told = capsys.readouterr().out
    assert told.startswith("public.t is captured as public__t__pgjobs; recorded changes take ")
    assert " public.copy of t | not running |       1 | 1000 |       3 | " in told
    assert main(["--table", "t", "--drop"], environ) == 0
    assert main(["--table", "t", "--drop"], environ) == 2
    assert "is not captured under the channel" in capsys.readouterr().err


def test_a_copy_in_a_schema_that_is_missing_is_refused_in_the_ledgers_words(
    database: Settings, session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    session.run(T)
    assert main(["--table", "t", "--into", "nowhere.copy", "--once"], environment(database)) == 2
    assert "There is no schema for the table nowhere.copy. Create the schema first." in capsys.readouterr().err
    assert session.run("SELECT 1 FROM pg_trigger WHERE tgrelid = 't'::regclass") == []


def test_a_column_that_the_copy_lacks_is_told_with_the_statement_that_adds_it(
    database: Settings, session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    session.run(T)
    assert main([*FLAGS, "--once"], environment(database)) == 0
    session.run('ALTER TABLE t ADD COLUMN "a price" numeric(10,2) DEFAULT 1.5, ADD COLUMN c int')
    assert main([*FLAGS, "--once"], environment(database)) == 2
    [statement] = re.findall("ALTER TABLE [^;]+", capsys.readouterr().err)
    session.run(statement)
    assert main([*FLAGS, "--once"], environment(database)) == 0
    assert _is_equal(session)


def test_a_table_that_is_dropped_ends_the_run_in_one_line_and_its_capture_can_be_dropped(
    database: Settings, session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    session.run(T)
    environ = environment(database)

    def drop_soon() -> None:
        _until(lambda: _is_copied(session))
        session.run("DROP TABLE t")

    dropping = threading.Thread(target=drop_soon)
    dropping.start()
    assert main([*FLAGS, "--for", "600"], environ) == 2
    dropping.join()
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert "t, its capture or its copy was dropped while this ran" in line
    assert main(["--table", "t", "--drop"], environ) == 0
    assert session.run("SELECT 1 FROM pg_class WHERE relname LIKE 'public\\_\\_t%'") == []
    assert session.run("SELECT 1 FROM pg_proc WHERE proname LIKE 'public\\_\\_t%'") == []
    assert main(["--table", "t", "--drop"], environ) == 2
    assert "There is no table t, and no capture of it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--table", "a.b.c", "--into", "x"], "is not a table's name"),
        (["--table", "t", "--into", "x", "--channel", "x" * 61], "cannot be the name of a channel"),
    ],
)
def test_arguments_are_checked_without_a_database(arguments: list[str], told: str) -> None:
    check_arguments([*FLAGS, "--once"])
    with pytest.raises(UsageError, match=told):
        check_arguments(arguments)


def _write(database: Settings, ended: threading.Event) -> None:
    """Change rows, over another connection whenever one breaks, until it is enough."""
    number = 1000
    while not ended.is_set():
        with suppress(DatabaseError), connect(database, "writer") as session:
            while not ended.is_set():
                number += 1
                session.run(f"INSERT INTO t VALUES ({number}, 'new') ON CONFLICT DO NOTHING")
                session.run(f"UPDATE t SET a = '{number}' WHERE id % 100 = {number % 100}")
                session.run(f"DELETE FROM t WHERE id = {number - 50}")
                time.sleep(0.005)


def _is_copied(session: Session) -> bool:
    exists = session.run("SELECT to_regclass(%s) IS NOT NULL", f'"{COPY}"') == [[True]]
    return exists and bool(rows(session, COPY))


def _is_equal(session: Session) -> bool:
    return _is_copied(session) and rows(session) == rows(session, COPY)


def _until(done: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
