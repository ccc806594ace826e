"""Partitions that staged rows lack, created before the rows are moved into the table."""

from __future__ import annotations

import logging

from jobs.dbaccess.load.partitions import attempts, new
from jobs.dbaccess.load.partitions.catalog import exact_forms
from jobs.dbaccess.load.partitions.missing.find import find
from jobs.dbaccess.load.partitions.missing.key import NOTHING, check_placed
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

logger = logging.getLogger(__name__)


def supply(
    session: Session,
    target: TableName,
    staged: TableName,
    given: str,
    patience: float | None,
    *,
    puts_aside: bool = False,
) -> tuple[TableName, ...]:
    """Create and attach the partitions that rows lack, in the open transaction. Return their names.

    Others can read and write the table meanwhile, unless it has a DEFAULT partition, which is locked until the end of
    the transaction.

    Args:
        session: A session in a transaction.
        target: The partitioned table.
        staged: The rows.
        given: The rule of the user, or AUTO or NO.
        patience: How long to wait for locks, in seconds, or None for the default.
        puts_aside: Whether rows that belong to no partition are put aside later.

    Raises:
        LoadError: No rule is known, or rows belong to no partition that can be created.
        TransientError: A lock was not granted in time.
    """
    with exact_forms(session):
        # The savepoint gives up the lock of reading the table: who replaces its partitions would wait for it, while
        # this waits for him below.
        session.run("SAVEPOINT pgjobs_look")
        found = find(session, target, staged.quoted, given)
        session.run("ROLLBACK TO SAVEPOINT pgjobs_look; RELEASE SAVEPOINT pgjobs_look")
        if found == NOTHING:
            return ()
    with attempts.changes_kept_out(session, [target], patience) as until, exact_forms(session):
        found = find(session, target, staged.quoted, given)  # another load may have created some
        default = new.default_of(session, target)
        if default is None and not puts_aside:
            check_placed(target, found, instead="a DEFAULT partition")
        new.check_default(session, target, found.partitions)
        new.create(session, target, found.partitions)
        attaching = "; ".join(new.attaching(target, found.partitions)) or "SELECT"

        def attach() -> None:
            session.run(attaching)

        attempts.repeat(session, target, [default[0]] if default and found.partitions else [], attach, until)
    for one in found.partitions:
        logger.info("Created the partition %s of %s %s.", one.name, target, one.bound)
    return tuple(one.name for one in found.partitions)
