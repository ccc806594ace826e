"""Files as a load reads them: a record that Spark cannot read fails the load, or is told of."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import types as t
from spark_settings import spark_settings

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import ConstraintViolated, LoadError, UsageError
from jobs.dbaccess.load.rejects.policy import Policy
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows import file_options
from jobs.flows.load.bad_rows.replay import replay
from jobs.flows.load.dataframe import load_dataframe
from jobs.flows.load.files import Files, read
from jobs.flows.load.job import LoadJob, new_load_id
from jobs.flows.load.sources import load as load_files
from jobs.flows.report import LoadReport
from jobs.spark.plans.folders import is_kept

Load = Callable[..., LoadReport]


@pytest.fixture
def load(spark: SparkSession, database: Settings, tmp_path: Path) -> Load:
    """Load the text of a file into the table t."""

    def run(text: str | bytes, file_format: str, *options: str, schema: str = "", select: str = "") -> LoadReport:
        path = tmp_path / f"rows.{file_format}"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        job = LoadJob(TableName("t"), database, new_load_id())
        return load_files(job, Files([str(path)], file_format, options, schema, select), lambda: spark)

    return run


def rows(session: Session) -> list[list[Any]]:
    return session.run("SELECT * FROM t ORDER BY 1")


MALFORMED = {
    "too many fields": ("csv", "id,name\n1,a\n2,secret,EXTRA\n", ""),
    "too few fields": ("csv", "id,name\n1,a\nsecret\n", ""),
    "a value of another type": ("csv", "id,name\n1,a\nsecret,b\n", "id INT, name STRING"),
    "a header of more columns": ("csv", "id,name,more\n1,secret\n", ""),
    "broken JSON, columns inferred": ("json", '{"id": 1}\n{"id": secret\n', ""),
    "broken JSON, columns given": ("json", '{"id": 1}\n{"id": secret\n', "id INT, name STRING"),
    "JSON of another type": ("json", '{"id": 1}\n{"id": "secret"}\n', "id INT, name STRING"),
    "a number that overflows": ("json", '{"id": 1}\n{"id": 99999999999}\n', "id INT"),
    "JSON that is not UTF-8": ("json", b'{"id": "secret\xff"}\n', "id STRING"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_record_fails_the_load_and_is_not_shown(
    load: Load, session: Session, case: str, capfd: pytest.CaptureFixture[str]
) -> None:
    file_format, text, schema = MALFORMED[case]
    session.run("CREATE TABLE t (id text, name text, more text)")
    options = ["header=true"] if file_format == "csv" else []
    with pytest.raises(LoadError, match=rf"^A record of file:///.*/rows\.{file_format} is malformed") as caught:
        load(text, file_format, *options, schema=schema)
    shown = capfd.readouterr()
    assert "secret" not in str(caught.value) + shown.out + shown.err
    assert rows(session) == []


@pytest.mark.parametrize("multi_line", ["true", "false"])
def test_a_malformed_record_is_found_also_in_columns_that_are_not_selected(
    load: Load, session: Session, multi_line: str
) -> None:
    session.run("CREATE TABLE t (id text)")
    with pytest.raises(LoadError, match="is malformed"):
        load("id,a,b\n1,2,3\n4\n", "csv", "header=true", f"multiLine={multi_line}", select="SELECT id FROM source")
    with pytest.raises(LoadError, match="is malformed"):
        load('{"id": 1, "a": "x"}\n', "json", schema="id INT, a INT", select="SELECT id FROM source")


THREE_OF_FIVE = "id,name\n1,a\n2,b,EXTRA\n3\nx,c\n5,e\n"


def test_dropped_records_are_counted(load: Load, session: Session, caplog: pytest.LogCaptureFixture) -> None:
    report = load(THREE_OF_FIVE, "csv", "header=true", "mode=DROPMALFORMED", schema="id INT, name STRING")
    assert (report.records_malformed, report.rows_inserted) == (3, 2)
    assert rows(session) == [[1, "a"], [5, "e"]]
    assert "3 records malformed: left out (mode=DROPMALFORMED)" in caplog.text
    assert "loaded 2 rows into public.t, malformed 3 in" in report.summary()


def test_records_that_are_null_in_part_are_counted(
    load: Load, session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    report = load(THREE_OF_FIVE, "csv", "header=true", "mode=PERMISSIVE", schema="id INT, name STRING")
    assert (report.records_malformed, report.rows_inserted) == (3, 5)
    assert rows(session) == [[1, "a"], [2, "b"], [3, None], [5, "e"], [None, "c"]]
    assert "3 records malformed: NULL in what Spark could not read (mode=PERMISSIVE)" in caplog.text


@pytest.mark.parametrize(("mode", "left"), [("DROPMALFORMED", [[1]]), ("PERMISSIVE", [[1], [None], [None]])])
def test_malformed_json_is_counted_also_where_columns_are_selected(
    load: Load, session: Session, mode: str, left: list[list[int | None]]
) -> None:
    text = '{"id": 1, "a": 1}\n{"id": broken\n{"a": "x"}\n'
    report = load(text, "json", f"mode={mode}", schema="id INT, a INT", select="SELECT id FROM source")
    assert report.records_malformed == 2
    assert rows(session) == left


def test_a_column_that_inference_made_for_what_it_could_not_read_is_refused(load: Load, session: Session) -> None:
    with pytest.raises(UsageError, match="Spark could not read some records"):
        load('{"id": 1}\nbroken\n', "json", "mode=PERMISSIVE")
    assert session.run("SELECT to_regclass('t')") == [[None]]


def test_a_field_that_has_the_name_of_sparks_own_column_is_data(load: Load, session: Session) -> None:
    load('{"id": 1, "_corrupt_record": "x"}\n', "json")
    assert session.run("SELECT id, _corrupt_record FROM t") == [[1, "x"]]


def test_the_text_of_malformed_records_is_loaded_where_a_column_is_named_for_it(load: Load, session: Session) -> None:
    options = ["mode=PERMISSIVE", "columnNameOfCorruptRecord=bad"]
    load('{"id": 1}\nbroken\n', "json", *options, schema="id INT, bad STRING")
    assert rows(session) == [[1, None], [None, "broken"]]


def test_a_file_without_a_header_is_loaded_by_its_schema(load: Load, session: Session) -> None:
    load("1,a\n2,b\n", "csv", schema="id INT, name STRING")
    assert rows(session) == [[1, "a"], [2, "b"]]


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ("id INTT, name", r"--schema 'id INTT, name' is not a list of columns: \[PARSE"),
        ("id NOSUCH", "is not a list of columns"),
        (
            "id INT, name VARCHAR(20)",
            r"has columns of CHAR or VARCHAR.*Write STRING.*--column-type 'name=varchar\(20\)'",
        ),
        ("id INT, names ARRAY<CHAR(2)>", "has columns of CHAR or VARCHAR"),
    ],
)
def test_a_schema_that_cannot_be_read_is_refused(load: Load, schema: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        load("1,a\n", "csv", schema=schema)


def test_a_schema_for_files_that_have_their_own_is_refused(load: Load) -> None:
    with pytest.raises(UsageError, match="--schema is for csv and json"):
        load("", "parquet", schema="id INT")


@pytest.mark.parametrize("schema", ["name STRING, id STRING", "id STRING, nom STRING", "id STRING"])
def test_a_header_that_is_not_the_schemas_is_refused_and_not_shown(load: Load, session: Session, schema: str) -> None:
    with pytest.raises(LoadError, match=r"^The header of file:///.*rows\.csv does not name the columns") as caught:
        load("id,name\n1,a\n", "csv", "header=true", schema=schema)
    assert "name, id" not in str(caught.value)
    assert session.run("SELECT to_regclass('t')") == [[None]]


def test_files_of_different_headers_are_not_read_by_place(
    spark: SparkSession, session: Session, database: Settings, tmp_path: Path
) -> None:
    (tmp_path / "1.csv").write_text("id,name\n1,a\n")
    (tmp_path / "2.csv").write_text("name,id\nb,2\n")
    files = Files([str(tmp_path)], "csv", ["header=true"])
    with pytest.raises(LoadError, match=r"^The header of file:///.*\.csv does not name the columns"):
        load_files(LoadJob(TableName("t"), database, "x"), files, lambda: spark)
    assert session.run("SELECT to_regclass('t')") == [[None]]


@pytest.mark.parametrize(("header", "names"), [(",b", ["_c0", "b"]), ("a,a", ["a0", "a1"]), ("Id,id", ["Id0", "id1"])])
def test_headers_that_spark_must_change_are_read_as_spark_names_them(
    load: Load, session: Session, header: str, names: list[str]
) -> None:
    load(f"{header}\n1,2\n", "csv", "header=true")
    quoted = ", ".join(f'"{name}"' for name in names)
    assert session.run(f"SELECT {quoted} FROM t") == [["1", "2"]]


@pytest.mark.parametrize("file_format", ["parquet", "orc"])
def test_files_with_other_columns_lose_none(
    spark: SparkSession, session: Session, database: Settings, tmp_path: Path, file_format: str
) -> None:
    """Spark's own default takes the columns of any one file."""
    source = str(tmp_path / "rows")
    for query in ("1 AS id, 'a' AS name", "2 AS Id, 0.5D AS price"):
        spark.sql(f"SELECT {query}").write.format(file_format).mode("append").save(source)
    load_files(LoadJob(TableName("t"), database, "x"), Files([source], file_format, []), lambda: spark)
    ids = next(name for name in ("id", "Id") if [name] in session.run(COLUMNS_OF_T))
    assert session.run(f'SELECT "{ids}", name, price FROM t ORDER BY 1') == [[1, "a", None], [2, None, 0.5]]


