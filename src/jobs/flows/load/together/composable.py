"""Which loads can be part of a release. The others are refused by the name of the flag."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.copying.direct import PARTS
from jobs.dbaccess.load.definitions.alterations import SCHEMA_MODE, STRICT
from jobs.dbaccess.load.definitions.columns import METADATA
from jobs.dbaccess.load.move.modes import REPLACE_PARTITIONS, TRUNCATE
from jobs.dbaccess.load.partitions.missing.rules import FLAG as NEW_PARTITIONS
from jobs.flows.load.job import LoadJob


def check_composable(job: LoadJob) -> None:
    """Check that a load can be published with others.

    Raises:
        UsageError: It cannot. The message says why.
    """
    for flag, is_given, reason in _refused(job):
        if is_given:
            raise UsageError(f"A release has no {flag}: {reason}.", f"Leave it out, or load {job.table} by itself.")


def _refused(job: LoadJob) -> Iterator[tuple[str, bool, str]]:
    """Yield each flag that a release does not have, whether it is given, and why it is refused."""
    move, made = job.move, job.defined
    old_snapshots = "a transaction with an older snapshot would see this table empty, and the others as they were"
    waiting = "readers of this table would wait until the rows of all tables are moved"
    yield f"--mode {REPLACE_PARTITIONS}", move.mode == REPLACE_PARTITIONS, old_snapshots
    yield f"--overwrite-strategy {TRUNCATE}", move.strategy == TRUNCATE, old_snapshots
    yield f"--publish {PARTS}", job.publish == PARTS, "readers would see parts arrive"
    yield "--keep-staging", job.keep_staging is not None, "a rerun copies all tables"
    yield "--before-sql and --after-sql", bool(job.scripts), "the rows of all tables are moved between them"
    yield "--changes-since-ledger", job.follows is not None, "each table has a position of its own"
    yield "--replay", job.replayed is not None, "rejects are loaded into one table"
    yield NEW_PARTITIONS, move.supplies_partitions, waiting
    yield METADATA, bool(made.metadata), waiting
    yield SCHEMA_MODE, made.schema_mode != STRICT, waiting
