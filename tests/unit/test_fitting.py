"""Which of Spark's types fits a vector, an hstore, a composite type or a geometry."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pyspark.sql import types as t

from jobs.copyformat.composed.fitting import misfit
from jobs.dbaccess.catalog.kinds import COMPOSITE, GEOGRAPHY, GEOMETRY, HALFVEC, HSTORE, VECTOR
from jobs.dbaccess.catalog.tables import Column

NUMBER = Column("n", "integer", "int4", "N")
TEXTS = Column("tags", "text[]", "_text", "A", element="text", element_category="S")


def composite(name: str, *fields: Column) -> Column:
    return Column(name, f"public.{name}", name, "C", kind=COMPOSITE, fields=fields)


INNER = composite("inner", NUMBER, TEXTS)
OUTER = composite("outer", NUMBER, INNER, Column("N", "text", "text", "S"))
MANY = Column("many", "public.inner[]", "_inner", "A", element="inner", kind=COMPOSITE, fields=INNER.fields)


def vector(kind: str = VECTOR, *, many: bool = False) -> Column:
    name = kind.partition(".")[2]
    if many:
        return Column("v", f"public.{name}(3)[]", f"_{name}", "A", element=name, element_category="U", kind=kind)
    return Column("v", f"public.{name}(3)", name, "U", kind=kind)


PAIRS = Column("h", "public.hstore", "hstore", "U", kind=HSTORE)
SHAPE = Column("g", "public.geometry(Point,4326)", "geometry", "U", kind=GEOMETRY)
SHAPES = Column("g", "public.geometry[]", "_geometry", "A", element="geometry", element_category="U", kind=GEOMETRY)
STRANGER = Column("v", "public.vector", "vector", "U")
"""Somebody's own type of that name."""


def array(inner: t.DataType, depth: int = 1) -> t.DataType:
    return t.ArrayType(inner if depth == 1 else array(inner, depth - 1))


def struct(**fields: t.DataType) -> t.StructType:
    return t.StructType([t.StructField(name, kind) for name, kind in fields.items()])


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        (array(t.FloatType()), vector()),
        (array(t.DoubleType()), vector(HALFVEC)),
        (array(t.DecimalType(5, 2)), vector()),
        (array(t.IntegerType()), vector()),
        (t.StringType(), vector()),  # '[1,2,3]', as the server reads it
        (array(t.FloatType(), 2), vector(many=True)),
        (array(t.FloatType(), 3), vector(many=True)),
        (array(t.StringType()), vector(many=True)),
        (t.MapType(t.StringType(), t.StringType()), PAIRS),
        (t.MapType(t.IntegerType(), t.DateType()), PAIRS),
        (struct(n=t.LongType(), tags=array(t.StringType())), INNER),
        (struct(N=t.IntegerType()), INNER),  # whatever its case, and tags are NULL
        (struct(inner=struct(tags=t.StringType()), N=t.StringType(), n=t.NullType()), OUTER),
        (array(struct(n=t.IntegerType())), MANY),
        (t.StringType(), OUTER),
        (t.NullType(), OUTER),
        (t.BinaryType(), SHAPE),
        (t.StringType(), SHAPE),
        (array(t.StringType()), SHAPES),
        (t.BinaryType(), Column("g", "geography", "geography", "U", kind=GEOGRAPHY)),
        (t.StringType(), STRANGER),
    ],
)
def test_what_fits(kind: t.DataType, column: Column) -> None:
    assert misfit(kind, column) is None


@pytest.mark.parametrize(
    ("kind", "column", "reason"),
    [
        (array(t.FloatType()), STRANGER, "is a array<float>, which does not fit public.vector"),
        (array(t.StringType()), vector(), "is a array<string>, which does not fit public.vector(3)"),
        (array(t.FloatType(), 2), vector(), "is a array<array<float>>, which does not fit public.vector(3)"),
        (array(t.FloatType()), vector(many=True), "is a array<float>, which does not fit public.vector(3)[]"),
        (t.FloatType(), vector(), "is a float, which does not fit public.vector(3)"),
        (
            t.MapType(t.StringType(), array(t.StringType())),
            PAIRS,
            "is a map<string,array<string>>, which does not fit public.hstore: keys and values have to be text",
        ),
        (struct(n=t.IntegerType()), PAIRS, "is a struct<n:int>, which does not fit public.hstore"),
        (
            struct(n=t.IntegerType(), m=t.IntegerType()),
            INNER,
            "is a struct<n:int,m:int>, which does not fit public.inner: its field 'm' is none of n, tags",
        ),
        (
            struct(n=t.DoubleType(), tags=t.DateType()),
            INNER,
            (
                "is a struct<n:double,tags:date>, which does not fit public.inner: its field 'n' is a double, which "
                "does not fit integer, its field 'tags' is a date, which does not fit text[]"
            ),
        ),
        (
            struct(inner=struct(x=t.LongType())),
            OUTER,
            (
                "is a struct<inner:struct<x:bigint>>, which does not fit public.outer: its field 'inner' is a "
                "struct<x:bigint>, which does not fit public.inner: its field 'x' is none of n, tags"
            ),
        ),
        (struct(n=t.IntegerType()), MANY, "is a struct<n:int>, which does not fit public.inner[]"),
        (t.BinaryType(), SHAPES, "is a binary, which does not fit public.geometry[]"),
        (t.LongType(), SHAPE, "is a bigint, which does not fit public.geometry(Point,4326)"),
    ],
)
def test_what_does_not_fit_is_told_with_the_reason(kind: t.DataType, column: Column, reason: str) -> None:
    assert misfit(kind, column) == reason


def test_a_field_that_two_of_the_type_may_be_meant_by_is_refused() -> None:
    twice = composite("c", NUMBER, replace(NUMBER, name="No"), replace(NUMBER, name="nO"))
    reason = misfit(struct(no=t.LongType(), n=t.LongType()), twice)
    assert reason is not None
    assert reason.endswith(": its field 'no' could be any of No, nO")


def test_two_fields_of_a_struct_for_one_of_the_type_are_refused() -> None:
    reason = misfit(struct(n=t.IntegerType(), N=t.IntegerType()), INNER)
    assert reason is not None
    assert reason.endswith("'n' and another one both match 'n', its field 'N' and another one both match 'n'")
