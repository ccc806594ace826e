"""What an extract of many tables reads: the tables that match, locked at once, and each one's plan in one snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.dbaccess.connector import Connector
from jobs.dbaccess.errors import TransientError, UsageError, plural
from jobs.dbaccess.extract import snapshot, table_patterns
from jobs.dbaccess.extract.selection import Selection
from jobs.dbaccess.extract.snapshot import Snapshot
from jobs.dbaccess.extract.table_patterns import Relation, TablePattern
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.extract.plan import ExtractPlan, Wanted, find_source, plan_extract


@dataclass(frozen=True)
class WantedTables:
    """Which tables to extract.

    Attributes:
        patterns: Patterns as in psql, each of which matches at least one table.
        excluded: Patterns of tables that are left out.
        unbounded, require_primary_key, parallelism, flat: For each table, as in `Wanted`.
    """

    patterns: tuple[str, ...]
    excluded: tuple[str, ...] = ()
    unbounded: str = "text"
    require_primary_key: bool = False
    parallelism: int | None = None
    flat: bool = False

    def check(self) -> None:
        """Check the patterns.

        Raises:
            UsageError: There is none, or one is wrong.
        """
        if not self.patterns:
            raise UsageError("There is no pattern for tables.", "Give --tables 'schema.*'.")
        for text in (*self.patterns, *self.excluded):
            TablePattern.parse(text)

    def one(self, table: TableName) -> Wanted:
        """Return what to extract of one of the tables."""
        return Wanted(
            table,
            unbounded=self.unbounded,
            require_primary_key=self.require_primary_key,
            parallelism=self.parallelism,
            flat=self.flat,
        )

    def __str__(self) -> str:
        return ", ".join(self.patterns)


@dataclass(frozen=True)
class PlannedTable:
    """A table, and what is read of it."""

    name: TableName
    plan: ExtractPlan


@dataclass(frozen=True)
class PlannedTables:
    """The tables that match, while their locks and their snapshot are held.

    Attributes:
        tables: Those that can be extracted.
        problems: Sentences that say which others cannot be extracted, and why.
    """

    snapshot: Snapshot
    tables: tuple[PlannedTable, ...]
    problems: tuple[str, ...] = ()


def plan_tables(session: Session, connector: Connector, wanted: WantedTables) -> PlannedTables:
    """Lock all tables that match, take one snapshot, and plan each table in it.

    Args:
        session: Holds the locks and the snapshot until it ends or releases them.
        connector: Opens another session of the server, which plans.
        wanted: Which tables.

    Raises:
        UsageError: A pattern matches nothing, or none of the tables may be read.
        TransientError: A lock was not granted in time, or other tables match now.
    """
    chosen = _chosen(session, wanted)
    readable = [each.name for each in chosen if each.readable]
    problems = [f"The user may not SELECT from {each.name}." for each in chosen if not each.readable]
    if not readable:
        refuse(problems, len(chosen))
    exported = snapshot.export(session, *(Selection.of_table(name).select(["1"]) for name in readable))
    planned = []
    with connector.at(session.server).open("plan") as planner, snapshot.adopted(planner, exported):
        if _chosen(planner, wanted) != chosen:
            raise TransientError(
                "While the tables were being locked, others began to match, or some were attached.", "Run it again."
            )
        for name in readable:
            one = wanted.one(name)
            try:
                planned.append(PlannedTable(name, plan_extract(planner, one, find_source(planner, one))))
            except UsageError as error:
                problems.append(error.message)
    return PlannedTables(exported, tuple(planned), tuple(problems))


def refuse(problems: Sequence[str], tables: int) -> None:
    """Refuse the extract if there are problems.

    Raises:
        UsageError: All of them.
    """
    if problems:
        several = f"{plural(len(problems), 'problem')} in {plural(tables, 'table')}, of which none was read: "
        raise UsageError(
            (several if tables > 1 else "") + " ".join(problems), "Correct this, or leave tables out: --exclude-tables."
        )


def _chosen(session: Session, wanted: WantedTables) -> tuple[Relation, ...]:
    return table_patterns.choose(
        table_patterns.relations(session),
        [TablePattern.parse(text) for text in wanted.patterns],
        [TablePattern.parse(text) for text in wanted.excluded],
    )
