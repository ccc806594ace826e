"""Why pgcopy takes no filters from Spark. When this fails, Spark has become right, and pgcopy can take them again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import pytest
from pyspark.sql import SparkSession
from spark_settings import spark_settings

pytest.importorskip("pyspark.sql.datasource", reason="Python data sources are Spark 4's")

if TYPE_CHECKING:
    from pyspark.sql.datasource import DataSource, Filter, InputPartition


def three_ids() -> type[DataSource]:
    """A source of the ids 1 to 3 that takes filters `id = n`. It is made here for workers cannot import this module."""
    from pyspark.sql.datasource import DataSource, DataSourceReader, EqualTo

    class Reader(DataSourceReader):
        ids: tuple[int, ...] = (1, 2, 3)

        def pushFilters(self, filters: list[Filter]) -> Iterable[Filter]:  # noqa: N802 - Spark's name
            for found in filters:
                if isinstance(found, EqualTo):
                    self.ids = (found.value,)
                else:
                    yield found

        def read(self, partition: InputPartition) -> Iterator[tuple[int]]:  # noqa: ARG002 - Spark's signature
            return iter([(number,) for number in self.ids])

    class ThreeIds(DataSource):
        @classmethod
        def name(cls) -> str:
            return "three_ids"

        def schema(self) -> str:
            return "id int"

        def reader(self, schema: object) -> DataSourceReader:  # noqa: ARG002 - Spark's signature
            return Reader()

    return ThreeIds


@pytest.mark.usefixtures("pushing")
def test_spark_applies_a_pushed_filter_to_other_actions_on_the_same_dataframe(spark: SparkSession) -> None:
    spark.dataSource.register(three_ids())
    df = spark.read.format("three_ids").load()
    assert df.where("id = 1").count() == 1
    assert df.count() == 1, "Spark is right: 3. Give pgcopy its pushFilters back (it went with this test's commit)."


@pytest.fixture
def pushing(spark: SparkSession) -> Iterator[None]:
    if spark.version < "4.1":
        pytest.skip("Spark pushes filters into Python data sources from 4.1 on")
    with spark_settings(spark, {"spark.sql.python.filterPushdown.enabled": "true"}):
        yield