COLUMNS_OF_T = "SELECT attname FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0"


def test_files_whose_types_cannot_be_merged_are_refused(
    spark: SparkSession, database: Settings, tmp_path: Path
) -> None:
    source = str(tmp_path / "rows")
    for query in ("1 AS id", "DATE'2026-11-20' AS id"):
        spark.sql(f"SELECT {query}").write.mode("append").parquet(source)
    with pytest.raises(LoadError, match="columns of the same name whose types cannot be merged"):
        load_files(LoadJob(TableName("t"), database, "x"), Files([source], "parquet", []), lambda: spark)


def test_columns_and_fields_of_parquet_that_differ_in_case_alone_are_told(
    spark: SparkSession, database: Settings, tmp_path: Path
) -> None:
    with spark_settings(spark, {"spark.sql.caseSensitive": "true"}):
        for name, query in (("top", "1 AS Id, 2 AS id"), ("below", "array(named_struct('Id', 1, 'id', 2)) AS a")):
            spark.sql(f"SELECT {query}").write.parquet(str(tmp_path / name))
    for name in ("top", "below"):
        job = LoadJob(TableName("t"), database, "x")
        files = Files([str(tmp_path / name)], "parquet", [])
        with pytest.raises(LoadError, match=r"differ in case alone: \S*id\. .*--conf spark\.sql\.caseSensitive=true"):
            load_files(job, files, lambda: spark)


