"""Settings for building indexes: memory to sort their entries in, and processes that sort at the same time.

Each process of a build needs 32 MB of the memory, and small tables get fewer processes. The server sorts with those
that `max_parallel_workers` leaves free, or alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobs.dbaccess.session import Session

MEMORY = 256 << 20
"""The memory of a build, in bytes, all workers included. A load builds one index at a time."""

WORKERS = 4
"""The workers of a build, beside the process that serves the load."""


@dataclass(frozen=True)
class Current:
    """The settings of a transaction. Sizes are in bytes, and sources are those of pg_settings.

    Attributes:
        memory: maintenance_work_mem.
        buffers: shared_buffers, which shows how big the server is: they are usually a quarter of its memory.
        workers: max_parallel_maintenance_workers.
    """

    memory: int
    memory_source: str
    buffers: int
    workers: int
    workers_source: str

    def raising(self) -> tuple[str, ...]:
        """Return the statements that raise them until the transaction ends. None is lowered.

        Nothing is raised that somebody chose: memory for the role, database or session, and workers at all.
        """
        statements = []
        memory = min(MEMORY, self.buffers) >> 20 << 20
        if memory > self.memory and self.memory_source in _OF_SERVER:
            statements.append(f"SET LOCAL maintenance_work_mem = '{memory >> 20}MB'")
        if self.workers < WORKERS and self.workers_source == "default":
            statements.append(f"SET LOCAL max_parallel_maintenance_workers = {WORKERS}")
        return tuple(statements)


_OF_SERVER = ("default", "configuration file", "command line")


def allow(session: Session) -> None:
    """Let the indexes that the open transaction is going to build use memory and workers. Its end restores both."""
    for statement in raising(session):
        session.run(statement)


def raising(session: Session) -> tuple[str, ...]:
    """Return the statements that `allow` runs."""
    source = "(SELECT source FROM pg_settings WHERE name = '{}')"
    current = session.row(
        5,
        f"SELECT pg_size_bytes(current_setting('maintenance_work_mem')), {source.format('maintenance_work_mem')}, "
        "pg_size_bytes(current_setting('shared_buffers')), current_setting('max_parallel_maintenance_workers')::int, "
        + source.format("max_parallel_maintenance_workers"),
    )
    return Current(*current).raising()
