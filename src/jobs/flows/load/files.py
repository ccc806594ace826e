"""Files as a load reads them: no record is silently misread, skipped or replaced with NULLs."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from pyspark.errors import ParseException
from pyspark.sql import Column, DataFrame, DataFrameReader, SparkSession
from pyspark.sql import functions as f
from pyspark.sql import types as t

from jobs.copyformat.encode_spark import backquoted
from jobs.dbaccess.errors import LoadError, UsageError
from jobs.flows import file_options
from jobs.flows.file_options import DROPMALFORMED, FAILFAST, PARSED, PERMISSIVE
from jobs.flows.load.job import LoadJob, run
from jobs.flows.load.stage import MALFORMED
from jobs.flows.report import LoadReport, plural
from jobs.spark.plans.folders import also_in_files, with_folders_noted

_MARK = "pgjobs: malformed record in "
_MOST = 2**31 - 1
_CASE = "spark.sql.caseSensitive"

_NOT_MERGED = ("CANNOT_MERGE_SCHEMAS", "Failed merging schema", "CANNOT_MERGE_INCOMPATIBLE_DATA_TYPE")
"""In Spark's messages for files whose schemas cannot be merged."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Files:
    """The files to read.

    Attributes:
        options: The options of Spark's reader, as given.
        schema: Columns and types as DDL; empty for those that Spark infers.
        select: A query over the view `source`; empty for all rows.
    """

    paths: Sequence[str]
    file_format: str
    options: Sequence[str]
    schema: str = ""
    select: str = ""


@dataclass(frozen=True)
class Rows:
    """The rows of files.

    Attributes:
        malformed: The number of records that Spark could not read: they are left out, or NULL in part.
    """

    df: DataFrame
    malformed: int = 0


def check(files: Files) -> None:
    """Check what can be checked without Spark.

    Raises:
        UsageError: An option is unknown or is given twice, or --schema does not fit the format.
    """
    file_options.mode_of(file_options.parse_options(files.options, files.file_format))
    if files.schema and files.file_format not in PARSED:
        raise UsageError(
            f"--schema is for {' and '.join(PARSED)}: files of {files.file_format} state their columns.",
            "Cast and rename with --select.",
        )


def load(job: LoadJob, files: Files, start_spark: Callable[[], SparkSession]) -> LoadReport:
    """Load files.

    Args:
        job: The load.
        files: The files.
        start_spark: A function that returns the session. It is not called if a load of this id has finished.

    Raises:
        UsageError: The arguments are invalid. Nothing was copied.
        JobError: The load failed. Nothing of it is in the table.
    """
    check(files)
    malformed = 0

    def rows() -> DataFrame:
        nonlocal malformed
        rows_read = read(start_spark(), files, quarantines=job.policy.quarantines)
        malformed = rows_read.malformed
        return rows_read.df

    with malformed_translated():
        report = run(job, rows)
    return replace(report, records_malformed=malformed)


def read(spark: SparkSession, files: Files, *, quarantines: bool = False) -> Rows:
    """Read files.

    Args:
        spark: The session.
        files: The files.
        quarantines: Whether records that would fail the load become rows that have the column MALFORMED. A query over
            the rows would lose it, so that it needs all records.

    Raises:
        UsageError: The schema or an option is invalid.
    """
    rows = _read(spark, files, quarantines=quarantines and not files.select)
    rows = replace(rows, df=with_folders_noted(rows.df))
    if not files.select:
        return rows
    rows.df.createOrReplaceTempView("source")
    return Rows(spark.sql(files.select), rows.malformed)


