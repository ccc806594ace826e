"""A reader who looks at the table t again and again beside a load, which goes on only once he has looked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import TransientError
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session

# A sequence counts the looks: other sessions see it at once. Of two looks, the second one began after the first.
_SLOW = """
CREATE SEQUENCE looks;
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE seen bigint := (SELECT last_value FROM looks); hangs timestamptz := clock_timestamp() + interval '60 s';
    BEGIN
        WHILE (SELECT last_value FROM looks) < seen + 2 AND clock_timestamp() < hangs LOOP
            PERFORM pg_sleep(0.01);
        END LOOP;
        RETURN NULL;
    END $$;
CREATE TRIGGER slow AFTER {events} ON t FOR EACH STATEMENT EXECUTE FUNCTION slow()
"""


@dataclass
class Looks:
    """What a reader saw of the table t.

    Attributes:
        seen: The value of each look.
        waited: Whether he had to wait for a lock.
    """

    seen: set[object] = field(default_factory=set)
    waited: bool = False


def make_slow(session: Session, events: str) -> None:
    """Have each statement that writes into t wait until a reader has looked once more, from beginning to end."""
    session.run(_SLOW.format(events=events))


@contextmanager
def looking(database: Settings, value: str) -> Iterator[Looks]:
    """Look at t for as long as the block runs; the last look begins after it."""
    looks, over = Looks(), threading.Event()

    def look() -> None:
        with connect(database, "reader") as reader:
            reader.run("SET lock_timeout = '50ms'")
            goes_on = True
            while goes_on:
                goes_on = not over.is_set()
                try:
                    looks.seen.add(reader.value(f"SELECT {value} FROM t"))
                except TransientError:
                    looks.waited = True
                reader.run("SELECT nextval('looks')")

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield looks
    finally:
        over.set()
        thread.join()
