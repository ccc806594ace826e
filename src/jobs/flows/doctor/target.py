"""The table of a load: its schema, the marker table, the privileges of the role, and the plan of the load."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.health import oid_of, privileges
from jobs.dbaccess.errors import JobError
from jobs.dbaccess.load.ledger import LUIGIS, Ledger
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name
from jobs.flows.doctor.finding import FAULT, OK, Finding, fault, judged


@dataclass(frozen=True)
class Wanted:
    """What is to be loaded.

    Attributes:
        table: The target; None to examine only the server.
        mode: What determines the privileges that the load needs (`Move.privileges`).
        ledger: What records the load.
        fit: Returns a line about how the data fits the table; None if nothing is known of the data.
        plan: Likewise, about the plan of the load.
        read, written: Places in S3 that jobs are to read, and to write to.
    """

    table: TableName | None
    mode: str
    ledger: Ledger = LUIGIS
    fit: Callable[[Session], str] | None = None
    plan: Callable[[Session], str] | None = None
    read: tuple[str, ...] = ()
    written: tuple[str, ...] = ()


def findings(session: Session, table: TableName, wanted: Wanted) -> Iterator[Finding]:
    """Yield the findings about the table: whether it exists, the privileges that a load needs, and the plan."""
    full = table if table.schema else tables.full_name(session, table)
    if full.schema is None or not tables.schema_exists(session, full.schema):
        yield Finding("table", FAULT, f"there is no schema for {table}", "CREATE SCHEMA, or name another one.")
        return
    exists = oid_of(session, full) is not None
    yield Finding("table", OK, f"{full}: {'it exists' if exists else 'the first load creates it'}")
    name = wanted.ledger.table
    markers = name if name.schema else tables.full_name(session, name)
    try:
        markers, creates = wanted.ledger.place(session)
        yield Finding("ledger", OK, f"{markers}: {'the first load creates it' if creates else 'it exists'}")
    except JobError as error:
        yield fault("ledger", error)
    role = session.value("SELECT current_user::text")
    for privilege in privileges(session, full, wanted.mode, markers):
        advice = "" if privilege.granted else f"{privilege.grant} TO {quote_name(role)};"
        yield judged("privileges", privilege.what, advice, FAULT)
    for check, line in (("fit", wanted.fit), ("plan", wanted.plan)):
        if line is not None:
            try:
                yield Finding(check, OK, line(session))
            except JobError as error:
                yield fault(check, error)
