"""A Spark with Iceberg's own JAR. Its catalog `lake` is a folder, and `memory` has views, too."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

PACKAGE = "snowpark_connect_deps_iceberg"
"""A wheel that holds JARs of Iceberg for Spark 3.5."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests of this folder where there is no Iceberg."""
    if find_spec(PACKAGE) is None:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="no Iceberg: run make test-lakes"))


@pytest.fixture(autouse=True)
def no_setting_of_spark_stays() -> None:
    """Iceberg's own procedures leave settings: catalogs, in which they find the files to rewrite."""


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A Spark that reads and writes tables of Iceberg."""
    import jvm

    spec = find_spec(PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    [jar] = Path(spec.origin).parent.glob("jars/iceberg-spark-runtime-3.5_2.12-*.jar")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = (
        SparkSession.builder.master("local[2,4]")
        .appName("pgjobs tests of lakes")
        .config("spark.jars", str(jar))
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.log.level", "ERROR")
        .config("spark.sql.session.timeZone", "America/New_York")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.warehouse.dir", str(tmp_path_factory.mktemp("warehouse")))
        .config("spark.sql.extensions", "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions")
        .config("spark.sql.catalog.lake", "org.apache.iceberg.spark.SparkCatalog")
        .config("spark.sql.catalog.lake.type", "hadoop")
        .config("spark.sql.catalog.lake.warehouse", str(tmp_path_factory.mktemp("lake")))
        .config("spark.sql.catalog.memory", "org.apache.iceberg.spark.SparkCatalog")
        .config("spark.sql.catalog.memory.catalog-impl", "org.apache.iceberg.inmemory.InMemoryCatalog")
        .config(map={**jvm.conf(), **jvm.WARM_WORKERS})
    )
    with pytest.MonkeyPatch.context() as patched:
        for name, value in jvm.environ().items():
            patched.setenv(name, value)
        session = builder.getOrCreate()
    yield session
    session.stop()
