"""Reads files that state their columns: Parquet and ORC."""

from __future__ import annotations

import logging
import re

from pyspark.sql import DataFrame

from jobs.flows import file_options
from jobs.flows.load.reading.file_errors import messages, unreadable_columns, unreadable_type
from jobs.flows.load.reading.reader import Reading
from jobs.spark.plans.folders import also_in_files
from jobs.spark.session_settings import setting
from jobs.spark.sources import listing
from jobs.spark.sources.nanoseconds import as_timestamps
from jobs.spark.sources.parquet_footers import columns_of_type, nanosecond_columns

logger = logging.getLogger(__name__)

_CALENDARS = {
    "datetimeRebaseMode": "spark.sql.parquet.datetimeRebaseModeInRead",
    "int96RebaseMode": "spark.sql.parquet.int96RebaseModeInRead",
}
"""Options for the calendar of files that do not state it, and the settings that a user may have given instead."""


def rows(reading: Reading) -> DataFrame:
    """Return the rows.

    Raises:
        LoadError: A column is of a type that Spark cannot read.
        UsageError: There is no file, or one in a subfolder is not read.
    """
    df = _parquet(reading) if reading.file_format == "parquet" else reading.load(reading.reader())
    listing.check_all_read(df, reading.paths, list(reading.stated))
    return told_of_folders(df)


def _parquet(reading: Reading) -> DataFrame:
    options = _calendars(reading)
    try:
        return reading.load(reading.reader(**options))
    except Exception as error:
        kind = unreadable_type(messages(error))
        found = None if kind is None else columns_of_type(reading.spark, reading.paths, re.compile(kind.pattern))
        if kind is None or found is None:
            raise
        columns = nanosecond_columns(reading.spark, reading.paths) if kind.is_nanoseconds else None
        if columns is None:
            raise unreadable_columns(found.file, found.columns, kind) from None
    with setting(reading.spark, _AS_LONG, "true"):
        schema = reading.load(reading.reader(**options)).schema
    return as_timestamps(reading.load(reading.reader(**options).schema(schema)), columns)


_AS_LONG = "spark.sql.legacy.parquet.nanosAsLong"


def _calendars(reading: Reading) -> dict[str, str]:
    """Return the options by which old dates of an unknown calendar are errors. Spark 4 takes them as they are."""
    conf = reading.spark.conf
    return {
        option: "EXCEPTION"
        for option, setting in _CALENDARS.items()
        if not file_options.value_of(reading.stated, option) and conf.get(setting, None) is None
    }


def told_of_folders(df: DataFrame) -> DataFrame:
    """Return the rows of files. A warning names columns that are not read, because the names of folders have them."""
    names = also_in_files(df)
    if names:
        logger.warning(
            "Both the files and the names of their folders have %s: Spark takes the values of the folders, and does "
            "not read those of the files.",
            ", ".join(names),
        )
    return df
