"""Rows that were encoded for a table's types are not copied when it has others."""

from __future__ import annotations

import pytest
from publishing import T

from jobs.dbaccess.errors import LoadError
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.copying import direct
from jobs.dbaccess.load.copying.direct import Direct, Marker
from jobs.dbaccess.load.copying.parts import Counted
from jobs.dbaccess.load.ledger import LUIGIS
from jobs.dbaccess.load.partitions import staged
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.session import Session

CHANGED = "were changed while the load began: b is date and not timestamp with time zone"


def planned(session: Session) -> Staging:
    """Names for staging beside a table whose column is altered after rows were encoded for it."""
    encoded_for = [("a", "integer"), ("b", "timestamp with time zone")]
    names = staging.plan_staging(T, ("a", "b"), encoded_for=encoded_for)
    session.run("ALTER TABLE t ALTER b TYPE date")
    return names


def left(session: Session) -> list[list[object]]:
    return session.run("SELECT relname FROM pg_class WHERE relname LIKE 'pgjobs_rows_%'")


def test_staging_is_not_made_for_other_types(session: Session) -> None:
    session.run("CREATE TABLE t (a int, b timestamptz)")
    names = planned(session)
    with pytest.raises(LoadError, match=CHANGED):
        staging.create(session, names, T)
    assert left(session) == []


def test_nor_tables_beside_partitions(session: Session) -> None:
    session.run("CREATE TABLE t (a int, b timestamptz) PARTITION BY LIST (a)")
    names = planned(session)
    with pytest.raises(LoadError, match=CHANGED):
        staged.create(session, names, T)
    assert left(session) == []


def test_a_part_that_is_copied_straight_into_such_a_table_is_not_committed(session: Session) -> None:
    session.run("CREATE TABLE t (a int, b timestamptz)")
    names = planned(session)
    staging.create_parts(session, names)
    into = Direct(T, names, Marker(LUIGIS.located(session), "x", T))
    direct.begin_attempt(session, into, 0, 1)
    with pytest.raises(LoadError, match=CHANGED):
        direct.copy_part(session, into, 0, 1, [Counted(b"1\t2026-11-01 23:30:00Z\n", 1)])
    assert session.run("SELECT * FROM t") == []
    assert LUIGIS.recorded_target(session, "x") is None


def test_columns_that_the_load_itself_adds_or_widens_are_no_matter(session: Session) -> None:
    session.run("CREATE TABLE t (a int, b timestamptz)")
    extras = [("c", "text"), ("a", "bigint")]
    names = staging.plan_staging(T, ("a", "b", "c"), "", extras, [("b", "timestamp with time zone")])
    staging.create(session, names, T)
    assert len(left(session)) == 1
