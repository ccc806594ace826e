"""What tests of extracts to files share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from extracts import Target
from pyspark.sql import SparkSession

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.sql import TableName
from jobs.flows.extract.job import ExtractReport, FilesJob, run
from jobs.flows.extract.plan import Wanted

T = TableName("t")


@pytest.fixture
def to_files(spark: SparkSession, database: Settings, tmp_path: Path) -> Target:
    """Extract the table t into a folder, `out`."""

    def extract_files(mode: str = "error", ordinal: str = "", mark: str = "", **wanted: Any) -> ExtractReport:  # noqa: ANN401 - as Wanted
        target, restart = str(tmp_path / "out"), wanted.pop("restart", False)
        deletes = wanted.pop("deletes", False)
        job = FilesJob(Wanted(T, **wanted), database, target, "parquet", mode, {}, ordinal, mark, restart, deletes)
        return run(job, lambda: spark)

    return extract_files
