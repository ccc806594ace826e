"""Publish: one transaction that moves a load's staged rows into the target and writes its marker."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.dbaccess import catalog, ledger, staging
from jobs.dbaccess.errors import LoadError
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name, quote_names
from jobs.dbaccess.staging import Staging, Tally


@dataclass(frozen=True)
class Publication:
    """What to publish.

    Attributes:
        parts: how many parts the load has; each must be claimed.
        becomes_target: the staged table is renamed to the target instead of being copied into it,
            which saves the server a second write of every row.
    """

    load_id: str
    target: TableName
    staging: Staging
    parts: int
    becomes_target: bool


def publish(session: Session, publication: Publication) -> tuple[Tally, int]:
    """Make the staged rows part of the target: all of them, or, when this raises, none.

    Returns:
        What was staged, and the number of rows that the target gained.

    Raises:
        LoadError: the parts do not add up, or the load's id was recorded meanwhile.
        DatabaseError: the target does not take the rows.
    """
    with session.transaction():
        staged = _close_staging(session, publication)
        if not ledger.record(session, publication.load_id, str(publication.target)):
            raise LoadError(f"The load id {publication.load_id!r} was recorded by someone else meanwhile.")
        if publication.becomes_target and catalog.find_table(session, publication.target) is None:
            inserted = staged.rows
            _become_target(session, publication)
        else:
            inserted = _append(session, publication)
            if inserted != staged.rows:
                _check_nothing_vanished(session, publication, staged)
        staging.drop(session, publication.staging)
    return staged, inserted


def _close_staging(session: Session, publication: Publication) -> Tally:
    """Let no late attempt in any more, and check that every part is there once."""
    names = publication.staging
    session.run(f"LOCK TABLE {names.rows.quoted}, {names.parts.quoted} IN ACCESS EXCLUSIVE MODE")
    staged = staging.tally(session, names)
    if staged.parts != publication.parts:
        raise LoadError(f"{staged.parts} of {publication.parts} parts are staged.", "Run the load again.")
    return staged


def _become_target(session: Session, publication: Publication) -> None:
    rows = publication.staging.rows.quoted
    session.run(f"ALTER TABLE {rows} RESET (autovacuum_enabled)")
    session.run(f"ALTER TABLE {rows} RENAME TO {quote_name(publication.target.name)}")


def _append(session: Session, publication: Publication) -> int:
    columns = quote_names(publication.staging.columns)
    return session.change(
        f"INSERT INTO {publication.target.quoted} ({columns}) SELECT {columns} FROM {publication.staging.rows.quoted}"
    )


def _check_nothing_vanished(session: Session, publication: Publication, staged: Tally) -> None:
    """Tell the two causes of a low count apart.

    A trigger or rule of the target is its own business; a crash of the server empties unlogged tables.
    """
    [[present]] = session.run(f"SELECT count(*) FROM {publication.staging.rows.quoted}")
    if present != staged.rows:
        raise LoadError(
            f"{staged.rows} rows were staged, but {present} are left: the server crashed meanwhile.",
            "Nothing was loaded. Run the load again.",
        )
