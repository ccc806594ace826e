"""Keeps the encoding of wide rows out of whole-stage code generation, where it would run interpreted.

Spark makes one Java method of all operators of a stage, and HotSpot compiles no method of more than 8,000 bytes
(-XX:-DontCompileHugeMethods): from about thirty columns on, the encoding of a row took three times as long. Outside
such a stage Spark splits a projection into small methods. For narrow rows it is the other way round, by a quarter.
https://spark.apache.org/docs/latest/sql-performance-tuning.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column
from pyspark.sql import functions as f
from pyspark.sql import types as t


@dataclass(frozen=True)
class Bytecode:
    """Bytes that a column takes, as Spark's `explain("codegen")` tells them, rounded up.

    Attributes:
        simple: of a number or the like.
        elaborate: of text, dates and the like.
        most: of all columns, which leaves room for the operators before, and for types that take more.
    """

    simple: int
    elaborate: int
    most: int


ENCODING = Bytecode(simple=150, elaborate=600, most=5_500)
DECODING = Bytecode(simple=270, elaborate=570, most=6_900)

_SIMPLE_TYPES = (t.NumericType, t.BooleanType, t.BinaryType, t.ArrayType, t.NullType)


def is_wide(kinds: Sequence[t.DataType], bytecode: Bytecode) -> bool:
    """Whether rows of these types would make too long a method."""
    return (
        sum(bytecode.simple if isinstance(kind, _SIMPLE_TYPES) else bytecode.elaborate for kind in kinds)
        > bytecode.most
    )


def outside_whole_stage(value: Column, kind: t.DataType, witness: Column) -> Column:
    """The same value, in a projection that Spark keeps out of whole-stage code generation.

    It does so where an expression cannot be generated; `transform` is one. The branch that holds it is never taken,
    for no length is negative, which Spark's optimizer does not know.

    Args:
        value: what is wanted.
        kind: its type.
        witness: text that is part of the same projection, or of its input, so that it costs nothing to look at.
    """
    never = f.octet_length(witness) < 0
    interpreted = f.transform(f.array(witness), lambda _: f.lit(None).cast(kind))[0]
    return f.when(never, interpreted).otherwise(value)