def _read(spark: SparkSession, files: Files, *, quarantines: bool) -> Rows:
    stated = file_options.parse_options(files.options, files.file_format)
    reader = spark.read.format(files.file_format).options(**file_options.to_read(files.file_format, stated))
    paths = list(files.paths)
    if files.file_format not in PARSED:
        return Rows(_told_of_folders(reader.load(paths)))
    mode = file_options.mode_of(stated)
    if file_options.value_of(stated, "singleVariantColumn"):
        return Rows(reader.option("mode", mode).load(paths))
    name = file_options.value_of(stated, "columnNameOfCorruptRecord", MALFORMED)
    reader = reader.option("columnNameOfCorruptRecord", name)
    # A malformed record must be detected here, because Spark's own error quotes it.
    lenient = _with_schema(reader, files.schema).option("mode", PERMISSIVE if mode == FAILFAST else mode)
    infers_json = files.file_format == "json" and not files.schema
    inferred = _inferred_json(spark, lenient, paths) if infers_json else lenient.load(paths).schema
    inferred_malformed = name in inferred.names and not files.schema
    columns = [field for field in inferred if field.name != name]
    if not columns:  # of no file, or of empty ones
        return Rows(reader.schema(inferred).load(paths))
    if files.file_format == "csv" and (files.schema or file_options.are_headers_own([field.name for field in columns])):
        reader = reader.options(**file_options.completed(stated, {"enforceSchema": "false"}))
    schema = t.StructType([*columns, t.StructField(name, t.StringType())])
    marked = reader.schema(schema).option("mode", PERMISSIVE).load(paths)
    if quarantines and mode == FAILFAST and name == MALFORMED:
        return Rows(marked)
    if inferred_malformed and mode == FAILFAST:
        _raise_first(marked, name)
    if inferred_malformed:
        raise UsageError(
            "Spark could not read some records, and gave them a column of their own.",
            'Name the columns with --schema "id INT, name STRING", or give --option mode=DROPMALFORMED.',
        )
    keep = name in inferred.names
    malformed = 0 if mode == FAILFAST else _count(marked, name)
    if malformed:
        done = "left out" if mode == DROPMALFORMED else "NULL in what Spark could not read"
        logger.warning("%s malformed: %s (mode=%s).", plural(malformed, "record"), done, mode)
    df = marked if mode == PERMISSIVE else marked.where(_is_whole(marked, name, mode, all_columns=bool(files.select)))
    return Rows(df if keep else df.drop(name), malformed)


def _inferred_json(spark: SparkSession, reader: DataFrameReader, paths: list[str]) -> t.StructType:
    """Return the columns of JSON files. Of fields that differ in case alone, Spark would read one, and lose the others.

    Raises:
        LoadError: There are such fields, and Spark is not to tell them apart.
    """
    before = spark.conf.get(_CASE, None)
    spark.conf.set(_CASE, "true")
    try:
        schema = _told_of_folders(reader.load(paths)).schema
    finally:
        if before is None:
            spark.conf.unset(_CASE)
        else:
            spark.conf.set(_CASE, before)
    alike = next(_alike(schema), None)
    if alike and before != "true":
        raise LoadError(
            f"The files have fields whose names differ in case alone: {', '.join(alike)}.",
            f"Nothing was loaded. Spark tells them apart with --conf {_CASE}=true.",
        )
    return schema


def _told_of_folders(df: DataFrame) -> DataFrame:
    names = also_in_files(df)
    if names:
        logger.warning(
            "Both the files and the names of their folders have %s: Spark takes the values of the folders, and does "
            "not read those of the files.",
            ", ".join(names),
        )
    return df


def _alike(kind: t.DataType) -> Iterator[list[str]]:
    """Yield groups of names of fields of one struct, at any depth, that differ in case alone."""
    if isinstance(kind, t.ArrayType):
        yield from _alike(kind.elementType)
    if isinstance(kind, t.StructType):
        names: dict[str, list[str]] = {}
        for field in kind:
            names.setdefault(field.name.casefold(), []).append(field.name)
            yield from _alike(field.dataType)
        yield from (group for group in names.values() if len(group) > 1)


def _with_schema(reader: DataFrameReader, schema: str) -> DataFrameReader:
    """Return the reader with a schema, if any.

    Raises:
        UsageError: The schema is no list of columns.
    """
    if not schema:
        return reader
    try:
        return reader.schema(schema)
    except ParseException as error:
        reason = str(error).strip().splitlines()[0]
        raise UsageError(
            f"--schema {schema!r} is no list of columns: {reason}", 'Write "id INT, name STRING".'
        ) from None


