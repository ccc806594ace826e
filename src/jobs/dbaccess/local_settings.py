"""Server settings for a part of a transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from jobs.dbaccess.session import Session


@contextmanager
def local_settings(session: Session, settings: Mapping[str, str]) -> Iterator[None]:
    """Apply settings within the block, which is part of a transaction, and restore the earlier values at its end.

    If the block raises, they are not restored: rolling back does that.
    """
    names = list(settings)
    earlier = session.row(len(names), "SELECT " + ", ".join(["current_setting(%s)"] * len(names)), *names)
    _set(session, settings)
    yield
    _set(session, dict(zip(names, earlier)))


def _set(session: Session, settings: Mapping[str, str]) -> None:
    assignments = ", ".join(["set_config(%s, %s, true)"] * len(settings))
    session.row(len(settings), f"SELECT {assignments}", *(text for pair in settings.items() for text in pair))
