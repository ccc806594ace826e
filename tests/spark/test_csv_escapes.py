"""Tables as people write them to CSV: how they escape quotes is found out, or the files are refused."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as f

from jobs.dbaccess.errors import LoadError
from jobs.flows.load.files import Files, read
from jobs.spark.sources.csv_escapes import Evidence, evidence, impossible_by

Rows = Sequence[Sequence[str]]
Write = Callable[[Rows, str], str]

VALUES = st.text(st.sampled_from('ab" \\\n,;|é'), max_size=8)
TABLES = st.lists(st.lists(VALUES, min_size=2, max_size=2), min_size=1, max_size=6)


def doubled(rows: Rows, separator: str) -> str:
    """RFC 4180: values with special characters are enclosed, others are not."""
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator="\n").writerows(rows)
    return text.getvalue()


def escaped(rows: Rows, separator: str) -> str:
    """As MySQL writes it. Python's module, before 3.11, does not escape backslashes."""
    texts = ([value.replace("\\", "\\\\").replace('"', '\\"') for value in row] for row in rows)
    return "".join(separator.join(f'"{text}"' for text in row) + "\n" for row in texts)


WRITERS: list[Write] = [doubled, escaped]


def test_no_text_of_a_table_is_taken_for_impossible_in_the_way_it_is_written(spark: SparkSession) -> None:
    """Thousands of lines in one job, also those within values of several lines."""
    lines = [
        (write.__name__, line) for rows in some_tables(500) for write in WRITERS for line in text_lines(write, rows)
    ]
    backslash, quotes = (f.col("line").rlike(pattern) for pattern in impossible_by('"', ","))
    is_escaped = f.col("way") == "escaped"
    wrong, right = f.when(is_escaped, backslash).otherwise(quotes), f.when(is_escaped, quotes).otherwise(backslash)
    df = spark.createDataFrame(lines, "way STRING, line STRING")
    counted = df.groupBy("way").agg(f.count_if(wrong), f.count_if(right)).collect()
    assert len(counted) == len(WRITERS)
    for way, impossible, told in counted:
        assert (way, impossible) == (way, 0)
        assert told > 0


def some_tables(number: int) -> Iterator[Rows]:
    draw = Random(17)  # noqa: S311 - no secret
    for _ in range(number):
        yield [["".join(draw.choices('ab"" \\\n,', k=draw.randint(0, 12))) for _ in range(3)] for _ in range(3)]


def text_lines(write: Write, rows: Rows) -> list[str]:
    return write(rows, ",").split("\n")


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=TABLES, separator=st.sampled_from(",;\t|"), write=st.sampled_from(WRITERS))
def test_any_table_is_read_as_it_was_written_or_refused(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, rows: Rows, separator: str, write: Write
) -> None:
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    numbered = [["id", "a", "b"], *([str(place), *row] for place, row in enumerate(rows))]
    path.write_bytes(write(numbered, separator).encode())
    try:
        df = read(spark, Files([str(path)], "csv", ("header=true", f"sep={separator}"))).df
    except LoadError as error:
        assert "can be read in two ways" in str(error)  # noqa: PT017 - either is well
        return
    empty = None if write is doubled else ""
    wanted = [[str(place), *(value or empty for value in row)] for place, row in enumerate(rows)]
    assert sorted([list(row) for row in df.collect()], key=lambda row: int(row[0])) == wanted


@pytest.mark.parametrize(
    ("text", "options", "told"),
    [
        ('1,"a ""b"" \\\\"\n', {}, Evidence(False, True, True, False)),
        ('1,"""b"" \\\\ c"\n', {}, Evidence(False, True, True, False)),
        ('1,"a 5"" \\\\ pipe"\n', {}, Evidence(False, True, True, False)),
        ('1,"\\"b\\" c"\n', {}, Evidence(False, True, False, True)),
        ('1,"a 5\\" pipe"\n', {}, Evidence(False, True, False, True)),
        ('1,"a ""b"" \\\\"\n2,"a \\"b\\""\n', {}, Evidence(False, True, True, False)),
        ('1,"a\\",b"\n', {}, Evidence(False, True, False, False)),
        ('1,"",""x\n2,"\\\\"\n', {}, Evidence(False, True, False, False)),
        ("1,\\\\host\\share\n", {}, Evidence(False, False)),
        ('1,"C:\\dir"\n', {}, Evidence(False, False)),
        ('1;"a ""b"" \\\\"\n', {}, Evidence(False, True, False, False)),
        ('1;"a ""b"" \\\\"\n', {"SEP": ";"}, Evidence(False, True, True, False)),
        ("1,'a ''b'' \\\\'\n", {}, Evidence(False, False)),
        ('1||"a ""b"" \\\\"\n', {"delimiter": "||"}, Evidence(False, True)),
        ('#,"a ""b"" \\\\"\n', {"comment": "#"}, Evidence(False, True)),
        ("a\r\nb\r\n", {}, Evidence(False, False)),
        ("a\nb\r\n", {}, Evidence(True, False)),
        ('"a\rb"\n', {}, Evidence(True, False)),
        ('1,"a"\n', {"encoding": "UTF-16"}, Evidence(True, True)),
    ],
)
def test_what_the_text_says_of_how_quotes_are_escaped(
    spark: SparkSession, tmp_path: Path, text: str, options: dict[str, str], told: Evidence
) -> None:
    (tmp_path / "a.csv").write_bytes(text.encode())
    assert evidence(spark, [str(tmp_path)], options, '"') == told


@pytest.mark.parametrize(
    ("text", "read_as"),
    [
        ('id,s\n1,"{\n""a"": ""x\\\\n""\n}"\n', '{\n"a": "x\\\\n"\n}'),
        ('id,s\n1,"{\n\\"a\\": \\"x\\"\n}"\n', '{\n"a": "x"\n}'),
        ('id,s\n1,"say \\"hi\\""\n', 'say "hi"'),
    ],
)
def test_no_job_of_spark_fails_whose_error_would_quote_a_record(
    spark: SparkSession, tmp_path: Path, text: str, read_as: str
) -> None:
    (tmp_path / "a.csv").write_text(text)
    group = str(tmp_path)
    spark.sparkContext.setJobGroup(group, "reads a CSV")
    try:
        [row] = read(spark, Files([str(tmp_path)], "csv", ("header=true",))).df.collect()
    finally:
        spark.sparkContext.setLocalProperty("spark.jobGroup.id", None)  # type: ignore[arg-type]  # which clears it
    assert list(row) == ["1", read_as]
    tracker = spark.sparkContext.statusTracker()
    jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(group)]
    assert len(jobs) > 1
    assert {job.status for job in jobs if job} == {"SUCCEEDED"}


@pytest.mark.parametrize("escape", ["", "escape=\\", 'escape="'])
def test_nul_in_a_quoted_value_is_not_dropped(spark: SparkSession, tmp_path: Path, escape: str) -> None:
    """The load refuses it, or removes it if that is wanted."""
    (tmp_path / "a.csv").write_bytes(b'a,b\r\n1,"x\0y"\r\n')
    df = read(spark, Files([str(tmp_path)], "csv", ("header=true", *filter(None, [escape])))).df
    assert [list(row) for row in df.collect()] == [["1", "x\0y"]]
