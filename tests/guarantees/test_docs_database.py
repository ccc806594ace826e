"""The Python of docs/database.md and docs/connecting.md runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from libpq import environment, password_of

from jobs import connection
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.session import Session

DOCS = Path(__file__).parents[2] / "docs"


def example(page: str, word: str) -> str:
    """The only Python example of a page that has this word."""
    [found] = [
        block for block in re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL) if word in block
    ]
    return str(found)


def test_the_example_of_a_session_runs(session: Session, database: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, text in environment(database).items():
        monkeypatch.setenv(variable, text)
    names: dict[str, Any] = {}
    exec(example("database.md", "points"), names)  # noqa: S102 - our own documentation
    assert names["answer"] == 42
    assert session.run("SELECT x, y FROM points ORDER BY x") == [[1, 2], [3, 4]]


def test_a_task_with_leoflows_connection_writes_rows_once_and_shows_no_password(
    session: Session, database: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    password, server = "p@ss:/?#%&=+ é", database.servers[0]
    role = f"loader_{database.dbname}"
    session.run(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'")
    session.run(f"CREATE TABLE readings (day date, place int, celsius float); GRANT ALL ON readings TO {role}")
    uri = f"postgres://{role}:{quote(password, safe='')}@{server.host}:{server.port}/{database.dbname}?sslmode=prefer"
    monkeypatch.setenv("AIRFLOW_CONN_PG_TARGET", uri)
    names: dict[str, Any] = {}
    exec(example("connecting.md", "pg_target"), names)  # noqa: S102 - our own documentation
    try:
        for _ in range(2):  # a retry
            names["load"]("2026-11-20")
        assert session.run("SELECT count(*), sum(celsius) FROM readings WHERE day = '2026-11-20'") == [[20, 600.0]]
    finally:
        session.run(f"DROP OWNED BY {role}; DROP ROLE {role}")
    printed = capsys.readouterr().out
    assert printed == f"loading into {server}/{database.dbname} as {role}\n" * 2
    assert password_of(connection(connection="pg_target")) == password


def test_the_script_that_loads_a_file_without_spark_runs(session: Session, database: Settings, tmp_path: Path) -> None:
    session.run("CREATE TABLE orders (id int, note text, day date)")
    (tmp_path / "orders.tsv").write_text('id\tnote\tday\n1\t"a\tb\nc"\t2026-11-20\n2\t\t\n')
    command = [sys.executable, "-c", example("database.md", "copy_rows"), str(tmp_path / "orders.tsv")]
    done = subprocess.run(command, env=environment(database), capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("2 rows\n", "")
    rows = session.run("SELECT id, note, day::text FROM orders ORDER BY id")
    assert rows == [[1, "a\tb\nc", "2026-11-20"], [2, None, None]]
