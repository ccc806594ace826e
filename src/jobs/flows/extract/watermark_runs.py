"""A run of a watermark: what is new for it, the folder that is its own, and how it ends.

Each run has a number of its own and a folder of that number, which nobody has used before. So two runs that both think
they hold the watermark (one's connection broke, and it does not know yet) write side by side, and neither replaces what
is another's. The one that moves the watermark is right; the other one removes its folder, or else the next runs do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from pyspark.sql import SparkSession

from jobs.dbaccess.catalog.tables import Table
from jobs.dbaccess.errors import ConnectionFailed, ExtractError, UsageError
from jobs.dbaccess.extract import watermark
from jobs.dbaccess.extract.attachments import attached, table_oid
from jobs.dbaccess.extract.watermark import Definition, Watermark, Window
from jobs.dbaccess.postgres_connectivity import Connector
from jobs.dbaccess.session import Session
from jobs.flows.extract.incremental import check_ordinal, check_tells_new
from jobs.flows.extract.plan import Wanted
from jobs.spark import hadoop_files

# What Spark escapes in the values of its folders' names, and unescapes when it reads them.
_UNSAFE = re.compile(r"[\x00-\x1f\"#%'*/:=?\\\x7f{\[\]^]")


@dataclass(frozen=True)
class Turn:
    """A run of a watermark.

    Attributes:
        target: below which its folder is.
        mark: as it stood when the run began.
        number: the run's own; 0 before it has one.
    """

    watermark_id: str
    target: str
    definition: Definition
    mark: Watermark
    window: Window
    number: int = 0

    def folder(self, number: int) -> str:
        """Where the rows of the run of a number go."""
        return f"{self.target.rstrip('/')}/{self.mark.folder}{number}"

    @property
    def left(self) -> list[str]:
        """The folders of runs that began before and did not move the watermark."""
        return [self.folder(number) for number in self.mark.begun]

    def moved(self, ordinal: str | None) -> Watermark:
        """The watermark when this run's rows are safe."""
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
    """The watermark, held until the session ends; one where nothing has been taken where it is new, or to restart."""
    watermark.ensure(session)
    watermark.hold(session, watermark_id)
    mark = watermark.read(session, watermark_id)
    if mark is None:
        return Watermark("", folder=f"pgjobs_watermark={_escaped(watermark_id)}/pgjobs_run=")
    return replace(mark, xmin=0, ordinal=None) if restart else mark


def _escaped(text: str) -> str:
    return _UNSAFE.sub(lambda found: f"%{ord(found[0]):02X}", text)


def check(session: Session, table: Table | None, ordinal: str) -> None:
    """Check that what is new in a table can be told.

    Raises:
        UsageError: it cannot.
    """
    check_tells_new(session, table)
    if table is not None and ordinal:
        check_ordinal(session, ordinal, table)


def plan(session: Session, wanted: Wanted, table: Table, mark: Watermark, seen: str) -> tuple[Definition, Window]:
    """What a run is of, and what is new for it.

    Args:
        session: sees the snapshot.
        wanted: what is asked for.
        table: it, in the catalogue.
        mark: as it stands.
        seen: the snapshot, as PostgreSQL's pg_snapshot.

    Raises:
        UsageError: the watermark is another table's, or with other columns or another filter; or a column has the name
            of what the folders' names tell.
        ExtractError: the watermark is not of this server's history.
    """
    definition = Definition(str(wanted), table_oid(session, table.name), wanted.columns, wanted.filter)
    mark.check(definition)
    told = [part.partition("=")[0] for part in mark.folder.split("/")]
    both = [name for name in wanted.columns or [c.name for c in table.columns] if name.lower() in told]
    if both:
        raise UsageError(
            f"{wanted} has a column {both[0]}, which the folders of the watermark's runs tell, too: its values would "
            "be lost to who reads them.",
            "Leave it out (--columns), or begin a new watermark into a new target, whose folders have other names."
            if mark.folder == "run="
            else "Leave it out (--columns), or rename it.",
        )
    return definition, attached(session, table.name, watermark.window(seen, mark.xmin))


def begin(session: Session, spark: SparkSession, turn: Turn) -> Turn:
    """Give a run its number, whose folder nobody has used before.

    Args:
        session: that may write.
        spark: to look into the target.
        turn: that begins.

    Raises:
        UsageError: an older version's run may have left the folder, or another watermark: whose it is cannot be told.
    """
    number = max(turn.mark.runs, *turn.mark.begun, 0) + 1
    if turn.mark.runs and turn.mark.definition is None and hadoop_files.below(spark, turn.folder(number)):
        raise UsageError(
            f"{turn.folder(number)} holds files of a run that died, or of another watermark: no name is on them.",
            "Look whose they are. Remove them if they are this watermark's, for its rows come again; else rename it.",
        )
    while hadoop_files.exists(spark, turn.folder(number)):
        number += 1
    watermark.begin(session, turn.watermark_id, turn.definition, turn.mark.folder, number)
    return replace(turn, number=number)


def end(session: Session, connector: Connector, spark: SparkSession, turn: Turn, ordinal: str | None) -> Watermark:
    """The rows are written: move the watermark, and remove what runs left that did not come so far.

    Args:
        session: that holds the watermark, unless its connection broke.
        connector: opens another one then.
        spark: to remove folders.
        turn: that ends.
        ordinal: the greatest that was taken.

    Raises:
        ExtractError: another run was faster; this one's folder is removed.
    """
    moved = turn.moved(ordinal)
    try:
        _move(session, connector, turn, moved)
    except ExtractError:
        hadoop_files.remove_folder(spark, turn.folder(turn.number))
        raise
    for folder in turn.left:  # only now: none of these can move the watermark any more
        hadoop_files.remove_folder(spark, folder)
    return moved


def _move(session: Session, connector: Connector, turn: Turn, moved: Watermark) -> None:
    """Move the watermark; over another connection where this one broke."""
    try:
        watermark.move(session, turn.watermark_id, turn.mark.runs, moved)
    except ConnectionFailed:
        with connector.open() as another:
            watermark.hold(another, turn.watermark_id)
            watermark.move(another, turn.watermark_id, turn.mark.runs, moved)
