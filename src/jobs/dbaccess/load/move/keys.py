"""What the keys of a load have to be: unique in the table, never NULL, and those of one row each in the data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.unique_indexes import deferrable_constraint, has_unique_index
from jobs.dbaccess.errors import LoadError, plural
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.local_settings import local_settings
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name, quote_names


def check_on_conflict(session: Session, move: Move, target: TableName) -> None:
    """Check that the table has what the mode's ON CONFLICT needs, if it has one. Without keys, it uses all constraints.

    Raises:
        LoadError: It lacks a unique index, or has a deferrable constraint.
    """
    if move.keys:
        check_unique_index(session, move, target)
    elif move.mode == "ignore" and (deferrable := deferrable_constraint(session, target)):
        raise _is_deferrable(target, deferrable, "Or give --keys on which there is another unique index.")


def check_unique_index(session: Session, move: Move, target: TableName) -> None:
    """Check that the table has a unique index on the keys, which ON CONFLICT needs, and no deferrable one.

    Raises:
        LoadError: It has none. The hint says how to create one, or what to do where PostgreSQL makes none.
    """
    if deferrable := deferrable_constraint(session, target, move.keys):
        raise _is_deferrable(target, deferrable, f"Or give {_instead(move)}, which takes it as it is.")
    if not has_unique_index(session, target, move.keys):
        create = f"Create one: CREATE UNIQUE INDEX ON {target.quoted} ({quote_names(move.keys)});"
        raise LoadError(
            f"{target} has no unique index on exactly ({', '.join(move.keys)}), which {move.mode} needs.",
            no_unique_index(session, move, target) or create,
        )


def _is_deferrable(target: TableName, constraint: str, otherwise: str) -> LoadError:
    return LoadError(
        f"The constraint {constraint} of {target} is DEFERRABLE, and PostgreSQL ignores or updates no row because of "
        "such a one (ON CONFLICT).",
        f"Drop it, and add it without DEFERRABLE. {otherwise}",
    )


def _instead(move: Move) -> str:
    return "--mode upsert" if move.mode == "ignore" else "--mode upsert --delete-missing"


def no_unique_index(session: Session, move: Move, target: TableName) -> str:
    """Return what to do where PostgreSQL makes no unique index on the keys: they lack a column of the partition key.

    Empty if it makes one. An upsert needs none (`merge`).
    """
    lacking = [name for name in tables.partition_columns(session, target) if name not in move.keys]
    if not lacking:
        return ""
    named = [name for name in lacking if name is not None]
    if len(named) < len(lacking):
        why, remedy = "no unique index on a table that is partitioned by an expression", ""
    else:
        why = f"a unique index on a partitioned table only with its partition key ({', '.join(named)})"
        remedy = "Add it to --keys, and create one: CREATE UNIQUE INDEX ON "
        remedy += f"{target.quoted} ({quote_names([*move.keys, *named])}); "
    if move.keeps_history:
        return f"PostgreSQL makes {why}. {remedy}Or load into a table that is not partitioned."
    return f"PostgreSQL makes {why}. {remedy}Or give {_instead(move)}, which needs none."


def check_not_null(session: Session, move: Move, target: TableName, staged: TableName) -> None:
    """Check that no key is NULL. Such a row matches no other, so each load of the same data would add it again.

    Raises:
        LoadError: Some are. The message contains their number.
    """
    nullable = tables.nullable_keys(session, target, move.keys)
    if nullable:
        missing = session.value(_missing_keys(staged, nullable))
        if missing:
            raise LoadError(
                f"{plural(missing, 'row has', 'rows have')} NULL in a key ({', '.join(nullable)}), which matches no "
                "row.",
                "Leave such rows out with --select.",
            )


def _missing_keys(staged: TableName, keys: Iterable[str]) -> str:
    """Return a query for how many staged rows have NULL in one of these keys.

    To IS NULL, a composite value whose fields are all NULL is NULL, too; to an index, it is a key as any other.
    """
    missing = " OR ".join(f"{quote_name(key)} IS NOT DISTINCT FROM NULL" for key in keys)
    return f"SELECT count(*) FROM {staged.quoted} WHERE {missing}"


def check_not_repeated(session: Session, move: Move, staged: TableName, time: Sequence[str] = ()) -> None:
    """Check that no key is staged more than once.

    Args:
        session: A session.
        move: It has the keys.
        staged: The table of the staged rows.
        time: In a history, the expression of the time for which a row is the only one of its key.

    Raises:
        LoadError: Some are. The message contains their number.
    """
    names = [*map(quote_name, move.keys if time else move.row_keys), *time]
    [keys, rows] = session.row(2, _repeated_keys(staged, names))
    if keys:
        raise LoadError(
            f"{plural(keys, 'key')} ({', '.join(move.row_keys)}) {'occurs' if keys == 1 else 'occur'} more than "
            f"once in the data, in {rows:,} rows.",
            "Leave surplus rows out with --select; a time counts as the table stores it."
            if time
            else "Give --dedupe-order 'column desc' to keep the first of each.",
        )


def check_last_is_known(session: Session, move: Move, staged: TableName) -> None:
    """Check that of the rows of each key, only one is the last in the order of --order-by, or that these are equal.

    Raises:
        LoadError: For some keys, that is unknown. The message contains their number.
    """
    keys, order = quote_names(move.keys), ", ".join(item.quoted for item in move.order)
    last = (
        f"SELECT {keys}, ROW({quote_names(move.staged)})::text AS pgjobs_image, "
        f"rank() OVER (PARTITION BY {keys} ORDER BY {order}) AS pgjobs_place FROM {staged.quoted}"
    )
    with local_settings(session, {"extra_float_digits": "1"}):  # of the role's, floats that differ may be one text
        unclear = session.value(
            f"SELECT count(*) FROM (SELECT FROM ({last}) AS last WHERE pgjobs_place = 1 GROUP BY {keys} "
            "HAVING count(DISTINCT pgjobs_image) > 1) AS unclear"
        )
    if unclear:
        raise LoadError(
            f"For {plural(unclear, 'key')} ({', '.join(move.keys)}), the data has several last rows that differ, in "
            f"the order of {', '.join(move.changes.order_by)}.",
            "Give --order-by more columns, in the order of their weight.",
        )


def _repeated_keys(staged: TableName, keys: Sequence[str]) -> str:
    """Return a query for how many keys are staged more than once, and how many rows have them. NULL is no key."""
    given = " AND ".join(f"({key}) IS DISTINCT FROM NULL" for key in keys)
    return (
        f"SELECT count(*), coalesce(sum(n), 0)::bigint FROM (SELECT count(*) AS n FROM {staged.quoted} WHERE {given} "
        f"GROUP BY {', '.join(keys)} HAVING count(*) > 1) AS repeated"
    )
