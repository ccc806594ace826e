"""The place of a row in its file."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from jobs.spark.origins import with_place


def test_the_place_of_a_row_is_known_for_parquet_alone_and_asking_logs_nothing(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pysparks = logging.getLogger("DataFrameQueryContextLogger")
    monkeypatch.setattr(pysparks, "handlers", [*pysparks.handlers, caplog.handler])
    folder = str(tmp_path / "rows")
    spark.range(3).coalesce(1).write.parquet(folder)
    (tmp_path / "rows.csv").write_text("1\n2\n")
    parquet = spark.read.parquet(folder)
    text = spark.read.schema("id INT").csv(str(tmp_path / "rows.csv"))

    def places(df: DataFrame) -> list[int | None]:
        return sorted((row[-1] for row in with_place(df).collect()), key=str)

    assert places(parquet) == [0, 1, 2]
    assert places(parquet.where("id > 0").selectExpr("id + 1 AS one")) == [1, 2]
    assert places(text) == [None, None]
    assert places(parquet.groupBy("id").count()) == [None] * 3
    assert places(parquet.join(parquet.withColumnRenamed("id", "other"))) == [None] * 9
    assert places(parquet.selectExpr("id AS _metadata")) == [None] * 3
    assert caplog.text == ""
