"""Indexes are built with more memory and workers than the server's defaults, in the publishing transaction only."""

from __future__ import annotations

from dataclasses import replace

import pytest
from publishing import AB, load

from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.publish import publish
from jobs.dbaccess.load.publish_plan import Published, PublishPlan
from jobs.dbaccess.session import Session

NEW = Move("append", AB)
SETTINGS = "current_setting('maintenance_work_mem'), current_setting('max_parallel_maintenance_workers')"
NOTE = f"INSERT INTO noted SELECT {SETTINGS}"
RAISED = ["128MB", "4"]
"""The server of these tests has the default for shared_buffers, 128 MB."""


def indexed(session: Session, plan: PublishPlan) -> Published:
    return publish(session, replace(plan, indexes=("b",)))


@pytest.mark.parametrize(
    ("before", "noted"),
    [
        (None, RAISED),
        ("SET LOCAL maintenance_work_mem = '8MB'; SET LOCAL max_parallel_maintenance_workers = 0", ["8MB", "0"]),
        ("SET LOCAL maintenance_work_mem = '1GB'", ["1GB", "4"]),
    ],
)
def test_a_new_tables_indexes_may_use_memory_and_workers_until_the_commit(
    session: Session, before: str | None, noted: list[str]
) -> None:
    session.run("CREATE TABLE noted (memory text, workers text)")
    own = session.run(f"SELECT {SETTINGS}")
    load(session, NEW, [[1, "x"]], ("int", "text"), publish=indexed, before=before, after=NOTE)
    assert session.run("TABLE noted") == [noted]
    assert session.run(f"SELECT {SETTINGS}") == own != [RAISED]


def test_indexes_of_partitions_may_too_and_a_load_without_indexes_changes_no_setting(session: Session) -> None:
    session.run("CREATE TABLE noted (memory text, workers text)")
    own = session.run(f"SELECT {SETTINGS}")
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text) PARTITION BY RANGE (a)")
    session.run("CREATE TABLE p PARTITION OF t FOR VALUES FROM (0) TO (10)")
    load(session, Move("replace-partitions", AB), [[1, "x"]], after=NOTE)
    load(session, NEW, [[2, "x"]], after=NOTE)
    assert session.run("TABLE noted") == [RAISED, *own]
    assert session.run(f"SELECT {SETTINGS}") == own
