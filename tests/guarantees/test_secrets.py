"""No secret is ever shown: a password that is easy to find is planted, and everything that was written is searched."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import jvm
import loads_in_turn
import pytest
from cloud import store_secret
from process_table import process_table
from server_folder import server_folder, serving

from jobs.dbaccess.conninfo.resolve import resolve
from jobs.dbaccess.conninfo.sources import Given
from jobs.dbaccess.postgres_connectivity import connect
from servermgr.postgres import Manager

PLANTED = "pl4nted-p4ssw0rd"

EXECUTORS = jvm.HOME / "work"
"""Where the executors of a local-cluster write, whatever SPARK_WORKER_DIR says."""


@pytest.fixture(scope="module")
def locked_server() -> Iterator[Manager]:
    """A server that wants the planted password."""
    with (
        server_folder() as directory,
        serving(
            Manager("127.0.0.1", 0, directory / "data", initialize=True, auth="scram-sha-256", password=PLANTED)
        ) as manager,
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


def written_since(started: float, folder: Path) -> list[Path]:
    """Return the files in the folder, and those of executors."""
    written = []
    for path in (path for place in (folder, EXECUTORS) for path in place.rglob("*")):
        with suppress(FileNotFoundError):  # executors of other tests write and rename there, too
            if path.is_file() and path.stat().st_mtime >= started - 1:
                written.append(path)
    return written


def shows_the_password(path: Path) -> bool:
    with suppress(FileNotFoundError):
        return PLANTED.encode() in path.read_bytes()
    return False


class Load(NamedTuple):
    """A load that is run, and what it is to say.

    Attributes:
        secret: What is stored under the name `planted` in Secrets Manager.
    """

    arguments: list[str]
    environ: Mapping[str, str]
    status: int
    told: str
    secret: str = ""


SELECT = ["--select", "SELECT CAST(_c0 AS int) AS a, CAST(_c1 AS int) AS b FROM source"]
TEXT_FOR_A_NUMBER = ["--select", "SELECT CAST(_c0 AS int) AS a, 'x' AS b FROM source"]
RAISING = ["--select", "SELECT 7 AS a, CAST(raise_error('broken') AS int) AS b FROM source"]
KNOWN, WRONG = {"PGPASSWORD": PLANTED}, {"PGPASSWORD": f"{PLANTED}-wrong"}
LOADS = {
    "loaded": Load(["--table", "good", *SELECT], KNOWN, 0, "loaded 2 rows"),
    "a refused cell": Load(
        ["--table", "picky", *TEXT_FOR_A_NUMBER],
        KNOWN,
        1,
        'error: The server refused a row: column "b": invalid input syntax',
    ),
    "a failing task": Load(["--table", "picky", *RAISING], KNOWN, 1, "broken"),
    "a wrong password": Load(["--table", "good"], WRONG, 1, "error: password authentication failed"),
    "no server": Load(["--table", "good", "--port", "1"], KNOWN, 1, "error: No server answers"),
    "a wrong connection": Load(
        ["--table", "good", "--connection", "x"],
        {"AIRFLOW_CONN_X": f"postgres://u:{PLANTED}%zz/@h:port/d"},
        2,
        "error: AIRFLOW_CONN_X is not a connection's URI",
    ),
    "shown connection": Load(["--table", "good", "--show-connection"], KNOWN, 0, "****"),
    "a secret of AWS": Load(
        ["--table", "from_aws", *SELECT, "--secret-id", "planted"], {}, 0, "loaded 2 rows", secret=PLANTED
    ),
    "a wrong secret of AWS": Load(
        ["--table", "from_aws_wrong", *SELECT, "--secret-id", "planted-wrong"],
        {},
        1,
        "has another password than the server",
        secret=f"{PLANTED}-wrong",
    ),
}


class Ran(NamedTuple):
    """What is left of the loads.

    Attributes:
        ends: What each load printed, and its exit status, by its name.
        seen: Processes that showed the password.
        written: All files that were written.
    """

    ends: Mapping[str, tuple[str, int]]
    seen: set[str]
    written: list[Path]


@pytest.fixture(scope="module")
def ran(locked_server: Manager, aws_server: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """All loads in one driver, with --verbose: starting Spark takes longer than any of them."""
    started, folder = time.time(), tmp_path_factory.mktemp("planted")
    for name in ("events", "local", "tmp", "cwd"):
        (folder / name).mkdir()
    (folder / "rows.csv").write_text("1,2\n3,4\n")
    shared = ["--source", str(folder / "rows.csv"), "--format", "csv", "--verbose", "--connect-deadline", "0"]
    shared += ["--host", "127.0.0.1", "--dbname", "postgres", "--user", "postgres", "--port", str(locked_server.port)]
    loads = []
    for number, load in enumerate(LOADS.values()):
        if load.secret:
            name = load.arguments[load.arguments.index("--secret-id") + 1]
            store_secret(aws_server, name, json.dumps({"username": "postgres", "password": load.secret}))
        report = ["--report", str(folder / f"report-{number}.json")]
        loads.append(([*shared, *report, *load.arguments], load.environ))
    environ = {**jvm.environ(), **aws_server, "TMPDIR": str(folder / "tmp"), "LOADS_IN_TURN": json.dumps(loads)}
    with (folder / "out").open("w") as out, Watch() as watch:
        command = [*spark_in(folder), loads_in_turn.__file__]
        subprocess.run(command, env=environ, cwd=folder / "cwd", stdout=out, stderr=subprocess.STDOUT, check=False)
    *printed, rest = re.split(rf"{loads_in_turn.END}(?=\d)", (folder / "out").read_text())
    assert len(printed) == len(LOADS), rest[-3000:]
    ends: dict[str, tuple[str, int]] = {}
    for name, text, following in zip(LOADS, printed, [*printed[1:], rest]):
        ends[name] = (text, int(following.partition("\n")[0].partition(": ")[2]))
    return Ran(ends, watch.seen, written_since(started, folder))


@pytest.mark.parametrize("name", LOADS)
def test_each_load_ends_as_it_should(ran: Ran, name: str) -> None:
    """Otherwise, that nothing shows the password would say nothing."""
    output, status = ran.ends[name]
    assert status == LOADS[name].status, output[-3000:]
    assert LOADS[name].told in output


@pytest.mark.parametrize("name", LOADS)
def test_no_output_has_the_password(ran: Ran, name: str) -> None:
    assert PLANTED not in ran.ends[name][0]


def test_the_password_is_in_nothing_that_was_written_and_in_no_list_of_processes(ran: Ran) -> None:
    names = {path.name for path in ran.written}
    assert {"out", "stderr", "report-0.json"} <= names, "the driver's log, the executors' and a report"
    assert any("events" in path.parts for path in ran.written)
    assert list(filter(shows_the_password, ran.written)) == []
    assert ran.seen == set()


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
