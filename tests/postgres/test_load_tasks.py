"""A task of a load or of pgcopy copies its part over a connection that names the job that runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from publishing import T

from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.copying.parts import Counted
from jobs.dbaccess.session import Session
from jobs.spark.tasks.load_tasks import Delivery, deliver


@pytest.mark.parametrize("job", ["load", "pgcopy"])
def test_a_tasks_session_names_its_job_and_part(session: Session, database: Settings, job: str) -> None:
    session.run("CREATE TABLE t (a int)")
    names = staging.plan_staging(T, ("a",))
    staging.create_beside(session, names, T)
    seen: list[str] = []

    def blocks() -> Iterator[Counted]:
        query = (
            "SELECT application_name FROM pg_stat_activity "
            "WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> %s"
        )
        seen.extend(name for [name] in session.run(query, session.backend.pid))
        yield Counted(b"1\n", 1)

    deliver(Delivery(Connector(database, job, "x"), names), 3, 0, blocks())
    assert seen == [f"pgjobs {job} part 3 of x"]
    staging.discard(session, names)
