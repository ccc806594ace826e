"""copy_table.py with work for Spark on the way."""

from __future__ import annotations

import pytest
from libpq import environment
from pyspark.sql import SparkSession

from jobs import copy_table
from jobs.copy_table import main
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.session import Session


def test_a_query_of_spark_is_copied_and_once_and_not_into_its_own_table(
    spark: SparkSession, session: Session, database: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    session.run("CREATE TABLE orders (day int, total int); INSERT INTO orders VALUES (1, 10), (1, 5), (2, 1), (3, 9)")
    server = database.servers[0]
    url = f"postgresql://{database.user}@{server.host}:{server.port}/{database.dbname}"
    query = "SELECT day, CAST(sum(total) AS int) AS total FROM source GROUP BY day"
    arguments = ["--source-url", url, "--source-table", "orders", "--filter", "day < 3", "--select", query]
    arguments += ["--table", "public.totals", "--load-id", "totals/1"]
    assert main(arguments, environment(database)) == 0
    assert session.run("SELECT day, total FROM totals ORDER BY 1") == [[1, 15], [2, 1]]
    assert capsys.readouterr().out.startswith("copied 2 rows into public.totals in ")
    assert main(arguments, environment(database)) == 0
    assert "already copied" in capsys.readouterr().out
    with pytest.raises(UsageError, match=r"public\.orders would be copied into itself"):
        copy_table("orders", source=database, settings=database, select="SELECT * FROM source", spark=spark)
