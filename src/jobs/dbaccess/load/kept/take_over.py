"""Taking over what an earlier run of a load has staged: only one run has it, and only what is whole counts.

Rows and claims are in tables of the same kind, so a crash of the server that empties unlogged ones empties both.

A rerun holds the load id. It locks the tables, compares the input, checks that the rows of each claim are there, and
renames both tables. So a task or a driver of an earlier run that is still alive finds no table of the name it knows:
it can neither claim a part any more nor publish.

Which of several claims of a part counts, Spark's driver has told only the run that ended. So an attempt must be sure
itself that it has read all of its input (see jobs.spark.plans.repeatable), and any claim of a part will do.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from jobs.dbaccess.errors import UsageError, plural
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.copying.claims import Size
from jobs.dbaccess.load.copying.receipts import Receipt
from jobs.dbaccess.load.kept import leftovers
from jobs.dbaccess.load.kept.notes import Note, dropping, read_note
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kept:
    """Parts that an earlier run has staged.

    Attributes:
        receipts: Of each part, the claim that counts.
    """

    receipts: tuple[Receipt, ...] = ()
    size: Size = field(default_factory=Size)


def take_over(session: Session, names: Staging, target: TableName, stream: str, note: Note) -> Kept:
    """Make what an earlier run has kept the staging of this one, under other names, which this session locks.

    Args:
        session: The session that holds the load id.
        names: The names for the tables, with the note.
        target: The table of the load.
        stream: What the names of the load's runs have in common.
        note: What this run would stage.

    Returns:
        What was kept. If that is nothing, the tables do not exist: what was of no use has been dropped.

    Raises:
        UsageError: Something was kept of another input, or by another role.
        TransientError: A transaction of an earlier run did not end in time.
    """
    kept = Kept()
    for earlier in leftovers.of_stream(session, target, stream):
        if earlier.note and not kept.receipts:
            _check_owner(session, earlier, note)
            staging.hold(session, earlier)
            staging.hold(session, names)
            with session.transaction(lock_timeout=staging.CLEANUP_LOCK_TIMEOUT):
                kept = _take_over(session, earlier, names, note)
    return kept


def _take_over(session: Session, earlier: Staging, names: Staging, note: Note) -> Kept:
    if not _lock_out(session, earlier):
        return Kept()
    claims = _claims(session, earlier)
    if not claims:
        return _dropped(session, earlier)
    _check_same(read_note(earlier.note), note, len(claims))
    if not _rows_are_there(session, earlier, names.columns):
        logger.warning("What an earlier run had kept in %s is not whole any more. All parts are copied.", earlier.rows)
        return _dropped(session, earlier)
    # An attempt of this run may get the number of one that has not claimed its part.
    session.change(f"DELETE FROM {earlier.parts.quoted} WHERE rows IS NULL")
    session.run(f"ALTER TABLE {earlier.rows.quoted} RENAME TO {quote_name(names.rows.name)}")
    session.run(f"ALTER TABLE {earlier.parts.quoted} RENAME TO {quote_name(names.parts.name)}")
    staging.annotate(session, names)
    size = Size(len(claims), sum(rows for _, _, rows, *_ in claims), sum(size for *_, size, _ in claims))
    return Kept(tuple(Receipt(part, number, rows, int(hashes)) for part, number, rows, _, hashes in claims), size)


def _lock_out(session: Session, earlier: Staging) -> bool:
    """Lock both tables, so that no attempt of an earlier run claims a part any more. Return whether they exist."""
    if not session.value("SELECT to_regclass(%s) IS NOT NULL", earlier.rows.quoted):
        session.run(staging.dropping(earlier))
        return False
    staging.end_writers(session, earlier)
    session.run(staging.locking(earlier))
    return True


def _dropped(session: Session, earlier: Staging) -> Kept:
    session.run(staging.dropping(earlier))
    return Kept()


def _claims(session: Session, earlier: Staging) -> list[list[int]]:
    """Return part, attempt, rows, bytes and hashes of one claim of each part."""
    return session.run(
        "SELECT DISTINCT ON (part) part, attempt, rows, bytes, coalesce(hashes, 0) "
        f"FROM {earlier.parts.quoted} WHERE rows IS NOT NULL ORDER BY part, attempt"
    )


def _rows_are_there(session: Session, earlier: Staging, expected: Sequence[str]) -> bool:
    """Return whether the rows are exactly those of the claims: rows and claim of an attempt have the same xmin."""
    columns = session.run(
        "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped "
        "ORDER BY attnum",
        earlier.rows.quoted,
    )
    if [name for [name] in columns] != list(expected):
        return False
    different = session.value(
        f"SELECT count(*) FROM (SELECT xmin::text AS xid, count(*) FROM {earlier.rows.quoted} GROUP BY xmin::text) "
        "AS staged FULL JOIN (SELECT xmin::text AS xid, sum(rows) AS count "
        f"FROM {earlier.parts.quoted} WHERE rows > 0 GROUP BY xmin::text) AS claimed USING (xid) "
        "WHERE staged.count IS DISTINCT FROM claimed.count"
    )
    return bool(different == 0)


def _check_same(kept: Note | None, ours: Note, count: int) -> None:
    if kept is None:
        differing = ["its note, which cannot be read"]
    else:
        names = {**ours.input, **kept.input}
        differing = [name for name in names if kept.input.get(name) != ours.input.get(name)]
        if kept.target != ours.target:
            differing.insert(0, f"the table ({kept.target})")
    if differing:
        raise UsageError(
            f"{plural(count, 'part')} of the load {ours.load_id!r} {'is' if count == 1 else 'are'} kept in staging, "
            f"and this run would not copy the same parts: what differs is {', '.join(differing)}.",
            "Run it as before, with the same files. Or drop what is kept, and all parts are copied: "
            f"{dropping(ours.load_id)}. A run without --keep-staging does so, too.",
        )


def _check_owner(session: Session, earlier: Staging, note: Note) -> None:
    """Check that this very role has kept the tables: somebody else could have put anything into them."""
    found = session.run(
        "SELECT r.rolname, r.rolname = current_user FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner "
        "WHERE c.oid IN (to_regclass(%s), to_regclass(%s)) ORDER BY 2 LIMIT 1",
        earlier.rows.quoted,
        earlier.parts.quoted,
    )
    if found and not found[0][1]:
        raise UsageError(
            f"What is kept in staging of the load {note.load_id!r} belongs to the role {found[0][0]}.",
            f"Run it as this role; or have this role drop what it keeps: {dropping(note.load_id)}. Or leave out "
            "--keep-staging, and all parts are copied.",
        )
