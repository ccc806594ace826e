"""Claims of direct parts: which parts of an unfinished load are in its table. They outlive the run that wrote them.

An attempt writes its claim in the transaction of its rows. The primary key lets one attempt at a part commit. A rerun
of the load id reads the claims, and copies what is missing, if its input is the same: they contain its fingerprint. The
transaction that writes the marker deletes them. As long as there are any, the load is done in no other way.

They are in the schema of the marker table: a rerun that looks for them elsewhere would copy all parts again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from jobs.dbaccess.catalog import storage, tables
from jobs.dbaccess.catalog.own_tables import OwnTable
from jobs.dbaccess.catalog.unique_indexes import has_unique_index
from jobs.dbaccess.errors import LoadError, UsageError, plural
from jobs.dbaccess.load.copying import direct
from jobs.dbaccess.load.kept import leftovers
from jobs.dbaccess.load.ledger import Ledger
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

CLAIMS = OwnTable(
    "pgjobs_claims",
    "load text, part integer, load_id text NOT NULL, target text NOT NULL, relation oid NOT NULL, input text NOT NULL, "
    "rows bigint NOT NULL, bytes bigint NOT NULL, claimed timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (load, part)",
    {"storage": "text"},
)
"""`load` is a hash of the load id and its ledger: an index takes no text of any length. `input` is a fingerprint.
`storage` tells whether the rows can still be there; NULL for not to ask."""


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
        relation: The table's oid: another table may get its name.
        fingerprint: What the input is made of, by name, each as a short hash.
        storage: The table's file, or its partitions' files, by oid, when the run began. TRUNCATE makes new ones.
    """

    table: TableName
    load: str
    load_id: str
    target: TableName
    relation: int
    fingerprint: tuple[tuple[str, str], ...]
    storage: str = "{}"

    def write(self, session: Session, part: int, rows: int, size: int) -> bool:
        """Write the claim of a part in the open transaction. Return False if the part has one.

        If another transaction has written it, this waits until that transaction ends.

        Raises:
            LoadError: The rows are in another table, which got the name since the load began.
        """
        if _oid(session, self.target) != self.relation:  # it has the lock of COPY, and cannot be renamed any more
            raise LoadError(
                f"{self.target} was replaced by another table while parts were copied.", "Run the load again."
            )
        return bool(
            session.change(
                f"INSERT INTO {self.table.quoted} (load, part, load_id, target, relation, input, rows, bytes, storage) "
                "VALUES (%s, %s, %s, %s, %s::bigint::oid, %s, %s, %s, %s) ON CONFLICT (load, part) DO NOTHING",
                *(self.load, part, self.load_id, str(self.target), self.relation),
                *(json.dumps(dict(self.fingerprint)), rows, size, self.storage),
            )
        )

    def parts(self, session: Session) -> dict[int, Size]:
        """Return the parts that are in the table, each with its size.

        Raises:
            UsageError: They are those of another input, or of another table, or their rows may be gone.
        """
        found = session.run(
            "SELECT part, rows, bytes, target, relation::bigint, input, storage "
            f"FROM {self.table.quoted} WHERE load = %s ORDER BY part",
            self.load,
        )
        for target, relation, given in {tuple(row[3:6]) for row in found}:
            self._check_same(target, relation, json.loads(given), len(found))
        files = storage.files_of(session, self.relation)
        for before in {row[6] for row in found if row[6] is not None and row[1]}:
            self._check_stored(before, files, len(found))
        return {part: Size(1, rows, size) for part, rows, size, *_ in found}

    def _check_stored(self, before: str, files: str, count: int) -> None:
        """Check that a table has the files that it had."""
        if not storage.are_kept(before, files):
            raise UsageError(
                f"{plural(count, 'part')} of the load {self.load_id!r} {'was' if count == 1 else 'were'} copied into "
                f"{self.target}, and since then "
                f"{storage.REPLACED}: their rows may be gone.",
                f"If the rows are still there, run: UPDATE {self.table.quoted} SET storage = NULL WHERE load_id = "
                f"'...'. Else delete what is left of them, and then their claims: {self._deletion}.",
            )

    def check_kept(self, session: Session, before: Mapping[int, Size]) -> None:
        """Check that the rows of an earlier run's parts can still be in the table.

        Raises:
            UsageError: The table has been emptied since, for example by TRUNCATE.
        """
        if any(size.rows for size in before.values()) and not session.value(_BYTES, self.relation, self.relation):
            raise UsageError(
                f"{plural(len(before), 'part')} of the load {self.load_id!r} "
                f"{'was' if len(before) == 1 else 'were'} in "
                f"{self.target}, and the table is empty now.",
                f"To load all of it, delete its claims first: {self._deletion}. Or give another load id.",
            )

    @property
    def _deletion(self) -> str:
        return f"DELETE FROM {self.table.quoted} WHERE load_id = '...'"

    def _check_same(self, target: str, relation: int, fingerprint: Mapping[str, str], count: int) -> None:
        ours = dict(self.fingerprint)
        differing = [name for name in {**ours, **fingerprint} if fingerprint.get(name) != ours.get(name)]
        if target != str(self.target):
            differing.insert(0, f"the table ({target})")
        elif relation != self.relation:
            differing.insert(0, "the table (another one has its name now)")
        if differing:
            raise UsageError(
                f"{plural(count, 'part')} of the load {self.load_id!r} {'is' if count == 1 else 'are'} in {target}, "
                f"and this run would not copy the same parts: what differs is {', '.join(differing)}.",
                "Run it as before, with the same files. Or delete its rows from the table and its claims from "
                f"{self.table}: {self._deletion}. Or give another load id.",
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
    own = _beside(ledger)
    own.ensure(session)
    table, relation = own.find(session), _oid(session, target)
    if table is None:
        raise LoadError(f"There is no table {CLAIMS.name} any more.", "Run the load again.")
    if not tables.is_logged(session, table) or not has_unique_index(session, table, ["load", "part"]):
        raise UsageError(
            f"{table} cannot hold claims: it is unlogged, or has no primary key (load, part).",
            "Rename it, and the load makes another one.",
        )
    if relation is None:
        raise LoadError(f"There is no table {target} any more.", "Run the load again.")
    return Claims(
        table=table,
        load=key(ledger, load_id),
        load_id=load_id,
        target=target,
        relation=relation,
        fingerprint=tuple(fingerprint),
        storage=storage.files_of(session, relation),
    )


def end_earlier_runs(
    session: Session, ledger: Ledger, load_id: str, target: TableName, *, with_kept: bool = False
) -> None:
    """Drop what runs of a load have left, so that none of their attempts can commit any more.

    Args:
        session: A session that holds the load id.
        ledger: The ledger, whose table has its full name.
        load_id: The id.
        target: The table.
        with_kept: Whether to drop kept staging, too. From it, attempts reach no table, but a driver that is still alive
            would publish all of it if this run failed, beside the parts that this run had copied straight into the
            table.

    Raises:
        TransientError: A transaction of one did not end in time.
    """
    for earlier in leftovers.of_stream(session, target, stream(ledger, load_id)):
        if with_kept or not earlier.note:
            direct.end(session, earlier)


def check_none(
    session: Session, ledger: Ledger, load_id: str, target: TableName, *, ends_earlier_runs: bool = True
) -> None:
    """Check, before a load is done as a whole, that no run of it has copied some of its parts, or still can.

    Args:
        session: A session that holds the load id.
        ledger: The ledger, whose table has its full name.
        load_id: The id.
        target: The table under its full name.
        ends_earlier_runs: Whether to make sure that there will be none. A plan only looks.

    Raises:
        UsageError: There are such parts; or that cannot be found out, because the user may not read the claims, or
            their table's owner is not trusted.
        TransientError: A transaction of an earlier run did not end in time.
    """
    table = _beside(ledger).find(session)
    if table is None:
        return
    if not session.value(_MAY_READ, table.quoted, table.quoted):
        raise UsageError(
            f"The user may not read all of {table}, so it is unknown whether --publish parts has copied parts of the "
            f"load {load_id!r} into {target}. They would be loaded twice.",
            f"GRANT SELECT ON {table.quoted} TO ..., and let no policy of row-level security apply.",
        )
    if ends_earlier_runs:
        end_earlier_runs(session, ledger, load_id, target)
    if session.value(f"SELECT EXISTS (SELECT FROM {table.quoted} WHERE load = %s)", key(ledger, load_id)):
        raise UsageError(
            f"--publish parts has copied parts of the load {load_id!r} into the table. They would be loaded twice.",
            "Run it again with --publish parts and the same input: it copies the rest. Or delete its rows from the "
            f"table and its claims: DELETE FROM {table.quoted} WHERE load_id = '...'. Or give another load id.",
        )


def stream(ledger: Ledger, load_id: str) -> str:
    """Return what determines the common prefix of the names of a load's runs: a rerun ends those before it."""
    return f"pgjobs load {key(ledger, load_id)}"


def key(ledger: Ledger, load_id: str) -> str:
    """Return the key of a load.

    Args:
        ledger: The ledger, whose table has its full name.
        load_id: The id.
    """
    return hashlib.sha256(f"{ledger.table}\n{load_id}".encode()).hexdigest()


def _beside(ledger: Ledger) -> OwnTable:
    return replace(CLAIMS, schema=ledger.table.schema)


def _oid(session: Session, table: TableName) -> int | None:
    oid = session.value("SELECT to_regclass(%s)::oid::bigint", table.quoted)
    return None if oid is None else int(oid)


_MAY_READ = "SELECT has_table_privilege(%s, 'SELECT') AND NOT row_security_active(to_regclass(%s)::oid)"

_BYTES = """
SELECT coalesce(sum(pg_relation_size(relid)), 0)::bigint FROM (
    SELECT %s::bigint::oid AS relid UNION SELECT relid FROM pg_partition_tree(%s::bigint::oid::regclass)
) AS tables
"""
"""The size of a table with its partitions. Whoever may only insert may ask for it, too."""
