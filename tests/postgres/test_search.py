"""A staged row because of which a load failed is found, and nothing is changed by that."""

from __future__ import annotations

import pytest
from publishing import T

from jobs.dbaccess.errors import ConstraintViolated
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.copying import parts
from jobs.dbaccess.load.copying.parts import Counted
from jobs.dbaccess.load.copying.receipts import Receipt
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.publish import publish
from jobs.dbaccess.load.publish_plan import PublishPlan
from jobs.dbaccess.load.rejects.constraints import Checked
from jobs.dbaccess.load.rejects.places import Seeking
from jobs.dbaccess.load.rejects.search import Violation, find, names_same
from jobs.dbaccess.load.row_text import PLAIN, Form, RowText
from jobs.dbaccess.session import Session

ROW = RowText(("a", "b"), (Form(PLAIN),) * 2)
MOVE = Move("append", ROW.columns)


def found(session: Session, *blocks: str) -> Violation | None:
    """What is found when the publish of these parts has failed. Another attempt at the first part does not count."""
    names = staging.plan_staging(T, MOVE.columns)
    staging.create_beside(session, names, T)
    attempts = [(0, 7, "50\t0\n"), *((part, part, block) for part, block in enumerate(blocks))]
    for part, attempt, block in attempts:
        parts.begin_attempt(session, names, part, attempt)
        parts.copy_part(session, names, part, attempt, [Counted(block.encode(), block.count("\n"))])
    receipts = tuple(Receipt(part, part) for part in range(len(blocks)))
    with pytest.raises(ConstraintViolated) as caught:
        publish(session, PublishPlan("x", T, names, receipts, MOVE, is_new=False))
    rejects = names.with_rejects().rejects
    assert rejects is not None
    checked = Checked(names, rejects, T, MOVE, Seeking(ROW))
    violation = find(session, checked, receipts, caught.value)
    assert session.value(f"SELECT count(*) FROM {names.rows.quoted}") == sum(
        block.count("\n") for _, _, block in attempts
    )
    return violation


def hash_of(session: Session, a: int, b: int) -> int:
    return int(session.value(f"SELECT {ROW.row_hash} FROM (VALUES ({a}, {b})) AS v (a, b)"))


def test_a_row_is_found_by_the_constraint_that_the_error_names(session: Session) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b int CHECK (b > 0)); INSERT INTO t VALUES (1, 1)")
    violation = found(session, "2\t2\n3\t3\n", "4\t4\n1\t0\n3\t5\n")  # the last row violates the other one
    assert violation is not None
    assert (violation.rows, violation.first.part) == (1, 1)
    assert violation.first.hash == hash_of(session, 1, 0)


def test_all_rows_of_the_constraint_are_counted(session: Session) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b int)")
    violation = found(session, "2\t2\n3\t3\n", "3\t5\n2\t5\n")
    assert violation is not None
    assert (violation.rows, violation.first.part) == (2, 1)


def test_nothing_is_told_where_a_trigger_may_have_changed_the_row(session: Session) -> None:
    session.run(
        "CREATE TABLE t (a int PRIMARY KEY, b int); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN NEW.a := 1; RETURN NEW; END'; CREATE TRIGGER f BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()"
    )
    assert found(session, "1\t1\n1\t2\n") is None


@pytest.mark.parametrize(
    ("rule", "told", "same"),
    [
        ('violates check constraint "t_a"', 'new row for relation "t" violates check constraint "t_a" (23514)', True),
        ('violates check constraint "t_a"', 'new row for relation "t" violates check constraint "t_a_b"', False),
        ('null value in column "a" violates', 'null value in column "a" of relation "t" violates', True),
        ('constraint "we"ird"', 'la contrainte unique « we"ird »', True),
        ("no partition of the table is for the row", 'no partition of relation "t" found for row', True),
        ("no partition of the table is for the row", 'violates check constraint "t_a"', False),
    ],
)
def test_messages_are_of_the_same_constraint_if_they_name_it(rule: str, told: str, same: bool) -> None:
    assert names_same(rule, told) is same
