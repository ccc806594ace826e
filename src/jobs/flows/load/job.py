"""A load to do, as a value: the table, the mode, and what else the user wants of it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from pyspark.sql import DataFrame

from jobs.dbaccess import locks
from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.load.copying.direct import AUTO, PARTS, STAGED, check_parts
from jobs.dbaccess.load.definitions.indexes import is_unique
from jobs.dbaccess.load.followed.decision import check_followed
from jobs.dbaccess.load.followed.stored import Step
from jobs.dbaccess.load.kept.notes import check_keep
from jobs.dbaccess.load.ledger import LUIGIS, Ledger, check_id
from jobs.dbaccess.load.move import combinations
from jobs.dbaccess.load.move.modes import APPEND, Move
from jobs.dbaccess.load.publish_plan import PublishPlan
from jobs.dbaccess.load.rejects.policy import ERROR, FAILS, Policy, check_nul, check_policy
from jobs.dbaccess.load.rejects.table import Rejecting, Replayed
from jobs.dbaccess.load.scripts import Scripts
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.load.defined import NONE_DEFINED, Defined
from jobs.flows.load.pace.governor import NO_LIMITS, Limits
from jobs.flows.load.stage import Copying
from jobs.flows.load.targets.target import Target


class Follows(Protocol):
    """A source that a table follows by its changes."""

    def begin(self, session: Session, job: LoadJob) -> Begun:
        """Decide what a load reads. The session holds the load id."""


@dataclass(frozen=True)
class LoadJob:
    """A load to do.

    Attributes:
        load_id: The permanent name of this load: a second load of the same id does nothing.
        move: How staged rows are moved. Its columns are settled when the data is known.
        create: Whether to create the table if it is missing.
        copying: How rows are copied.
        wait_for_load: The longest time to wait for another run of the load id, in seconds.
        verify: Whether to compare the table's rows with what Spark encoded, before the commit.
        scripts: SQL of the user's own in the publishing transaction.
        ledger: What records the load.
        lock_timeout: The longest time to wait for each lock while rows are published, in seconds; None for what the
            user's settings say.
        defined: The columns that the user defines.
        null_values: Strings of the data that stand for NULL.
        limits: What the load may cause.
        publish: One of PUBLISHING: how the rows come into the table.
        keep_staging: For how many seconds staging stays if the load fails, so that a rerun can go on; None to drop it.
        show_values: Whether errors may show values of rows.
        policy: What to do about rows that the server refuses.
        replayed: The rejects of another load that this one loads, if it does.
        nul: One of ON_NUL: what is done about characters that the server cannot store.
        follows: The source that the table follows by its changes; None for rows that are given.
        step: From which state of the source to which one the rows lead, when that is known.
    """

    table: TableName
    settings: Settings
    load_id: str
    move: Move = APPEND
    create: bool = True
    copying: Copying = field(default_factory=Copying)
    wait_for_load: int = locks.LONGEST_WAIT
    verify: bool = False
    scripts: Scripts = field(default_factory=Scripts)
    ledger: Ledger = LUIGIS
    lock_timeout: int | None = None
    defined: Defined = NONE_DEFINED
    null_values: tuple[str, ...] = ()
    limits: Limits = NO_LIMITS
    publish: str = AUTO
    keep_staging: float | None = None
    show_values: bool = False
    policy: Policy = FAILS
    replayed: Replayed | None = None
    nul: str = ERROR
    follows: Follows | None = None
    step: Step | None = None

    @property
    def can_be_resumed(self) -> bool:
        """Whether a rerun copies only what a failed run has not. The parts of both have to be the same then."""
        return self.publish == PARTS or self.keep_staging is not None

    @property
    def connector(self) -> Connector:
        """Opens the sessions of the load."""
        return Connector(self.settings, "load", self.load_id)

    @property
    def moving(self) -> Move:
        """How rows come into its table. If it is new, its keys and indexes may refuse rows, which are put aside."""
        refuses = self.move.keys or any(map(is_unique, self.defined.indexes))
        return replace(self.move, renames=False) if self.policy.quarantines and refuses else self.move

    @property
    def reason_to_stage(self) -> str:
        """Why its rows are staged, whatever they are; empty if that depends on them."""
        if self.publish == STAGED or self.keep_staging is not None:
            return "the user wants it"
        if self.limits:
            return "its pace is limited"
        if self.policy.quarantines:
            return "bad rows are put aside"
        return "they are verified" if self.verify else ""

    def check(self) -> None:
        """Check what can be checked without a server.

        Raises:
            UsageError: An argument is wrong, or does not fit the others.
        """
        combinations.check(self.move)
        check_id(self.load_id)
        self.defined.check()
        self.limits.check()
        check_nul(self.nul)
        if self.verify:
            combinations.check_verify(self.move)
        check_policy(self.policy, self.move, self.publish, keeps=self.keep_staging is not None)
        if self.publish == PARTS:
            check_parts(self.move, bool(self.scripts), verify=self.verify, schema_mode=self.defined.schema_mode)
        check_keep(self.keep_staging, self.move, self.publish)
        if self.follows is not None:
            check_followed(self.move, keeps=self.keep_staging is not None, quarantines=self.policy.quarantines)

    def plan(self, target: Target, names: Staging) -> PublishPlan:
        """Return what is to be published from staging tables of these names."""
        names = names.with_rejects() if self.policy.quarantines else names
        return replace(
            target.plan(self.load_id, names, (), self.ledger),
            scripts=self.scripts,
            lock_timeout=self.lock_timeout,
            rejecting=Rejecting(self.policy, replayed=self.replayed),
            step=self.step,
        )


@dataclass(frozen=True)
class Begun:
    """What a load of a source's changes is to do.

    Attributes:
        job: The load, with its step.
        read: Returns the rows; None if nothing is new.
        state: The state of the source; empty if it has none.
    """

    job: LoadJob
    read: Callable[[], DataFrame] | None
    state: str


def new_load_id() -> str:
    """Return an id for a load that was given none."""
    return f"pgjobs-{uuid.uuid4()}"
