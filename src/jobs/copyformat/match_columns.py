"""Maps the columns of a DataFrame to those of a table by name, and refuses mismatches before anything is copied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pyspark.sql.types import DataType, StructField, StructType

from jobs.copyformat.composed.fitting import columns_named, misfit
from jobs.copyformat.write_types import TEXT_CATEGORY, new_column, unfit_for_json
from jobs.dbaccess.catalog.tables import Column, Table
from jobs.dbaccess.errors import UsageError

__all__ = [  # columns_named is defined elsewhere, and exported by name
    "FOLDER",
    "Match",
    "columns_named",
    "match_existing",
    "match_new",
    "match_staged_only",
    "without",
]

FOLDER = "pgjobs.folder"
"""In a field's metadata: the name of a folder from which Spark read a number, such as 7 from `code=007`."""


@dataclass(frozen=True)
class Match:
    """A DataFrame's column, by its name, and the table's column for it."""

    source: str
    spark_type: DataType
    target: Column


def match_existing(schema: StructType, table: Table) -> tuple[Match, ...]:
    """Match a DataFrame's columns with a table's by name: as written, else ignoring case.

    Raises:
        UsageError: A column is unknown to the table, missing, named twice, or of a type that does not fit. The message
            lists all of them.
    """
    targets = {field.name: columns_named(field.name, table.columns) for field in schema}
    problems = [
        *(f"{name!r} occurs twice in the data" for name in _repeated(schema.names)),
        *(f"{name!r} is not a column of the table" for name, columns in targets.items() if not columns),
        *(
            f"{name!r} could be any of {', '.join(column.name for column in columns)}"
            for name, columns in targets.items()
            if len(columns) > 1
        ),
    ]
    matches = tuple(
        Match(field.name, field.dataType, targets[field.name][0]) for field in schema if len(targets[field.name]) == 1
    )
    if not schema.fields:
        problems.append("it has no columns")
    problems += [
        *_unfit(matches),
        *_misread(schema, matches),
        *_lossy(schema),
        *_taken_twice(matches),
        *_missing(matches, table),
    ]
    if problems:
        raise UsageError(
            f"The data does not fit the table {table.name}: {'; '.join(problems)}.",
            f"The table has {', '.join(column.name for column in table.columns)}; the data has "
            f"{', '.join(schema.names)}. {_advice(schema)}",
        )
    return matches


def _advice(schema: StructType) -> str:
    """Return what to do about columns that do not fit."""
    if schema.fields and schema.names == [f"_c{place}" for place in range(len(schema.names))]:
        return (
            "These are Spark's names for a CSV without a header: give --option header=true if the first line has the "
            'names, or else --schema "id INT, name STRING".'
        )
    return "Rename, cast or leave out columns with --select."


def match_new(schema: StructType) -> tuple[Match, ...]:
    """Return the columns of a new table for a DataFrame: same names, same order.

    Raises:
        UsageError: There is no column, one is named twice, or its type has no PostgreSQL type.
    """
    columns = [new_column(field.name, field.dataType) for field in schema]
    problems = [
        *(f"{name!r} occurs twice" for name in _repeated(schema.names)),
        *(
            f"{field.name!r} is a {field.dataType.simpleString()}"
            for field, column in zip(schema, columns)
            if not column
        ),
        *_lossy(schema),
        *([] if schema.fields else ["it has no columns"]),
    ]
    if problems:
        raise UsageError(
            f"No table can be created for the data: {'; '.join(problems)}.",
            "Rename or cast with --select, or create the table first.",
        )
    return tuple(Match(field.name, field.dataType, column) for field, column in zip(schema, columns) if column)


def match_staged_only(schema: StructType, names: Mapping[str, str]) -> tuple[Match, ...]:
    """Return columns of the data that the table does not have, with names and types for staging.

    Args:
        schema: The schema of the data.
        names: By some of its columns' names, their names in staging.

    Raises:
        UsageError: The type of one has no PostgreSQL type.
    """
    if not names:
        return ()
    chosen = match_new(StructType([field for field in schema if field.name in names]))
    return tuple(replace(match, target=replace(match.target, name=names[match.source])) for match in chosen)


def without(schema: StructType, names: Mapping[str, str]) -> StructType:
    """Return the schema without some columns."""
    fields: list[StructField] = [field for field in schema if field.name not in names]
    return StructType(fields)


def _repeated(names: Sequence[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def _lossy(schema: StructType) -> list[str]:
    return [f"{field.name!r} holds {problem}" for field in schema for problem in unfit_for_json(field.dataType)]


def _taken_twice(matches: Sequence[Match]) -> list[str]:
    targets = Counter(match.target.name for match in matches)
    return [
        f"{match.source!r} and another column both match {match.target.name!r}"
        for match in matches
        if targets[match.target.name] > 1 and match.source != match.target.name
    ]


def _unfit(matches: Sequence[Match]) -> list[str]:
    problems = [(match.source, misfit(match.spark_type, match.target)) for match in matches]
    return [f"{source!r} {problem}" for source, problem in problems if problem is not None] + [
        f"{match.source!r} is generated by the server{_IDENTITY if match.target.identity else ''}"
        for match in matches
        if match.target.generated
    ]


_IDENTITY = ", GENERATED ALWAYS AS IDENTITY (--overriding system loads it all the same, and user leaves it out)"


def _misread(schema: StructType, matches: Sequence[Match]) -> list[str]:
    """Return which columns of text would get another text than the names of the folders hold."""
    folders = {field.name: field.metadata[FOLDER] for field in schema if FOLDER in (field.metadata or {})}
    return [
        f"{match.source!r} is a number to Spark in folders such as {folders[match.source]}, and {match.target.name} is "
        f"{match.target.type_name}, which would get another text (--conf {_AS_TEXT} keeps it)"
        for match in matches
        if match.source in folders and match.target.category == TEXT_CATEGORY
    ]


_AS_TEXT = "spark.sql.sources.partitionColumnTypeInference.enabled=false"


def _missing(matches: Sequence[Match], table: Table) -> list[str]:
    given = {match.target.name for match in matches}
    return [
        f"{column.name!r} is missing, and is NOT NULL with no default"
        for column in table.columns
        if column.required and column.name not in given
    ]
