"""Poolers: PgBouncer in session mode serves, and in transaction mode it is refused before anything is held."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from libpq import password_of
from submitted import listens, until

from jobs.dbaccess import locks
from jobs.dbaccess.conninfo.resolve import Resolved
from jobs.dbaccess.conninfo.settings import Server, Settings, Tls
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.flows.doctor.examine import examine
from jobs.flows.doctor.finding import FAULT, OK, Finding
from jobs.flows.doctor.target import Wanted
from servermgr.address import free_port

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="there is no pgbouncer: apt install pgbouncer")


@contextmanager
def pgbouncer(database: Settings, folder: Path, mode: str, **settings: object) -> Iterator[Settings]:
    """A way to the database through a pooler."""
    [server], password = database.servers, password_of(database)
    port = free_port("127.0.0.1")
    to = f"host={server.host} port={server.port} user={database.user} " + (f"password={password}" if password else "")
    options = {
        "listen_addr": "127.0.0.1",
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "any",
        "pool_mode": mode,
        **settings,
    }
    lines = [
        "[databases]",
        f"{database.dbname} = {to}",
        "[pgbouncer]",
        *(f"{name} = {value}" for name, value in options.items()),
    ]
    (folder / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
    command = [str(PGBOUNCER), str(folder / "pgbouncer.ini")]
    if os.geteuid() == 0:  # it does not run as root
        for path in (folder, folder.parent, folder.parent.parent):
            path.chmod(0o755)
        command += ["--user", "nobody"]
    with (folder / "log").open("w") as log:
        pooler = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        until(lambda: listens(port), "pgbouncer")
        yield replace(database, servers=(Server("127.0.0.1", port),), tls=Tls("disable"))
    finally:
        pooler.terminate()
        pooler.wait()


@pytest.mark.parametrize("settings", [{}, {"server_round_robin": 1}, {"default_pool_size": 1}])
@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_a_pooler_that_shares_the_servers_processes_is_refused(
    database: Settings, session: Session, tmp_path: Path, mode: str, settings: dict[str, object]
) -> None:
    with pgbouncer(database, tmp_path, mode, **settings) as way:
        with pytest.raises(UsageError, match="is a connection pooler in transaction mode") as caught:
            connect(way, "pooled")
        assert "pool_mode = session" in caught.value.hint
        locks_left = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        until(lambda: session.run(locks_left) == [[0]], "the end of all locks")


def test_a_pooler_that_gives_each_session_a_process_serves(
    database: Settings, session: Session, tmp_path: Path
) -> None:
    with pgbouncer(database, tmp_path, "session") as way, connect(way, "one") as one, connect(way, "two") as two:
        assert locks.take(one, locks.load("x"))
        assert not locks.take(two, locks.load("x"))
        session.run("CREATE TABLE t (a int)")
        with one.transaction():
            assert one.copy_in("COPY t FROM STDIN", [b"1\n"]) == 1
        assert two.run("SELECT a FROM t") == [[1]]


def test_a_pool_of_one_session_is_not_taken_for_a_shared_one(database: Settings, tmp_path: Path) -> None:
    impatient = replace(database, timeouts=replace(database.timeouts, connect_timeout=6.0, deadline=0.0))
    with pgbouncer(impatient, tmp_path, "session", default_pool_size=1) as way, connect(way, "one") as one:
        assert one.run("SELECT 1") == [[1]]


def test_no_pooler_is_seen_where_there_is_none(session: Session) -> None:
    assert not session.backend.pooled


def test_the_doctor_has_a_line_about_a_pooler(database: Settings, tmp_path: Path) -> None:
    def pooler(way: Settings) -> Finding:
        [found] = [
            one for one in examine(lambda: Resolved(way, {}), Wanted(None, "append"), {}) if one.check == "pooler"
        ]
        return found

    assert pooler(database) == Finding("pooler", OK, "none: the login leads to the server's own process")
    with pgbouncer(database, tmp_path, "session") as way:
        assert pooler(way).state == OK
        assert pooler(way).found.startswith("in session mode")
    with pgbouncer(database, tmp_path, "transaction") as way:
        assert pooler(way).state == FAULT
        assert "pool_mode = session" in pooler(way).advice
