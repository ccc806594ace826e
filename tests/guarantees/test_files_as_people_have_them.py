"""Files as people have them: each value arrives, or one error names the file. docs/files.md has the table."""

from __future__ import annotations

import datetime as dt
import gzip
from collections.abc import Callable
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet as pq
from pyspark.sql import SparkSession

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import JobError, LoadError
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.load.files import Files, malformed_translated, read
from jobs.flows.load.job import LoadJob, new_load_id
from jobs.flows.load.sources import load as load_files
from jobs.flows.report import LoadReport

pd: Any = import_module("pandas")  # by its name, for it carries no types

Load = Callable[..., LoadReport]
Reads = Callable[..., list[list[Any]]]
Refused = Callable[..., str]


@pytest.fixture
def load(spark: SparkSession, database: Settings) -> Load:
    """Load files into the table t."""

    def run(path: Path, file_format: str, *options: str, schema: str = "", null_values: tuple[str, ...] = ()) -> Any:  # noqa: ANN401 - a report
        job = LoadJob(TableName("t"), database, new_load_id(), null_values=null_values)
        return load_files(job, Files([str(path)], file_format, options, schema), lambda: spark)

    return run


@pytest.fixture
def reads(spark: SparkSession) -> Reads:
    """Read files as a load does, with the names of the columns first. This costs less than a load."""

    def run(path: Path, file_format: str, *options: str, schema: str = "") -> list[list[Any]]:
        with malformed_translated():
            df = read(spark, Files([str(path)], file_format, options, schema)).df
            return [df.columns, *sorted([list(row) for row in df.collect()], key=str)]

    return run


@pytest.fixture
def refused(reads: Reads) -> Refused:
    """Return why files are refused."""

    def run(path: Path, file_format: str, *options: str, schema: str = "") -> str:
        with pytest.raises(JobError) as caught:
            reads(path, file_format, *options, schema=schema)
        return str(caught.value)

    return run


def written(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


FLIGHTS = (
    "\ufeffyear,dep_time,dep_delay,carrier,tailnum,air_time,time_hour\r\n"
    "2013,517,2,UA,N14228,227,2013-01-01T10:00:00Z\r\n"
    "2013,NA,NA,AA,NA,NA,2013-01-01T11:00:00Z\r\n"
    "2013,2359,-4.5,B6,N633JB,149.25,2013-07-01T03:00:00Z\r\n"
)


def test_flights_with_na_a_bom_and_windows_lines_in_two_members_of_a_gzip(
    load: Load, session: Session, tmp_path: Path
) -> None:
    session.run(
        "CREATE TABLE t (year int, dep_time smallint, dep_delay numeric, carrier text, tailnum text, air_time real, "
        "time_hour timestamptz); SET timezone = 'UTC'"
    )
    content = FLIGHTS.encode()
    packed = gzip.compress(content[:100]) + gzip.compress(content[100:])
    report = load(written(tmp_path / "flights.csv.gz", packed), "csv", "header=true", null_values=("NA",))
    assert report.rows_inserted == 3
    assert session.run("SELECT t::text FROM t ORDER BY time_hour") == [
        ['(2013,517,2,UA,N14228,227,"2013-01-01 10:00:00+00")'],
        ['(2013,,,AA,,,"2013-01-01 11:00:00+00")'],
        ['(2013,2359,-4.5,B6,N633JB,149.25,"2013-07-01 03:00:00+00")'],
    ]


def test_a_gzip_that_is_cut_short_or_is_none_is_refused_and_named(
    load: Load, refused: Refused, session: Session, tmp_path: Path
) -> None:
    rows = "".join(f"{number},{number * 7919 % 10007}\n" for number in range(20000))
    packed = gzip.compress(rows.encode())
    whole = written(tmp_path / "a" / "whole.csv.gz", packed)
    torn = written(tmp_path / "a" / "torn.csv.gz", packed[:-1000])
    session.run("CREATE TABLE t (a int, b int)")
    name = rf"({torn.name}|A file of the input)"  # Spark 3.5 does not say which
    with pytest.raises(LoadError, match=rf"{name} is cut short: its compressed data ends too early\. Nothing was"):
        load(whole.parent, "csv", schema="a INT, b INT")
    assert session.run("SELECT count(*) FROM t") == [[0]]
    assert "plain.json.gz is not compressed as its name says." in refused(
        written(tmp_path / "plain.json.gz", '{"a": 1}\n' * 9), "json", schema="a INT"
    )


def test_quotes_and_line_breaks_of_both_styles(load: Load, reads: Reads, session: Session, tmp_path: Path) -> None:
    doubled = 'id,größe\r\n1,"a ""b"", c"\r\n2,"line\nbreak\n"\r\n3,"\ufffd € 漢🎈"\r\n4,""\r\n5,\r\n6,"C:\\dir\\"\r\n'
    load(written(tmp_path / "doubled.csv", doubled), "csv", "header=true")
    assert session.run('SELECT "größe" FROM t ORDER BY id') == [
        *(['a "b", c'], ["line\nbreak\n"], ["\ufffd € 漢🎈"], [""], [None], ["C:\\dir\\"]),
    ]
    escaped = 'id,note\n1,"a \\"b\\", c"\n2,"C:\\\\dir\\\\"\n3,"x\ny"\n'
    assert reads(written(tmp_path / "escaped.csv", escaped), "csv", "header=true")[1:] == [
        *(["1", 'a "b", c'], ["2", "C:\\dir\\"], ["3", "x\ny"]),
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"C:\\dir, x"', "C:\\dir, x"),
        ("\\\\host\\share", "\\\\host\\share"),
        ('"{""a"": ""x\\\\n""}"', '{"a": "x\\\\n"}'),
        ('"say ""hi\\"""', 'say "hi\\"'),
        ('"a\\",b"', 'a",b'),
        ('"say \\"hi\\\\\\""', 'say "hi\\"'),
    ],
    ids=["a backslash", "two, without quotes", "JSON", "RFC 4180", "a comma", "backslashes"],
)
def test_how_quotes_are_escaped_is_found_out(reads: Reads, tmp_path: Path, text: str, value: str) -> None:
    path = written(tmp_path / "a.csv", f'id,s\n1,{text}\n2,""\n')
    assert reads(path, "csv", "header=true")[1:] == [["1", value], ["2", ""]]


