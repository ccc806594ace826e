"""The rejects of a load: in staging, until publish writes them to the table `<table>_rejects`, with the marker."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jobs.dbaccess import locks
from jobs.dbaccess.catalog import tables
from jobs.dbaccess.errors import LoadError, UsageError, plural
from jobs.dbaccess.load.rejects.places import Seeking
from jobs.dbaccess.load.rejects.policy import FAILS, Policy
from jobs.dbaccess.load.rejects.reasons import ENCODING, NUL, UNPARSABLE
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import MAX_NAME_BYTES, TableName

_SUFFIX = "_rejects"
_MOST_REASONS = 5

_STANDS_IN: Mapping[str, re.Pattern[str]] = {
    NUL: re.compile("\ufffd"),
    ENCODING: re.compile(r"\ufffd|\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})"),
}
"""By reason, what a reject has for characters that jsonb, or the encoding of the database, lacks (see quarantine)."""

_COLUMNS: Mapping[str, str] = {
    "id": "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    "load_id": "text NOT NULL",
    "file": "text",
    "file_row": "bigint",
    "part": "integer",
    "part_row": "bigint",
    "column_name": "text",
    "sqlstate": "text",
    "reason": "text NOT NULL",
    "message": "text",
    "row": "jsonb NOT NULL",
    "rejected_at": "timestamptz NOT NULL DEFAULT now()",
}


@dataclass(frozen=True)
class Replayed:
    """Rejects that are loaded, after somebody repaired them: they leave the table of rejects with the commit.

    Attributes:
        load_id: The load that rejected them. What is rejected again remains under it.
        ids, versions: Their ids, and the transactions that wrote them last, as text.
        rows: Their columns and values.
    """

    load_id: str
    ids: tuple[int, ...]
    versions: tuple[str, ...]
    rows: tuple[Mapping[str, str | None], ...] = field(repr=False)


@dataclass(frozen=True)
class Rejecting:
    """What a publish does about rejects.

    Attributes:
        files: The names of files by their hashes.
        replayed: The rejects of another load that this one loads, if it does.
        seeking: How the places of rows that violate a constraint are found out; None if they are not.
    """

    policy: Policy = FAILS
    files: Mapping[int, str] = field(default_factory=dict)
    replayed: Replayed | None = None
    seeking: Seeking | None = None


def rejects_table(target: TableName) -> TableName:
    """Return the table that a table's rejects are published to.

    Raises:
        UsageError: Its name would be too long.
    """
    name = f"{target.name}{_SUFFIX}"
    if len(name.encode()) > MAX_NAME_BYTES:
        raise UsageError(
            f"The name {name!r} of the table for rejected rows is longer than {MAX_NAME_BYTES} bytes.",
            "Use a shorter name for the table, or --on-error fail.",
        )
    return target.sibling(name)


def creating(target: TableName) -> str:
    """Return the statement that creates the table for a table's rejects, if it is missing."""
    columns = ", ".join(f'"{name}" {definition}' for name, definition in _COLUMNS.items())
    return f"CREATE TABLE IF NOT EXISTS {rejects_table(target).quoted} ({columns})"


def check(session: Session, target: TableName) -> None:
    """Check, before anything is copied, that a table's rejects can be published.

    Raises:
        UsageError: There is another table of this name, or this user may not insert into it.
    """
    name = rejects_table(target)
    found = tables.find_table(session, name)
    if found is None:
        return
    missing = [column for column in _COLUMNS if column not in {there.name for there in found.columns}]
    if found.kind not in ("r", tables.PARTITIONED) or missing:
        lacks = f", and has no {', '.join(missing)}" if missing else ""
        raise UsageError(
            f"{name} is not a table of rejected rows{lacks}.", "Rename it: --on-error quarantine writes to this name."
        )
    if not session.value("SELECT has_table_privilege(%s, 'INSERT')", name.quoted):
        raise UsageError(f"This user may not insert into {name}.", f"GRANT INSERT ON {name} TO the user.")


def files_of(session: Session, staged: TableName) -> list[int]:
    """Return the hashes of the files that staged rejects are of."""
    return [file for [file] in session.run(f"SELECT DISTINCT file FROM {staged.quoted} WHERE file IS NOT NULL")]


def count(session: Session, staged: TableName) -> int:
    """Return the number of staged rejects."""
    return int(session.value(f"SELECT count(*) FROM {staged.quoted} WHERE reason IS NOT NULL"))


def check_count(session: Session, staged: TableName, expected: int) -> None:
    """Check that staging holds as many rejects as the accepted attempts have put aside: good and rejected are all.

    Raises:
        LoadError: It holds another number.
    """
    present = count(session, staged)
    if present != expected:
        raise LoadError(
            f"{plural(expected, 'row was', 'rows were')} rejected, but {present:,} of them are left: the server "
            "crashed meanwhile.",
            "Nothing was loaded. Run the load again.",
        )


def check_limits(session: Session, staged: TableName, policy: Policy, *, good: int) -> int:
    """Check the number of staged rejects, and return it.

    Args:
        session: The session that publishes.
        staged: The table of rejects in staging.
        policy: The limits.
        good: The number of rows that were not rejected.

    Raises:
        TooManyRejects: There are more than the policy allows.
    """
    rejected = count(session, staged)
    policy.check_rate(rejected, good + rejected, summary(session, staged) if rejected else "")
    return rejected


