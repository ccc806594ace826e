"""Does a load, and compares the server with the model: the table, what is put aside, the report, and what is left."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fuzz.loads import model
from fuzz.loads.cases import Case
from fuzz.loads.model import Expected
from fuzz.loads.tables import TABLE, Row, filling, quoted
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import JobError
from jobs.dbaccess.session import Session
from jobs.flows.report import LoadReport

Load = Callable[[Case, Settings, str], LoadReport]
"""Does a load, under this id."""


def check(session: Session, settings: Settings, load: Load, case: Case) -> None:
    """Do a load, and compare.

    Args:
        session: A session of the database, to create the table and to look at it.
        settings: The settings of the connections of the load.
        load: Does it.
        case: The load.

    Raises:
        AssertionError: The server or the report differs from the model.
    """
    create(session, case)
    load_id, before = f"fuzz-{uuid.uuid4()}", found_rows(session, case.table.compared)
    assert before == as_counter(case.rows, case.table.compared), "the model does not know how the server stores values"
    try:
        report = load(case, settings, load_id)
    except JobError as error:
        assert found_rows(session, case.table.compared) == before, f"a load that failed has changed the table: {error}"
        assert not has_rejects(session), "a load that failed has put rows aside"
        assert_nothing_left(session, load_id, markers=0)
        assert_may_fail(case, error)
    else:
        assert_done(session, case, report)
        assert_nothing_left(session, load_id, markers=1)


def create(session: Session, case: Case) -> None:
    """Create the table with its rows, and what it refers to."""
    statements = [*case.table.statements(), *filling(case.table, case.rows, case.children), *case.table.triggering()]
    for statement in statements:
        session.run(statement)


def found_rows(session: Session, names: Sequence[str]) -> Counter[tuple[Any, ...]]:
    """Return the rows of the table, as the server writes them."""
    columns = ", ".join(f"{quoted(name)}::text" for name in names)
    return Counter(tuple(row) for row in session.run(f"SELECT {columns} FROM {TABLE}"))


def as_counter(rows: Iterable[Row], names: Sequence[str]) -> Counter[tuple[Any, ...]]:
    """Return rows of the model in the same form."""
    return Counter(tuple(row[name] for name in names) for row in rows)


def has_rejects(session: Session) -> bool:
    """Return whether there is a table of rejects."""
    return bool(session.value(f"SELECT to_regclass('{TABLE}_rejects') IS NOT NULL"))


def found_rejects(session: Session) -> list[tuple[str, str]]:
    """Return the rows that were put aside, by ref, with the SQLSTATE of each."""
    if not has_rejects(session):
        return []
    return [(ref, state) for ref, state in session.run(f"SELECT row->>'ref', sqlstate FROM {TABLE}_rejects")]


def assert_may_fail(case: Case, error: JobError) -> None:
    """Check that the model lets a load fail, and for this reason."""
    expected = model.expected(case)
    if expected.fails:
        told = f"{error} {getattr(error, 'sqlstate', '')}"
        assert not expected.sqlstates or any(one in told for one in expected.sqlstates), f"{expected.fails}: {told}"
        return
    is_open = case.options.quarantines and model.depends_on_order(case)
    assert expected.may_fail or is_open, f"the load must not fail: {type(error).__name__}: {error}"


def assert_done(session: Session, case: Case, report: LoadReport) -> None:
    """Check what a load has done."""
    rejects = found_rejects(session)
    expected = model.expected(case, [ref for ref, _ in rejects])
    assert not expected.fails, f"the load must fail: {expected.fails}"
    names = [*model.stored(case).table.compared]
    assert found_rows(session, names) == as_counter(expected.rows, names), "the rows of the table"
    assert_rejected(rejects, expected)
    assert_reported(case, report, expected)


def assert_rejected(found: list[tuple[str, str]], expected: Expected) -> None:
    """Check which rows were put aside, and why."""
    assert Counter(ref for ref, _ in found) == Counter(ref for ref, _ in expected.rejected), "the rejected rows"
    reasons: dict[str, set[str]] = {}
    for ref, states in expected.rejected:
        reasons.setdefault(ref, set()).update(states)
    wrong = [(ref, state) for ref, state in found if state not in reasons[ref]]
    assert not wrong, f"the reasons of rejected rows: {wrong}, and not {reasons}"


def assert_reported(case: Case, report: LoadReport, expected: Expected) -> None:
    """Check the counts of a report."""
    counts = expected.counts
    assert counts is not None, "a load that succeeds is counted"
    told = {
        "read": report.rows_read,
        "staged": report.rows_staged,
        "inserted": report.rows_inserted,
        "updated": report.rows_updated,
        "unchanged": report.rows_unchanged,
        "deleted": report.rows_deleted,
        "ignored": report.rows_ignored,
        "rejected": report.rows_rejected,
    }
    replaces = case.options.mode == "replace-partitions"
    assert told == {
        "read": len(case.data),
        "staged": expected.staged,
        "inserted": counts.inserted,
        "updated": counts.updated,
        "unchanged": counts.unchanged,
        "deleted": counts.deleted if not (replaces and case.data) else None,
        "ignored": counts.ignored(expected.staged),
        "rejected": len(expected.rejected),
    }, "the report"


def assert_nothing_left(session: Session, load_id: str, *, markers: int) -> None:
    """Check that staging is gone, and the marker there or not."""
    left = session.run(
        "SELECT relname FROM pg_class WHERE relnamespace = 'fuzz'::regnamespace AND relname ~ '^pgjobs_'"
    )
    assert left == [], "staging is left"
    assert session.value("SELECT count(*) FROM table_updates WHERE update_id = %s", load_id) == markers, "the marker"