@pytest.mark.parametrize(
    ("text", "doubled", "escaped"),
    [
        ('1,"\\\\host, x"\n', [["1", "\\\\host, x"]], [["1", "\\host, x"]]),
        ('1,"a\\"\n2,b"\n', [["1", "a\\"], ["2", 'b"']], [["1", 'a"\n2,b']]),
    ],
)
def test_a_csv_that_may_be_meant_in_two_ways_is_refused_until_one_is_given(
    reads: Reads, refused: Refused, tmp_path: Path, text: str, doubled: list[list[str]], escaped: list[list[str]]
) -> None:
    path = written(tmp_path / "a.csv", f"id,s\n{text}")
    told = refused(path, "csv", "header=true")
    assert f"The CSV files in {path} can be read in two ways: a backslash before a quote" in told
    assert "--option 'escape=\"' if quotes within values are doubled" in told
    assert "host" not in told.replace(str(path), "")
    assert reads(path, "csv", "header=true", 'escape="')[1:] == doubled
    assert reads(path, "csv", "header=true", "escape=\\")[1:] == escaped


@pytest.mark.parametrize(
    ("text", "options", "told"),
    [
        ("id,s\n1,x\r\n2,y\r\n", (), "end in \\r\\n, but the first line break of one is \\n"),
        ('"i\nd",s\r\n1,x\r\n2,\r\n', (), "end in \\r\\n, but the first line break of one is \\n"),
        ('"i\nd",s\r\n1,x\r\n2,\r\n', ("lineSep=\r\n",), ["x", None]),
        ("id,s\n1,x\r\n2,y\r\n", ("multiLine=false",), ["x", "y"]),
        ('id,s\r\n1,"x\ny"\r\n2,y\r\n', (), ["x\ny", "y"]),
        ('id,s\n1,"x\r\n\r"\n2,"y\r"\n', (), ["x\r\n\r", "y\r"]),
        ('id,s\r\n1,"x\ny"\n2,"z\r\n"', (), ["x\ny", "z\n"]),
        ("id,s\r\n1,x\n\r\n2,y\r\n", (), "end in \\n, but the first line break of one is \\r"),
        ("id,s\r\n1,x\n\r\n2,y\r\n", ("multiLine=false",), ["x", "y"]),
        ("id,s\r\n1,x\ny\r\n2,z\r\n", ("lineSep=\r\n",), ["x\ny", "z"]),
        ("id,s\r\n1,x\ny\r\n2,z\r\n", ("lineSep=\r\n", "multiLine=false"), "would not read what follows them"),
        ('"i\rd",s\n1,"x\ny"\n', (), "end in \\n, but the first line break of one is \\r"),
        ('"i\rd",s\n1,"x\ny"\n', ("lineSep=\n",), ["x\ny"]),
    ],
)
def test_no_line_end_becomes_a_part_of_a_value_and_none_of_a_value_ends_a_line(
    reads: Reads, refused: Refused, tmp_path: Path, text: str, options: tuple[str, ...], told: str | list[str | None]
) -> None:
    path = written(tmp_path / "a.csv", text)
    if isinstance(told, str):
        assert told in refused(path, "csv", "header=true", *options)
    else:
        assert [row[1] for row in reads(path, "csv", "header=true", *options)[1:]] == told