def publish(
    session: Session, staged: TableName, target: TableName, load_id: str, rejecting: Rejecting, *, good: int
) -> int:
    """Write the staged rejects to the table for them, in the current transaction, and return how many there are.

    Args:
        session: The session that publishes.
        staged: The table of rejects in staging.
        target: The table of the load.
        load_id: The id of the load.
        rejecting: The limits, and the names of files.
        good: The number of rows that were not rejected.

    Raises:
        TooManyRejects: There are more than the policy allows.
    """
    if rejecting.replayed is not None:
        load_id = rejecting.replayed.load_id
        _leave(session, target, rejecting.replayed)
    rejected = check_limits(session, staged, rejecting.policy, good=good)
    if not rejected:
        return 0
    if tables.find_table(session, rejects_table(target)) is None:
        # Two loads that create it at once would fail, even with IF NOT EXISTS.
        locks.wait_in_transaction(session, locks.publish(rejects_table(target)))
    session.run(creating(target))
    names = ", ".join(f'"{name}"' for name in _COLUMNS if name not in ("id", "load_id", "file", "rejected_at"))
    written = session.change(
        f"INSERT INTO {rejects_table(target).quoted} (load_id, file, {names}) SELECT %s::text, f.name, {names} "
        f"FROM {staged.quoted} AS s LEFT JOIN unnest(%s::bigint[], %s::text[]) AS f (hash, name) ON f.hash = s.file "
        "WHERE s.reason IS NOT NULL ORDER BY part, part_row, staged::tid",
        *(load_id, list(rejecting.files), list(rejecting.files.values())),
    )
    if written != rejected:
        raise LoadError(
            f"{plural(rejected, 'row was', 'rows were')} rejected, and {written:,} of them stored in "
            f"{rejects_table(target)}: a trigger or rule of it leaves rows out.",
            "Nothing was loaded. Remove it.",
        )
    return rejected


def summary(session: Session, staged: TableName) -> str:
    """Return the commonest reasons as text: ": 12 invalid_text in day, 3 not_null in id"."""
    found = session.run(
        f"SELECT count(*), reason, column_name FROM {staged.quoted} WHERE reason IS NOT NULL "
        f"GROUP BY 2, 3 ORDER BY 1 DESC, 2, 3 LIMIT {_MOST_REASONS}"
    )
    texts = [f"{number:,} {reason}" + (f" in {column}" if column else "") for number, reason, column in found]
    return f": {', '.join(texts)}"


def find(session: Session, target: TableName, load_id: str) -> list[list[Any]]:
    """Return the rejects of a load, with all columns of their table, the row as JSON text."""
    name = rejects_table(target)
    if tables.find_table(session, name) is None:
        return []
    columns = ", ".join("row::text" if column == "row" else f'"{column}"' for column in _COLUMNS)
    return session.run(f"SELECT {columns} FROM {name.quoted} WHERE load_id = %s ORDER BY id", load_id)


def find_replayed(session: Session, target: TableName, load_id: str) -> Replayed:
    """Return the rejects of a load as they are now, without records that Spark could not read.

    Raises:
        UsageError: There are none, or a row is not a JSON object of texts, or one still has what stands for something
            else.
    """
    name = rejects_table(target)
    found: list[list[Any]] = []
    if tables.find_table(session, name) is not None:
        query = (
            f"SELECT id, xmin::text, row::text, reason FROM {name.quoted} "
            "WHERE load_id = %s AND reason <> %s ORDER BY id"
        )
        found = [
            [number, version, _parsed(row), reason]
            for number, version, row, reason in session.run(query, load_id, UNPARSABLE)
        ]
    if not found:
        raise UsageError(
            f"{name} has no rows of the load {load_id!r} that could be loaded.",
            "Check the load id. Records that Spark could not read are repaired in their file.",
        )
    for number, _, row, reason in found:
        if not isinstance(row, dict) or any(isinstance(value, (dict, list)) for value in row.values()):
            raise UsageError(
                f"The row with the id {number} in {name} is not a JSON object of texts, numbers and nulls.",
                "Write each value as text, as PostgreSQL reads it.",
            )
        if reason in _STANDS_IN and any(_STANDS_IN[reason].search(str(value)) for value in row.values()):
            raise UsageError(
                f"The row with the id {number} in {name} still has U+FFFD or an escape, where it had a character that "
                "the table does not accept: its text would differ from the original.",
                "Repair it, or delete it. If the text is what you want, change its reason, too.",
            )
    ids, versions, rows, _ = zip(*found)
    return Replayed(load_id, ids, versions, tuple({key: _text(value) for key, value in row.items()} for row in rows))


def _parsed(row: str) -> Any:  # noqa: ANN401 - whatever somebody has written
    """Return a row. Numbers are texts, with all of their digits: a float of Python has 15."""
    return json.loads(row, parse_float=str, parse_int=str)


def _text(value: object) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None else str(value)


def _leave(session: Session, target: TableName, replayed: Replayed) -> None:
    """Delete the rejects that are loaded.

    Raises:
        LoadError: Somebody has changed, deleted or loaded some of them meanwhile.
    """
    deleted = session.change(
        f"DELETE FROM {rejects_table(target).quoted} "
        "WHERE (id, xmin::text) IN (SELECT * FROM unnest(%s::bigint[], %s::text[]))",
        *(list(replayed.ids), list(replayed.versions)),
    )
    if deleted != len(replayed.ids):
        raise LoadError(
            f"{len(replayed.ids) - deleted} of {len(replayed.ids)} rows of {rejects_table(target)} were changed or "
            "loaded while they were loaded.",
            "Nothing was loaded. Run it again.",
        )
