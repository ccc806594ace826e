"""Receipts: which attempts at parts count. Spark says so on the driver; what all others staged is deleted.

An attempt cannot know whether its input was whole, for Spark shuts a worker's input when the task fails or is killed,
and that looks like its end. So each attempt that comes to an end claims what it copied, and those count which Spark
reports as successful. The rows of an attempt and its claim are of one transaction, and so have the same xmin: by it
the rows of the others are told from them. Freezing keeps it, and that no other attempt of the load has the same one is
seen by the counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jobs.dbaccess.errors import LoadError
from jobs.dbaccess.load.staging import Staging, Tally
from jobs.dbaccess.session import Session


@dataclass(frozen=True, order=True)
class Receipt:
    """What a successful task hands to Spark, for the driver: the part that it brought, and which attempt it was.

    Attributes:
        rows, hashes: where the load is verified, how many rows Spark meant, and the sum of their hashes.
    """

    part: int
    attempt: int
    rows: int = field(default=0, compare=False)
    hashes: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Claim:
    """What an attempt says that it copied."""

    rows: int
    bytes: int


def accept(session: Session, staging: Staging, receipts: Sequence[Receipt]) -> Tally:
    """Delete the rows of attempts without receipt, and tell what is staged then.

    To be called in the transaction that publishes, when the tables are locked: no claim comes later than this looks.

    Raises:
        LoadError: a part is missing or there twice, a receipt has no claim, or rows are.
    """
    found = session.run(f"SELECT part, attempt, rows, bytes, failure FROM {staging.parts.quoted}")
    failure = next((row[4] for row in found if row[4] is not None), None)
    if failure is not None:
        raise LoadError(failure, "Nothing was loaded.")
    claims = {Receipt(part, attempt): Claim(rows, size) for part, attempt, rows, size, _ in found if rows is not None}
    check(claims, receipts)
    accepted = [claims[receipt] for receipt in receipts]
    rows, size = sum(claim.rows for claim in accepted), sum(claim.bytes for claim in accepted)
    tally = Tally(len(receipts), rows, size, len(found) - len(receipts), None)
    others = sorted(claims.keys() - set(receipts))
    if others:
        _delete(session, staging, others, sum(claims[other].rows for other in others))
        check_all_there(session, staging, tally.rows)
    return tally


def check(claims: Mapping[Receipt, Claim], receipts: Sequence[Receipt]) -> None:
    """See that there is one receipt for each part, and a claim for each receipt: a crash empties unlogged tables.

    Raises:
        LoadError: there is not.
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
    """Delete what these attempts copied."""
    deleted = session.change(
        f"DELETE FROM {staging.rows.quoted} WHERE xmin = ANY (ARRAY("
        f"SELECT claim.xmin FROM {staging.parts.quoted} AS claim "
        "WHERE (claim.part, claim.attempt) IN (SELECT * FROM unnest(%s::integer[], %s::bigint[]))))",
        [other.part for other in others],
        [other.attempt for other in others],
    )
    if deleted != rows:
        raise LoadError(
            f"{rows} rows were to be deleted from staging, of attempts that Spark did not accept, but {deleted} were: "
            "the server crashed meanwhile.",
            "Nothing was loaded. Run the load again.",
        )


def check_all_there(session: Session, staging: Staging, rows: int) -> None:
    """See that staging holds as many rows as were claimed: a crash empties unlogged tables.

    Raises:
        LoadError: it does not.
    """
    [[present]] = session.run(f"SELECT count(*) FROM {staging.rows.quoted}")
    if present != rows:
        raise LoadError(
            f"{rows} rows were staged, but {present} are left: the server crashed meanwhile.",
            "Nothing was loaded. Run the load again.",
        )
