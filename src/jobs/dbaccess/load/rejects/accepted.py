"""Moves the staged rows that the table accepts, and puts aside those that violate a constraint of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from jobs.dbaccess.catalog.row_triggers import INSERT, UPDATE, may_change_rows
from jobs.dbaccess.errors import ConstraintViolated, plural
from jobs.dbaccess.load.move.modes import Written
from jobs.dbaccess.load.partitions.catalog import exact_forms
from jobs.dbaccess.load.rejects.constraints import Checked, put_aside
from jobs.dbaccess.load.rejects.places import PlacesWanted, misfits_of, refused_of
from jobs.dbaccess.load.rejects.table_rules import deferred_of
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
        PlacesWanted: Rows violate a constraint, and where they come from is to be found out first.
        ConstraintViolated: No row is found that violates a constraint: a trigger, or a rule of a partition, did it. Or
            a trigger may change rows before they are checked, so that staged rows do not show which violate one.
    """
    left = _Left(session, checked, rows, row)
    if checked.seeking is not None and checked.seeking.found and not _may_change(session, checked):
        left.put_aside()  # the table has refused them before
    while True:
        session.run(f"SAVEPOINT {_SAVEPOINT}")
        try:
            written = move(left.rows)
            _check_deferred(session, checked.target)
        except ConstraintViolated as error:
            session.run(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
            _check_unchanged(session, checked, error)
            if not left.put_aside():
                raise error from None
            left.check_places_known()
            continue
        inserter = session.value(f"INSERT INTO {checked.rejects.quoted} DEFAULT VALUES RETURNING xmin::text")
        session.run(f"RELEASE SAVEPOINT {_SAVEPOINT}")
        return Accepted(written, left.rows, left.lost, inserter)


class _Left:
    """The rows that are left in staging.

    Attributes:
        rows: Their number.
        lost: Those that were put aside, with the sum of their hashes if the load is verified.
    """

    def __init__(self, session: Session, checked: Checked, rows: int, row: RowText | None) -> None:
        self._session, self._checked, self._row = session, checked, row
        self.rows, self.lost = rows, NOTHING

    def put_aside(self) -> int:
        """Put aside those that violate a constraint, and return their number."""
        before = self._measured()
        with exact_forms(self._session):
            removed = put_aside(self._session, self._checked)
        if removed:
            logger.info(
                "%s a constraint of %s: put aside.",
                plural(removed, "row violates", "rows violate"),
                self._checked.target,
            )
            after = self._measured()
            self.rows -= removed
            self.lost = Sum(self.lost.rows + removed, self.lost.hashes + before.hashes - after.hashes)
        return removed

    def check_places_known(self) -> None:
        """Check that it is known where the rows come from that were put aside, or that nobody wants to know.

        Raises:
            PlacesWanted: It is not.
        """
        seeking = self._checked.seeking
        if seeking is None or seeking.found is not None:
            return
        misfits = [misfit for _, misfit in misfits_of(self._session, self._checked.rejects, seeking)]
        raise PlacesWanted(misfits, refused_of(self._session, self._checked.rejects), self.rows)

    def _measured(self) -> Sum:
        if self._row is None:
            return NOTHING
        return measure(self._session, self._checked.staging.rows.quoted, self._row.row_hash)


def _check_unchanged(session: Session, checked: Checked, error: ConstraintViolated) -> None:
    """Check that the table checks rows as they are staged.

    Raises:
        ConstraintViolated: A trigger or rule of it may change them before.
    """
    if _may_change(session, checked):
        raise ConstraintViolated(
            error.message,
            f"Nothing was loaded. A BEFORE trigger or a rule of {checked.target} may change rows before their "
            "constraints are checked, so --on-error quarantine cannot say which rows to put aside. Correct the data.",
            error.sqlstate,
            error.column,
        ) from None


def _may_change(session: Session, checked: Checked) -> bool:
    """Return whether a trigger or rule may change rows before their constraints are checked."""
    return may_change_rows(session, checked.target, INSERT | (UPDATE if checked.move.mode == "upsert" else 0))


def _check_deferred(session: Session, target: TableName) -> None:
    """Check the constraints that would be checked at the commit, when rows can no longer be put aside."""
    deferred = deferred_of(session, target)
    if deferred:
        with session.users_path():
            session.run(f"SET CONSTRAINTS {', '.join(name for name, _ in deferred)} IMMEDIATE")
    again = [name for name, can_be_deferred in deferred if can_be_deferred]
    if again:
        session.run(f"SET CONSTRAINTS {', '.join(again)} DEFERRED")
