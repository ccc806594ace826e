"""Publications of logical replication: which include a table, and what its subscribers need."""

from __future__ import annotations

import logging

from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

logger = logging.getLogger(__name__)


def publications_of(session: Session, table: TableName) -> list[str]:
    """Return the publications that include a table: by its name, by its schema, or because they include all tables."""
    rows = session.run(
        "SELECT pubname FROM pg_publication_tables WHERE schemaname = %s AND tablename = %s "
        "AND current_setting('wal_level') = 'logical' ORDER BY 1",
        table.schema,
        table.name,
    )
    return [name for [name] in rows]


def publications_of_new(session: Session, table: TableName) -> list[str]:
    """Return the publications that would include a new table: those of its schema, and those of all tables."""
    of_schemas = session.value("SELECT to_regclass('pg_catalog.pg_publication_namespace') IS NOT NULL")  # since 15
    schemas = (
        "OR EXISTS (SELECT FROM pg_publication_namespace s JOIN pg_namespace n ON n.oid = s.pnnspid "
        "WHERE s.pnpubid = p.oid AND n.nspname = %s)"
        if of_schemas
        else "OR %s = ''"
    )
    rows = session.run(
        f"SELECT pubname FROM pg_publication p WHERE current_setting('wal_level') = 'logical' "
        f"AND (puballtables {schemas}) ORDER BY 1",
        table.schema,
    )
    return [name for [name] in rows]


def tell_subscribers(session: Session, table: TableName) -> None:
    """Warn that a new table is published: a subscriber that lacks the table stops at its first row."""
    publications = publications_of(session, table)
    if publications:
        logger.warning(
            "%s is new, and published by %s: subscribers need the table, too, and ALTER SUBSCRIPTION .. REFRESH "
            "PUBLICATION after that.",
            table,
            ", ".join(publications),
        )
