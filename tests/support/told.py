"""What a load has said to the server, and what it has locked: to compare with its outline."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from jobs.dbaccess.load.dry_run.steps import ANALYZE, COPY, Step
from jobs.dbaccess.network.copy_in import Block
from jobs.dbaccess.session import Answer, Session

LOCKS_HELD = (
    "SELECT c.relname, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation "
    "WHERE l.pid = pg_backend_pid() AND l.mode <> 'AccessShareLock' AND c.relkind IN ('r', 'p', 'v', 'f') "
    "AND c.relnamespace = 'public'::regnamespace"
)


class Told(Session):
    """A session that notes its statements, and the locks that it holds at its last COMMIT."""

    def __init__(self, session: Session) -> None:
        self.__dict__ = session.__dict__
        self.said: list[str] = []
        self.held: list[list[str]] = []

    def run(self, statement: str, *values: object) -> list[list[Any]]:
        if statement == "COMMIT":
            self.held = super().run(LOCKS_HELD) or self.held
        self.said.append(statement)
        return super().run(statement, *values)

    def change(self, statement: str, *values: object) -> int:
        self.said.append(statement)
        return super().change(statement, *values)

    def copy_in(self, statement: str, blocks: Iterable[Block], before: Sequence[str] = ()) -> int:
        self.said.append(statement)
        return super().copy_in(statement, blocks, before)

    def ask(self, statement: str, values: Sequence[object] = ()) -> Answer:
        self.said.append(statement)
        return super().ask(statement, values)


def does(statement: str) -> bool:
    """Whether a statement does more than to check or count. What is written into staging does not count."""
    matters = re.match(
        r"(COPY|INSERT|UPDATE|DELETE|TRUNCATE|WITH (?!REC|asked)|ALTER|CREATE|DROP|LOCK|SET LOCAL ma|"
        r"SET CONSTRAINTS (?!ALL)|SELECT pg_advisory_xact_lock)",
        statement,
    )
    of_ours = ('DELETE FROM "public"."pgjobs_', 'UPDATE "public"."pgjobs_', 'INSERT INTO "public"."pgjobs_rejects_')
    return bool(matters) and not statement.startswith(of_ours)


def executed(step: Step) -> bool:
    """Whether a step is one of a load of rows that are new."""
    return step.phase not in (COPY, ANALYZE) and not step.condition.startswith("if ")


def planned_locks(steps: Sequence[Step]) -> set[tuple[str, str]]:
    return {(lock.on.split(" ")[0], lock.mode) for step in steps for lock in step.locks if lock.mode != "advisory"}


def held_locks(told: Told, *left_out: str) -> set[tuple[str, str]]:
    return {
        (f"public.{relation}", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", mode.removesuffix("Lock")).upper())
        for relation, mode in told.held
        if relation not in ("t_1", *left_out)
    }
