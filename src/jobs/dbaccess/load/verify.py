"""Verifies a load in the transaction that publishes it: if the table does not hold what Spark intended, nothing stays.

Spark's tasks sum the hashes of the rows that they intend to load. Here, the server hashes the rows that it stored. Rows
of this load are recognized by their xmin, which is the publishing transaction's.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.tables import Table
from jobs.dbaccess.errors import LoadError, UsageError, plural
from jobs.dbaccess.load.copying.receipts import Receipt
from jobs.dbaccess.load.row_text import Form, RowText, Sum, measure
from jobs.dbaccess.local_settings import local_settings
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

_MUCH_BIGGER = 3
"""A table that was so many times larger than the load is not read completely, unless this is necessary."""


class VerificationFailed(LoadError):
    """The table, or staging before it, does not hold what Spark intended. Nothing was published."""


@dataclass(frozen=True)
class Verification:
    """What to compare, and what Spark intended."""

    row: RowText
    expected: Sum

    def without(self, rows: Sum) -> Verification:
        """Return the same for a load from which rows were taken away."""
        return Verification(self.row, Sum(self.expected.rows - rows.rows, self.expected.hashes - rows.hashes))


@dataclass(frozen=True)
class Verified:
    """The result of a verification.

    Attributes:
        rows: The number of rows of the table that were compared.
        not_compared: Columns of which only NULLs were compared.
    """

    rows: int
    columns: tuple[str, ...]
    not_compared: tuple[str, ...]


@dataclass(frozen=True)
class Moved:
    """What publish did.

    Attributes:
        staged: The staging table, which still contains the rows; None if it became the target.
        is_whole: Whether all rows of the target belong to this load.
        leaves_out: Whether the mode may leave out staged rows.
        changed: The number of rows that were inserted or updated.
        blocks_before: The size of a plain table before rows were appended to it.
        becomes: The table that holds the rows and becomes part of the target; None if they are in the target.
        inserter: The id of the subtransaction that moved the rows; empty for that of the transaction.
    """

    target: TableName
    staged: TableName | None
    is_whole: bool
    leaves_out: bool
    changed: int
    blocks_before: int = 0
    becomes: TableName | None = None
    inserter: str = ""


def check_target(session: Session, table: Table) -> None:
    """Refuse, before anything is copied, a table whose rows this user cannot read back.

    Raises:
        UsageError: The message contains the reason.
    """
    if table.kind in (tables.VIEW, tables.FOREIGN):
        kind = "a view" if table.kind == tables.VIEW else "a foreign table"
        raise UsageError(
            f"{table.name} is {kind}: the rows of a load cannot be recognized in it.",
            "Leave --verify out, and run compare_table.py after the load.",
        )
    found = session.run(
        "SELECT has_table_privilege(oid, 'SELECT'), row_security_active(oid) FROM pg_class WHERE oid = to_regclass(%s)",
        table.name.quoted,
    )
    if not found:  # it was dropped since, as the load's next statement will say
        return
    [[may_read, is_filtered]] = found
    if not may_read:
        raise UsageError(
            f"--verify reads {table.name}, which this user may not.", "GRANT SELECT on it, or leave --verify out."
        )
    if is_filtered:
        raise UsageError(
            f"Row-level security may hide rows of {table.name} from this user, but --verify must see them.",
            "Load as a user to whom no policy applies (BYPASSRLS), or leave --verify out.",
        )


def row_text(session: Session, columns: Sequence[str], forms: Sequence[Form]) -> RowText:
    """Return how this database writes rows of these columns."""
    encoding = session.value("SHOW server_encoding")
    return RowText(tuple(columns), tuple(forms), recode=encoding != "UTF8")


def expected_sum(receipts: Sequence[Receipt]) -> Sum:
    """Return what Spark intended, from the attempts that it accepted."""
    return Sum(sum(receipt.rows for receipt in receipts), sum(receipt.hashes for receipt in receipts))


def blocks(session: Session, table: TableName) -> int:
    """Return the number of blocks of a plain table; 0 for one whose rows are in other tables."""
    size = session.value(
        "SELECT pg_relation_size(oid) / current_setting('block_size')::int FROM pg_class "
        "WHERE oid = to_regclass(%s) AND relkind = 'r' AND NOT relhassubclass UNION ALL SELECT 0 LIMIT 1",
        table.quoted,
    )
    return int(size)


def verify(session: Session, verification: Verification, moved: Moved) -> Verified:
    """Check, in the current transaction, that the table holds what Spark intended.

    Raises:
        VerificationFailed: It does not.
    """
    session.end_deferral()  # the effects of deferred triggers and constraints are verified, too
    settings = verification.row.settings
    with local_settings(session, dict(settings)) if settings else nullcontext():
        if moved.leaves_out and moved.staged is not None:
            rows = _verify_some(session, verification, moved, moved.staged)
        else:
            rows = _verify_all(session, verification, moved)
    return Verified(rows, verification.row.compared, verification.row.not_compared)


def _verify_all(session: Session, verification: Verification, moved: Moved) -> int:
    """Check that all staged rows are in the table as intended."""
    stored = Sum(0, 0)
    for rows in _locations(session, moved):
        stored = measure(session, rows, verification.row.row_hash)
        if stored == verification.expected:
            return stored.rows
    staged = moved.staged and measure(session, moved.staged.quoted, verification.row.row_hash)
    raise _failed(verification, stored, moved.target, staging_is_right=staged == verification.expected)


def _verify_some(session: Session, verification: Verification, moved: Moved, staged: TableName) -> int:
    """Check that all rows are in staging as intended, and that each moved row is one of these."""
    row_hash = verification.row.row_hash
    stored = measure(session, staged.quoted, row_hash)
    if stored != verification.expected:
        raise _failed(verification, stored, moved.target, staging_is_right=False)
    rows = _locations(session, moved)[-1]
    [count, strange] = session.row(
        2,
        f"SELECT (SELECT count(*) FROM {rows}), (SELECT count(*) FROM "
        f"(SELECT {row_hash} FROM {rows} EXCEPT ALL SELECT {row_hash} FROM {staged.quoted}) AS strange)",
    )
    if strange or count != moved.changed:
        raise VerificationFailed(
            f"The load was not published: {strange:,} of {count:,} rows of {moved.target} are not among those that "
            f"{verification.row.intended}, and {moved.changed:,} were moved.",
            _MENDING[True],
        )
    return int(count)


def _locations(session: Session, moved: Moved) -> list[str]:
    """Return where this load's rows are, as FROM clauses: the cheaper one, if any, and the certain one."""
    if moved.becomes is not None:
        return [moved.becomes.quoted]
    if moved.is_whole:
        return [moved.target.quoted]
    transaction = moved.inserter or session.value("SELECT pg_current_xact_id()::xid::text")
    sure = f"{moved.target.quoted} WHERE xmin = '{transaction}'::xid"
    added = blocks(session, moved.target) - moved.blocks_before if moved.blocks_before else 0
    if added * _MUCH_BIGGER < moved.blocks_before:
        return [f"{sure} AND ctid >= '({moved.blocks_before - 1},0)'::tid", sure]
    return [sure]


def _failed(
    verification: Verification, stored: Sum, target: TableName, *, staging_is_right: bool
) -> VerificationFailed:
    expected, intended = verification.expected, verification.row.intended
    where = target if staging_is_right else f"the staging of {target}"
    if expected.rows != stored.rows:
        what = f"{intended} {plural(expected.rows, 'row')}, and {where} contains {stored.rows:,}"
    else:
        what = f"the {stored.rows:,} rows of {where} do not have the values that {intended}"
    return VerificationFailed(f"The load was not published: {what}.", _MENDING[staging_is_right])


_MENDING = {
    True: "Staging is correct: a trigger or rule of the table changes, adds or removes rows. Fix it, or load without "
    "--verify and let compare_table.py find the keys that differ.",
    False: "The rows changed before they reached the table. Run the load again. If that does not help, load without "
    "--verify, let compare_table.py find the keys that differ, and report the defect.",
}
