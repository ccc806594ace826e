"""The steps of a load: statements, when they are executed, and the locks that they take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from jobs.dbaccess import table_locks
from jobs.dbaccess.catalog.relatives import Relatives
from jobs.dbaccess.sql import TableName

PREPARE, COPY, PUBLISH, ANALYZE = PHASES = ("prepare", "copy", "publish", "analyze")


@dataclass(frozen=True)
class Lock:
    """A lock that a step takes until its transaction ends.

    Attributes:
        on: The table, or what else is locked.
        mode: As LOCK TABLE writes it.
        waits: Who waits for it.
    """

    on: str
    mode: str
    waits: str

    @classmethod
    def of(cls, table: str, mode: str) -> Lock:
        """Return a lock on a table."""
        return cls(table, mode, table_locks.KEEPS_OUT[mode])


@dataclass(frozen=True)
class Step:
    """A statement of a load.

    Attributes:
        phase: One of PHASES. The steps of publish are one transaction.
        statement: SQL with a %s for each value.
        condition: When it is executed; empty for always.
    """

    phase: str
    statement: str
    values: tuple[str, ...] = ()
    locks: tuple[Lock, ...] = ()
    condition: str = ""


@dataclass(frozen=True)
class Known:
    """What the catalog says about a load's tables.

    Attributes:
        markers: The marker table's full name.
        creates_markers: The statement that creates it; empty if it exists.
        types: The types of the columns of a new table; empty if the table exists.
        is_logged: Whether staging is logged: then it becomes the table that the load creates.
        is_partitioned: Whether the table is partitioned.
        takes_every_row: Whether no trigger, rule or foreign server may leave rows out.
        at_once: Whether overwrite is one statement.
        in_slices: Whether rows are appended by several statements.
        raising: The statements that raise settings before indexes are built.
        merges: Whether an upsert is done by several statements.
        marks_by_time: Whether the column of --soft-delete stores a time.
        time_type: In a history, the type of the times from which versions are valid.
        equalities: For each key column, the operator by which the table's unique index compares it.
        respelled: Those of the key columns whose values may be equal and differ.
        default: The DEFAULT partition of the table, if it has one.
    """

    markers: TableName
    creates_markers: str = ""
    types: tuple[str, ...] = ()
    is_logged: bool = False
    is_partitioned: bool = False
    takes_every_row: bool = True
    at_once: bool = False
    merges: bool = False
    marks_by_time: bool = False
    time_type: str = "pg_catalog.timestamptz"
    equalities: Mapping[str, str] = field(default_factory=dict)
    respelled: tuple[str, ...] = ()
    in_slices: bool = False
    raising: tuple[str, ...] = ()
    relatives: Relatives = field(default_factory=Relatives)
    default: TableName | None = None
