"""A load of one part: its report tells what was committed, also if Spark or the connection failed after the commit."""

from __future__ import annotations

import pytest
from publishing import T

from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.copying import direct
from jobs.dbaccess.load.copying.direct import Direct
from jobs.dbaccess.load.copying.parts import Counted, Tally
from jobs.dbaccess.load.ledger import LUIGIS
from jobs.dbaccess.load.move.modes import APPEND
from jobs.dbaccess.load.publish_plan import Published, PublishPlan
from jobs.dbaccess.session import Session
from jobs.flows.load.direct.one_part import load_one_part
from jobs.flows.load.publish import Driver
from jobs.flows.report import Stopwatch


@pytest.mark.parametrize("broken", [False, True], ids=["Spark fails", "Spark fails, and the connection breaks"])
@pytest.mark.parametrize("committed", [True, False])
def test_a_failure_after_the_commit_does_not_hide_its_rows(
    session: Session, database: Settings, broken: bool, committed: bool
) -> None:
    session.run("CREATE TABLE t (a int)")
    connector = Connector(database, "load", "x")
    plan = PublishPlan("x", T, staging.plan_staging(T, ("a",)), (), APPEND, is_new=False, ledger=LUIGIS)
    with connector.open() as driver_session:

        def copy(into: Direct) -> None:
            if committed:
                assert direct.begin_attempt(session, into, 0, 1)
                direct.copy_part(session, into, 0, 1, [Counted(b"1\n2\n3\n", 3)])
            if broken:
                driver_session.close()
            raise RuntimeError("Job aborted: the executor was lost")

        def load() -> Published | None:
            return load_one_part(Driver(connector), driver_session, plan, copy, Stopwatch())

        if committed:
            assert load() == Published(Tally(1, 3, 6, 0, None), inserted=3)
        else:
            with pytest.raises(RuntimeError, match="the executor was lost"):
                load()
    assert session.run("SELECT count(*), (SELECT count(*) FROM table_updates) FROM t") == [
        [3, 1] if committed else [0, 0]
    ]


def test_a_marker_of_another_run_is_no_row_of_this_one(session: Session, database: Settings) -> None:
    session.run("CREATE TABLE t (a int)")
    connector = Connector(database, "load", "x")
    plan = PublishPlan("x", T, staging.plan_staging(T, ("a",)), (), APPEND, is_new=False, ledger=LUIGIS)
    with connector.open() as driver_session:

        def copy(_: Direct) -> None:
            LUIGIS.record(session, "x", str(T))

        assert load_one_part(Driver(connector), driver_session, plan, copy, Stopwatch()) is None
