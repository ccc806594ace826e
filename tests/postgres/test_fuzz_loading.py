"""Drawn loads into drawn tables, the same few every time, compared with a model; `make fuzz` tries more."""

from __future__ import annotations

import pytest
from drawn import drawn

from fuzz import loading
from fuzz.loads import quick
from fuzz.loads.cases import Case
from fuzz.loads.check import check
from fuzz.loads.drawn import cases
from fuzz.loads.tables import TABLE
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.flows.report import LoadReport

EXAMPLES = 25


def test_a_load_does_what_the_model_says(session: Session, database: Settings) -> None:
    loading.target(loading.WITHOUT_SPARK, session, database).try_out(EXAMPLES)


def test_a_load_that_loses_a_row_is_found(session: Session, database: Settings) -> None:
    def losing(case: Case, settings: Settings, load_id: str) -> LoadReport:
        report = quick.load(case, settings, load_id)
        with connect(settings, "loses") as other:
            other.run(f"DELETE FROM {TABLE} WHERE ref = (SELECT max(ref) FROM {TABLE})")
        return report

    with pytest.raises(AssertionError, match="the rows of the table"):
        for case in drawn(cases(), EXAMPLES):
            check(session, database, losing, case)
