"""Publish: one transaction that makes a load's staged rows part of the target and writes its marker."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from jobs.dbaccess import locks
from jobs.dbaccess.catalog import tables
from jobs.dbaccess.errors import ConnectionFailed, ConstraintViolated, DatabaseError, LoadError
from jobs.dbaccess.load import ledger, overwrite, receipts, staging, verify
from jobs.dbaccess.load.modes import KEYED, Move
from jobs.dbaccess.load.receipts import Receipt
from jobs.dbaccess.load.staging import Staging, Tally
from jobs.dbaccess.load.verify import Moved, Verification, Verified
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name, quote_names

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Publication:
    """What to publish.

    Attributes:
        receipts: of the attempts that count, as Spark reported them: one for each part.
        is_new: the load makes the table.
        verification: what the table's rows are compared with before the commit, if they are to be.
    """

    load_id: str
    target: TableName
    staging: Staging
    receipts: tuple[Receipt, ...]
    move: Move
    is_new: bool
    verification: Verification | None = None

    @property
    def becomes_target(self) -> bool:
        """Whether the staged table may be renamed to the target: that saves the server a second write of every row."""
        return self.is_new and not self.move.keys


@dataclass(frozen=True)
class Published:
    """What was staged, what the target gained, and what of that was compared with Spark's rows."""

    staged: Tally
    inserted: int
    updated: int = 0
    verified: Verified | None = None

    @property
    def ignored(self) -> int:
        """Staged rows that neither became rows nor changed one: the mode or a trigger had them left out."""
        return self.staged.rows - self.inserted - self.updated


class CommitUncertain(ConnectionFailed):
    """The connection broke before the answer to COMMIT came: the load's marker tells whether it was done.

    Attributes:
        published: what was, if it was.
    """

    def __init__(self, error: ConnectionFailed, published: Published) -> None:
        super().__init__(error.message, error.hint, error.sqlstate)
        self.published = published


def publish(session: Session, publication: Publication) -> Published:
    """Make the staged rows part of the target: all of them, or, when this raises, none.

    Raises:
        CommitUncertain: nobody knows yet whether it was done.
        LoadError: the parts do not add up, a key is staged twice, or the load's id was recorded meanwhile.
        DatabaseError: the target does not take the rows.
    """
    published = None
    try:
        with session.transaction():
            published = _publish(session, publication)
    except ConnectionFailed as error:
        if published is not None:
            raise CommitUncertain(error, published) from None
        raise
    except DatabaseError as error:
        if error.sqlstate == _SAME_ROW_TWICE or (publication.is_new and isinstance(error, ConstraintViolated)):
            _tell_of_repeated_keys(session, publication)
        raise
    return published


_SAME_ROW_TWICE = "21000"
"""ON CONFLICT DO UPDATE command cannot affect row a second time"""


def _publish(session: Session, publication: Publication) -> Published:
    staged = _close_staging(session, publication)
    if not ledger.record(session, publication.load_id, str(publication.target)):
        ledger.is_recorded(session, publication.load_id, publication.target)  # tells of another table's
        raise LoadError(f"The load id {publication.load_id!r} was recorded by someone else meanwhile.")
    missing = publication.is_new and tables.find_table(session, publication.target) is None
    renamed = missing and publication.becomes_target and staging.is_logged(session, publication.staging)
    blocks = verify.blocks(session, publication.target) if publication.verification and not missing else 0
    if renamed:
        _become_target(session, publication)
        published = Published(staged, staged.rows)
    else:
        if missing:
            _make_target(session, publication)
            tables.tell_subscribers(session, publication.target)
        published = Published(staged, *_move(session, publication))
        if published.ignored:
            # The mode or a trigger left rows out, or a crash emptied staging.
            receipts.check_all_there(session, publication.staging, staged.rows)
            _check_counts(session, publication, published)
    if publication.verification is not None:
        moved = _moved(publication, published, missing=missing, renamed=renamed, blocks=blocks)
        published = replace(published, verified=verify.verify(session, publication.verification, moved))
    staging.drop(session, publication.staging)
    return published


def _check_counts(session: Session, publication: Publication, published: Published) -> None:
    """See that rows may have been left out, by the mode or by something in the table.

    Raises:
        LoadError: the server counted others than it was given.
    """
    if publication.move.mode in {"append", "overwrite"} and tables.takes_every_row(session, publication.target):
        raise LoadError(
            f"{published.staged.rows} rows were staged, and the server counted {published.inserted} that it "
            f"inserted, though nothing in {publication.target} leaves rows out.",
            "Nothing was loaded. Look what stands between this job and the server, and run the load again.",
        )


