"""Rows for which staging has no table: in the publishing transaction, they get the partitions that they lack."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.dbaccess.errors import LoadError, plural
from jobs.dbaccess.load.partitions import attempts, new, staged
from jobs.dbaccess.load.partitions.catalog import DEFAULT, Partition, partitions_of
from jobs.dbaccess.load.partitions.missing.find import find
from jobs.dbaccess.load.partitions.missing.key import check_placed
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_names


def place(
    session: Session, staging: Staging, target: TableName, rows: int, *, given: str, patience: float | None
) -> dict[str, Partition]:
    """Create the partitions that rows lack, not attached, and give each a table in staging, with its rows.

    If all of these rows belong to one partition, the table in which they are becomes the one in staging. Otherwise they
    are written a second time.

    Args:
        session: A session in the publishing transaction, within `exact_forms`.
        staging: The staging tables.
        target: The partitioned table.
        rows: How many rows staging has no table for.
        given: The rule of the user, or AUTO or NO.
        patience: How long to wait for a lock, in seconds, or None for the default.

    Returns:
        For the name of a table in staging, the new partition that is to have its rows.

    Raises:
        LoadError: Rows belong to no partition that can be created.
    """
    with attempts.changes_kept_out(session, [target], patience):
        late = _made_since(session, staging, target)  # after the lock: from here on, nobody else creates any
    stray = staged.stray(staging)
    found = find(session, target, stray.quoted, given)
    if found.rows + found.unplaced < rows and not late:
        raise _stray(session, staging, target, rows)
    check_placed(target, found)
    new.check_default(session, target, found.partitions)
    made = new.create(session, target, found.partitions)
    root = staging.rows.quoted
    session.run(f"ALTER TABLE {root} DETACH PARTITION {stray.quoted}")
    if len(made) == 1 and found.rows == rows:
        session.run(f"ALTER TABLE {root} ATTACH PARTITION {stray.quoted} {made[0].bound}")
        return {stray.name: made[0]}
    beside = {f"{staging.rows.name}_n{number}": one for number, one in enumerate((*made, *late))}
    staged.create_leaves(session, staging, beside)
    columns = quote_names(_stored_columns(session, staging.rows))
    session.run(f"INSERT INTO {root} ({columns}) SELECT {columns} FROM {stray.quoted}")
    session.run(f"DROP TABLE {stray.quoted}")
    return dict(zip(beside, made))


def _made_since(session: Session, staging: Staging, target: TableName) -> Sequence[Partition]:
    """Return the partitions of the table that others have made since staging was."""
    known = {table.bound for table in partitions_of(session, staging.rows)}
    return [one for one in partitions_of(session, target) if one.bound not in known and one.bound != DEFAULT]


def _stored_columns(session: Session, table: TableName) -> list[str]:
    names = session.run(
        "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped "
        "AND attgenerated = '' ORDER BY attnum",
        table.quoted,
    )
    return [name for [name] in names]


def _stray(session: Session, staging: Staging, target: TableName, rows: int) -> LoadError:
    names = session.run(
        "SELECT attname FROM pg_partitioned_table CROSS JOIN unnest(partattrs::int2[]) AS number "
        "LEFT JOIN pg_attribute ON (attrelid, attnum) = (partrelid, number) WHERE partrelid = to_regclass(%s)",
        target.quoted,
    )
    columns = [name for [name] in names if name is not None]
    keys = ""
    if len(columns) == len(names):  # no expression
        name = staged.stray(staging).quoted
        distinct = session.value(f"SELECT count(*) FROM (SELECT DISTINCT {quote_names(columns)} FROM {name}) AS keys")
        keys = f", with {plural(distinct, 'different value')} of ({', '.join(columns)}),"
    return LoadError(
        f"{plural(rows, 'row')}{keys} {'belongs' if rows == 1 else 'belong'} to no partition of {target}, or to its "
        "DEFAULT partition, which is not replaced.",
        f"Nothing was loaded. First, CREATE TABLE .. PARTITION OF {target} for them, or leave them out with --select.",
    )