@pytest.mark.parametrize("file_format", ["parquet", "json"])
def test_a_column_of_the_files_that_a_folders_name_hides_is_told_of(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture, file_format: str
) -> None:
    spark.sql("SELECT 1 AS id, 'file' AS day").write.format(file_format).save(str(tmp_path / "rows" / "day=folder"))
    found = read(spark, Files([str(tmp_path / "rows")], file_format, []))
    assert [row["day"] for row in found.df.collect()] == ["folder"]
    assert "Both the files and the names of their folders have day" in caplog.text


def test_fields_of_json_that_come_and_go_are_columns_and_null_where_they_lack(load: Load, session: Session) -> None:
    records = [
        '{"id": 1, "n": 1, "at": {"x": 1}}',
        '{"id": 2, "n": "b", "at": {"y": "b"}, "more": [{"u": 1}, {"v": 2}]}',
        '{"id": 3}',
    ]
    load("\n".join(records), "json")
    assert session.run("SELECT id, n, at, more FROM t ORDER BY id") == [
        [1, "1", {"x": 1, "y": None}, None],
        [2, "b", {"x": None, "y": "b"}, [{"u": 1, "v": None}, {"u": None, "v": 2}]],
        [3, None, None, None],
    ]
    load('{"id": 4, "at": {"x": 4}}\n', "json")
    assert session.run("SELECT at FROM t WHERE id = 4") == [[{"x": 4}]]


