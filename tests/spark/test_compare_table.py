"""compare_table.py: a table against what it is to hold, by key, in one snapshot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from libpq import environment
from lineage_server import lineage_server
from pyspark.sql import DataFrame, SparkSession

from jobs.compare_table import DIFFERENT, main, parse
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.session import Session
from jobs.flows.compare import compare_dataframe

MADE = """
CREATE TABLE t AS SELECT n AS id, 'row ' || n AS name, n * 1.5 AS amount, ARRAY[n, NULL] AS numbers,
    CASE WHEN n % 3 = 0 THEN NULL ELSE n::float8 / 7 END AS ratio, DATE '2026-01-01' + n AS day,
    'code'::char(10) AS code, TIMESTAMPTZ '2026-01-01 00:00:00+00' + n * interval '1 hour' AS at
FROM generate_series(1, 5000) AS n
"""

SAME = """
SELECT CAST(id AS int) AS id, concat('row ', id) AS name, CAST(id * 1.5 AS decimal(20, 1)) AS amount,
    array(CAST(id AS int), NULL) AS numbers, IF(id % 3 = 0, NULL, CAST(id AS double) / 7) AS ratio,
    date_add(DATE'2026-01-01', CAST(id AS int)) AS day, 'code' AS code,
    timestamp_seconds(1767225600 + id * 3600) AS at
FROM range(1, 5001)
"""

Compare = Callable[..., list[list[Any]]]


@pytest.fixture
def source(spark: SparkSession, session: Session) -> DataFrame:
    """The rows of a table that is there."""
    session.run(MADE)
    return spark.sql(SAME)


@pytest.fixture
def compare(source: DataFrame, database: Settings) -> Compare:
    def run(df: DataFrame = source, keys: tuple[str, ...] = ("id",), sample: float = 1.0) -> list[list[Any]]:
        found = compare_dataframe(df, table="t", settings=database, keys=keys, sample=sample, parallelism=2)
        return sorted([list(row) for row in found.collect()], key=str)

    return run


def test_a_table_that_holds_its_source_has_no_difference(compare: Compare) -> None:
    assert compare() == []


def test_one_changed_cell_is_found_by_its_key_and_column(compare: Compare, session: Session) -> None:
    session.run("UPDATE t SET name = name || ' ' WHERE id = 4321")
    assert compare() == [[4321, "different", ["name"]]]


def test_a_null_that_changes_its_place_is_found(compare: Compare, source: DataFrame, session: Session) -> None:
    session.run("ALTER TABLE t ADD a int, ADD b int")
    session.run("UPDATE t SET a = 1")
    other = source.selectExpr("*", "CAST(NULL AS int) AS a", "1 AS b")
    assert len(compare(other)) == 5000


def test_a_microsecond_is_found_in_an_array_and_in_a_composite_type(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    """Spark's to_json writes milliseconds unless it is told otherwise."""
    session.run("CREATE TYPE stay AS (since timestamptz, till timestamp)")
    session.run("CREATE TABLE stays (id int, stay stay, instants timestamptz[])")
    moment = "2026-01-01 00:00:00.000001"
    session.run(f"INSERT INTO stays VALUES (1, '({moment}Z,{moment})', ARRAY['{moment}Z'::timestamptz])")
    stay = "named_struct('since', moment, 'till', timestamp_ntz'2026-01-01 00:00:00.{}')"

    def differing(text: str) -> list[list[str]]:
        moment = f"SELECT timestamp'2026-01-01 00:00:00.{text}Z' AS moment"
        made = f"SELECT 1 AS id, {stay.format(text)} AS stay, array(moment) AS instants FROM ({moment})"
        found = compare_dataframe(spark.sql(made), table="stays", settings=database, keys=["id"])
        return [row["columns"] for row in found.collect()]

    assert differing("000001") == []
    assert differing("000002") == [["stay", "instants"]]