def test_text_in_another_encoding_is_refused_until_the_encoding_is_named(
    load: Load, reads: Reads, refused: Refused, session: Session, tmp_path: Path
) -> None:
    session.run("CREATE TABLE t (id int, name text)")
    latin1 = written(tmp_path / "latin1.csv", "id,name\n1,M\xfcller\n".encode("latin-1"))
    with pytest.raises(
        LoadError, match=r"^Text in name holds bytes that are not UTF-8\. The row: file:\S*/latin1\.csv"
    ):
        load(latin1, "csv", "header=true")
    assert load(latin1, "csv", "header=true", "encoding=ISO-8859-1").rows_inserted == 1
    assert session.run("SELECT name FROM t") == [["Müller"]]
    for name, content, encoding in (
        ("header.csv", "größe\n1\n".encode("latin-1"), "ISO-8859-1"),
        ("utf16.csv", "größe\n1\n".encode("utf-16"), "UTF-16"),
    ):
        path = written(tmp_path / name, content)
        assert f"The header of the files in {path} is not text in UTF-8." in refused(path, "csv", "header=true")
        assert reads(path, "csv", "header=true", f"encoding={encoding}") == [["größe"], ["1"]]
    path = written(tmp_path / "packed.csv", gzip.compress(b"a\n1\n"))
    assert "is not text in UTF-8. Nothing was loaded. Name its encoding" in refused(path, "csv", "header=true")


def test_lines_of_one_column_whose_line_ends_differ_are_not_merged(
    reads: Reads, refused: Refused, tmp_path: Path
) -> None:
    path = written(tmp_path / "a.csv", "name\r\nabc\ndef\nghi\r\n")
    assert f"Lines of the CSV files in {path} end in \\n, but the first" in refused(path, "csv", "header=true")
    assert reads(path, "csv", "header=true", "multiLine=false")[1:] == [["abc"], ["def"], ["ghi"]]


@pytest.mark.parametrize("multi_line", ["true", "false"])
def test_a_bom_is_no_part_of_a_name_or_a_value(reads: Reads, tmp_path: Path, multi_line: str) -> None:
    options = ("header=true", f"multiLine={multi_line}")
    path = written(tmp_path / "bom.csv", '\ufeff"größe",b\n1,x\n')
    assert reads(path, "csv", *options) == [["größe", "b"], ["1", "x"]]
    assert reads(path, "csv", *options, schema="`größe` INT, b STRING") == [["größe", "b"], [1, "x"]]
    path = written(tmp_path / "values.csv", "\ufeffä,x\nö,\ufeffy\n")
    assert reads(path, "csv", options[1], schema="a STRING, b STRING")[1:] == [["ä", "x"], ["ö", "\ufeffy"]]


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (",a\n0,1\n", ",a\n2,3\n", ""),  # by pandas, with its index
        (",a\n0,1\n", "a,\n1,0\n", "does not name the columns that are expected"),
        ("x0,x1\n0,1\n", "x1,x0\n1,0\n", "does not name the columns that are expected"),
        ("a,a,b\n0,1,2\n", "a,b,a\n0,2,1\n", "The header of the 2 files has a name twice"),
        ("a,b\n0,1\n", "a,b\n", ""),
        ("a,b\n0,1\n", "", ""),
    ],
)
def test_columns_are_not_mapped_by_place(
    reads: Reads, refused: Refused, tmp_path: Path, first: str, second: str, told: str
) -> None:
    written(tmp_path / "1.csv", first)
    written(tmp_path / "2.csv", second)
    if told:
        assert told in refused(tmp_path, "csv", "header=true")
    else:
        assert reads(tmp_path, "csv", "header=true")[1] == ["0", "1"]


