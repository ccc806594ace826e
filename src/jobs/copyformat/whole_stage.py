"""Keeps the encoding of wide rows out of whole-stage code generation, where it would be interpreted.

Spark generates one Java method for all operators of a stage, and HotSpot does not compile methods of more than 8,000
bytes (-XX:-DontCompileHugeMethods): from about thirty columns on, encoding a row took three times as long. Outside such
a stage, Spark splits a projection into small methods. For narrow rows, the stage is faster by a quarter.
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
    """Bytes of bytecode per column, as Spark's `explain("codegen")` shows them, rounded up.

    Attributes:
        simple: For a number or a similar type.
        elaborate: For text, dates and similar types.
        most: For all columns; leaves room for the operators before, and for larger types.
    """

    simple: int
    elaborate: int
    most: int


ENCODING = Bytecode(simple=150, elaborate=600, most=5_500)
DECODING = Bytecode(simple=270, elaborate=570, most=6_900)

_SIMPLE_TYPES = (t.NumericType, t.BooleanType, t.BinaryType, t.ArrayType, t.NullType)


def is_wide(spark_types: Sequence[t.DataType], bytecode: Bytecode) -> bool:
    """Return whether rows of these types would make the method too long."""
    return (
        sum(
            bytecode.simple if isinstance(spark_type, _SIMPLE_TYPES) else bytecode.elaborate
            for spark_type in spark_types
        )
        > bytecode.most
    )


def outside_whole_stage(value: Column, spark_type: t.DataType, witness: Column) -> Column:
    """Return the same value, in a projection that Spark keeps out of whole-stage code generation.

    Spark does so for an expression for which it cannot generate code; `transform` is one. The branch that contains it
    is never taken, because no length is negative, which Spark's optimizer does not know.

    Args:
        value: The value.
        spark_type: Its type.
        witness: Text in the same projection, or in its input, so that reading it is free.
    """
    never = f.octet_length(witness) < 0
    interpreted = f.transform(f.array(witness), lambda _: f.lit(None).cast(spark_type))[0]
    return f.when(never, interpreted).otherwise(value)