def _moved(publication: Publication, published: Published, *, missing: bool, renamed: bool, blocks: int) -> Moved:
    """What is to be verified."""
    move = publication.move
    return Moved(
        publication.target,
        None if renamed else publication.staging.rows,
        is_whole=missing or move.mode == "overwrite",
        leaves_out=move.may_leave_out,
        changed=published.inserted + published.updated,
        blocks_before=blocks if move.mode == "append" else 0,
    )


def _close_staging(session: Session, publication: Publication) -> Tally:
    """Let no late attempt in any more, then settle which of the staged rows count.

    Spark has its results, so attempts that still run have lost, and nothing waits for them: they are ended. Only when
    the tables are locked are the claims read, for one may have been committed until then.
    """
    names = publication.staging
    for pid in staging.end_attempts(session, names):
        logger.info("Ended a copy that another attempt at its part outran (process %d of the server).", pid)
    session.run(f"LOCK TABLE {names.rows.quoted}, {names.parts.quoted} IN ACCESS EXCLUSIVE MODE")
    return receipts.accept(session, names, publication.receipts)


def _become_target(session: Session, publication: Publication) -> None:
    rows = publication.staging.rows.quoted
    session.run(f"ALTER TABLE {rows} RESET (autovacuum_enabled)")
    session.run(f"ALTER TABLE {rows} RENAME TO {quote_name(publication.target.name)}")


def _make_target(session: Session, publication: Publication) -> None:
    """Make the table, with its keys, if any, as primary key."""
    keys = f", PRIMARY KEY ({quote_names(publication.move.keys)})" if publication.move.keys else ""
    session.run(f"CREATE TABLE {publication.target.quoted} (LIKE {publication.staging.rows.quoted}{keys})")


def _move(session: Session, publication: Publication) -> tuple[int, int]:
    """Move the rows; how many were inserted, and how many updated."""
    target, staged, move = publication.target, publication.staging.rows, publication.move
    if move.mode != "append":
        # Loads of the same table in turn: two that meet the same rows in another order would deadlock.
        locks.wait_in_transaction(session, locks.publish(target))
    if move.mode == "overwrite":
        return overwrite.replace_rows(session, move, target, staged), 0
    if move.mode == "upsert":
        return _upsert(session, publication)
    with session.users_path():
        return session.change(move.insert(target, staged)), 0


def _upsert(session: Session, publication: Publication) -> tuple[int, int]:
    target, staged, move = publication.target, publication.staging.rows, publication.move
    _check_keys_are_there(session, publication)
    table = tables.find_table(session, target)
    if table is not None and table.kind == tables.PARTITIONED:
        equalities = tables.equalities(session, target, move.keys)
        [[updated]] = session.run(move.matching(target, staged, equalities))
        with session.users_path():
            return session.change(move.insert(target, staged)) - updated, updated
    with session.users_path():
        [[inserted, updated]] = session.run(move.counted(target, staged))
    return inserted, updated


def _check_keys_are_there(session: Session, publication: Publication) -> None:
    """A key that is NULL matches no row, so that each load of the same data would add it again."""
    nullable = tables.nullable_keys(session, publication.target, publication.move.keys)
    if nullable:
        [[missing]] = session.run(publication.move.missing_keys(publication.staging.rows, nullable))
        if missing:
            raise LoadError(
                f"{missing} rows have NULL in a key ({', '.join(nullable)}), which matches no row.",
                "Leave such rows out with --select.",
            )


def _tell_of_repeated_keys(session: Session, publication: Publication) -> None:
    """Raise an error that counts the keys which are staged more than once, if there are any."""
    if publication.move.keys:
        [[keys, rows]] = session.run(publication.move.repeated_keys(publication.staging.rows))
        if keys:
            raise LoadError(
                f"{keys} keys ({', '.join(publication.move.keys)}) stand more than once in the data, in {rows} rows.",
                "Give --dedupe-order 'column desc' to keep the first of each.",
            )


def check_target(session: Session, target: TableName, move: Move) -> None:
    """Refuse, before anything is copied, a mode that a table which exists cannot serve.

    Raises:
        LoadError: a unique index on the keys is missing, or overwriting would leave rows or take other tables' along.
    """
    if move.mode in KEYED and move.keys and not tables.has_unique_index(session, target, move.keys):
        columns = quote_names(move.keys)
        raise LoadError(
            f"{target} has no unique index on exactly ({', '.join(move.keys)}), which {move.mode} needs.",
            f"Make one: CREATE UNIQUE INDEX ON {target.quoted} ({columns});",
        )
    if move.mode == "overwrite":
        with session.transaction():
            overwrite.check(session, target)