JSON_LINES = [
    ("of Firehose", '{"a": 1}{"a": 2}\n', "of a line", ()),
    ("with commas", '{"a": 1},\n{"a": 2}\n', "of a line", ()),
    ("with NaN", '{"a": NaN}{"a": 2}\n', "of a line", ()),
    ("read as one value", '{"a": 1}\n{"a": 2}\n', "of the file, with multiLine=true", ("multiLine=true",)),
    ("torn", '{"a": 1}\n{"a": 2', "is malformed", ()),
    ("in Latin-1", '{"a": 1}{"a": 2}\n', "of a line", ("encoding=ISO-8859-1", "lineSep=\n")),
    ("an array over lines", '[\n{"a": 1},\n{"a": 2}\n]\n', "of a line", ()),
]


@pytest.mark.parametrize(("text", "told", "options"), [case[1:] for case in JSON_LINES], ids=[c[0] for c in JSON_LINES])
def test_no_json_value_is_passed_over(
    refused: Refused, tmp_path: Path, text: str, told: str, options: tuple[str, ...]
) -> None:
    path = written(tmp_path / "rows.json", text)
    reason = refused(path, "json", *options, schema="a DOUBLE")
    assert f"{path} " in reason
    assert told in reason


@pytest.mark.parametrize(
    "text", ["\\ud83d", "x\\uD83D y", "\\ude00\\ud83d", "\\\\\\ud83d", "\\ud83d\\ud83d\\ude00", "\\uDE00"]
)
def test_half_of_an_emoji_does_not_become_a_question_mark(refused: Refused, tmp_path: Path, text: str) -> None:
    path = written(tmp_path / "rows.json", f'{{"a": "{text}"}}\n')
    assert f"{path} has half of a surrogate pair" in refused(path, "json", schema="a STRING")