def _is_whole(df: DataFrame, name: str, mode: str, *, all_columns: bool) -> Column:
    """Return a column that is true for rows whose record Spark could read. With FAILFAST, others raise an error.

    Args:
        df: The rows.
        name: The name of the column of malformed records.
        mode: What to do about malformed records.
        all_columns: Whether to have Spark read all columns: it does not detect malformed values in others.
    """
    whole = _nulls(df, name) <= _MOST if all_columns else f.lit(True)
    refused = f.raise_error(f.concat(f.lit(_MARK), f.input_file_name())).cast("boolean")
    return f.when(df[backquoted(name)].isNull(), whole).otherwise(refused if mode == FAILFAST else f.lit(False))


def _nulls(df: DataFrame, name: str) -> Column:
    """Return a number that Spark cannot compute without reading every column."""
    return f.hash(*[df[backquoted(column)].isNull() for column in df.columns if column != name])


def _count(df: DataFrame, name: str) -> int:
    """Count the malformed records. This reads all records again: accumulators count a retried task twice."""
    [row] = df.agg(f.count(f.when(df[backquoted(name)].isNotNull(), 1)), f.max(_nulls(df, name))).collect()
    return int(row[0])


def _raise_first(df: DataFrame, name: str) -> None:
    """Raise the error of a malformed record."""
    df.where(_is_whole(df, name, FAILFAST, all_columns=True)).agg(f.max(_nulls(df, name))).collect()


@contextmanager
def malformed_translated() -> Iterator[None]:
    """Raise our own errors in place of Spark's errors for malformed records, which quote the record.

    Raises:
        LoadError: A record is malformed, or a header is not the expected one.
    """
    try:
        yield
    except Exception as error:
        translated = malformed_error(_messages(error))
        if translated is None:
            raise
        raise translated from None


def _messages(error: Exception) -> str:
    """Return the messages of an error and its causes."""
    texts, cause = [str(error)], getattr(error, "java_exception", None)
    while cause is not None:
        texts.append(str(cause.toString()))
        cause = cause.getCause()
    return "\n".join(texts)


def malformed_error(message: str) -> LoadError | None:
    """Return what Spark's message says of records or schemas, without values, or None if it concerns something else."""
    marked = re.search(rf"{_MARK}(\w+:/\S*)", message)  # a plan that Spark shows contains the mark, but no file
    file = re.search(r"(?:reading file|CSV file:) (\S+?)\.?(?:\s|$)", message)
    where = f" of {file.group(1)}" if file else ""
    if marked:
        return LoadError(
            f"A record of {marked.group(1)} is malformed: it has too many or too few fields, a value of another type, "
            "or is broken.",
            "Nothing was loaded. Correct the file, or give --option mode=DROPMALFORMED to leave such records out.",
        )
    if "Unescaped quote character" in message:
        return LoadError(
            f"A quoted value{where} holds a quote that is not escaped by a backslash.",
            "Nothing was loaded. Give --option 'escape=\"' where quotes are doubled, or --option "
            "unescapedQuoteHandling=STOP_AT_DELIMITER to load such values unchanged.",
        )
    if "CSV header does not conform" in message or "Number of column in CSV header" in message:
        return LoadError(
            f"The header{where} does not name the columns that are expected, in their order.",
            "Nothing was loaded. Give --schema with the header's names, load files of different headers one by one, or "
            "give --option enforceSchema=true to use only the order.",
        )
    if "MALFORMED_RECORD_IN_PARSING" in message or "MALFORMED_CSV_RECORD" in message:
        return LoadError(f"A record{where} is malformed.", "Nothing was loaded. Correct the file.")
    return _schema_error(message)


def _schema_error(message: str) -> LoadError | None:
    """Return what Spark's message says of the columns of files, or None if it concerns something else."""
    if any(text in message for text in _NOT_MERGED):
        return LoadError(
            "The files have columns of the same name whose types cannot be merged.",
            "Nothing was loaded. Load the files of each type by a load of their own. (--option mergeSchema=false takes "
            "the columns of one file for those of all.)",
        )
    return None
