"""What breaks a load from outside, and what must hold after it: each row once, no staging, no connection."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Callable

from faulty_load import NEW, PARTS, ROWS, Load, disturbed, numbers, stall
from peers import peer
from pyspark.sql import SparkSession
from spark_settings import spark_settings
from submitted import CONF, Submitted, submit, until

from jobs.dbaccess.conninfo.settings import Server, Settings, Tls
from jobs.dbaccess.load.ledger import LUIGIS
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import quote_name
from jobs.flows.report import LoadReport

FAULTY_LOAD = Path(__file__).with_name("faulty_load.py")
LOAD_TABLE = Path(__file__).parents[2] / "src" / "jobs" / "load_table.py"


@dataclass(frozen=True)
class Cut:
    """A moment at which a connection breaks, once for each application_name.

    Attributes:
        whose: what the application_name begins with.
        at: what the client says then: that is lost.
        after: what it must have said before.
        answered: only the answer is lost.
        half: the server does not notice, as when this machine vanishes.
        cut: the application_names whose connection was cut.
    """

    whose: str
    at: bytes
    after: bytes = b""
    answered: bool = False
    half: bool = False
    cut: set[str] = field(default_factory=set)


@contextmanager
def cuts_on_the_way_to(database: Settings, *cuts: Cut) -> Iterator[Settings]:
    """A way to the server on which these connections break."""
    [server] = database.servers
    over = threading.Event()
    with peer(lambda client: _pass_on(client, (server.host, server.port), cuts, over)) as port:
        yield replace(database, servers=(Server("127.0.0.1", port),), tls=Tls("disable"))
        over.set()


def _pass_on(client: socket.socket, backend: tuple[str, int], cuts: Sequence[Cut], over: threading.Event) -> None:
    with socket.create_connection(backend) as server, selectors.DefaultSelector() as selector:
        selector.register(client, selectors.EVENT_READ, server)
        selector.register(server, selectors.EVENT_READ, client)
        hello = client.recv(65536)
        server.sendall(hello)
        name = hello.partition(b"application_name\0")[2].partition(b"\0")[0].decode()
        cut = next((cut for cut in cuts if name.startswith(cut.whose)), None)
        said = False
        while True:
            for key, _ in selector.select():
                source = client if key.fileobj is client else server
                data = source.recv(65536)
                if cut is not None and source is client and name not in cut.cut:
                    said = said or cut.after in data
                    if said and cut.at in data:
                        cut.cut.add(name)
                        if cut.answered:
                            server.sendall(data)
                            server.recv(65536)
                        if cut.half:
                            client.shutdown(socket.SHUT_RDWR)
                            over.wait()
                        return
                if not data:
                    return
                key.data.sendall(data)


OVERLAP = 1000
"""How many rows of a table have the keys of rows that are loaded, and how many have others."""

_LOADED = f"SELECT id, 'row ' || id AS name FROM generate_series(0, {ROWS - 1}) AS id"
_OLD = f"SELECT id, 'old ' || id AS name FROM generate_series({ROWS - OVERLAP}, {ROWS + OVERLAP - 1}) AS id"
AFTERWARDS = {
    "append": f"{_LOADED} UNION ALL {_OLD}",
    "another": f"{_LOADED} UNION ALL {_OLD}",
    "overwrite": _LOADED,
    "upsert": f"{_LOADED} UNION ALL {_OLD} WHERE id >= {ROWS}",
    "ignore": f"{_LOADED} WHERE id < {ROWS - OVERLAP} UNION ALL {_OLD}",
    "new": _LOADED,
}
"""What a load's table holds when the load is done."""