def test_fields_of_json_that_differ_in_case_alone_are_told_and_read_where_spark_can(
    load: Load, session: Session, spark: SparkSession
) -> None:
    for records in ('{"Id": 1}\n{"id": 2}\n', '{"a": [{"b": {"Id": 1}}, {"b": {"id": 2}}]}\n'):
        with pytest.raises(LoadError, match=r"names differ in case alone: Id, id\."):
            load(records, "json")
    with spark_settings(spark, {"spark.sql.caseSensitive": "true"}):
        load('{"Id": 1}\n{"id": 2}\n', "json")
    assert session.run('SELECT "Id", id FROM t ORDER BY 1') == [[1, None], [None, 2]]


def test_a_quote_that_is_not_escaped_is_refused_and_a_doubled_one_is_read(load: Load, session: Session) -> None:
    """Spark would keep the quotes in the value."""
    session.run("CREATE TABLE t (id text, s text)")
    for options in ([], ["escape=\\"]):
        with pytest.raises(LoadError, match="holds a quote that is not escaped") as caught:
            load('id,s\n1,"a "secret" c"\n', "csv", "header=true", *options)
        assert "secret" not in str(caught.value)
    load('id,s\n1,"a ""secret"" c"\n2,5" pipe\n', "csv", "header=true")
    assert rows(session) == [["1", 'a "secret" c'], ["2", '5" pipe']]


def test_an_empty_file_is_refused(load: Load) -> None:
    with pytest.raises(UsageError, match="no columns"):
        load("", "json")


def test_every_option_that_spark_tells_of_is_known(spark: SparkSession) -> None:
    """Spark's own lists, which are not public."""
    spark_sql: Any = spark.sparkContext._jvm.org.apache.spark.sql  # type: ignore[union-attr]  # noqa: SLF001 - see above
    for file_format, options in {
        "csv": spark_sql.catalyst.csv.CSVOptions,
        "json": spark_sql.catalyst.json.JSONOptions,
        "parquet": spark_sql.execution.datasources.parquet.ParquetOptions,
        "orc": spark_sql.execution.datasources.orc.OrcOptions,
    }.items():
        names = options.getAllOptions().iterator()
        while names.hasNext():
            name = names.next()
            assert file_options.parse_options([f"{name}=x"], file_format) == {name: "x"}


def test_a_refused_row_is_told_with_its_file_its_place_and_its_column_and_its_value_if_that_is_wanted(
    spark: SparkSession, database: Settings, session: Session, tmp_path: Path
) -> None:
    session.run("CREATE TABLE t (id int, day date)")
    folder = tmp_path / "days of 100%"
    rows_of = spark.range(0, 3000, 1, 3).selectExpr("id", "if(id = 2500, '31/31/31', '2026-11-20') AS day")
    rows_of.write.parquet(str(folder))
    job = LoadJob(TableName("t"), database, new_load_id(), publish="staged")

    def told(job: LoadJob, file_format: str, path: Path, select: str = "") -> str:
        with pytest.raises(LoadError) as caught:
            load_files(
                job,
                Files([str(path)], file_format, ["header=true"] * (file_format == "csv"), "", select),
                lambda: spark,
            )
        return str(caught.value)

    first = told(job, "parquet", folder)
    assert re.search(
        r'The server refused a row: column "day": date/time field value out of range.* \(SQLSTATE 22008\)\. '
        r"The row: file:/\S*/days%20of%20100%25/part-00002-\S+\.parquet, row 501\.",
        first,
    )
    assert "31/31" not in first
    assert "Its value: day = '31/31/31'." in told(replace(job, show_values=True), "parquet", folder)
    (tmp_path / "rows.csv").write_text("id,day\n1,2026-11-20\n2,never\n")
    one_part = replace(job, publish="auto", show_values=True)
    assert re.search(
        r"/rows.csv, row 2 of part 0\. Its value: day = 'never'\.", told(one_part, "csv", tmp_path / "rows.csv")
    )
    select = "SELECT max(id) AS id, day FROM source GROUP BY day"
    assert re.search(r"SQLSTATE 22008\)\. The row: row \d+ of part \d+\. Nothing", told(job, "parquet", folder, select))
    shuffled = told(replace(job, show_values=True), "parquet", folder, select)
    assert re.search(r"The row: row \d+ of part \d+\. Its value: day = '31/31/31'\.", shuffled)
    assert session.run("SELECT count(*) FROM t") == [[0]]


