"""The ledger of finished loads: Luigi's own marker table, written in the transaction that publishes.

The layout is that of luigi.contrib.postgres, so that Luigi's tasks and these jobs see each other's work:
https://github.com/spotify/luigi/blob/master/luigi/contrib/postgres.py
"""

from __future__ import annotations

from jobs.dbaccess.session import Session

MARKER_TABLE = "table_updates"

_CREATE = """
CREATE TABLE IF NOT EXISTS table_updates (
    update_id TEXT PRIMARY KEY, target_table TEXT, inserted TIMESTAMP DEFAULT NOW()
)
"""


def ensure(session: Session) -> None:
    """Make the marker table where it is missing. A user who may not create tables needs it made once by another."""
    if session.run("SELECT 1 WHERE to_regclass(%s) IS NOT NULL", MARKER_TABLE):
        return
    with session.transaction():
        # IF NOT EXISTS alone fails when two sessions create the table at the same moment.
        session.run("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", f"pgjobs {MARKER_TABLE}")
        session.run(_CREATE)


def recorded_target(session: Session, load_id: str) -> str | None:
    """The table that a finished load went into, or None where no load of that id has finished."""
    found = session.run("SELECT target_table FROM table_updates WHERE update_id = %s", load_id)
    return str(found[0][0] or "") if found else None


def record(session: Session, load_id: str, target: str) -> bool:
    """Write the marker in the transaction that is open; False where the id is there already."""
    return bool(
        session.change(
            "INSERT INTO table_updates (update_id, target_table) VALUES (%s, %s) ON CONFLICT (update_id) DO NOTHING",
            load_id,
            target,
        )
    )


def claim_load(session: Session, load_id: str) -> bool:
    """Hold the load id until this session ends, unless another session holds it; whether it is held now."""
    [[held]] = session.run("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", _lock_name(load_id))
    return bool(held)


def await_load(session: Session, load_id: str) -> None:
    """Wait until the session that holds the load id has ended, then hold it."""
    session.run("SELECT pg_advisory_lock(hashtextextended(%s, 0))", _lock_name(load_id))


def _lock_name(load_id: str) -> str:
    """What is hashed to the 64-bit key of the advisory lock."""
    return f"pgjobs load {load_id}"
