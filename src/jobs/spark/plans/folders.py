"""Columns that Spark reads from the names of folders, such as `code=007`: it takes 007 for the number 7."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from pyspark.sql import DataFrame
from pyspark.sql import types as t

from jobs.copyformat.encode_spark import backquoted
from jobs.copyformat.match_columns import FOLDER
from jobs.spark.plans.repeatable import class_of

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
        for relation in _relations(df)
        for field in _schema(relation.partitionSchema().json())
        if field.name.casefold() in [other.name.casefold() for other in _schema(relation.dataSchema().json())]
    ]


def _folders(df: DataFrame) -> dict[str, str]:
    """Return, by column, the name of a folder whose text is not kept."""
    notes: dict[str, str] = {}
    for relation in _relations(df):
        schema = _schema(relation.partitionSchema().json())
        numbers = {field.name: field.dataType for field in schema if isinstance(field.dataType, t.NumericType)}
        if numbers:
            folders = unquote(str(relation.location().partitionSpec().partitions().mkString("\n")))
            notes.update(_noted(folders, numbers))
    return notes


def _relations(df: DataFrame) -> Iterator[Any]:
    """Yield Spark's descriptions of the files that are read."""
    leaves = df._jdf.queryExecution().analyzed().collectLeaves()  # noqa: SLF001 - PySpark shows plans as text only
    for leaf in (leaves.apply(index) for index in range(leaves.size())):
        if class_of(leaf) == "LogicalRelation" and class_of(leaf.relation()) == "HadoopFsRelation":
            yield leaf.relation()


def _schema(text: object) -> t.StructType:
    return t.StructType.fromJson(json.loads(str(text)))


def _noted(folders: str, numbers: Mapping[str, t.DataType]) -> dict[str, str]:
    notes = {}
    for name, kind in numbers.items():
        texts = re.findall(rf"/{re.escape(name)}=([^/\n)]*)", folders)
        changed = [text for text in texts if text != _NULL and not is_kept(text, kind)]
        if changed:
            notes[name] = f"{name}={changed[0]}"
    return notes


_NULL = "__HIVE_DEFAULT_PARTITION__"
