"""Events are what OpenLineage's own classes make of the same values."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from lineage_server import as_openlineage_has_it, without_empty

from jobs.lineage.datasets import Dataset, Datasets
from jobs.lineage.events import ABORT, COMPLETE, FAIL, START, Run, event
from jobs.lineage.origin import Ancestor

pytest.importorskip("openlineage.client", reason="OpenLineage's client needs Python 3.10")

PARENT = Ancestor("airflow", "orders.load", "f99310b4-3c3c-1a1a-2b2b-c1b95c24ff11")
ROOT = Ancestor("airflow", "orders", "00000000-3c3c-1a1a-2b2b-c1b95c24ff11")
RUN = Run("3f5e83fa-3480-44ff-99c5-ff943904e5e8", "pgjobs", "load_table.sales.orders", "LOAD")
STARTED_BY = Run(RUN.id, RUN.namespace, RUN.job, "CAPTURE", is_endless=True, ancestors=(PARENT, ROOT))
AT = datetime(2026, 11, 20, 8, tzinfo=timezone.utc)
DATASETS = Datasets(
    (Dataset("s3://bucket", "orders", (("id", "bigint"), ("name", "")), rows=3),),
    (Dataset("postgres://db:5432", "shop.sales.orders", (("id", "bigint"),), rows=0, size=17), Dataset("file", "/x")),
)


@pytest.mark.parametrize(
    "made",
    [
        event(START, RUN, AT, Datasets()),
        event(COMPLETE, RUN, AT, DATASETS),
        event(FAIL, STARTED_BY, AT, DATASETS, "Row refused (SQLSTATE 23514)."),
        event(ABORT, STARTED_BY, AT, Datasets(), "interrupted."),
    ],
    ids=lambda made: str(made["eventType"]),
)
def test_an_event_is_what_openlineages_client_makes(made: dict[str, Any]) -> None:
    assert without_empty(made) == as_openlineage_has_it(made)


def test_a_run_without_a_root_of_its_own_has_its_parent_for_one() -> None:
    run = Run(RUN.id, RUN.namespace, RUN.job, "LOAD", ancestors=(PARENT,))
    parent = event(START, run, AT, Datasets())["run"]["facets"]["parent"]
    assert parent["root"] == {name: parent[name] for name in ("run", "job")}
    assert parent["run"]["runId"] == PARENT.run_id


def test_a_count_of_zero_is_told_and_one_that_is_not_known_is_not() -> None:
    made = event(COMPLETE, RUN, AT, DATASETS)
    assert made["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 0
    assert "size" not in made["inputs"][0]["inputFacets"]["inputStatistics"]
    assert "outputFacets" not in made["outputs"][1]
