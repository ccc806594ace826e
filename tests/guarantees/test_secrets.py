"""No secret is ever shown: a password that is easy to find is planted, and everything that was written is searched."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import jvm
import pytest
from cloud import store_secret
from process_table import process_table
from server_folder import server_folder

from jobs.dbaccess.conninfo.resolve import resolve
from jobs.dbaccess.conninfo.sources import Given
from jobs.dbaccess.postgres_connectivity import connect
from servermgr.postgres import Manager

PLANTED = "pl4nted-p4ssw0rd"
SCRIPT = Path(__file__).parents[2] / "src" / "jobs" / "load_table.py"

EXECUTORS = jvm.HOME / "work"
"""Where the executors of a local-cluster write, whatever SPARK_WORKER_DIR says."""


@pytest.fixture(scope="module")
def locked_server() -> Iterator[Manager]:
    """A server that wants the planted password."""
    with (
        server_folder() as directory,
        Manager("127.0.0.1", 0, directory / "data", initialize=True, auth="scram-sha-256", password=PLANTED) as manager,
    ):
        given = Given(url=manager.url())
        with connect(resolve(given, {"PGPASSWORD": PLANTED}).settings, "t") as admin:
            admin.run("CREATE TABLE picky (a int CHECK (a < 5), b int)")
        yield manager


class Watch:
    """Looks for the planted password in the arguments of all processes, until it is stopped."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(0.2):
            self.seen.update(process.line for process in process_table() if PLANTED in process.line)


def spark_in(folder: Path) -> list[str]:
    """spark-submit with executors as processes, which keeps all that it writes below a folder."""
    conf = {
        "spark.ui.enabled": "false",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": f"file://{folder}/events",
        "spark.local.dir": f"{folder}/local",
        **jvm.conf(f"-Djava.io.tmpdir={folder}/tmp"),
        "spark.log.level": "INFO",
    }
    submit = str(Path(sys.executable).with_name("spark-submit"))
    flags = [flag for name, value in conf.items() for flag in ("--conf", f"{name}={value}")]
    return [submit, "--master", "local-cluster[2,1,1024]", "--verbose", *flags]


def run_load(folder: Path, server: Manager, arguments: list[str], environ: dict[str, str]) -> tuple[int, set[str]]:
    """Submit the job with --verbose; its status, and the processes that showed the password."""
    for name in ("events", "local", "tmp", "cwd"):
        (folder / name).mkdir()
    (folder / "rows.csv").write_text("1,2\n3,4\n")
    command = [*spark_in(folder), str(SCRIPT), "--source", str(folder / "rows.csv"), "--format", "csv", "--verbose"]
    command += ["--host", "127.0.0.1", "--dbname", "postgres", "--user", "postgres", "--port", str(server.port)]
    command += ["--connect-deadline", "0", "--report", str(folder / "report.json"), *arguments]
    environ = {**jvm.environ(), "TMPDIR": str(folder / "tmp"), **environ}
    with (folder / "out").open("w") as out, Watch() as watch:
        done = subprocess.run(
            command, env=environ, cwd=folder / "cwd", stdout=out, stderr=subprocess.STDOUT, check=False
        )
    return done.returncode, watch.seen


def written_since(started: float, folder: Path) -> list[Path]:
    """Return the files in the folder, and those of executors."""
    files = [path for place in (folder, EXECUTORS) for path in place.rglob("*") if path.is_file()]
    return [path for path in files if path.stat().st_mtime >= started - 1]


SELECT = ["--select", "SELECT CAST(_c0 AS int) AS a, CAST(_c1 AS int) AS b FROM source"]


@pytest.mark.parametrize(
    ("arguments", "environ", "status", "told"),
    [
        pytest.param(["--table", "good", *SELECT], {"PGPASSWORD": PLANTED}, 0, "loaded 2 rows", id="loaded"),
        pytest.param(
            ["--table", "picky", "--select", "SELECT CAST(_c0 AS int) AS a, 'x' AS b FROM source"],
            {"PGPASSWORD": PLANTED},
            1,
            'error: The server refused a row: column "b": invalid input syntax',
            id="a refused cell",
        ),
        pytest.param(
            ["--table", "picky", "--select", "SELECT 7 AS a, CAST(raise_error('broken') AS int) AS b FROM source"],
            {"PGPASSWORD": PLANTED},
            1,
            "broken",
            id="a failing task",
        ),
        pytest.param(
            ["--table", "good"],
            {"PGPASSWORD": f"{PLANTED}-wrong"},
            1,
            "error: password authentication failed",
            id="a wrong password",
        ),
        pytest.param(
            ["--table", "good", "--port", "1"], {"PGPASSWORD": PLANTED}, 1, "error: No server answers", id="no server"
        ),
        pytest.param(
            ["--table", "good", "--connection", "x"],
            {"AIRFLOW_CONN_X": f"postgres://u:{PLANTED}%zz/@h:port/d"},
            2,
            "error: AIRFLOW_CONN_X is not a connection's URI",
            id="a wrong connection",
        ),
        pytest.param(
            ["--table", "good", "--show-connection"], {"PGPASSWORD": PLANTED}, 0, "****", id="shown connection"
        ),
    ],
)
def test_the_password_is_in_nothing_that_was_written(
    tmp_path: Path, locked_server: Manager, arguments: list[str], environ: dict[str, str], status: int, told: str
) -> None:
    started = time.time()
    returned, seen = run_load(tmp_path, locked_server, arguments, environ)
    output = (tmp_path / "out").read_text()
    assert returned == status, output[-3000:]
    assert told in output
    assert seen == set()
    written = written_since(started, tmp_path)
    assert tmp_path / "out" in written
    assert told != "loaded 2 rows" or any(path.name == "stderr" for path in written), "the executors' log"
    assert [path for path in written if PLANTED.encode() in path.read_bytes()] == []


@pytest.mark.parametrize(
    ("password", "status", "told"),
    [
        pytest.param(PLANTED, 0, "loaded 2 rows", id="loaded"),
        pytest.param(f"{PLANTED}-wrong", 1, "has another password than the server", id="a wrong secret"),
    ],
)
def test_a_secret_of_aws_is_read_by_driver_and_executors_and_written_nowhere(
    tmp_path: Path, locked_server: Manager, aws_server: Mapping[str, str], password: str, status: int, told: str
) -> None:
    started = time.time()
    name = f"planted-{status}"
    store_secret(aws_server, name, f'{{"username": "postgres", "password": "{password}"}}')
    arguments = ["--table", f"from_aws_{status}", *SELECT, "--secret-id", name]
    returned, seen = run_load(tmp_path, locked_server, arguments, dict(aws_server))
    output = (tmp_path / "out").read_text()
    assert returned == status, output[-3000:]
    assert told in output
    assert seen == set()
    written = written_since(started, tmp_path)
    assert [path for path in written if PLANTED.encode() in path.read_bytes()] == []


def test_a_url_with_a_password_works_with_a_warning_that_does_not_show_it(
    locked_server: Manager, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    from jobs.load_table import main

    url = locked_server.url().replace("postgres@", f"postgres:{PLANTED}@", 1)
    status = main(["--source", "x", "--table", "t", "--database-url", url, "--show-connection"], {})
    shown = capsys.readouterr()
    assert status == 0
    assert "holds a password" in caplog.text
    assert "PGPASSWORD" in caplog.text
    assert "****" in shown.out
    assert PLANTED not in shown.out + shown.err + caplog.text
