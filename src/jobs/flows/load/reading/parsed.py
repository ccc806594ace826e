"""Reads files whose records may be malformed: CSV and JSON. Such records are marked, and the mode says what follows."""

from __future__ import annotations

import logging
from dataclasses import replace

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as f
from pyspark.sql import types as t

from jobs.copyformat.encode_spark import backquoted
from jobs.dbaccess.errors import LoadError, UsageError, plural
from jobs.flows.file_options import DROPMALFORMED, FAILFAST, PERMISSIVE, value_of
from jobs.flows.load.reading import csv_files, json_files
from jobs.flows.load.reading.file_errors import MARK
from jobs.flows.load.reading.reader import Reading, Rows
from jobs.flows.load.stage import MALFORMED
from jobs.spark.sources import csv_bytes, csv_escapes, grouped_numbers, listing

_MOST = 2**31 - 1

_NOTHING = "pgjobs_nothing"
"""A column that no record has, where all are malformed: Spark reads no file for the text of malformed records alone."""

logger = logging.getLogger(__name__)


def rows(reading: Reading, *, quarantines: bool) -> Rows:
    """Return the rows.

    Args:
        reading: How they are read.
        quarantines: Whether records that would fail the load become rows that have the column MALFORMED.

    Raises:
        UsageError: The schema is invalid, there is no file, or one in a subfolder is not read.
        LoadError: The files, as a whole, would be misread.
    """
    mode = reading.mode
    if value_of(reading.stated, "singleVariantColumn"):
        return Rows(reading.load(reading.reader(mode=mode)))
    name = value_of(reading.stated, "columnNameOfCorruptRecord", MALFORMED)
    reading.with_schema(reading.reader())  # checks it, before any file is read
    if reading.file_format == "csv":
        reading = csv_files.settled(reading)
    # A malformed record must be detected here, because Spark's own error quotes it.
    lenient = reading.reader(columnNameOfCorruptRecord=name, mode=PERMISSIVE if mode == FAILFAST else mode)
    lenient = reading.with_schema(lenient)
    infers_json = reading.file_format == "json" and not reading.schema
    looked = json_files.look(reading, lenient) if infers_json else reading.load(lenient)
    listing.check_all_read(looked, reading.paths, list(reading.stated))
    if not looked.columns:  # of empty files
        return Rows(looked)
    _check_numbers(reading, looked.schema, name)
    if reading.file_format == "json":
        json_files.check_values(reading)
        return _good(reading, _marked(reading, looked.schema, name), looked.schema, name, quarantines=quarantines)
    csv = csv_files.look(looked, [field for field in looked.schema if field.name != name], reading)
    checks = {"enforceSchema": "false"} if csv.is_compared and not value_of(reading.stated, "enforceSchema") else {}
    marked = csv.named(_marked(reading, t.StructType(list(csv.fields)), name, **checks))
    good = _good(reading, marked, looked.schema, name, quarantines=quarantines)
    return replace(good, df=csv.restored(good.df))


def _check_numbers(reading: Reading, schema: t.StructType, name: str) -> None:
    """Check that no number of a column of decimals has a separator that Spark would leave out.

    Args:
        reading: How the files are read.
        schema: The columns.
        name: The name of the column of malformed records.

    Raises:
        LoadError: There is one.
    """
    of_text = grouped_numbers.with_text(schema)
    if of_text is None:
        return
    locale = value_of(reading.stated, "locale")
    marks = grouped_numbers.separators(reading.spark, locale or "en-US")
    quotes = "\"'" if reading.file_format == "json" else ""
    if reading.file_format == "csv" and marks[0] == csv_escapes.separator_of(reading.stated):
        quotes = value_of(reading.stated, "quote", '"')
    if not grouped_numbers.may_be_in(reading.spark, reading.paths, reading.stated, marks, quotes):
        return
    others = {"mode": PERMISSIVE, "columnNameOfCorruptRecord": name}
    if reading.file_format == "csv":
        others |= {"enforceSchema": "true", "unescapedQuoteHandling": "STOP_AT_DELIMITER"}
    df = reading.load(reading.reader(**others).schema(of_text))
    found = grouped_numbers.misread(df, schema, marks, is_given=bool(locale))
    if found:
        column = (csv_bytes.as_text(found[1]) if reading.of_bytes and not reading.schema else None) or found[1]
        raise LoadError(
            f"{found[0]} has a number with {marks[0]!r} in {column}, and Spark would read 1{marks[0]}5 as 15.",
            "Nothing was loaded. Give --option locale=de-DE, for example, if the numbers are written as in German. Or "
            "declare the column as STRING by --schema, and convert it by --select.",
        )


def _marked(reading: Reading, columns: t.StructType, name: str, **options: str) -> DataFrame:
    """Return the rows with the text of a record in another column at the end, if it is malformed."""
    fields = [field for field in columns if field.name != name] or [t.StructField(_NOTHING, t.StringType())]
    reader = reading.reader(columnNameOfCorruptRecord=name, mode=PERMISSIVE, **options)
    return reading.load(reader.schema(t.StructType([*fields, t.StructField(name, t.StringType())])))


def _good(reading: Reading, marked: DataFrame, inferred: t.StructType, name: str, *, quarantines: bool) -> Rows:
    """Return the rows without malformed records, or with them, as the mode says.

    Args:
        reading: How they are read.
        marked: The rows, with the text of a malformed record in the last column.
        inferred: The columns that the user has given, or that Spark has found.
        name: The name of the last column.
        quarantines: Whether all rows go on with it.
    """
    mode = reading.mode
    if quarantines and mode == FAILFAST and name == MALFORMED:
        return Rows(marked)
    if name in inferred.names and not reading.schema:
        if mode == FAILFAST:
            _raise_first(marked, name)
        raise UsageError(
            "Spark could not read some records, and gave them a column of their own.",
            'Name the columns with --schema "id INT, name STRING", or give --option mode=DROPMALFORMED.',
        )
    malformed = 0 if mode == FAILFAST else _count(marked, name)
    if malformed:
        done = "left out" if mode == DROPMALFORMED else "NULL in what Spark could not read"
        logger.warning("%s malformed: %s (mode=%s).", plural(malformed, "record"), done, mode)
    df = marked if mode == PERMISSIVE else marked.where(_is_whole(marked, name, mode, all_columns=reading.selects))
    return Rows(df if name in inferred.names else df.drop(name), malformed)


def _is_whole(df: DataFrame, name: str, mode: str, *, all_columns: bool) -> Column:
    """Return a column that is true for rows whose record Spark could read. With FAILFAST, others raise an error.

    Args:
        df: The rows.
        name: The name of the column of malformed records.
        mode: What to do about malformed records.
        all_columns: Whether to have Spark read all columns: it does not detect malformed values in others.
    """
    whole = _nulls(df, name) <= _MOST if all_columns else f.lit(True)
    refused = f.raise_error(f.concat(f.lit(MARK), f.input_file_name())).cast("boolean")
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