@dataclass(frozen=True)
class Trial:
    """Loads, at once, which something is to disturb; and what must hold then.

    Attributes:
        spark: runs the loads again.
        database: where they go.
        folder: where a job and the test leave each other notes.
        loads: which; each table but that of `NEW` has rows before.
    """

    spark: SparkSession
    database: Settings
    folder: Path
    loads: Sequence[Load]

    def ask(self, query: str, *values: object) -> list[list[Any]]:
        """Over a session of its own, so that a crash of the server is over for the next one."""
        with connect(self.database, "trial") as session:
            return session.run(query, *values)

    def of(self, *loads: Load) -> Trial:
        """A trial of these loads, with their tables."""
        with connect(self.database, "trial") as session:
            LUIGIS.ensure(session)
            for load in loads:
                if load is not NEW:
                    session.run(f"CREATE TABLE {quote_name(load.table)} AS {_OLD}")
                if load.keys:
                    session.run(f"ALTER TABLE {quote_name(load.table)} ADD PRIMARY KEY ({', '.join(load.keys)})")
        return replace(self, loads=loads)

    # Begin.

    def submit(
        self, what: str, master: str, conf: Mapping[str, str] | None = None, database: Settings | None = None
    ) -> Submitted:
        """Load from one of `faulty_load.INPUTS`, as a job of its own."""
        folder = self._job_folder()
        arguments = [what, str(folder), *(load.table for load in self.loads)]
        return submit(
            FAULTY_LOAD, arguments, {"spark.master": master, **(conf or {})}, database or self.database, folder
        )

    def submit_in_turn(self, conf: Mapping[str, str], *inputs: str) -> Submitted:
        """Load from one input after the other by one job: the first load from the first one. Each has its folder."""
        folder = self._job_folder()
        groups = [(what, str(folder / what), load.table, "--") for what, load in zip(inputs, self.loads)]
        return submit(FAULTY_LOAD, [word for group in groups for word in group], conf, self.database, folder)

    @contextmanager
    def stalling(self) -> Iterator[Future[LoadReport]]:
        """The one load, begun in this process: meanwhile its part 1 waits in the middle of its COPY, and no other."""
        [load] = self.loads
        folder = self._job_folder()
        folder.mkdir()
        with in_batches(self.spark), ThreadPoolExecutor(1) as pool:
            loading = pool.submit(load.run, disturbed(numbers(self.spark), folder, stall), self.database)
            try:
                until(lambda: loading.done() or self._only_stalled(folder), "the other parts")
                assert not loading.done(), loading.result()
                yield loading
            finally:
                (folder / "go").touch()

    def _only_stalled(self, folder: Path) -> bool:
        return bool(list(folder.glob("stalled-*"))) and self.claimed_parts() == PARTS - 1

    def submit_table(self, rows: int, prefix: Sequence[str] = ()) -> Submitted:
        """Load this many rows by load_table.py."""
        [load] = self.loads
        source = self.folder.parent / f"{self.folder.name}.csv"
        source.write_text("id\n1\n")
        arguments = ["--source", str(source), "--format", "csv"]  # a job wants one, and the query leaves it
        arguments += ["--table", load.table, "--mode", load.mode, "--load-id", load.load_id]
        # Ids fit their column, however many: a part that is refused would copy nothing while a test waits for it.
        arguments += ["--select", f"SELECT id % {2**31} AS id, concat('row ', id) AS name FROM range({rows})"]
        return submit(LOAD_TABLE, arguments, {"spark.master": "local[2]"}, self.database, self._job_folder(), prefix)

    def _job_folder(self) -> Path:
        """A new one for each job."""
        return self.folder / f"job-{len(list(self.folder.iterdir()))}"

    def run(self, database: Settings | None = None) -> list[LoadReport]:
        """Load in this process, one after the other."""
        return [load.run(numbers(self.spark), database or self.database) for load in self.loads]

    # Meanwhile.

    def staging_tables(self, prefix: str = "pgjobs_") -> list[str]:
        return [name for [name] in self.ask(_STAGING, prefix)]

    def claimed_parts(self) -> int:
        """How many parts are in staging."""
        parts = map(quote_name, self.staging_tables("pgjobs_parts_"))
        return sum(self.ask(f"SELECT count(rows) FROM {name}")[0][0] for name in parts)

    def wait_for_stall(self, job: Submitted) -> None:
        """Wait until all parts are in staging but one of each load, which stalls in the middle of its COPY."""
        loads = len(self.loads)
        job.until(lambda: job.stalled() == loads and self.claimed_parts() == loads * (PARTS - 1), "the other parts")

    def waiting_for_a_table(self) -> int:
        """How many of the loads' sessions are kept from a table by a lock."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'relation' AND application_name ~ %s"
        return int(self.ask(query, _OURS)[0][0])

    @contextmanager
    def locked(self, *tables: str) -> Iterator[None]:
        """Nobody can write into these tables meanwhile; reading them is not hindered."""
        with connect(self.database, "locks") as session, session.transaction():
            _lock(session, tables)
            yield

    @contextmanager
    def held_in_publish(self) -> Iterator[Callable[[], bool]]:
        """Loads that begin later come no further than publish. Gives whether all are about to write into their tables.

        What comes before, an overwrite's look at its DELETE among it, is not to wait for those. So all loads wait for
        the ledger first, which is where publish begins. Whoever asks then locks their tables, and lets them go on.
        """
        tables, held = [load.table for load in self.loads], False
        with connect(self.database, "locks") as session, connect(self.database, "ledger") as ledger:
            ledger.run("BEGIN")
            _lock(ledger, ["table_updates"])

            def in_publish() -> bool:
                nonlocal held
                if not held and self._kept_from("table_updates") == len(tables):
                    session.run("BEGIN")
                    _lock(session, tables)
                    ledger.run("COMMIT")
                    held = True
                return held and self._kept_from(*tables) == len(tables)

            yield in_publish

    def _kept_from(self, *tables: str) -> int:
        """How many of the loads' sessions wait for these tables."""
        [[waiting]] = self.ask(_KEPT, _OURS, list(map(quote_name, tables)))
        return int(waiting)

    # Afterwards.

    def assert_nothing_loaded(self) -> None:
        """Every table is as it was; of staging, that is for the caller to say."""
        self.assert_no_connection()
        for load in self.loads:
            assert self.ask("SELECT 1 FROM table_updates WHERE update_id = %s", load.load_id) == []
            if load is NEW:
                assert self.ask("SELECT to_regclass(%s)::text", quote_name(load.table)) == [[None]]
            else:
                self.assert_holds(load, _OLD)

    def assert_loaded_once(self) -> None:
        """Every table is as its mode has it, each row once, and nothing else is left; running again changes nothing."""
        self._assert_loaded()
        assert all(report.already_loaded for report in self.run())
        self._assert_loaded()

    def assert_a_rerun_loads(self) -> None:
        assert not any(report.already_loaded for report in self.run())
        self._assert_loaded()

    def _assert_loaded(self) -> None:
        self.assert_no_connection()
        for load in self.loads:
            self.assert_holds(load, AFTERWARDS[load.table])
        assert self.staging_tables() == []

    def assert_holds(self, load: Load, rows: str) -> None:
        """By count and checksum."""
        checksum = "SELECT count(*), sum(hashtextextended(id || ' ' || name, 0))::text FROM"
        assert self.ask(f"{checksum} {quote_name(load.table)}") == self.ask(f"{checksum} ({rows}) AS rows"), load

    def assert_no_connection(self) -> None:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name ~ %s"
        until(lambda: self.ask(query, _OURS) == [[0]], "the end of all connections")


@contextmanager
def in_batches(spark: SparkSession) -> Iterator[None]:
    """Several batches make a part meanwhile, as in a job of its own."""
    name = "spark.sql.execution.arrow.maxRecordsPerBatch"
    with spark_settings(spark, {name: CONF[name]}):
        yield


def _lock(session: Session, tables: Iterable[str]) -> None:
    for table in tables:
        session.run(f"LOCK TABLE {quote_name(table)} IN SHARE MODE")


_OURS = "^pgjobs load"
_KEPT = (
    "SELECT count(DISTINCT pid) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted "
    "AND datname = current_database() AND application_name ~ %s AND relation = ANY (%s::text[]::regclass[])"
)
_STAGING = "SELECT relname FROM pg_class WHERE starts_with(relname::text, %s) AND relkind = 'r'"

TrialOf = Callable[..., Trial]
"""Begins a trial of some loads."""
