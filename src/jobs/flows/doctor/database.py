"""The server behind the login: its version, settings, standbys and publications, and free connections."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.dbaccess.catalog.capacity import capacity
from jobs.dbaccess.catalog.health import Health, Replication, health, replication
from jobs.dbaccess.errors import ConnectionFailed, DatabaseError, plural
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import quote_name
from jobs.flows.doctor.finding import FAULT, OK, SKIPPED, WARNING, Finding, judged
from jobs.flows.report import readable_size

OLDEST = 140000
"""server_version_num of the oldest PostgreSQL that is tested (docs/versions.md)."""
LITTLE_WAL = 1024
"""Megabytes of max_wal_size below which a load of a gigabyte causes a checkpoint of its own. PostgreSQL's default."""
FEW = 2
"""Connections: a load needs one for its driver, and one for a task."""
FAR = 1_000_000_000
"""Bytes of WAL by which a standby is far behind. A load adds about as many as its rows have."""

_ENDS = {
    "statement_timeout": "a COPY or a publish that takes longer fails",
    "transaction_timeout": "a part or a publish that takes longer fails",
}
"""A setting -> what it ends."""


def findings(session: Session) -> Iterator[Finding]:
    """Yield the findings about the server."""
    found = health(session)
    older = "Older than what is tested (docs/versions.md)."
    version = f"PostgreSQL {found.version // 10000}.{found.version % 10000}"
    yield judged("server", version, older if found.version < OLDEST else "")
    yield _writes(found)
    yield from _settings(found)
    if not found.in_recovery:
        yield from _replication(session)
    yield from _publications(found)
    free = capacity(session)
    advice = "Close idle sessions, or raise max_connections, or the limit of the role or database."
    text = f"{free.free} free of {free.allowed}; a load opens {free.share()}"
    yield judged("connections", text, advice if free.free < FEW else "", FAULT)


def _writes(found: Health) -> Finding:
    if found.in_recovery:
        advice = "Name the primary, or target_session_attrs=read-write."
        return Finding("writes", FAULT, "the server is a standby", advice)
    if found.read_only:
        advice = (
            f"Loads state READ WRITE themselves, other sessions do not. ALTER ROLE ... RESET "
            f"default_transaction_read_only; it is on for {found.role} or its database."
        )
        return Finding("writes", WARNING, "transactions are read-only by default", advice)
    return Finding("writes", OK, "the server takes them")


def _settings(found: Health) -> Iterator[Finding]:
    small = f"A large load causes checkpoints: set {LITTLE_WAL} MB or more."
    yield judged("max_wal_size", f"{found.max_wal_size} MB", small if found.max_wal_size < LITTLE_WAL else "")
    yield Finding("max_connections", OK, str(found.max_connections))
    for name, milliseconds in found.limits.items():
        advice = f"{_ENDS[name].capitalize()}: ALTER ROLE {quote_name(found.role)} SET {name} = 0;"
        yield Finding(name, WARNING, f"{milliseconds:,} ms", advice)


def _replication(session: Session) -> Iterator[Finding]:
    """Yield the findings about standbys and replication slots."""
    try:
        found = replication(session)
    except ConnectionFailed:
        raise
    except DatabaseError as error:  # services that replicate in their own way need not have these functions
        yield Finding("replicas", SKIPPED, error.message)
        return
    yield replicas(found)
    for name, kept in found.idle_slots.items():
        advice = f"The server keeps all WAL for it, also that of loads. If unused: pg_drop_replication_slot('{name}')."
        yield Finding("slot", WARNING, f"{name} has no receiver, and keeps {readable_size(kept)} of WAL", advice)


def replicas(found: Replication) -> Finding:
    """Return the finding about standbys."""
    if found.awaits and not found.synchronous and (found.behind is not None or not found.standbys):
        advice = "Every COMMIT waits for one: start it, or change synchronous_standby_names."
        return Finding("replicas", FAULT, "no synchronous standby is connected", advice)
    if not found.standbys:
        return Finding("replicas", OK, "none")
    behind = (
        "how far behind, only pg_monitor may see" if found.behind is None else f"{readable_size(found.behind)} behind"
    )
    far = "A load's WAL comes on top. Wait for them, or load less at a time." if (found.behind or 0) > FAR else ""
    return judged("replicas", f"{plural(found.standbys, 'replica')}, {behind}", far)


def _publications(found: Health) -> Iterator[Finding]:
    if not found.publications:
        return
    idle = "" if found.wal_level == "logical" else f" (without effect while wal_level is {found.wal_level})"
    yield Finding(
        "publications",
        WARNING,
        f"{', '.join(found.publications)} FOR ALL TABLES{idle}",
        "New tables of loads are replicated, too: a subscriber needs them, or publish FOR TABLE.",
    )
