"""Receipts: which attempts at parts count. Spark's driver says so; the rows of all other attempts are deleted.

An attempt cannot know whether it read all of its input: when a task fails or is killed, Spark closes its worker's
input, and that looks like the end of the input. So each attempt that reaches an end claims what it copied, and those
attempts count that Spark reports as successful. An attempt's rows and its claim belong to one transaction, so their
xmin is the same: it distinguishes these rows from those of other attempts. Freezing keeps xmin. That no other attempt
of the load has the same one is checked by the counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jobs.dbaccess.errors import LoadError, plural
from jobs.dbaccess.load.copying.parts import Refused, Tally, refused_row
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.session import Session


class PartFailed(LoadError):
    """An attempt recorded why its part, and therefore the load, cannot succeed.

    Attributes:
        refused: The row that is the reason, if it is one row.
    """

    def __init__(self, message: str, hint: str = "", refused: Refused | None = None) -> None:
        super().__init__(message, hint)
        self.args = (message, hint, refused)
        self.refused = refused


@dataclass(frozen=True, order=True)
class Receipt:
    """What a successful task returns to Spark's driver: the part that it copied, and which attempt it was.

    Attributes:
        rows, hashes: The rows that Spark encoded, and the sum of their hashes (0 unless the load is verified); without
            those that were rejected.
        rejected: The rows that the server refused, and that were put aside.
    """

    part: int
    attempt: int
    rows: int = field(default=0, compare=False)
    hashes: int = field(default=0, compare=False)
    rejected: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Claim:
    """What an attempt reports to have copied."""

    rows: int
    bytes: int


def accept(session: Session, staging: Staging, receipts: Sequence[Receipt]) -> Tally:
    """Delete the rows of attempts without a receipt, and return what remains staged.

    Call this in the publishing transaction, after the tables were locked, so that no claim can be committed later.

    Raises:
        PartFailed: An attempt recorded a reason.
        LoadError: A part is missing or occurs twice, a receipt has no claim, or rows are missing.
    """
    check_none_failed(session, staging)
    attempts = session.run(f"SELECT part, attempt, rows, bytes FROM {staging.parts.quoted}")
    claims = {Receipt(part, attempt): Claim(rows, size) for part, attempt, rows, size in attempts if rows is not None}
    check(claims, receipts)
    accepted = [claims[receipt] for receipt in receipts]
    rows, size = sum(claim.rows for claim in accepted), sum(claim.bytes for claim in accepted)
    tally = Tally(len(receipts), rows, size, len(attempts) - len(receipts), None)
    others = sorted(claims.keys() - set(receipts))
    if others:
        _delete(session, staging, others, sum(claims[other].rows for other in others))
        check_all_there(session, staging, tally.rows)
    return tally


def check_none_failed(session: Session, staging: Staging) -> None:
    """Check that no attempt has recorded why the load cannot succeed.

    Raises:
        PartFailed: One has.
    """
    failure = session.value(f"SELECT min(failure) FROM {staging.parts.quoted}")
    if failure is not None:
        raise PartFailed(failure, "Nothing was loaded.", refused_row(session, staging))


def check(claims: Mapping[Receipt, Claim], receipts: Sequence[Receipt]) -> None:
    """Check that each part has one receipt, and each receipt a claim: a crash empties unlogged tables.

    Raises:
        LoadError: A part or a claim is missing.
    """
    if sorted(receipt.part for receipt in receipts) != list(range(len(receipts))):
        raise LoadError("Spark reported a part twice, or not at all.", "Nothing was loaded. Run the load again.")
    missing = [receipt for receipt in receipts if receipt not in claims]
    if missing:
        staged = len(receipts) - len(missing)
        raise LoadError(
            f"{staged} of {len(receipts)} parts are staged, and Spark reported all: the server crashed meanwhile.",
            "Nothing was loaded. Run the load again.",
        )


def _delete(session: Session, staging: Staging, others: Sequence[Receipt], rows: int) -> None:
    """Delete the rows that these attempts copied.

    Where bad rows are put aside, the blocks of an attempt were copied in savepoints, whose rows have other transaction
    ids. Each has left a mark among the rejects.
    """
    marks = [staging.parts] if staging.rejects is None else [staging.parts, staging.rejects]
    of_others = " UNION ALL ".join(
        f"SELECT claim.xmin FROM {table.quoted} AS claim WHERE (claim.part, claim.attempt) IN (SELECT * FROM others)"
        for table in marks
    )
    numbers = [other.part for other in others], [other.attempt for other in others]
    deleted = session.change(
        "WITH others AS (SELECT * FROM unnest(%s::integer[], %s::bigint[])) "
        f"DELETE FROM {staging.rows.quoted} WHERE xmin = ANY (ARRAY({of_others}))",
        *numbers,
    )
    if staging.rejects is not None:
        session.change(
            f"DELETE FROM {staging.rejects.quoted} "
            "WHERE (part, attempt) IN (SELECT * FROM unnest(%s::integer[], %s::bigint[]))",
            *numbers,
        )
    if deleted != rows:
        raise LoadError(
            f"{plural(rows, 'row was', 'rows were')} to be deleted from staging, of attempts that Spark did not "
            f"accept, but {deleted:,} were: the server crashed meanwhile.",
            "Nothing was loaded. Run the load again.",
        )


def check_all_there(session: Session, staging: Staging, rows: int) -> None:
    """Check that staging holds as many rows as were claimed: a crash empties unlogged tables.

    Raises:
        LoadError: It holds another number of rows.
    """
    present = session.value(f"SELECT count(*) FROM {staging.rows.quoted}")
    if present != rows:
        raise LoadError(
            f"{plural(rows, 'row was', 'rows were')} staged, but {present:,} are left: the server crashed meanwhile.",
            "Nothing was loaded. Run the load again.",
        )