@pytest.mark.parametrize(
    "octets",
    [b"\xed\xa0\xbd", b"\xed\xb8\x80\xed\xa0\xbd", b"\xf0\x82\x82\xac", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80"],
)
def test_bytes_of_json_that_are_not_utf8_do_not_become_other_characters(
    refused: Refused, tmp_path: Path, octets: bytes
) -> None:
    path = written(tmp_path / "rows.json", b'{"a": "x' + octets + b'y"}\n')
    assert f"{path} has bytes that are not UTF-8" in refused(path, "json", schema="a STRING")


def test_characters_of_each_length_and_both_halves_of_cesu8_are_read(reads: Reads, tmp_path: Path) -> None:
    text = "\u00e9 \u07ff \u0800 \ud55c \ud7ff \ue000 \uffff \U00010000 \U0010ffff "
    path = written(tmp_path / "rows.json", f'{{"a": "{text}'.encode() + b'\xed\xa0\xbd\xed\xb8\x80"}\n')
    assert reads(path, "json", schema="a STRING")[1:] == [[f"{text}\U0001f600"]]


def test_whole_emojis_and_escaped_backslashes_are_read(reads: Reads, tmp_path: Path) -> None:
    lines = ['{"a": "\\ud83d\\ude00\\uD83D\\uDE00"}', '{"a": "\\\\ud83d x"}', '{"a": "\\\\\\ud83d\\ude00"}']
    path = written(tmp_path / "rows.json", "\n".join(lines))
    assert reads(path, "json", schema="a STRING")[1:] == [["\\ud83d x"], ["\\😀"], ["😀😀"]]


def test_json_with_a_bom_blank_lines_arrays_and_nested_fields(
    load: Load, reads: Reads, session: Session, tmp_path: Path
) -> None:
    lines = '\ufeff{"a": 1, "n": {"x": "}{"}}\r\n\n[{"a": NaN}, {"a": -0.0}]\n   \n{"n": {"y": [1]}}\n'
    load(written(tmp_path / "lines.json", lines), "json")
    assert session.run("SELECT a::text, n FROM t ORDER BY a, n") == [
        ["-0", None],
        ["1", {"x": "}{", "y": None}],
        ["NaN", None],
        [None, {"x": None, "y": [1]}],
    ]
    array = written(tmp_path / "array.json", '\ufeff[\n  {"a": 1},\n  {"a": 2}\n]\n')
    assert reads(array, "json", "multiLine=true") == [["a"], [1], [2]]


def test_what_pandas_writes(load: Load, session: Session, tmp_path: Path) -> None:
    at = pd.Series(pd.to_datetime(["2026-03-08 02:30:00.123456", None]))  # an hour that New York does not have
    frame = pd.DataFrame(
        {
            "text": ["größe\n", None],
            "n": pd.array([2**53 + 1, None], dtype="Int64"),
            "f": [-0.0, float("nan")],
            "kind": pd.Categorical(["x", None]),
            "at": at.astype("datetime64[us]"),
            "zoned": at.dt.tz_localize("Europe/Berlin").astype("datetime64[us, Europe/Berlin]"),
            "day": [dt.date(2026, 11, 22), None],
            "price": [Decimal("1.50"), None],
            "raw": [b"\x00\xff", None],
            "ok": pd.array([True, None], dtype="boolean"),
        }
    )
    frame.index = ["first", "second"]
    frame.to_parquet(tmp_path / "pandas.parquet")
    load(tmp_path / "pandas.parquet", "parquet")
    session.run("SET timezone = 'UTC'")
    first = (
        '("größe\n",9007199254740993,-0,x,"2026-03-08 02:30:00.123456","2026-03-08 01:30:00.123456+00",2026-11-22,1.50,'
        '"\\\\x00ff",t,first)'
    )
    rows = session.run('SELECT t::text FROM t ORDER BY "__index_level_0__"')
    assert rows == [[first], ["(,,,,,,,,,,second)"]]


def test_nanoseconds_of_pandas_are_exact_or_refused(
    load: Load, refused: Refused, session: Session, tmp_path: Path
) -> None:
    """Spark reads no timestamps of nanoseconds, which are pandas' default."""
    at = pd.Series(pd.to_datetime(["1969-12-31 23:59:59.999999", "2026-03-08 02:30:00.123456", None]))
    path = tmp_path / "ns" / "1.parquet"
    path.parent.mkdir()
    pd.DataFrame({"id": [1, 2, 3], "at": at, "zoned": at.dt.tz_localize("Asia/Tokyo")}).to_parquet(path)
    pd.DataFrame({"id": [4], "also at": at[1:2]}).to_parquet(path.with_name("2.parquet"), index=False)
    load(path.parent, "parquet")
    session.run("SET timezone = 'Asia/Tokyo'")
    assert session.run('SELECT at::text, zoned::text, "also at"::text FROM t ORDER BY id') == [
        ["1969-12-31 23:59:59.999999", "1969-12-31 23:59:59.999999+09", None],
        ["2026-03-08 02:30:00.123456", "2026-03-08 02:30:00.123456+09", None],
        [None, None, None],
        [None, None, "2026-03-08 02:30:00.123456"],
    ]
    pd.DataFrame({"at": pd.to_datetime(["2026-11-22 00:00:00.123456789"])}).to_parquet(path)
    reason = refused(path, "parquet")
    assert "The column at of file:" in reason
    assert f"{path} has nanoseconds, and PostgreSQL has microseconds." in reason
    pq.write_table(pa.table({"l": pa.array([[1]], pa.list_(pa.timestamp("ns")))}), path)
    reason = refused(path, "parquet")
    assert f"{path} has columns of a type that Spark cannot read, TIMESTAMP(NANOS,false): element." in reason
    assert "coerce_timestamps='us'" in reason


def test_what_arrow_writes(load: Load, session: Session, tmp_path: Path) -> None:
    table = pa.table(
        {
            "dictionary": pa.array(["a", "b"]).dictionary_encode(),
            "large": pa.array(["a", None], pa.large_string()),
            "u8": pa.array([255, None], pa.uint8()),
            "u16": pa.array([65535, None], pa.uint16()),
            "u32": pa.array([2**32 - 1, None], pa.uint32()),
            "u64": pa.array([2**64 - 1, None], pa.uint64()),
            "f": pa.array([float("inf"), float("nan")]),
            "d38": pa.array([Decimal("-" + "9" * 28 + "." + "9" * 10), None], pa.decimal128(38, 10)),
            "d256": pa.array([Decimal("1.5"), None], pa.decimal256(38, 1)),
            "far": pa.array([2932897, None], pa.int32()).cast(pa.date32()),
            "ms": pa.array([1, None], pa.timestamp("ms", "UTC")),
            "took": pa.array([1500, None], pa.duration("us")),
            "list": pa.array([[1, None], []], pa.list_(pa.int16())),
            "struct": pa.array([{"a": 1, "b": "x"}, None], pa.struct([("a", pa.int8()), ("b", pa.string())])),
            "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
        }
    )
    for codec in ("zstd", "lz4", "gzip", "none"):
        pq.write_table(table, tmp_path / f"{codec}.parquet", compression=codec, data_page_version="2.0")
    load(tmp_path, "parquet")
    session.run("SET timezone = 'UTC'")
    assert session.run("SELECT t::text, count(*)::int FROM t GROUP BY t::text ORDER BY 1") == [
        [
            "(a,a,255,65535,4294967295,18446744073709551615,Infinity,-"
            + "9" * 28
            + "."
            + "9" * 10
            + ",1.5,10000-01-01,"
            '"1970-01-01 00:00:00.001+00",1500,"{1,NULL}","{""a"": 1, ""b"": ""x""}","{""k"": 1}")',
            4,
        ],
        ["(b,,,,,,NaN,,,,,,{},,)", 4],
    ]


def test_a_column_of_the_type_null_is_read_as_nulls_and_hides_no_value_of_other_files(
    spark: SparkSession, load: Load, refused: Refused, session: Session, tmp_path: Path
) -> None:
    """Spark 3.5 takes it for integers."""
    nulls = tmp_path / "rows" / "nulls.parquet"
    nulls.parent.mkdir()
    pd.DataFrame({"id": [1, 2], "at": [None, None]}).to_parquet(nulls)
    assert pq.read_schema(nulls).field("at").type == pa.null()
    is_void = dict(read(spark, Files([str(nulls)], "parquet", [])).df.dtypes)["at"] == "void"
    if is_void:
        with pytest.raises(JobError, match="No table can be created for the data: 'at' is a void"):
            load(nulls, "parquet")
    session.run(f"CREATE TABLE t (id int, at {'timestamptz' if is_void else 'int'})")
    load(nulls, "parquet")
    assert session.run("SELECT * FROM t ORDER BY id") == [[1, None], [2, None]]
    for name in ("a.parquet", "z.parquet"):  # before and after the other one
        pq.write_table(pa.table({"id": [3], "at": [dt.date(2026, 11, 20)]}), nulls.parent / name)
        assert "whose types cannot be merged" in refused(nulls.parent, "parquet")
        (nulls.parent / name).unlink()


def test_types_and_codecs_of_parquet_that_spark_cannot_read_are_named(refused: Refused, tmp_path: Path) -> None:
    def path_of(column: pa.Array, **how: Any) -> Path:  # noqa: ANN401 - as write_table
        pq.write_table(pa.table({"x": column, "id": [1] * len(column)}), tmp_path / "x.parquet", **how)
        return tmp_path / "x.parquet"

    told = "/x.parquet has columns of a type that Spark cannot read, "
    assert f"{told}TIME(MILLIS" in refused(path_of(pa.array([1], pa.time32("ms"))), "parquet")
    digits = path_of(pa.array([Decimal("1" * 50)], pa.decimal256(50, 0)))
    assert f"{told}DECIMAL of more than 38 digits: x." in refused(digits, "parquet")
    brotli = path_of(pa.array([1]), compression="brotli")
    assert "x.parquet is compressed by Brotli, which this Spark cannot read." in refused(brotli, "parquet")
    time = path_of(pa.array([dt.time(12, 34, 56, 789)], pa.time64("us")))
    assert f"{told}TIME(MICROS" in refused(time, "parquet")


def test_old_dates_and_timestamps_are_not_shifted(
    spark: SparkSession, load: Load, session: Session, tmp_path: Path
) -> None:
    old = spark.newSession()
    old.conf.set("spark.sql.parquet.outputTimestampType", "INT96")
    old.conf.set("spark.sql.parquet.writeLegacyFormat", "true")
    for kind in ("int96", "datetime"):
        old.conf.set(f"spark.sql.parquet.{kind}RebaseModeInWrite", "LEGACY")
    rows = old.sql(
        "SELECT DATE'1001-01-01' AS day, TIMESTAMP'1500-02-28 12:34:56.789012Z' AS at, 1.50BD AS price, array(1) AS a"
    )
    rows.write.parquet(str(tmp_path / "spark"))
    load(tmp_path / "spark", "parquet")
    session.run("SET timezone = 'UTC'")
    stored = [['(1001-01-01,"1500-02-28 12:34:56.789012+00",1.50,{1})']]
    assert session.run("SELECT t::text FROM t") == stored
    days = pa.array([dt.date(1001, 1, 1), dt.date(2026, 1, 1)])
    ats = pa.array([-(3 * 10**15), 10**15], pa.timestamp("us", "UTC"))  # in 1874 and 2001
    tables = {"day": pa.table({"day": days}), "at": pa.table({"at": ats})}
    for name, table in tables.items():
        (tmp_path / name).mkdir()
        pq.write_table(table, tmp_path / name / "arrow.parquet", use_deprecated_int96_timestamps=True)
    session.run("TRUNCATE t")
    for name, option in (("day", "datetimeRebaseMode"), ("at", "int96RebaseMode")):
        with pytest.raises(
            LoadError, match=r"/arrow\.parquet has dates before 1582-10-15, .* by which calendar"
        ) as caught:
            load(tmp_path / name, "parquet")
        assert f"{option}" in str(caught.value)
        assert session.run("SELECT count(*) FROM t") == [[0]]
    load(tmp_path / "day", "parquet", "datetimeRebaseMode=CORRECTED")
    load(tmp_path / "at", "parquet", "int96RebaseMode=CORRECTED")
    assert session.run("SELECT min(day)::text, min(at)::text FROM t") == [["1001-01-01", "1874-12-07 18:40:00+00"]]


def test_files_that_spark_would_leave_out_are_told_of(reads: Reads, refused: Refused, tmp_path: Path) -> None:
    folder = tmp_path / "rows"
    written(folder / "a.csv", "1\n")
    for name in ("_SUCCESS", ".a.csv.crc", "_temporary/0/b.csv"):
        written(folder / name, "")
    assert reads(folder, "csv", schema="a INT") == [["a"], [1]]
    hidden = written(tmp_path / "_rows.csv", "1\n")
    assert f"Spark takes {hidden} for a marker" in refused(hidden, "csv", schema="a INT")
    written(folder / "2026" / "b ü.csv", "2\n")
    assert "Spark reads no subfolders, and there is file:" in refused(folder, "csv", schema="a INT")
    assert reads(folder, "csv", "recursiveFileLookup=true", schema="a INT")[1:] == [[1], [2]]
    assert reads(folder, "csv", "recursiveFileLookup=false", schema="a INT")[1:] == [[1]]
    assert "There is no file to read" in refused(folder, "csv", "pathGlobFilter=*.cvs", schema="a INT")
    (tmp_path / "empty").mkdir()
    for file_format, schema in (("csv", "a INT"), ("json", ""), ("parquet", "")):
        assert "There is no file to read" in refused(tmp_path / "empty", file_format, schema=schema)


def test_a_folder_of_several_formats_is_refused(refused: Refused, tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": ["x"]}), tmp_path / "a.parquet")
    written(tmp_path / "b.csv", "a\nx\n")
    assert "b.csv is not a Parquet file, or is cut short" in refused(tmp_path, "parquet")
    assert "a.parquet does not name the columns" in refused(tmp_path, "csv", "header=true", schema="a STRING")
    assert "is malformed" in refused(tmp_path, "json", schema="a STRING")
    (tmp_path / "b.csv").write_text("")
    assert "b.csv is not a Parquet file, or is cut short" in refused(tmp_path, "parquet")
