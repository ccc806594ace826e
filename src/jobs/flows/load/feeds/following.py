"""What a load of a source's changes reads, and its step: from the stored position to the present state."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as f

from jobs.dbaccess import locks
from jobs.dbaccess.catalog import storage, tables
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.followed import stored
from jobs.dbaccess.load.followed.decision import FLAG, FULL, Changes, Known, Nothing, Whole, decide
from jobs.dbaccess.load.followed.definition import Definition
from jobs.dbaccess.load.followed.stored import Step
from jobs.dbaccess.load.move.changes import OPERATION, OWN_CONDITION
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.move.order import order_of
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.load.feeds.feed import DELETE, ORDINAL, UPSERT, Feed, told
from jobs.flows.load.job import Begun, LoadJob
from jobs.spark.plans.filters import filters

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Following:
    """A source that the table of a load follows by its changes.

    Attributes:
        open_feed: Returns the source. It is called when the load is known not to have finished.
        full: Whether to read all rows in any case.
        select: A query over the view `source`; empty for all columns and rows.
    """

    open_feed: Callable[[], Feed]
    full: bool = False
    select: str = ""

    def begin(self, session: Session, job: LoadJob) -> Begun:
        """Decide what the load reads. The session keeps other loads of the table from doing so until it ends.

        Raises:
            UsageError: An argument does not go with it, or the table follows another source.
            LoadError: The changes since the table's position cannot be read any more.
        """
        _check_told(session, job)
        _hold(session, job)
        positions = stored.ensure(session, job.ledger)
        known = self._known(session, job, positions)
        feed = self.open_feed()
        now = feed.now()
        if now is None:
            return _without_rows(job, known)
        if self.full and known.has_rows and not feed.has_all_rows:
            raise UsageError(
                f"{FLAG} {FULL} reads all batches of {now.source}, and it is unknown whether the first ones are still "
                f"there: rows of {job.table} might be missing.",
                "Empty the table first, or start the capture with a new --target.",
            )
        known = replace(known, definition=replace(known.definition, columns=feed.columns()))
        decision = decide(known, now, feed.lost, full=self.full)
        if isinstance(decision, Nothing):
            return Begun(job, None, str(decision.at))
        has = known.definition if known.current is None else known.definition.after(known.current.definition)
        step = Step(positions, known.stored, now, has, relation=known.relation, files=known.files)
        df = self._read(feed, decision)
        order = feed.order if OPERATION in df.columns else ()
        is_whole = isinstance(decision, Whole) and feed.has_all_rows
        move = moving(job.move, order, is_whole=is_whole, is_new=known.relation is None)
        return Begun(replace(job, step=step, move=move), lambda: df, str(now))

    def _known(self, session: Session, job: LoadJob, positions: TableName) -> Known:
        relation = stored.relation_of(session, job.table)
        definition = Definition(
            job.move.keys,
            self.select,
            job.move.changes.soft_delete,
            null_values=tuple(sorted(job.null_values)),
            nul=job.nul,
        )
        has_rows = relation is not None and stored.has_rows(session, job.table)
        files = "{}" if relation is None else storage.files_of(session, relation)
        found = stored.find(session, positions, job.table)
        return Known(found, relation, has_rows, definition, files=files, positions=positions.quoted)

    def _read(self, feed: Feed, decision: Changes | Whole) -> DataFrame:
        """Return the changes, or all rows, after the user's query.

        Raises:
            UsageError: The query leaves out what the load has to know.
        """
        if isinstance(decision, Changes):
            logger.info("Reading what changed in %s since %s.", decision.to, decision.since.state)
            df = feed.changes(decision.since, decision.to)
        else:
            logger.info("Reading all rows of %s: %s.", decision.to, decision.reason)
            df = feed.rows(decision.to)
        if not self.select:
            return df
        is_told = OPERATION in df.columns
        source = df if is_told else told(df, f.lit(UPSERT), f.lit(0))
        source.createOrReplaceTempView("source")
        selected = source.sparkSession.sql(self.select)
        _check_selected(selected, source, feed)
        if is_told:
            return selected
        return selected.where(~f.col(OPERATION).eqNullSafe(DELETE)).drop(OPERATION, ORDINAL)


def _check_selected(selected: DataFrame, source: DataFrame, feed: Feed) -> None:
    """Check that a query keeps what the load has to know.

    Raises:
        UsageError: It leaves out a column, or rows of a source that does not contain their earlier versions.
    """
    names = tuple(dict.fromkeys((OPERATION, *feed.order)))
    missing = [name for name in names if name not in selected.columns]
    if missing:
        raise UsageError(
            f"--select leaves out {', '.join(missing)}, by which the load knows what changed.",
            f"Select {', '.join(names)}, too.",
        )
    if not feed.tells_how_rows_were and filters(selected) > filters(source):
        raise UsageError(
            "--select has a condition, and the files of a capture contain rows only as they are now: a row that no "
            "longer satisfies it, or was deleted, would stay in the table.",
            f"In place of WHERE region = 'EU': SELECT id, ..., IF(region = 'EU', {OPERATION}, '{DELETE}') AS "
            f"{OPERATION}, {', '.join(feed.order)} FROM source.",
        )


def _check_told(session: Session, job: LoadJob) -> None:
    """Check that what marks changes can neither be lost nor get into the table.

    Raises:
        UsageError: It would.
    """
    lost = [text for text in job.null_values if text in (DELETE, UPSERT)]
    if lost:
        raise UsageError(
            f"--null-value {lost[0]} would make NULL of the values that mark changes.",
            "Replace these values with --select.",
        )
    table = tables.find_table(session, job.table)
    taken = [column.name for column in table.columns if column.name in (OPERATION, ORDINAL)] if table else []
    if taken:
        raise UsageError(
            f"{job.table} has a column {taken[0]}, a name by which pgjobs reports changes.",
            "Rename it, or load all rows.",
        )


def moving(move: Move, order: tuple[str, ...], *, is_whole: bool, is_new: bool) -> Move:
    """Return how the rows are moved: what the source tells as deleted, or lacks, is deleted.

    Args:
        move: An upsert, as the user wants it.
        order: The columns by which the last change of a key counts; empty if the rows are not told as changes.
        is_whole: Whether the rows are all that the source has.
        is_new: Whether the load creates the table, so that there is nothing to delete.
    """
    changes = replace(
        move.changes,
        delete_when=OWN_CONDITION if order else None,
        delete_missing=is_whole and (not is_new or move.changes.soft_delete is not None),
        order_by=order,
    )
    share = move.max_delete_share if changes.deletes and move.max_delete_share is not None else 1.0
    return replace(move, changes=changes, order=order_of(None, order), max_delete_share=share)


def _hold(session: Session, job: LoadJob) -> None:
    """Keep other loads from reading the same changes. They wait, and read what is new after this load.

    Raises:
        TransientError: Another load did not end in time.
    """
    lock = locks.position(job.table)
    if not locks.take(session, lock):
        who = locks.holder(session, lock)
        logger.warning("Another load of %s is running: %s. Waiting %d s at most.", job.table, who, job.wait_for_load)
        locks.wait(session, lock, job.wait_for_load)


def _without_rows(job: LoadJob, known: Known) -> Begun:
    """Return what there is to do if the source has no state: nothing.

    Raises:
        UsageError: It had one, or the table has rows.
    """
    if known.current is not None:
        raise UsageError(
            f"{job.table} has {known.current.position}, and the source has no rows and no history.",
            "Check that it is the same one. If its rows are to be deleted, delete them by SQL.",
        )
    if known.has_rows:
        raise UsageError(
            f"{job.table} has rows, and the source has none, and no history.",
            "Check that it is the right one. If the rows are to be deleted, delete them by SQL.",
        )
    return Begun(job, None, "")
