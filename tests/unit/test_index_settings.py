"""How far a load raises the settings for building indexes: to a bound, never down, and not against a choice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.dbaccess.load.index_settings import Current

MB = 1 << 20
STOCK = Current(64 * MB, "default", 1024 * MB, 2, "default")
MEMORY = "SET LOCAL maintenance_work_mem = '256MB'"
WORKERS = "SET LOCAL max_parallel_maintenance_workers = 4"


@pytest.mark.parametrize(
    ("current", "statements"),
    [
        (STOCK, (MEMORY, WORKERS)),
        (replace(STOCK, memory_source="configuration file", workers_source="configuration file"), (MEMORY,)),
        (replace(STOCK, memory_source="user", workers_source="user"), ()),
        (replace(STOCK, memory_source="session", workers_source="client"), ()),
        (replace(STOCK, memory=2048 * MB), (WORKERS,)),
        (replace(STOCK, memory=256 * MB, workers=8), ()),
        (replace(STOCK, buffers=128 * MB), (MEMORY.replace("256", "128"), WORKERS)),
        (replace(STOCK, buffers=128 * 1024), (WORKERS,)),
    ],
)
def test_settings_are_raised_to_a_bound_unless_somebody_chose_them(
    current: Current, statements: tuple[str, ...]
) -> None:
    assert current.raising() == statements
