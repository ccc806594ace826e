"""What a capture creates beside its table: names, and SQL as text. Values in, statements out.

The trigger function never makes a writer's statement fail if that can be avoided. If the keys cannot be determined,
because a key column was renamed or has another type now, it records that something unknown has changed, and readers
compare the whole table. If the table of changes was dropped by hand, it does nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from jobs.dbaccess import locks
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.sql import MAX_NAME_BYTES, TableName, is_text, quote_literal, quote_name

LONGEST_CHANNEL = MAX_NAME_BYTES - 3
"""Bytes; the longest suffix of a name has three."""

CHUNK = 10_000
"""Keys in a row of the table of changes. A statement that changes fewer rows adds one row.

A million keys took 0.35 s of CPU in chunks of this size, and more than 1 s as rows of their own.
"""

FEW = 1_000
"""The keys of a statement that changes fewer rows are recorded without a subtransaction that writes."""

TRUNCATED, UNKNOWN = "T", "?"
"""Marks in the table of changes: all rows were deleted; or it is unknown which rows changed."""

EVENTS = ("INSERT", "UPDATE", "DELETE", "TRUNCATE")
_TABLES_OF = {
    "INSERT": "REFERENCING NEW TABLE AS new_rows ",
    "UPDATE": "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows ",
    "DELETE": "REFERENCING OLD TABLE AS old_rows ",
    "TRUNCATE": "",
}
_SUFFIXES = {"INSERT": "_t", "UPDATE": "_tu", "DELETE": "_td", "TRUNCATE": "_tt"}
"""A trigger with transition tables has one event, so there is one for each."""


@dataclass(frozen=True)
class Key:
    """A column of the primary key.

    Attributes:
        type_name: The type by which it is recorded, as SQL: of the column, but the widest of its kind.
        equality: The operator by which the primary key compares, qualified.
    """

    name: str
    type_name: str
    equality: str


@dataclass(frozen=True)
class Capture:
    """A table whose changes are captured, under a name.

    Attributes:
        channel: The name, from which those of all objects are made.
        table: The table's full name.
        keys: The columns of its primary key.
    """

    channel: str
    table: TableName
    keys: tuple[Key, ...] = ()

    @property
    def changes(self) -> TableName:
        """The table of changes."""
        return self.table.sibling(f"{self.channel}_c")

    @property
    def readers(self) -> TableName:
        """The table of readers and their positions."""
        return self.table.sibling(f"{self.channel}_r")

    @property
    def file_keys(self) -> TableName:
        """The table of the keys of the rows that files contain."""
        return self.table.sibling(f"{self.channel}_k")

    @property
    def function(self) -> TableName:
        """The trigger function."""
        return self.table.sibling(f"{self.channel}_n")

    @property
    def triggers(self) -> dict[str, str]:
        """The names of the triggers, by event."""
        return {event: self.channel + suffix for event, suffix in _SUFFIXES.items()}

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that hold the keys in the table of changes."""
        return tuple(f"k{place}" for place, _ in enumerate(self.keys, start=1))


def default_channel(table: TableName) -> str:
    """Return the channel's name if none is given: `schema__table__pgjobs`, shortened if it is too long."""
    name = f"{table.schema}__{table.name}__pgjobs"
    if len(name.encode()) <= LONGEST_CHANNEL:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    ending = f"_{digest}__pgjobs"
    return name.encode()[: LONGEST_CHANNEL - len(ending)].decode(errors="ignore") + ending


def check_channel(channel: str) -> None:
    """Check that names can be made of a channel's.

    Raises:
        UsageError: They cannot.
    """
    size = len(channel.encode(errors="replace"))
    if not channel or not is_text(channel) or size > LONGEST_CHANNEL:
        raise UsageError(
            f"{channel!r} cannot be the name of a channel: it takes 1 to {LONGEST_CHANNEL} bytes of UTF-8.",
            f"This one has {size}. The names of triggers and tables are made of it.",
        )


def create_tables(capture: Capture) -> list[str]:
    """Return the statements that create the tables of changes and of readers, if they are missing.

    The arrays are not compressed: to try took more time than to write them.
    """
    changes, readers = capture.changes.quoted, capture.readers.quoted
    keys = [f"{name} {key.type_name}[]" for name, key in zip(capture.columns, capture.keys)]
    external = ", ".join(f"ALTER COLUMN {name} SET STORAGE EXTERNAL" for name in capture.columns)
    index = quote_name(f"{capture.channel}_i")
    of_change = 'xid xid8 NOT NULL, op "char" NOT NULL, at timestamptz NOT NULL'
    of_reader = (
        "reader text PRIMARY KEY, label text NOT NULL, number bigint NOT NULL, snapshot text NOT NULL, "
        "rows bigint NOT NULL DEFAULT 0, seen timestamptz NOT NULL DEFAULT now()"
    )
    return [
        f"CREATE TABLE IF NOT EXISTS {changes} ({of_change}, {', '.join(keys)})",
        f"ALTER TABLE {changes} {external}",
        f"CREATE INDEX IF NOT EXISTS {index} ON {changes} (xid)",
        f"ALTER TABLE {changes} REPLICA IDENTITY FULL",  # a publication of all tables forbids to delete from it else
        f"CREATE TABLE IF NOT EXISTS {readers} ({of_reader})",
    ]


