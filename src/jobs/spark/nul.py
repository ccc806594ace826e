"""Characters that the server cannot store: NUL, bytes that are not UTF-8, and what the database's encoding lacks.

The server does not name the column that holds one. Columns are found by reading the data once more. If the user wants
that, all text is cleaned before it is encoded, at any depth: by expressions of Spark, which change nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as f
from pyspark.sql import types as t

from jobs.copyformat.text.copy_text import Replace, Texts, replace_by_spark, replace_by_sql, sql_literal
from jobs.copyformat.text.utf8 import REPLACEMENT, is_utf8, made_utf8, made_utf8_by_sql
from jobs.copyformat.write_types import by_bytes, is_string

_NUL = "\0"

_NUL_IN_JSON = r"(?<!\\)((?:\\\\)*)\\u0000"
"""An escape of NUL, unless its backslash is itself escaped."""


def may_hold(kind: t.DataType) -> bool:
    """Return whether values of a type are text, or contain text, at any depth."""
    if isinstance(kind, t.StructType):
        return any(may_hold(field.dataType) for field in kind)
    if isinstance(kind, t.MapType):
        return may_hold(kind.keyType) or may_hold(kind.valueType)
    return may_hold(kind.elementType) if isinstance(kind, t.ArrayType) else is_string(kind) or _is_variant(kind)


def columns_not_utf8(df: DataFrame, names: Sequence[str]) -> list[str]:
    """Return the columns in which a value contains bytes that are not UTF-8. This reads the data once more."""
    return _columns_where(df, names, lambda value: ~is_utf8(value.cast(t.StringType())))


def columns_with_nul(df: DataFrame, names: Sequence[str]) -> list[str]:
    """Return the columns in which a value contains a NUL. This reads the data once more."""
    return _columns_where(df, names, lambda value: f.instr(value.cast(t.StringType()), _NUL) > 0)


def columns_with_any(df: DataFrame, names: Sequence[str], characters: str) -> list[str]:
    """Return the columns in which a value contains one of some characters. This reads the data once more."""

    def holds(value: Column) -> Column:
        text = value.cast(t.StringType())
        return f.translate(text, characters, "") != text

    return _columns_where(df, names, holds)


def _columns_where(df: DataFrame, names: Sequence[str], holds: Callable[[Column], Column]) -> list[str]:
    if not names:
        return []
    places = {name: f"c{place}" for place, name in enumerate(df.columns)}
    df = df.toDF(*places.values())
    flags = df.select([f.max(holds(df[places[name]])).alias(places[name]) for name in names]).first()
    return [name for name, held in zip(names, flags or ()) if held]


def characters_of(df: DataFrame) -> str:
    """Return the different characters of all text that are not ASCII, in their order. This reads the data once more."""
    placed = df.toDF(*[f"c{place}" for place in range(len(df.columns))])
    texts = [
        placed[name].cast(t.StringType()) for name, field in zip(placed.columns, df.schema) if may_hold(field.dataType)
    ]
    if not texts:
        return ""
    others = f.regexp_replace(f.concat_ws("", *texts), r"[\x00-\x7f]", "")
    found = placed.select(f.explode(f.array_distinct(f.split(others, ""))).alias("c")).distinct().collect()
    return "".join(sorted(row[0] for row in found))


@dataclass(frozen=True)
class Cleaning:
    """What is done about characters that the server cannot store.

    Attributes:
        replacement: What stands in their place; empty to leave them out.
        lacking: Characters that the encoding of the database lacks.
    """

    replacement: str
    lacking: str = ""

    def text(self, value: Column) -> Column:
        """Return a string without such characters. All others stay, U+FFFD too."""
        return self._clean(value, replace_by_spark, made_utf8, f.translate)

    def sql(self, name: str) -> str:
        """Return the SQL text of the same for a column: to call functions for a thousand columns takes seconds."""
        return self._clean(name, replace_by_sql, made_utf8_by_sql, _translate_by_sql)

    def _clean(
        self, texts: Texts, replace: Replace[Texts], valid: Callable[[Texts], Texts], translate: Replace[Texts]
    ) -> Texts:
        if self.replacement:
            clean = replace(valid(texts), _NUL, self.replacement)
            if self.replacement != REPLACEMENT:
                clean = replace(clean, REPLACEMENT, self.replacement)
        else:
            # Two kinds of U+FFFD are told apart: the one that was there is NUL and f meanwhile. NUL is NUL and n.
            # It is removed last: the bytes around it are no character.
            marked = replace(replace(texts, _NUL, f"{_NUL}n"), REPLACEMENT, f"{_NUL}f")
            stripped = replace(valid(marked), REPLACEMENT, "")
            clean = replace(replace(stripped, f"{_NUL}f", REPLACEMENT), f"{_NUL}n", "")
        return translate(clean, self.lacking, self.replacement * len(self.lacking)) if self.lacking else clean


def _translate_by_sql(text: str, characters: str, others: str) -> str:
    return f"translate({text}, {sql_literal(characters)}, {sql_literal(others)})"


def cleaned(df: DataFrame, cleaning: Cleaning, untouched: Collection[str] = ()) -> DataFrame:
    """Return the rows without characters that the server cannot store, in text at any depth.

    Args:
        df: The rows.
        cleaning: What is done about such characters.
        untouched: Columns that stay as they are.
    """
    placed = df.toDF(*[f"c{place}" for place in range(len(df.columns))])  # two columns may have one name
    kinds = {
        name: field.dataType
        for name, field in zip(placed.columns, df.schema)
        if may_hold(field.dataType) and field.name not in untouched
    }
    plain = [name for name, kind in kinds.items() if is_string(kind) and by_bytes(kind) == kind]
    rows = placed.selectExpr(*[f"{cleaning.sql(name)} AS {name}" if name in plain else name for name in placed.columns])
    others = {name: _cleaned(rows[name], kind, cleaning) for name, kind in kinds.items() if name not in plain}
    if others:
        rows = rows.select(*[others.get(name, rows[name]).alias(name) for name in rows.columns])
    for name, field in zip(rows.columns, df.schema):
        if name in kinds and field.metadata:
            rows = rows.withMetadata(name, field.metadata)
    return rows.toDF(*df.columns)


def _cleaned(value: Column, kind: t.DataType, cleaning: Cleaning) -> Column:
    if by_bytes(kind) != kind:  # a collation may treat different characters as equal
        return _cleaned(value.cast(by_bytes(kind)), by_bytes(kind), cleaning)
    if isinstance(kind, t.ArrayType) and may_hold(kind):
        value = f.transform(value, lambda item: _cleaned(item, kind.elementType, cleaning))
    elif isinstance(kind, t.MapType) and may_hold(kind):
        value = f.transform_values(value, lambda _, item: _cleaned(item, kind.valueType, cleaning))
        value = f.transform_keys(value, lambda key, _: _cleaned(key, kind.keyType, cleaning))
    elif isinstance(kind, t.StructType) and may_hold(kind):
        value = _cleaned_struct(value, kind, cleaning)
    elif _is_variant(kind):
        text = f.regexp_replace(f.to_json(value), _NUL_IN_JSON, f"$1{cleaning.replacement}")
        value = f.parse_json(cleaning.text(text))
    elif is_string(kind):
        value = cleaning.text(value)
    return value


def _cleaned_struct(value: Column, kind: t.StructType, cleaning: Cleaning) -> Column:
    """Return fields by position: names that differ only in case are the same name to Spark."""
    places = [f"field{place}" for place in range(len(kind))]
    by_place = value.cast(t.StructType([t.StructField(p, field.dataType) for p, field in zip(places, kind)]))
    fields = [
        _cleaned(by_place.getField(p), field.dataType, cleaning).alias(field.name)
        for p, field in zip(places, kind.fields)
    ]
    return f.when(value.isNotNull(), f.struct(*fields))


def _is_variant(kind: t.DataType) -> bool:
    return kind.typeName() == "variant"
