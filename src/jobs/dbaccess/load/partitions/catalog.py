"""The partitions of a table, and how their bounds and definitions are written: the same for each role."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from jobs.dbaccess.local_settings import local_settings
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

DEFAULT = "DEFAULT"
"""The bound of a DEFAULT partition."""

_FORMS: Mapping[str, str] = {
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "quote_all_identifiers": "off",
    "array_nulls": "on",
    "default_tablespace": "",
}
"""What the text of definitions depends on, so that it means the same when it is executed; whether NULL in an array that
is sent is one; and where a table goes whose definition names no tablespace."""


@dataclass(frozen=True)
class Partition:
    """A partition of a table: its oid, name, relkind in pg_class, and bound, as in ATTACH PARTITION."""

    oid: int
    name: TableName
    kind: str
    bound: str


def partitions_of(session: Session, target: TableName) -> tuple[Partition, ...]:
    """Return the partitions of a table, without those below them. Call this within `exact_forms`."""
    rows = session.run(
        "SELECT c.oid::bigint, n.nspname, c.relname, c.relkind::text, pg_get_expr(c.relpartbound, c.oid) "
        "FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE i.inhparent = to_regclass(%s) AND NOT i.inhdetachpending ORDER BY 1",
        target.quoted,
    )
    return tuple(Partition(oid, TableName(name, schema), kind, bound) for oid, schema, name, kind, bound in rows)


@contextmanager
def exact_forms(session: Session) -> Iterator[None]:
    """Within the block, which is part of a transaction, write constants so that they are read back as they are.

    Statements of the user's own do not belong in it.
    """
    with local_settings(session, _FORMS):
        yield
