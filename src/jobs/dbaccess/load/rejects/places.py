"""Where rows come from that violate a constraint.

Staging does not keep the order of rows: the server stores each where there is space. So a staged row is known by its
part, and by the hash of its values, as for `--verify`. Whoever computes the part once more finds the row by these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jobs.dbaccess.load.row_text import RowText
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_literal

MOST_SOUGHT = 100_000
"""How many rows of a load are sought. The others are put aside with their part alone."""


@dataclass(frozen=True)
class Misfit:
    """A staged row that violates a constraint.

    Attributes:
        staged: Where it is in staging: its ctid, as text.
        part: The number of its part.
        hash: The hash of its values.
        texts: The values of some columns that the hash does not compare, as the server writes them.
    """

    staged: str
    part: int
    hash: int
    texts: tuple[str | None, ...] = ()


@dataclass(frozen=True)
class Place:
    """Where a row comes from, as far as that is certain.

    Attributes:
        file: The hash of its file's name.
        file_row: Its number in the file, from 1.
        part_row: Its number in its part, from 1.
    """

    file: int | None = None
    file_row: int | None = None
    part_row: int | None = None


@dataclass(frozen=True)
class Seeking:
    """How a load finds out where such rows come from.

    Attributes:
        row: How rows are written for their hashes.
        texts: Columns that these do not compare, and whose text tells rows apart.
        found: The places of rows by what `Misfit.staged` is; None as long as nobody has looked for any.
    """

    row: RowText
    texts: tuple[str, ...] = ()
    found: Mapping[str, Place] | None = field(default=None, repr=False)


class PlacesWanted(Exception):
    """Rows violate a constraint, and where they come from is to be found out before they are put aside.

    It ends the publishing transaction: to find them, Spark reads the source again, and nobody is to wait for that.

    Attributes:
        misfits: The rows.
        refused: The rows that COPY had refused of the same parts: the part of each, and its number in it.
        good: How many staged rows are left.
    """

    def __init__(self, misfits: Sequence[Misfit], refused: Sequence[tuple[int, int]], good: int) -> None:
        super().__init__(f"{len(misfits)} rows violate a constraint")
        self.misfits, self.refused, self.good = tuple(misfits), tuple(refused), good


def misfits_of(session: Session, rejects: TableName, seeking: Seeking, sqlstate: str = "") -> list[tuple[str, Misfit]]:
    """Return rows that were moved from staging to the rejects, in the open transaction, each with its message.

    Args:
        session: The session of the transaction.
        rejects: The table of rejects in staging.
        seeking: What is asked of each.
        sqlstate: The reason; empty for any.
    """
    texts = ", ".join(f"row->>{quote_literal(name)}" for name in seeking.texts)
    found = session.run(
        f"SELECT message, staged, part, row_hash, ARRAY[{texts}]::text[] FROM {rejects.quoted} "
        "WHERE row_hash IS NOT NULL AND part IS NOT NULL AND %s::text IN ('', sqlstate) "
        f"ORDER BY part, staged::tid LIMIT {MOST_SOUGHT}",
        sqlstate,
    )
    return [(message, Misfit(staged, part, hash_, tuple(texts))) for message, staged, part, hash_, texts in found]


def refused_of(session: Session, rejects: TableName) -> list[tuple[int, int]]:
    """Return the rows that COPY has refused of the parts of such rows: the part of each, and its number in it."""
    query = (
        f"SELECT part, part_row FROM {rejects.quoted} WHERE part_row IS NOT NULL AND row_hash IS NULL "
        f"AND part IN (SELECT part FROM {rejects.quoted} WHERE row_hash IS NOT NULL)"
    )
    return [(part, row) for part, row in session.run(query)]
