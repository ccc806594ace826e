"""Claims of direct parts: which parts of an unfinished load are in its table. They outlive the run that wrote them.

An attempt writes its claim in the transaction of its rows. The primary key lets one attempt at a part commit. A rerun
of the load id reads the claims, and copies what is missing, if its input is the same: they contain its fingerprint. The
transaction that writes the marker deletes them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.own_tables import OwnTable
from jobs.dbaccess.errors import LoadError, UsageError
from jobs.dbaccess.load.ledger import Ledger
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

CLAIMS = OwnTable(
    "pgjobs_claims",
    "load text, part integer, load_id text NOT NULL, target text NOT NULL, input text NOT NULL, rows bigint NOT NULL, "
    "bytes bigint NOT NULL, claimed timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (load, part)",
)
"""`load` is a hash of the load id and its ledger: an index takes no text of any length. `input` is a fingerprint."""


@dataclass(frozen=True)
class Size:
    """How much of a load is in the table."""

    parts: int = 0
    rows: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Claims:
    """The claims of one load.

    Attributes:
        table: The full name of the table of claims.
        load: The load's key in it.
        fingerprint: What the input is made of, by name, each as a short hash.
    """

    table: TableName
    load: str
    load_id: str
    target: TableName
    fingerprint: tuple[tuple[str, str], ...]

    def write(self, session: Session, part: int, rows: int, size: int) -> bool:
        """Write the claim of a part in the open transaction. Return False if the part has one.

        If another transaction has written it, this waits until that transaction ends.
        """
        return bool(
            session.change(
                f"INSERT INTO {self.table.quoted} (load, part, load_id, target, input, rows, bytes) "
                "VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (load, part) DO NOTHING",
                *(self.load, part, self.load_id, str(self.target), json.dumps(dict(self.fingerprint)), rows, size),
            )
        )

    def parts(self, session: Session) -> dict[int, Size]:
        """Return the parts that are in the table, each with its size.

        Raises:
            UsageError: They are those of another input, or of another table.
        """
        found = session.run(
            f"SELECT part, rows, bytes, target, input FROM {self.table.quoted} WHERE load = %s ORDER BY part", self.load
        )
        for _, _, _, target, given in found:
            self._check_same(target, json.loads(given), len(found))
        return {part: Size(1, rows, size) for part, rows, size, _, _ in found}

    def _check_same(self, target: str, fingerprint: Mapping[str, str], count: int) -> None:
        ours = dict(self.fingerprint)
        differing = [name for name in ours if fingerprint.get(name) != ours[name]]
        if target != str(self.target):
            differing.insert(0, f"the table ({target})")
        if differing:
            raise UsageError(
                f"{count} parts of the load {self.load_id!r} are in {target}, and this run would not copy the same "
                f"parts: what differs is {', '.join(differing)}.",
                "Run it as before, with the same files. Or delete its rows from the table and its claims from "
                f"{self.table}: DELETE FROM {self.table.quoted} WHERE load_id = '...'. Or give another load id.",
            )

    def delete(self, session: Session) -> None:
        """Delete the claims of a load that has its marker, in the open transaction."""
        session.change(f"DELETE FROM {self.table.quoted} WHERE load = %s", self.load)


def open_claims(
    session: Session, ledger: Ledger, load_id: str, target: TableName, fingerprint: Sequence[tuple[str, str]]
) -> Claims:
    """Return the claims of a load, whose table is created if it is missing.

    Raises:
        UsageError: The table's owner is not trusted, or it lacks something.
        LoadError: The table disappeared.
    """
    CLAIMS.ensure(session)
    table = CLAIMS.find(session)
    if table is None:
        raise LoadError(f"There is no table {CLAIMS.name} any more.", "Run the load again.")
    if not tables.is_logged(session, table) or not tables.has_unique_index(session, table, ["load", "part"]):
        raise UsageError(
            f"{table} cannot hold claims: it is unlogged, or has no primary key (load, part).",
            "Rename it, and the load makes another one.",
        )
    return Claims(table, key(ledger, load_id), load_id, target, tuple(fingerprint))


def key(ledger: Ledger, load_id: str) -> str:
    """Return the key of a load.

    Args:
        ledger: The ledger, whose table has its full name.
        load_id: The id.
    """
    return hashlib.sha256(f"{ledger.table}\n{load_id}".encode()).hexdigest()
