"""Columns that Spark reads from the names of folders, such as `code=007`: it takes 007 for the number 7."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote

from pyspark.sql import DataFrame
from pyspark.sql import types as t

from jobs.copyformat.encode_spark import backquoted
from jobs.copyformat.match_columns import FOLDER
from jobs.spark.sources.listing import columns_of_folders, relations, schema_of

_DOUBLE = re.compile(r"-?(0|[1-9]\d{0,6})\.(0|\d{0,6}[1-9])")
"""Numbers that Spark writes as they are here: small ones, such as 0.0001, it writes otherwise."""

_LEAST = 1e-3


def with_folders_noted(df: DataFrame) -> DataFrame:
    """Return the rows of files with a note at each column of numbers that stand for other text in a folder's name.

    The note is the folder's name, and is part of the field's metadata. It is refused where the text would be changed.
    """
    notes = _folders(df)
    if not notes:
        return df
    return df.select(
        [
            df[backquoted(field.name)].alias(field.name, metadata={**field.metadata, FOLDER: notes[field.name]})
            if field.name in notes
            else df[backquoted(field.name)]
            for field in df.schema
        ]
    )


def is_kept(text: str, kind: t.DataType) -> bool:
    """Return whether Spark writes a number of a folder's name as it is there."""
    try:
        if isinstance(kind, t.DoubleType):
            return _DOUBLE.fullmatch(text) is not None and (float(text) == 0 or abs(float(text)) >= _LEAST)
        return str(int(text)) == text
    except ValueError:
        return False


def also_in_files(df: DataFrame) -> list[str]:
    """Return the columns that both the names of folders and the files have. Spark does not read those of the files."""
    return [
        field.name
        for relation in relations(df)
        for field in columns_of_folders(relation)
        if field.name.casefold() in [other.name.casefold() for other in schema_of(relation.dataSchema())]
    ]


def _folders(df: DataFrame) -> dict[str, str]:
    """Return, by column, the name of a folder whose text is not kept."""
    notes: dict[str, str] = {}
    for relation in relations(df):
        schema = columns_of_folders(relation)
        numbers = {field.name: field.dataType for field in schema if isinstance(field.dataType, t.NumericType)}
        if numbers:
            folders = unquote(str(relation.location().partitionSpec().partitions().mkString("\n")))
            notes.update(_noted(folders, numbers))
    return notes


def _noted(folders: str, numbers: Mapping[str, t.DataType]) -> dict[str, str]:
    notes = {}
    for name, kind in numbers.items():
        texts = re.findall(rf"/{re.escape(name)}=([^/\n)]*)", folders)
        changed = [text for text in texts if text != _NULL and not is_kept(text, kind)]
        if changed:
            notes[name] = f"{name}={changed[0]}"
    return notes


_NULL = "__HIVE_DEFAULT_PARTITION__"
