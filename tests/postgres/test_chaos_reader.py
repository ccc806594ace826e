"""make chaos: the reader of a release, beside other sessions."""

from __future__ import annotations

import time

from server_folder import server_folder, serving

from chaos.jobs import tables
from chaos.judge.reader import Reader
from chaos.plan.draw import draw
from chaos.plan.flows import RELEASE
from chaos.stage.database import LOADER, Database
from servermgr import binaries
from servermgr.postgres import Manager

TRIAL = next(trial for trial in map(draw, range(1, 1_000)) if (trial.flow, trial.fault) == (RELEASE, "rewrite"))

REWRITE = "BEGIN; ALTER TABLE shop.target ALTER data TYPE bytea USING data || '\\x'::bytea; SELECT pg_sleep(2); COMMIT"

IS_REWRITING = "SELECT 1 FROM pg_locks WHERE relation = 'shop.target'::regclass AND mode = 'AccessExclusiveLock'"


def test_a_table_that_is_rewritten_as_the_reader_looks_is_not_empty_to_him() -> None:
    with (
        server_folder() as folder,
        serving(Manager("127.0.0.1", 0, folder / "data", initialize=True, settings={"fsync": "off"})) as manager,
    ):
        database = Database(manager, "postgres", binaries.find().bin / "psql")
        database.run(f"CREATE ROLE {LOADER}")
        tables.make(TRIAL, database)
        writer = database.start_in_background(REWRITE)
        while not database.run(IS_REWRITING).strip():
            assert writer.poll() is None
            time.sleep(0.01)
        with Reader(TRIAL, database) as reader:
            assert writer.wait(30) == 0
    assert reader.looks > 0
    assert reader.complaints == []