def test_bad_rows_are_put_aside_with_their_files_and_the_others_are_loaded_once(
    spark: SparkSession, database: Settings, session: Session, tmp_path: Path
) -> None:
    session.run("CREATE TABLE t (id int, day date)")
    folder = tmp_path / "days of 100%"
    bad = "CASE WHEN id = 2500 THEN '31/31/31' WHEN id = 7 THEN 'never' ELSE '2026-11-20' END AS day"
    spark.range(0, 3000, 1, 3).selectExpr("id", bad).write.parquet(str(folder))
    policy = Policy("quarantine", max_errors=2)
    job = LoadJob(TableName("t"), database, "days'", policy=policy, verify=True)

    def put(job: LoadJob) -> LoadReport:
        return load_files(job, Files([str(folder)], "parquet", []), lambda: spark)

    with pytest.raises(
        LoadError,
        match=r"2 of 3,000 rows were rejected, and --max-error-rate allows 0.0005: "
        "1 datetime_out_of_range in day, 1 invalid_datetime in day",
    ):
        put(replace(job, policy=replace(policy, max_error_rate=0.0005)))
    assert session.run("SELECT to_regclass('t_rejects'), (SELECT count(*) FROM t)") == [[None, 0]]
    report = put(job)
    assert (report.rows_read, report.rows_inserted, report.rows_rejected) == (3000, 2998, 2)
    assert report.verified is not None
    assert report.verified.rows == 2998
    assert put(job).already_loaded
    told = report.summary().splitlines()[-1].strip()
    assert told.startswith("2 of 3,000 rows were rejected, and not loaded: SELECT * FROM public.t_rejects WHERE")
    stored = session.run(
        told.partition(": ")[2].replace("*", "file, file_row, column_name, reason, row", 1) + " ORDER BY file"
    )
    assert [row[1:] for row in stored] == [
        [8, "day", "invalid_datetime", {"id": "7", "day": "never"}],
        [501, "day", "datetime_out_of_range", {"id": "2500", "day": "31/31/31"}],
    ]
    assert re.fullmatch(r"file:/\S*/days%20of%20100%25/part-00000-\S+\.parquet", stored[0][0])
    assert session.run("SELECT count(*) FROM pg_class WHERE relname ~ '^pgjobs_(rows|parts|rejects)_'") == [[0]]


def test_rows_that_violate_constraints_are_put_aside_with_their_files_and_places_too(
    spark: SparkSession, database: Settings, session: Session, tmp_path: Path
) -> None:
    session.run("CREATE TABLE t (id int PRIMARY KEY, day date NOT NULL)")
    session.run("INSERT INTO t VALUES (2500, '2026-11-20')")
    folder = tmp_path / "days"
    day = "CASE WHEN id = 7 THEN 'never' WHEN id <> 1500 THEN '2026-11-20' END AS day"
    spark.range(0, 3000, 1, 3).selectExpr("id", day).write.parquet(str(folder))
    job = LoadJob(TableName("t"), database, "days", policy=Policy("quarantine"), verify=True)

    report = load_files(job, Files([str(folder)], "parquet", []), lambda: spark)
    assert (report.rows_read, report.rows_inserted, report.rows_rejected) == (3000, 2997, 3)
    found = [(row.reason, row.file[-60:], row.file_row) for row in report.rejects(spark).collect()]
    files = sorted(name[-60:] for name in spark.read.parquet(str(folder)).inputFiles())
    assert sorted(found) == [
        ("invalid_datetime", files[0], 8),
        ("not_null", files[1], 501),
        ("unique", files[2], 501),
    ]


