"""Errors of a publish: they name the table, the sessions that hold a lock on it, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from jobs.dbaccess import table_locks
from jobs.dbaccess.errors import ConstraintViolated, LoadError, TransientError
from jobs.dbaccess.load.fill import MayRepeatKeys
from jobs.dbaccess.load.move import keys
from jobs.dbaccess.load.publish_plan import PublishPlan, TransactionPlan
from jobs.dbaccess.load.scripts import ScriptInterrupted
from jobs.dbaccess.session import Session
from jobs.dbaccess.sqlstates import FOREIGN_KEY_VIOLATION, LOCK_TIMEOUT, UNIQUE_VIOLATION


@dataclass
class CurrentPlan:
    """The plan that a transaction is at: an error is about the table of this plan."""

    plan: PublishPlan

    def each(self, plans: Iterable[PublishPlan]) -> Iterator[PublishPlan]:
        """Yield the plans in turn. The transaction is at the one that was yielded last."""
        for plan in plans:
            self.plan = plan
            yield plan


@contextmanager
def explained(session: Session, transaction: TransactionPlan, at: CurrentPlan) -> Iterator[None]:
    """Add to an error of the block what to do about it.

    Args:
        session: The session of the transaction, which was rolled back.
        transaction: What the block was to publish.
        at: The plan that it was at.

    Raises:
        LoadError: A key is staged twice, or another error of a load, with the table's name in a release.
        ConstraintViolated: A row violates a constraint.
        TransientError: A lock was not granted in time. The message names the sessions that hold the table.
    """
    try:
        yield
    except MayRepeatKeys as failure:
        if at.plan.move.keys:
            keys.check_not_repeated(session, at.plan.move, at.plan.staging.rows)
        raise failure.error from None
    except ConstraintViolated as error:
        raise ConstraintViolated(
            error.message, error.hint or _remedy(error, transaction, at.plan), error.sqlstate, error.column, error.line
        ) from None
    except TransientError as error:
        if error.sqlstate == LOCK_TIMEOUT and not isinstance(error, ScriptInterrupted):
            to_readers = at.plan.locks_out_readers
            raise table_locks.not_granted(session, at.plan.target, to_readers=to_readers) from None
        raise
    except LoadError as error:
        if transaction.is_release:
            error.message = f"{at.plan.target}: {error.message}"
        raise


def _remedy(error: ConstraintViolated, transaction: TransactionPlan, plan: PublishPlan) -> str:
    """Return what to do about a row that violates a constraint."""
    nothing = "Nothing was loaded."
    if error.sqlstate == FOREIGN_KEY_VIOLATION and transaction.is_release:
        return (
            f"{nothing} A row that another one needs is missing, or it comes later or goes earlier: rows are moved in "
            f"the order {', '.join(map(str, transaction.targets))}. A key that holds only when all of them are moved "
            "has to be DEFERRABLE."
        )
    if error.sqlstate != UNIQUE_VIOLATION or plan.move.mode != "append" or plan.staging.rejects is not None:
        return nothing
    return (
        f"{nothing} --mode upsert (or ignore) with --keys is for rows that the table may have already; "
        "--on-error quarantine puts them aside."
    )
