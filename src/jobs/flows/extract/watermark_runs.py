"""A run of a watermark: the rows that are new for it, the folder that it writes, and how it ends.

Each run has its own number, and a folder of that number that no other run has used. So two runs that both believe they
hold the watermark (because one's connection broke unnoticed) write separate folders, and neither replaces the other's
files. The run that moves the watermark succeeds. The other run removes its folder, or else a later run does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pyspark.sql import SparkSession

from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.tables import Table
from jobs.dbaccess.connector import Connector
from jobs.dbaccess.errors import ConnectionFailed, ExtractError, UsageError
from jobs.dbaccess.extract import watermark
from jobs.dbaccess.extract.attachments import attached, table_oid
from jobs.dbaccess.extract.watermark import Definition, Watermark
from jobs.dbaccess.extract.window import Window, window_since
from jobs.dbaccess.session import Session
from jobs.flows.extract.incremental import check_ordinal, check_tells_new
from jobs.flows.extract.plan import Wanted
from jobs.flows.extract.table_folders import escaped
from jobs.spark import hadoop_files
from jobs.spark.deleted_keys import OPERATION


@dataclass(frozen=True)
class Turn:
    """A run of a watermark.

    Attributes:
        target: The folder that contains the run's folder.
        mark: The watermark when the run began.
        number: The run's own; 0 before it has one.
    """

    watermark_id: str
    target: str
    definition: Definition
    mark: Watermark
    window: Window
    number: int = 0

    def folder(self, number: int) -> str:
        """Return the folder of the run with this number."""
        return f"{self.target.rstrip('/')}/{self.mark.folder}{number}"

    def keys(self, number: int) -> str:
        """Return the folder of the keys that the run with this number saw. Readers of its rows ignore this folder."""
        return f"{self.folder(number)}/_pgjobs_keys"

    @property
    def left(self) -> list[str]:
        """The folders of earlier runs that did not move the watermark."""
        return [self.folder(number) for number in self.mark.begun]

    def moved(self, ordinal: str | None) -> Watermark:
        """Return the watermark after this run's rows are committed."""
        ordinal = ordinal or self.mark.ordinal
        return Watermark(
            source=self.definition.source,
            runs=self.number,
            xmin=self.window.xmin,
            ordinal=ordinal,
            definition=self.definition,
            folder=self.mark.folder,
        )


def take(session: Session, watermark_id: str, restart: bool) -> Watermark:
    """Take the watermark, which the session holds until it ends. A new or restarted one begins before all rows."""
    watermark.ensure(session)
    watermark.hold(session, watermark_id)
    mark = watermark.read(session, watermark_id)
    if mark is None:
        return Watermark("", folder=f"pgjobs_watermark={escaped(watermark_id)}/pgjobs_run=")
    return replace(mark, xmin=0, ordinal=None) if restart else mark


def check(session: Session, table: Table | None, ordinal: str, deletes: bool) -> None:
    """Check that the new rows of a table are known, and that the ordinal column orders their versions.

    Raises:
        UsageError: They are not, or it does not; or the table has no key by which deletes can be found.
    """
    check_tells_new(session, table)
    if table is not None and ordinal:
        check_ordinal(session, ordinal, table)
    if table is not None and deletes and not tables.primary_key(session, table.name):
        raise UsageError(f"{table.name} has no primary key, by which deletes are found.", "Omit --deletes.")


def plan(
    session: Session, wanted: Wanted, table: Table, mark: Watermark, seen: str, *, deletes: bool
) -> tuple[Definition, Window]:
    """Determine what a run extracts, and which transactions are new for it.

    Args:
        session: Sees the snapshot.
        wanted: What to extract.
        table: The table in the catalog.
        mark: The watermark.
        seen: The snapshot, as PostgreSQL's pg_snapshot.
        deletes: Whether the run also finds deletes.

    Raises:
        UsageError: The watermark belongs to another table, other columns or another filter; or a column has the same
            name as one that the folder names add.
        ExtractError: The watermark is not from this server's history.
    """
    definition = Definition(str(wanted), table_oid(session, table.name), wanted.columns, wanted.filter, deletes)
    mark.check(definition)
    if deletes and any(column.name.lower() == OPERATION for column in table.columns):
        raise UsageError(f"{wanted} has a column {OPERATION}, which --deletes adds.", "Rename it, or omit --deletes.")
    added = [part.partition("=")[0] for part in mark.folder.split("/")]
    hidden = [name for name in wanted.columns or [c.name for c in table.columns] if name.lower() in added]
    if hidden:
        raise UsageError(
            f"{wanted} has a column {hidden[0]}, and the folders of the watermark's runs add a column of this name: "
            "readers of the files would not see its values.",
            "Leave it out (--columns), or begin a new watermark in a new target, whose folders have other names."
            if mark.folder == "run="
            else "Leave it out (--columns), or rename it.",
        )
    return definition, attached(session, table.name, window_since(seen, mark.xmin))


def begin(session: Session, spark: SparkSession, turn: Turn) -> Turn:
    """Give a run its number, whose folder no other run has used.

    Args:
        session: It may write.
        spark: Looks into the target.
        turn: The run that begins.

    Raises:
        UsageError: A run of an older version, or of another watermark, may have left the folder.
    """
    number = max(turn.mark.runs, *turn.mark.begun, 0) + 1
    if turn.mark.runs and turn.mark.definition is None and hadoop_files.below(spark, turn.folder(number)):
        raise UsageError(
            f"{turn.folder(number)} contains files of a failed run or of another watermark; it is not known which.",
            "Remove them if they are this watermark's: their rows are extracted again. Otherwise rename the folder.",
        )
    while hadoop_files.exists(spark, turn.folder(number)):
        number += 1
    watermark.begin(session, turn.watermark_id, turn.definition, turn.mark.folder, number)
    return replace(turn, number=number)


def end(session: Session, connector: Connector, spark: SparkSession, turn: Turn, ordinal: str | None) -> Watermark:
    """Move the watermark after the rows were written, and remove the folders of runs that did not move it.

    Args:
        session: It holds the watermark, unless its connection broke.
        connector: Opens another session then.
        spark: Removes folders.
        turn: The run that ends.
        ordinal: The greatest ordinal that was extracted.

    Raises:
        ExtractError: Another run was faster. This one's folder is removed.
    """
    moved = turn.moved(ordinal)
    try:
        _move(session, connector, turn, moved)
    except ExtractError:
        hadoop_files.remove_folder(spark, turn.folder(turn.number))
        raise
    for folder in turn.left:  # only now: none of these can move the watermark any more
        hadoop_files.remove_folder(spark, folder)
    if turn.mark.definition is not None and turn.mark.definition.deletes:
        hadoop_files.remove_folder(spark, turn.keys(turn.mark.runs))
    return moved


def _move(session: Session, connector: Connector, turn: Turn, moved: Watermark) -> None:
    """Move the watermark; over another connection if this one broke."""
    try:
        watermark.move(session, turn.watermark_id, turn.mark.runs, moved)
    except ConnectionFailed:
        with connector.open() as another:
            watermark.hold(another, turn.watermark_id)
            watermark.move(another, turn.watermark_id, turn.mark.runs, moved)
