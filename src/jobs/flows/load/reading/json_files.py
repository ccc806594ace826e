"""The columns of JSON files, and values in them that Spark would not read."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from pyspark.sql import DataFrame, DataFrameReader
from pyspark.sql import types as t

from jobs.dbaccess.errors import LoadError
from jobs.flows.file_options import FAILFAST
from jobs.flows.load.reading.reader import Reading
from jobs.flows.load.reading.self_described import told_of_folders
from jobs.spark.session_settings import setting
from jobs.spark.sources import json_values

_CASE = "spark.sql.caseSensitive"

logger = logging.getLogger(__name__)


def look(reading: Reading, reader: DataFrameReader) -> DataFrame:
    """Return the rows with the columns that Spark finds. Of fields that differ in case alone, it would lose one.

    Raises:
        LoadError: There are such fields, and Spark is not to tell them apart.
    """
    with setting(reading.spark, _CASE, "true") as before:
        looked = told_of_folders(reading.load(reader))
    alike = next(_alike(looked.schema), None)
    if alike and before != "true":
        raise LoadError(
            f"The files have fields whose names differ in case alone: {', '.join(alike)}.",
            f"Nothing was loaded. Spark tells them apart with --conf {_CASE}=true.",
        )
    return looked


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


def check_values(reading: Reading) -> None:
    """Check that Spark reads all values, and reads them as they are.

    Raises:
        LoadError: It would read the first of several values alone, or other characters. In other modes than FAILFAST,
            this is a warning.
    """
    found = json_values.misread(reading.spark, reading.paths, reading.stated)
    where = "the file, with multiLine=true" if reading.is_true("multiLine") else "a line"
    if found.several:
        _refuse(
            reading,
            f"{found.several} has text after the first JSON value of {where}: Spark would not read it.",
            "Write each record as a line of its own, and leave out multiLine=true; or put all records of the file into "
            "one array.",
        )
    if found.half:
        _refuse(
            reading,
            f"{found.half} has half of a surrogate pair, such as \\ud83d alone: Spark would read it as '?'.",
            "No text in UTF-8 has such a character. Replace it by \\ufffd, for example.",
        )
    if found.not_utf8:
        _refuse(
            reading,
            f"{found.not_utf8} has bytes that are not UTF-8, such as half of a surrogate pair: Spark would read other "
            "characters.",
            "Write the file in UTF-8, or name its encoding, such as --option encoding=UTF-16.",
        )


def _refuse(reading: Reading, message: str, hint: str) -> None:
    """Raise an error, or log a warning in other modes than FAILFAST."""
    if reading.mode == FAILFAST:
        raise LoadError(message, f"Nothing was loaded. {hint}")
    logger.warning("%s (mode=%s)", message, reading.mode)
