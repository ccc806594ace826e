"""What Spark 3.5 and 4.1 say of files becomes a sentence that names the file and says what to do."""

from __future__ import annotations

import re

import pytest

from jobs.dbaccess.errors import JobError
from jobs.flows.load.reading.file_errors import file_error, unknown_calendar, unreadable_columns, unreadable_type
from jobs.spark.sources.listing import is_mark
from jobs.spark.sources.parquet_footers import named

OLD = "Encountered error while reading file {file}. Details:"
NEW = "[FAILED_READ_FILE.NO_HINT] Encountered error while reading file {file}.  SQLSTATE: KD001"
FILE = "s3://b/a%20b.csv.gz"


@pytest.mark.parametrize("start", [OLD, NEW])
@pytest.mark.parametrize(
    ("cause", "told"),
    [
        ("java.io.EOFException: Unexpected end of input stream", "is cut short: its compressed data ends too early. "),
        ("java.io.IOException: not a gzip file", "is not compressed as its name says. "),
        ("java.io.IOException: stored gzip CRC does not match decompressed content", "is damaged: its checksums "),
        ("java.lang.RuntimeException: s3://b/x is not a Parquet file. Expected magic", "is not a Parquet file, or is "),
        ("java.io.IOException: Malformed ORC file s3://b/x. Invalid postscript.", "pathGlobFilter='*.orc' reads"),
        (
            "BadConfigurationException: Class org.apache.hadoop.io.compress.BrotliCodec was not found",
            "by Brotli, which",
        ),
        ("java.lang.UnsupportedOperationException: Unsupported encoding: X", "cannot be read: java.lang.Unsupported"),
        ("com.univocity.parsers.common.TextParsingException: secret", "cannot be read. Nothing was loaded. --verbose"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(start: str, cause: str, told: str) -> None:
    error = file_error(f"{start.format(file=FILE)}\n{cause}")
    assert str(error).startswith(f"{FILE} ")
    assert told in str(error)
    assert "secret" not in str(error)


def test_what_the_parser_of_csv_says_is_not_shown_if_it_names_no_file() -> None:
    error = file_error("Job aborted due to stage failure: com.univocity.parsers.common.TextParsingException: secret")
    assert str(error).startswith("A file of the input cannot be read. Nothing was loaded. --verbose shows why")
    assert "secret" not in str(error)


def test_other_errors_are_left_alone() -> None:
    assert file_error("Job aborted due to stage failure: executor lost") is None


def test_a_value_with_nanoseconds_is_told_with_its_column_and_its_file() -> None:
    error = file_error("[USER_RAISED_EXCEPTION] pgjobs: nanoseconds in a of b of file:///x/1.parquet SQLSTATE: P0001")
    assert str(error).startswith("The column a of b of file:///x/1.parquet has nanoseconds, and PostgreSQL")
    assert file_error("concat(pgjobs: nanoseconds in a of , input_file_name())") is None


def told(error: JobError | None) -> str:
    assert error is not None
    return str(error)


def test_what_is_said_of_schemas() -> None:
    assert "no file to read" in told(file_error("[UNABLE_TO_INFER_SCHEMA] Unable to infer schema for Parquet."))
    mismatch = "Parquet column cannot be converted in file s3://b/x.parquet. Column: [id], Expected: int, Found: INT64."
    assert told(file_error(mismatch)).startswith("A column of s3://b/x.parquet has another type than in the other")
    assert told(unknown_calendar("s3://b/x")).startswith("s3://b/x has dates before 1582-10-15")
    assert told(unknown_calendar("")).startswith("A Parquet file has dates")


SCHEMA = """message schema {
  optional int64 at (TIMESTAMP(NANOS,false));
  optional int64 local at (TIMESTAMP(MICROS,false)) = 3;
  required fixed_len_byte_array(21) d (DECIMAL(50,10));
  optional fixed_len_byte_array(16) e (DECIMAL(38,10));
  optional group l (LIST) {
    repeated group list {
      optional int32 element (TIME(MILLIS,true));
    }
  }
}
"""


@pytest.mark.parametrize(
    ("message", "columns", "hint"),
    [
        ("[PARQUET_TYPE_ILLEGAL] Illegal Parquet type: INT64 (TIMESTAMP(NANOS,false)). SQLSTATE", ("at",), "DIV 1000"),
        ("Illegal Parquet type: INT32 (TIME(MILLIS,true)).", ("element",), "TIME(MICROS,false)"),
        ("[DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION] Decimal precision 50 exceeds max precision 38.", ("d",), "as text"),
        ("Parquet type not yet supported: INT32 (X(1)).", (), "another type"),
    ],
)
def test_columns_of_types_that_spark_cannot_read_are_found(message: str, columns: tuple[str, ...], hint: str) -> None:
    kind = unreadable_type(message)
    assert kind is not None
    assert named(SCHEMA, re.compile(kind.pattern)) == columns
    assert hint in str(unreadable_columns("f", columns, kind))
    assert unreadable_type("Illegal start of something: x") is None


@pytest.mark.parametrize(
    ("path", "marks"),
    [
        ("a/_x.csv", True),
        (".x", True),
        ("s3://b/_SUCCESS", True),
        ("a/_day=1", False),
        ("a/x_.csv", False),
        ("..", False),
    ],
)
def test_files_that_spark_takes_for_markers(path: str, marks: bool) -> None:
    assert is_mark(path) is marks


def test_a_file_that_spark_does_not_name_is_not_named() -> None:
    cause = "java.io.EOFException: Unexpected end of input stream"
    error = file_error(f"com.univocity.parsers.common.TextParsingException: secret\n{cause}")
    assert str(error).startswith("A file of the input is cut short: its compressed data ends too early. ")
    assert "secret" not in str(error)
    assert file_error(cause) is None
