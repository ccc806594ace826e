"""What scenarios share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobs.dbaccess.conninfo.settings import Settings

if TYPE_CHECKING:
    from faults import TrialOf
    from pyspark.sql import SparkSession


@pytest.fixture
def trial_of(spark: SparkSession, database: Settings, tmp_path: Path) -> TrialOf:
    """Begins a trial of some loads."""
    from faults import Trial  # which imports PySpark

    return Trial(spark, database, tmp_path, ()).of