@pytest.mark.parametrize(
    ("select", "place"),
    [
        pytest.param("", "row 501", id="files"),
        pytest.param("SELECT * FROM source WHERE id >= 1100", r"row 401 of part \d", id="--select"),
    ],
)
def test_the_error_for_a_row_that_violates_a_constraint_names_its_file_and_its_place(
    spark: SparkSession, database: Settings, session: Session, tmp_path: Path, select: str, place: str
) -> None:
    """Its place in the file if Spark knows it, which it does not of a query over the files; else that in its part."""
    session.run("CREATE TABLE t (id int PRIMARY KEY, day date NOT NULL)")
    folder = tmp_path / "days"
    spark.range(0, 3000, 1, 3).selectExpr("id", "IF(id <> 1500, DATE'2026-11-20', NULL) AS day").write.parquet(
        str(folder)
    )
    [name] = [Path(name).name for name in spark.read.parquet(str(folder)).inputFiles() if "part-00001" in name]
    job = LoadJob(TableName("t"), database, "days")
    with pytest.raises(ConstraintViolated) as failure:
        load_files(job, Files([str(folder)], "parquet", [], select=select), lambda: spark)
    told = str(failure.value)
    assert re.search(rf"The row: \S*/{re.escape(name)}, {place}\.", told), told
    assert "2026" not in told
    assert session.run("SELECT * FROM t") == []


def test_a_filter_keeps_the_place_of_a_row_in_its_file(
    spark: SparkSession, database: Settings, session: Session, tmp_path: Path
) -> None:
    session.run("CREATE TABLE t (id int PRIMARY KEY)")
    session.run("INSERT INTO t VALUES (2500)")
    spark.range(0, 3000, 1, 3).selectExpr("CAST(id AS int) AS id").write.parquet(str(tmp_path / "ids"))
    rows = spark.read.parquet(str(tmp_path / "ids")).where("id >= 2200")
    with pytest.raises(ConstraintViolated, match=r"The row: \S*/part-00002-\S*, row 501\."):
        load_dataframe(rows, table="t", settings=database)


def test_text_of_a_folders_name_is_not_changed(
    spark: SparkSession, session: Session, database: Settings, tmp_path: Path
) -> None:
    """Spark takes code=007 for the number 7: that may go into a column of numbers, and not into one of text."""
    for code, month in (("007", "01"), ("1e3", "12"), ("8", "02")):
        folder = tmp_path / "rows" / f"month={month}" / f"code={code}"
        folder.mkdir(parents=True)
        (folder / "a.csv").write_text("id\n1\n")
    files = Files([str(tmp_path / "rows")], "csv", ["header=true"])

    def load_rows(session_of_spark: SparkSession) -> None:
        load_files(LoadJob(TableName("t"), database, new_load_id()), files, lambda: session_of_spark)

    session.run("CREATE TABLE t (id text, code text, month int)")
    with pytest.raises(
        UsageError, match=r"'code' is a number to Spark in folders such as code=(007|1e3), and code is text"
    ):
        load_rows(spark)
    exact = spark.newSession()
    exact.conf.set("spark.sql.sources.partitionColumnTypeInference.enabled", "false")
    load_rows(exact)
    assert session.run("SELECT code, month FROM t ORDER BY 1") == [["007", 1], ["1e3", 12], ["8", 2]]