def test_blanks_and_zeros_at_the_end_are_no_difference_within_arrays_and_composite_types(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    session.run("CREATE TYPE part AS (code char(5), n numeric)")
    session.run("CREATE TABLE parts (id int, one part, many part[], codes char(5)[], numbers numeric[])")
    session.run("INSERT INTO parts VALUES (1, '(ab,1.50)', ARRAY['(c,10)'::part, NULL], '{d,NULL}', '{3.00,0}')")

    def differing(code: str, number: str) -> list[list[str]]:
        one, other = (f"named_struct('code', '{c}', 'n', '{n}')" for c, n in ((code, number), ("c  ", "10.00")))
        columns = (
            f"{one} AS one, array({other}, NULL) AS many, array('d ', NULL) AS codes, array('3', '0.0') AS numbers"
        )
        found = compare_dataframe(
            spark.sql(f"SELECT 1 AS id, {columns}"), table="parts", settings=database, keys=["id"]
        )
        return [row["columns"] for row in found.collect()]

    assert differing("ab ", "1.5") == []
    assert differing("ab", "1.05") == [["one"]]


def test_rows_that_are_missing_extra_or_repeated_are_told_apart(compare: Compare, session: Session) -> None:
    session.run("DELETE FROM t WHERE id = 7")
    session.run("INSERT INTO t (id) VALUES (9000)")
    session.run("INSERT INTO t SELECT * FROM t WHERE id = 8")
    assert compare() == [[7, "missing", None], [8, "repeated", None], [9000, "extra", None]]


def test_a_sample_takes_the_same_keys_on_both_sides(compare: Compare, session: Session) -> None:
    assert compare(sample=0.2) == []
    session.run("UPDATE t SET ratio = -1")
    assert 0.1 < len(compare(sample=0.2)) / 5000 < 0.3


def test_what_cannot_be_compared_is_refused_by_column(compare: Compare, source: DataFrame) -> None:
    with pytest.raises(UsageError, match="'amount' is struct<"):
        compare(source.selectExpr("id", "named_struct('a', 1) AS amount"))
    with pytest.raises(UsageError, match="no unique column for other"):
        compare(source.selectExpr("id", "1 AS other"))
    with pytest.raises(UsageError, match="The key nothing is not in both"):
        compare(keys=("nothing",))


def test_the_job_tells_what_differs_and_ends_with_3(
    source: DataFrame, session: Session, database: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source.write.parquet(str(tmp_path / "source"))
    arguments = ["--source", str(tmp_path / "source"), "--table", "t", "--keys", "id", "--parallelism", "2"]
    assert main(arguments, environment(database)) == 0
    assert "5,000 rows of the source with 5,000 of t" in capsys.readouterr().out
    session.run("UPDATE t SET day = NULL WHERE id = 11")
    told = [*arguments, "--differences", str(tmp_path / "found"), "--report", str(tmp_path / "report.json")]
    with lineage_server() as server:
        assert main([*told, "--table", "public.t", "--lineage-url", server.url], environment(database)) == DIFFERENT
    assert server.kinds == ["START", "COMPLETE"]
    sides = [str(tmp_path / "source"), f"{database.dbname}.public.t"]
    assert [side["name"] for side in server.events[1]["inputs"]] == sides
    assert capsys.readouterr().out.splitlines()[-1] == "  different in day: 11"
    assert json.loads((tmp_path / "report.json").read_text())["keys"] == {"different": 1}
    assert source.sparkSession.read.parquet(str(tmp_path / "found")).count() == 1


@pytest.mark.usefixtures("source")
def test_a_table_of_another_server_is_a_source(session: Session, database: Settings) -> None:
    session.run("CREATE TABLE copy AS SELECT * FROM t WHERE id <> 3")
    [server] = database.servers
    url = f"postgresql://{database.user}@{server.host}:{server.port}/{database.dbname}"
    arguments = ["--source-url", url, "--source-table", "t", "--table", "copy", "--keys", "id"]
    assert main(arguments, environment(database)) == DIFFERENT
    assert main([*arguments, "--select", "SELECT * FROM source WHERE id <> 3"], environment(database)) == 0


@pytest.mark.parametrize("flag", [("--format", "csv"), ("--option", "header=true"), ("--schema", "id int")])
def test_what_says_how_files_are_read_is_refused_for_a_table_of_another_server(
    flag: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--source-url", "postgresql://me@old/shop", "--table", "t", "--keys", "id", *flag]
    with pytest.raises(SystemExit, match="2"):
        parse(arguments)
    assert f"argument {flag[0]}: not allowed with argument --source-url" in capsys.readouterr().err


def test_a_value_that_the_tables_type_does_not_have_is_no_null_and_no_other_number(
    spark: SparkSession, database: Settings, session: Session
) -> None:
    session.run("CREATE TABLE few (id int PRIMARY KEY, a int, b int, c int, d int)")
    session.run("INSERT INTO few VALUES (1, NULL, NULL, 1, 1), (2, 2, NULL, 2, NULL)")
    source = spark.sql(
        "SELECT * FROM VALUES (1, 'abc', 3000000000, 1.5D, 1.5), (2, '2', NULL, 2.0D, NULL) AS v (id, a, b, c, d)"
    )
    found = compare_dataframe(source, table="few", settings=database, keys=("id",)).collect()
    assert [tuple(row) for row in found] == [(1, "different", ["a", "b", "c", "d"])]
