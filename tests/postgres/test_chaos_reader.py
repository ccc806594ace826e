"""make chaos: the reader of a release, beside other sessions."""

from __future__ import annotations

from server_folder import server_folder, serving

from chaos.jobs import tables
from chaos.judge.reader import Reader
from chaos.plan.draw import draw
from chaos.plan.flows import RELEASE
from chaos.stage.database import LOADER, Database
from jobs.dbaccess.conninfo.resolve import resolve
from jobs.dbaccess.conninfo.sources import Given
from jobs.dbaccess.postgres_connectivity import connect
from servermgr import binaries
from servermgr.postgres import Manager

TRIAL = next(trial for trial in map(draw, range(1, 1_000)) if (trial.flow, trial.fault) == (RELEASE, "rewrite"))

REWRITE = (
    "BEGIN; ALTER TABLE shop.target ALTER data TYPE bytea USING data || '\\x'::bytea; SELECT pg_advisory_xact_lock(1)"
)

IS_REWRITING = "SELECT 1 FROM pg_locks WHERE relation = 'shop.target'::regclass AND mode = 'AccessExclusiveLock'"
READER_WAITS = "SELECT 1 FROM pg_locks WHERE relation = 'shop.target'::regclass AND NOT granted"


def test_a_table_that_is_rewritten_as_the_reader_looks_is_not_empty_to_him() -> None:
    with (
        server_folder() as folder,
        serving(Manager("127.0.0.1", 0, folder / "data", initialize=True, settings={"fsync": "off"})) as manager,
    ):
        database = Database(manager, "postgres", binaries.find().bin / "psql")
        database.run(f"CREATE ROLE {LOADER}")
        tables.make(TRIAL, database)
        with connect(resolve(Given(url=manager.url()), {}).settings, "holder") as holder:
            holder.run("SELECT pg_advisory_lock(1)")
            writer = database.start_in_background(REWRITE)
            while not holder.run(IS_REWRITING):
                assert writer.poll() is None
            with Reader(TRIAL, database) as reader:
                while not holder.run(READER_WAITS):
                    assert writer.poll() is None
                holder.run("SELECT pg_advisory_unlock(1)")
                assert writer.wait(120) == 0
    assert reader.looks > 0
    assert reader.complaints == []