def create_function(capture: Capture) -> str:
    """Return the statement that creates or replaces the trigger function."""
    body = function_body(capture)
    tag = "$pgjobs$"
    while tag in body:
        tag = f"{tag[:-1]}_$"
    return (
        f"CREATE OR REPLACE FUNCTION {capture.function.quoted}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER "
        f"SET search_path = pg_catalog, pg_temp AS {tag}{body}{tag}"
    )


def function_body(capture: Capture) -> str:
    """Return the trigger function's text.

    A notification makes commits wait for each other, so it is sent only if a reader sleeps, as its lock tells. It is
    not sent where transactions may be prepared (PREPARE TRANSACTION refuses those that notify), or while the
    server's queue is half full (a full one would make commits fail): readers look twice a second by themselves.
    """
    changes = capture.changes.quoted
    columns = ", ".join(capture.columns)
    shares_lock = locks.trying_to_share(locks.capture_asleep(capture.function))
    variables = "".join(f"    v{place} {key.type_name}[];\n" for place, key in enumerate(capture.keys, start=1))
    values = ", ".join(f"v{place}" for place, _ in enumerate(capture.keys, start=1))
    branches = "".join(
        f"            {'ELSIF' if place else 'IF'} TG_OP = '{event}' THEN\n{_recorded(capture, event)}"
        for place, event in enumerate(("INSERT", "UPDATE", "DELETE"))
    )
    return f"""
DECLARE
    changed bigint := 0;
    mark "char" := '{TRUNCATED}';
{variables}BEGIN
    IF to_regclass({quote_literal(changes)}) IS NULL THEN
        RETURN NULL;
    END IF;
    IF TG_OP <> 'TRUNCATE' THEN
        BEGIN
{branches}            END IF;
            mark := left(TG_OP, 1);
        EXCEPTION WHEN OTHERS THEN
            changed := 1;
            mark := '{UNKNOWN}';
{"".join(f"            v{place} := NULL;{chr(10)}" for place, _ in enumerate(capture.keys, start=1))}        END;
        IF changed = 0 THEN
            RETURN NULL;
        END IF;
    END IF;
    IF changed <= {FEW} THEN
        INSERT INTO {changes} (xid, op, at, {columns})
        VALUES (pg_current_xact_id(), mark, clock_timestamp(), {values});
    END IF;
    IF NOT {shares_lock} AND pg_notification_queue_usage() < 0.5
        AND current_setting('max_prepared_transactions') = '0' THEN
        PERFORM pg_notify({quote_literal(capture.channel)}, '');
    END IF;
    RETURN NULL;
END
"""


def _recorded(capture: Capture, event: str) -> str:
    """Return the statements that record the keys of an event: in variables, or, if there are many, in the table."""
    keys = ", ".join(f"r.{quote_name(key.name)} AS {name}" for name, key in zip(capture.columns, capture.keys))
    new, old = f"SELECT {keys} FROM new_rows AS r", f"SELECT {keys} FROM old_rows AS r"
    rows = {"INSERT": new, "UPDATE": f"{new} UNION {old}", "DELETE": old}[event]
    arrays = ", ".join(f"array_agg(x.{name})" for name in capture.columns)
    variables = ", ".join(f"v{place}" for place, _ in enumerate(capture.keys, start=1))
    columns = ", ".join(capture.columns)
    return f"""
                SELECT count(*), {arrays} INTO changed, {variables}
                FROM ({rows} LIMIT {FEW + 1}) AS x;
                IF changed > {FEW} THEN
                    INSERT INTO {capture.changes.quoted} (xid, op, at, {columns})
                    SELECT pg_current_xact_id(), '{event[0]}', clock_timestamp(), {arrays}
                    FROM (SELECT y.*, (row_number() OVER () - 1) / {CHUNK} AS chunk FROM ({rows}) AS y) AS x
                    GROUP BY x.chunk;
                END IF;
"""


def create_trigger(capture: Capture, event: str, relation: TableName) -> str:
    """Return the statement that creates the trigger of an event on a table or partition."""
    return (
        f"CREATE TRIGGER {quote_name(capture.triggers[event])} AFTER {event} ON {relation.quoted} "
        f"{_TABLES_OF[event]}FOR EACH STATEMENT EXECUTE FUNCTION {capture.function.quoted}()"
    )


def fire_always(capture: Capture, event: str, relation: TableName) -> str:
    """Return the statement that has a trigger fire with session_replication_role = replica, too."""
    return f"ALTER TABLE {relation.quoted} ENABLE ALWAYS TRIGGER {quote_name(capture.triggers[event])}"


def mark_unknown(capture: Capture) -> str:
    """Return the statement that has all readers compare the whole table."""
    return (
        f"INSERT INTO {capture.changes.quoted} (xid, op, at) "
        f"VALUES (pg_current_xact_id(), '{UNKNOWN}', clock_timestamp())"
    )


def drop(capture: Capture) -> list[str]:
    """Return the statements that drop all objects of a capture, of those that exist.

    With the function go its triggers, on all partitions: to drop a trigger by its name, one must own the table.
    """
    tables = (capture.changes, capture.readers, capture.file_keys)
    return [
        f"DROP FUNCTION IF EXISTS {capture.function.quoted}() CASCADE",
        *(f"DROP TABLE IF EXISTS {table.quoted}" for table in tables),
    ]
