"""Finds staged rows because of which a load failed: those that quarantine would have put aside, in a trial of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.dbaccess.catalog.row_triggers import INSERT, UPDATE, may_change_rows
from jobs.dbaccess.errors import ConstraintViolated, JobError
from jobs.dbaccess.load.copying.receipts import Receipt, accept
from jobs.dbaccess.load.partitions.catalog import exact_forms
from jobs.dbaccess.load.rejects.constraints import Checked, put_aside
from jobs.dbaccess.load.rejects.places import Misfit, misfits_of
from jobs.dbaccess.load.staging import creating_rejects, locking
from jobs.dbaccess.session import Session

_LONGEST_WAIT, _LONGEST_QUERY = "10s", "60s"
"""The load has failed: its error does not wait for long."""

_NO_PARTITION = "no partition"
"""In the server's message, and in that of the rule, which name no constraint."""


@dataclass(frozen=True)
class Violation:
    """The rows that violate the constraint that an error names.

    Attributes:
        rows: How many do.
        first: One of them, of the first part that has any.
    """

    rows: int
    first: Misfit


class _TriedOnce(Exception):
    """Ends the trial, with what it found."""

    def __init__(self, found: Violation) -> None:
        super().__init__()
        self.found = found


def find(
    session: Session, checked: Checked, receipts: Sequence[Receipt], error: ConstraintViolated
) -> Violation | None:
    """Return the staged rows because of which a publish failed; None if that is not certain. Nothing is changed.

    Args:
        session: A session without an open transaction.
        checked: The staging tables, the table, and how rows are written for their hashes. The table of rejects does
            not exist.
        receipts: Those of the attempts that count.
        error: Why the publish failed.
    """
    try:
        with session.transaction(lock_timeout=_LONGEST_WAIT, statement_timeout=_LONGEST_QUERY):
            _try(session, checked, receipts, error)
    except _TriedOnce as trial:
        return trial.found
    except JobError:  # the failure of the load is the one to report
        pass
    return None


def _try(session: Session, checked: Checked, receipts: Sequence[Receipt], error: ConstraintViolated) -> None:
    """Put aside what violates a constraint.

    Raises:
        _TriedOnce: There are such rows of the constraint that the error names.
    """
    if may_change_rows(session, checked.target, INSERT | (UPDATE if checked.move.mode == "upsert" else 0)):
        return
    session.run(locking(checked.staging))
    accept(session, checked.staging, receipts)
    session.run(creating_rejects(checked.rejects, logged=False))
    with exact_forms(session):
        put_aside(session, checked)
    found = misfits_of(session, checked.rejects, checked.seeking, error.sqlstate) if checked.seeking else []
    misfits = [misfit for message, misfit in found if names_same(message, error.message)]
    if misfits:
        raise _TriedOnce(Violation(len(misfits), misfits[0]))


def names_same(rule: str, told: str) -> bool:
    """Return whether the server's message is about the constraint that a rule's message names.

    Args:
        rule: The rule's message, in which a name is in double quotes.
        told: The server's message, in any language. For a partition, it may name a constraint of its own.
    """
    names = re.findall(r'"(.+)"', rule)
    if not names:
        return _NO_PARTITION in rule and _NO_PARTITION in told
    return bool(re.search(rf"(?<!\w){re.escape(names[0])}(?!\w)", told))