@pytest.mark.parametrize(
    ("text", "kind", "kept"),
    [
        *((text, t.IntegerType(), True) for text in ("0", "7", "-7", "2026")),
        *((text, t.IntegerType(), False) for text in ("007", "+7", "-0", "1_0", " 7")),
        *((text, t.DoubleType(), True) for text in ("0.0", "-1.5", "2026.25", "0.001")),
        *((text, t.DoubleType(), False) for text in ("1e3", "12D", "1.50", "0.0001", "12345678.5", "-.5")),
    ],
)
def test_a_number_of_a_folders_name_is_kept_if_spark_writes_it_as_it_is(
    text: str, kind: t.DataType, kept: bool
) -> None:
    assert is_kept(text, kind) == kept


@pytest.mark.parametrize("file_format", ["csv", "json"])
def test_records_that_spark_cannot_read_are_put_aside_too(
    spark: SparkSession, database: Settings, session: Session, tmp_path: Path, file_format: str
) -> None:
    session.run("CREATE TABLE t (id int, name varchar(5))")
    texts = {
        "csv": 'id,name\n1,a\n2,b,"x\ty"\nno,c\n4,too long\n5,e\n',
        "json": '{"id": 1, "name": "a"}\n{"id": 2\tb\n{"id": "no"}\n{"id": 4, "name": "too long"}\n{"id": 5}\n',
    }
    path = tmp_path / f"rows.{file_format}"
    path.write_text(texts[file_format])
    job = LoadJob(TableName("t"), database, "x", policy=Policy("quarantine"), verify=True)
    files = Files([str(path)], file_format, ["header=true"] * (file_format == "csv"), "id INT, name STRING")
    report = load_files(job, files, lambda: spark)
    assert (report.rows_read, report.rows_inserted, report.rows_rejected) == (5, 2, 3)
    found = report.rejects(spark).collect()
    assert [row.reason for row in found] == ["unparsable", "unparsable", "too_long"]
    assert [row.file for row in found] == [f"file://{path}"] * 3
    lines = texts[file_format].splitlines()[-4:]
    assert [json.loads(row.row)["record"] for row in found[:2]] == lines[:2]
    assert "read_rejects" not in report.to_json()
    assert [row[0] for row in rows(session)] == [1, 5]


def test_repaired_rejects_are_loaded_and_leave_their_table_and_others_remain(
    spark: SparkSession, database: Settings, session: Session
) -> None:
    session.run("CREATE TABLE t (id int PRIMARY KEY, day date, tags text[])")
    policy = Policy("quarantine")
    rows_of = spark.range(0, 5, 1, 1).selectExpr(
        "id", "if(id > 1, concat('x', id), '2026-11-20') AS day", "array('a,b') AS tags"
    )
    load_dataframe(rows_of, table="t", settings=database, load_id="x", on_error="quarantine")
    assert session.run("SELECT count(*) FROM t_rejects WHERE load_id = 'x'") == [[3]]
    session.run("""UPDATE t_rejects SET row = row || '{"day": "2026-11-21"}' WHERE row->>'id' IN ('2', '3')""")
    job = LoadJob(TableName("t"), database, "again", policy=policy)
    report = replay(job, "x", lambda: spark)
    assert (report.rows_read, report.rows_inserted, report.rows_rejected) == (3, 2, 1)
    assert session.run("SELECT id, day::text, tags FROM t WHERE id > 1 ORDER BY 1") == [
        [2, "2026-11-21", ["a,b"]],
        [3, "2026-11-21", ["a,b"]],
    ]
    assert session.run("SELECT load_id, row->>'day' FROM t_rejects") == [["x", "x4"]]
    with pytest.raises(UsageError, match=r"t_rejects has no rows of the load 'other'"):
        replay(job, "other", lambda: spark)

    def meanwhile() -> SparkSession:
        session.run("""UPDATE t_rejects SET row = row || '{"day": "2026-11-22"}'""")
        return spark

    with pytest.raises(LoadError, match=r"1 of 1 rows of public\.t_rejects were changed or loaded"):
        replay(replace(job, load_id="third"), "x", meanwhile)
    assert session.run("SELECT count(*) FROM t") == [[4]]
