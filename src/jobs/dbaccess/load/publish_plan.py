"""What is to be published, and what was: the values that publish takes and returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from jobs.dbaccess.load import verify
from jobs.dbaccess.load.copying.parts import Tally
from jobs.dbaccess.load.copying.receipts import Receipt
from jobs.dbaccess.load.definitions.alterations import NO_ALTERATIONS, Alterations
from jobs.dbaccess.load.definitions.columns import Definition
from jobs.dbaccess.load.definitions.indexes import is_unique
from jobs.dbaccess.load.definitions.shape import NO_SHAPE, Shape
from jobs.dbaccess.load.followed.stored import Step
from jobs.dbaccess.load.ledger import LUIGIS, Ledger
from jobs.dbaccess.load.move.modes import TRUNCATE, Move
from jobs.dbaccess.load.move.slices import Pace
from jobs.dbaccess.load.rejects.table import Rejecting
from jobs.dbaccess.load.row_text import NOTHING, Sum
from jobs.dbaccess.load.scripts import Ran, Scripts
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.load.verify import Verification, Verified
from jobs.dbaccess.sql import TableName


@dataclass(frozen=True)
class PublishPlan:
    """What to publish.

    Attributes:
        receipts: The receipts of the attempts that count, as reported by Spark: one for each part.
        is_new: Whether the load creates the table.
        verification: What the table's rows are compared with before the commit, or None to compare nothing.
        scripts: SQL of the user's own, which is run before and after the rows are moved.
        ledger: What records the load.
        lock_timeout: The longest time to wait for each lock, in seconds; None for what the user's settings say.
        definitions: Of the columns of a new table, if they are not those of staging.
        metadata: Columns that the table is to have: they are added if it exists and lacks them.
        alterations: Columns and types that an existing table gets for the data.
        pace: Decides when the next slice of rows is moved, in the mode append; None moves all in one statement.
        shape: What a new table is to be beside its columns' types.
        indexes: Indexes of a new table, beside its primary key.
        rejecting: What is done about rows that were put aside; staging has a table for them if any may be.
        step: From which state of a source to which one the rows lead, if the table follows one.
    """

    load_id: str
    target: TableName
    staging: Staging
    receipts: tuple[Receipt, ...]
    move: Move
    is_new: bool
    verification: Verification | None = None
    scripts: Scripts = field(default_factory=Scripts)
    ledger: Ledger = LUIGIS
    lock_timeout: int | None = None
    definitions: tuple[Definition, ...] = ()
    metadata: tuple[Definition, ...] = ()
    pace: Pace | None = None
    indexes: tuple[str, ...] = ()
    rejecting: Rejecting = field(default_factory=Rejecting)
    shape: Shape = NO_SHAPE
    alterations: Alterations = NO_ALTERATIONS
    step: Step | None = None

    @property
    def takes_turns(self) -> bool:
        """Whether it waits until other publishes into the table have ended: of two that create it, one would fail."""
        changes_table = self.is_new or bool(self.metadata) or bool(self.alterations)
        return self.move.mode != "append" or bool(self.scripts) or changes_table

    @property
    def locks_out_readers(self) -> bool:
        """Whether it takes a lock for which readers wait, and so waits for them."""
        return self.move.replaces_partitions or self.move.strategy == TRUNCATE or bool(self.alterations)

    @property
    def pauses(self) -> bool:
        """Whether the transaction waits between statements: for standbys, or until readers have ended."""
        waits = self.move.replaces_partitions or self.move.supplies_partitions or bool(self.alterations)
        return self.pace is not None or waits

    @property
    def next_step(self) -> Step | None:
        """The step that it takes. If it may give the table other files, it does not ask whether others did."""
        if self.step is None or not (self.scripts or self.metadata or self.alterations):
            return self.step
        return replace(self.step, files="")

    @property
    def builds_indexes(self) -> bool:
        """Whether a table that it creates gets indexes."""
        return bool(self.move.keys or self.indexes)

    @property
    def first_indexes(self) -> tuple[str, ...]:
        """The indexes that a new table has before its rows: those that refuse rows which are to be put aside, too."""
        puts_aside = self.staging.rejects is not None
        return (*self.move.first_indexes, *(text for text in self.indexes if puts_aside and is_unique(text)))

    @property
    def last_indexes(self) -> tuple[str, ...]:
        """The indexes of a new table that are built when the rows are in it."""
        return tuple(text for text in self.indexes if text not in self.first_indexes)

    def received(self, receipts: Sequence[Receipt]) -> PublishPlan:
        """Return the plan when all parts are staged.

        Args:
            receipts: The receipts of the attempts that Spark accepted.
        """
        verification = self.verification
        if verification is not None:
            verification = replace(verification, expected=verify.expected_sum(receipts))
        return replace(self, receipts=tuple(receipts), verification=verification)


@dataclass(frozen=True)
class TransactionPlan:
    """What one transaction publishes: a load, or all tables of a release.

    Attributes:
        plans: In the order in which rows are moved. All have the same load id, ledger and lock timeout.
        emptied: Tables that are emptied before any rows are moved, the referencing before the referenced ones.
        deferred: Names of constraints that are checked when all rows are moved.
    """

    plans: tuple[PublishPlan, ...]
    emptied: tuple[TableName, ...] = ()
    deferred: tuple[TableName, ...] = ()

    @property
    def load_id(self) -> str:
        """The id that the marker records."""
        return self.plans[0].load_id

    @property
    def ledger(self) -> Ledger:
        """What records it."""
        return self.plans[0].ledger

    @property
    def targets(self) -> tuple[TableName, ...]:
        """The tables."""
        return tuple(plan.target for plan in self.plans)

    @property
    def deferring(self) -> str:
        """The statement that defers constraints."""
        return f"SET CONSTRAINTS {', '.join(name.quoted for name in self.deferred)} DEFERRED"

    @property
    def is_release(self) -> bool:
        """Whether there are several tables."""
        return len(self.plans) > 1

    @property
    def by_name(self) -> tuple[PublishPlan, ...]:
        """The plans in the order in which tables are locked, which is the same one in every release."""
        return tuple(sorted(self.plans, key=lambda plan: str(plan.target)))

    @property
    def exchanging(self) -> TransactionPlan:
        """The plan if rows exchange unique values. Where nothing may be deleted, others may refer to the rows."""
        plans = (
            replace(plan, move=replace(plan.move, exchanges=True)) if plan.move.changes.removes else plan
            for plan in self.plans
        )
        return replace(self, plans=tuple(plans))

    @property
    def settings(self) -> dict[str, str]:
        """Server settings of the transaction."""
        [first, *_] = self.plans
        settings = {} if first.lock_timeout is None else {"lock_timeout": f"{first.lock_timeout}s"}
        if any(plan.pauses for plan in self.plans):
            settings["idle_in_transaction_session_timeout"] = "0"
        return settings


@dataclass(frozen=True)
class Published:
    """What was staged, what the target gained, what of that was compared with Spark's rows, and what scripts did.

    Attributes:
        replaced: The partitions that were replaced. How many rows they had is not known.
        created: The partitions that were created.
        otherwise: How many staged rows had an effect that is not counted by rows inserted, updated or unchanged.
        parts_kept: Direct parts that an earlier run of the load had copied. `staged` has the bytes of the others.
        rejected: Rows that were put aside. `staged` does not include them.
        lost: Those of them that had been staged before, and the sum of their hashes if the load is verified.
        inserter: The id of the subtransaction that moved the rows; empty for that of the transaction.
        columns_added, columns_widened: The columns that the table got, and those whose types were changed.
    """

    staged: Tally
    inserted: int
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    otherwise: int = 0
    verified: Verified | None = None
    ran: Ran = field(default_factory=Ran)
    replaced: tuple[TableName, ...] = ()
    created: tuple[TableName, ...] = ()
    parts_kept: int = 0
    rejected: int = 0
    lost: Sum = NOTHING
    inserter: str = ""
    columns_added: tuple[str, ...] = ()
    columns_widened: tuple[str, ...] = ()

    @property
    def ignored(self) -> int:
        """How many staged rows the mode or a trigger left out."""
        return self.staged.rows - self.inserted - self.updated - self.unchanged - self.otherwise
