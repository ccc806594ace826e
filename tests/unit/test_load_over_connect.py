"""A load as options of pgcopy: nothing that is asked for is left out without a word."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load import scripts
from jobs.dbaccess.load.ledger import Ledger
from jobs.dbaccess.load.move.changes import Changes
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.move.order import order_of, parse_order
from jobs.dbaccess.sql import TableName
from jobs.flows.load.defined import Defined
from jobs.flows.load.job import LoadJob
from jobs.flows.load.over_connect import check_supported, options_of
from jobs.flows.load.pace.governor import Limits
from jobs.flows.load.stage import Copying
from jobs.pgcopy.options import Options

JOB = LoadJob(
    TableName.parse('"a.b".orders'),
    Settings("shop", "me"),
    "orders/1",
    Move("upsert", (), ("id",), parse_order('updated_at desc nulls last, "W, x"'), "no", overriding="system"),
    create=False,
    ledger=Ledger.parse("marks.done"),
    defined=replace(
        Defined.of({"id": "bigserial", "fare": "numeric(8,2)"}, {"at": "timestamptz DEFAULT now()"}),
        schema_mode="widen",
    ),
    null_values=("NA", ""),
)


def test_pgcopy_gets_what_the_load_is() -> None:
    options = Options.parse(options_of(JOB))
    assert options.table() == JOB.table
    assert options.identity("loadId") == JOB.load_id
    assert options.move(overwrite=False) == JOB.move
    assert options.flag("create", default=True) is False
    assert options.ledger() == JOB.ledger
    assert options.defined() == JOB.defined
    assert options.null_values() == JOB.null_values


def test_a_null_value_may_be_empty() -> None:
    assert Options.parse(options_of(replace(JOB, null_values=("",)))).null_values() == ("",)


@pytest.mark.parametrize("share", [None, 0.25, 1.0])
def test_changes_are_the_same_for_pgcopy(share: float | None) -> None:
    changes = Changes(
        delete_when="op = 'D'",
        delete_missing=True,
        soft_delete="gone",
        update_columns=("a",),
        update_when="true",
        order_by=("b", "c"),
    )
    move = Move("upsert", (), ("id",), order_of(None, changes.order_by), max_delete_share=share, changes=changes)
    assert Options.parse(options_of(replace(JOB, move=move))).move(overwrite=False) == move


@pytest.mark.parametrize(
    ("job", "name"),
    [
        (replace(JOB, verify=True), "verify"),
        (replace(JOB, lock_timeout=3), "lock_timeout"),
        (replace(JOB, wait_for_load=3), "wait_for_load"),
        (replace(JOB, publish="parts"), "publish='parts'"),
        (replace(JOB, defined=Defined((), (), ("id",))), "indexes"),
        (replace(JOB, limits=Limits(replica_lag=10)), "max_replica_lag"),
        (replace(JOB, limits=Limits(wal_rate=1e6)), "max_wal_rate"),
        (replace(JOB, copying=Copying(2)), "parallelism"),
        (replace(JOB, nul="replace"), "nul"),
        (replace(JOB, scripts=scripts.parse("SELECT 1", None)), "before_sql"),
        (replace(JOB, scripts=scripts.parse(None, "SELECT 1")), "after_sql"),
        (replace(JOB, move=Move("overwrite", (), where="a > 1")), "overwrite_where"),
        (replace(JOB, move=Move("overwrite", (), ("id",), strategy="diff")), "overwrite_strategy"),
    ],
)
def test_what_pgcopy_lacks_is_refused(job: LoadJob, name: str) -> None:
    with pytest.raises(UsageError, match=f"load_dataframe has no {name}: pgcopy writes there"):
        check_supported(job)
