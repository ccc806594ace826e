"""What a load holds in the database, whether its connection breaks or not: its id, its staging, and its publish."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from jobs.dbaccess import backends
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import ConnectionFailed, JobError
from jobs.dbaccess.load import ledger, staging
from jobs.dbaccess.load.publish import CommitUncertain, Publication, Published, publish
from jobs.dbaccess.postgres_connectivity import connect_pinned
from jobs.dbaccess.session import Session
from jobs.flows.load.target import Target
from jobs.spark.load_tasks import Delivery

logger = logging.getLogger(__name__)


def connected(settings: Settings, load_id: str) -> Session:
    """A session of the load's driver."""
    return connect_pinned(settings, f"pgjobs load_table {load_id}")


@contextmanager
def staging_tables(session: Session, delivery: Delivery, target: Target) -> Iterator[None]:
    """The load's tables, there for the block. A block that succeeds has published and dropped them."""
    staging.hold(session, delivery.staging)
    if target.is_new:
        staging.create_for_new(session, delivery.staging, target.types, logged=not target.move.keys)
    else:
        staging.create_beside(session, delivery.staging, target.name)
    try:
        yield
    except BaseException:
        _discard(session, delivery)
        raise


def _discard(session: Session, delivery: Delivery) -> None:
    """Drop the tables of a load that failed; over a new connection where this one broke or was given up."""
    if not session.closed:
        staging.discard(session, delivery.staging)
    if not session.closed:
        return
    with suppress(JobError), connected(delivery.settings, delivery.load_id) as again:
        backends.end(again, session.backend)
        staging.discard(again, delivery.staging)


@contextmanager
def alive(session: Session, delivery: Delivery) -> Iterator[Session]:
    """The session, or, where its connection broke while rows were copied, another one that holds what it held."""
    with suppress(ConnectionFailed):
        session.run("SELECT 1")
    if not session.closed:
        yield session
        return
    logger.warning("The driver's connection broke while rows were copied. Going on over another one.")
    with connected(delivery.settings, delivery.load_id) as again:
        backends.end(again, session.backend)
        ledger.await_load(again, delivery.load_id)
        staging.hold(again, delivery.staging)
        yield again


def publish_surely(session: Session, settings: Settings, publication: Publication) -> Published:
    """Publish, also over a connection that breaks: then the marker tells whether the commit was done."""
    uncertain = None
    try:
        return publish(session, publication)
    except ConnectionFailed as error:
        uncertain = error if isinstance(error, CommitUncertain) else None
        logger.warning("The connection broke while publishing: %s Looking whether it was done.", error.message)
    with connected(settings, publication.load_id) as again:
        # The broken session may be publishing still. It held the load's id: when that is free, it has ended.
        backends.end(again, session.backend)
        ledger.await_load(again, publication.load_id)
        staging.hold(again, publication.staging)
        if uncertain is not None and ledger.is_recorded(again, publication.load_id, publication.target):
            return uncertain.published
        return publish(again, publication)
