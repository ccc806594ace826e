"""Moves the staged rows that the table accepts, and puts aside those that violate a constraint of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from jobs.dbaccess.errors import ConstraintViolated
from jobs.dbaccess.load.move.modes import Written
from jobs.dbaccess.load.partitions.catalog import exact_forms
from jobs.dbaccess.load.rejects.constraints import Checked, put_aside
from jobs.dbaccess.load.rejects.table_rules import INSERT, UPDATE, changes_rows, deferred_of
from jobs.dbaccess.load.row_text import NOTHING, RowText, Sum, measure
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

_SAVEPOINT = "pgjobs_move"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Accepted:
    """What became of the staged rows.

    Attributes:
        rows: How many the table accepted: these are left in staging.
        lost: The others, with the sum of their hashes if the load is verified.
        inserter: The id of the subtransaction that moved them; empty for that of the transaction.
    """

    written: Written
    rows: int
    lost: Sum = NOTHING
    inserter: str = ""


def move_accepted(
    session: Session, checked: Checked, move: Callable[[int], Written], rows: int, row: RowText | None
) -> Accepted:
    """Move the staged rows. If the table refuses that, put aside those that violate a constraint, and try again.

    Args:
        session: The session that publishes, in its transaction.
        checked: The staging tables, and the table.
        move: Moves all staged rows, whose number it is given.
        rows: The number of staged rows.
        row: How rows are written for their hashes, if the load is verified.

    Raises:
        ConstraintViolated: No row is found that violates a constraint: a trigger, or a rule of a partition, did it. Or
            a trigger may change rows before they are checked, so that staged rows do not show which violate one.
    """
    lost = NOTHING
    while True:
        session.run(f"SAVEPOINT {_SAVEPOINT}")
        try:
            written = move(rows)
            _check_deferred(session, checked.target)
        except ConstraintViolated as error:
            session.run(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
            _check_unchanged(session, checked, error)
            before = _measured(session, checked, row)
            with exact_forms(session):
                removed = put_aside(session, checked)
            if not removed:
                raise error from None
            logger.info("%d rows violate a constraint of %s: they are put aside.", removed, checked.target)
            after = _measured(session, checked, row)
            rows -= removed
            lost = Sum(lost.rows + removed, lost.hashes + before.hashes - after.hashes)
            continue
        inserter = session.value(f"INSERT INTO {checked.rejects.quoted} DEFAULT VALUES RETURNING xmin::text")
        session.run(f"RELEASE SAVEPOINT {_SAVEPOINT}")
        return Accepted(written, rows, lost, inserter)


def _check_unchanged(session: Session, checked: Checked, error: ConstraintViolated) -> None:
    """Check that the table checks rows as they are staged.

    Raises:
        ConstraintViolated: A trigger or rule of it may change them before.
    """
    events = INSERT | (UPDATE if checked.move.mode == "upsert" else 0)
    if changes_rows(session, checked.target, events):
        raise ConstraintViolated(
            error.message,
            f"Nothing was loaded. A BEFORE trigger or a rule of {checked.target} may change rows before their "
            "constraints are checked, so --on-error quarantine cannot say which rows to put aside. Correct the data.",
            error.sqlstate,
            error.column,
        ) from None


def _measured(session: Session, checked: Checked, row: RowText | None) -> Sum:
    return NOTHING if row is None else measure(session, checked.staging.rows.quoted, row.row_hash)


def _check_deferred(session: Session, target: TableName) -> None:
    """Check the constraints that would be checked at the commit, when rows can no longer be put aside."""
    deferred = ", ".join(deferred_of(session, target))
    if deferred:
        with session.users_path():
            session.run(f"SET CONSTRAINTS {deferred} IMMEDIATE")
        session.run(f"SET CONSTRAINTS {deferred} DEFERRED")
