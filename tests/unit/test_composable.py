"""What a release does not have is refused by the name of its flag."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load import scripts
from jobs.dbaccess.load.definitions.columns import Definition
from jobs.dbaccess.load.move.modes import MODES, Move
from jobs.dbaccess.sql import TableName
from jobs.flows.load.defined import Defined
from jobs.flows.load.job import LoadJob
from jobs.flows.load.together.composable import check_composable

SETTINGS = Settings("d", "u")


def job(**given: Any) -> LoadJob:  # noqa: ANN401 - as LoadJob takes them
    return LoadJob(TableName("t", "s"), SETTINGS, "x", **given)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"move": Move("replace-partitions", ())}, "--mode replace-partitions"),
        ({"move": Move("overwrite", (), strategy="truncate")}, "--overwrite-strategy truncate"),
        ({"move": Move("append", (), new_partitions="day")}, "--new-partitions"),
        ({"publish": "parts"}, "--publish parts"),
        ({"keep_staging": 60.0}, "--keep-staging"),
        ({"scripts": scripts.parse("SELECT 1", None)}, "--before-sql and --after-sql"),
        ({"defined": Defined(metadata=(Definition("a", "int"),))}, "--metadata-columns"),
        ({"defined": Defined(schema_mode="widen")}, "--schema-mode"),
    ],
)
def test_what_a_release_does_not_have_is_refused_by_name(given: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=rf"^A release has no {told}: .* or load s\.t by itself\."):
        check_composable(job(**given))


def test_what_a_table_is_to_be_that_the_release_creates_goes_with_it() -> None:
    check_composable(job(defined=Defined(types=(Definition("a", "int"),), indexes=("a",), not_null=True)))


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "replace-partitions"])
def test_all_other_modes_go_together(mode: str) -> None:
    check_composable(job(move=Move(mode, ())))
