"""Whether an existing table suits the mode of a load, before anything is copied."""

from __future__ import annotations

from jobs.dbaccess.load.move import keys, overwrite
from jobs.dbaccess.load.move.by_keys import difference, history, merge
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.partitions import suitability
from jobs.dbaccess.load.partitions.missing.find import check_rule
from jobs.dbaccess.load.partitions.missing.rules import AUTO, NO
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName


def check_target(session: Session, target: TableName, move: Move) -> None:
    """Check that an existing table suits the mode, before anything is copied.

    Raises:
        UsageError: A condition is none.
        LoadError: A unique index on the keys is missing, or deferrable; or rows would be left, or other tables' rows
            would be changed.
    """
    if move.keeps_history:
        with session.transaction():
            history.check(session, move, target)
    elif move.mode == "upsert" and merge.is_needed(session, move, target):
        with session.transaction():
            merge.check(session, move, target)
    else:
        keys.check_on_conflict(session, move, target)
    if move.strategy == "diff":
        difference.check(session, target)
    if move.replaces_partitions:
        suitability.check_target(session, target)
    if move.supplies_partitions:
        suitability.check_suppliable(session, target, move.columns)
    if move.new_partitions not in ("", NO) and (move.supplies_partitions or move.new_partitions != AUTO):
        check_rule(session, target, move.new_partitions)
    if move.mode == "overwrite":
        with session.transaction():
            overwrite.check(session, move, target)
