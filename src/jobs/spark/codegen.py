"""Keeps the encoding of wide rows out of whole-stage code generation, where it would run interpreted.

Spark makes one Java method of all operators of a stage, and HotSpot compiles no method of more than 8,000 bytes
(-XX:-DontCompileHugeMethods): from about thirty columns on, the encoding of a row took three times as long. Outside
such a stage Spark splits a projection into small methods. For narrow rows it is the other way round, by a quarter.
https://spark.apache.org/docs/latest/sql-performance-tuning.html
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column
from pyspark.sql import functions as f
from pyspark.sql import types as t

# Bytes of bytecode that a column's text takes, as Spark's `explain("codegen")` tells them, rounded up.
_SIMPLE, _ELABORATE = 150, 600
_MOST = 5_500
"""Of these estimates, which leaves room for the operators before, and for types that take more."""

_SIMPLE_TYPES = (t.NumericType, t.BooleanType, t.BinaryType, t.ArrayType, t.NullType)


def is_wide(kinds: Sequence[t.DataType]) -> bool:
    """Whether the encoding of rows of these types would be too long a method."""
    return sum(_SIMPLE if isinstance(kind, _SIMPLE_TYPES) else _ELABORATE for kind in kinds) > _MOST


def outside_whole_stage(text: Column, witness: Column) -> Column:
    """The same text, in a projection that Spark keeps out of whole-stage code generation.

    It does so where an expression cannot be generated; `transform` is one. The branch that holds it is never taken,
    for no length is negative, which Spark's optimizer does not know.

    Args:
        text: what is wanted.
        witness: text that is never NULL, and part of the same projection, so that it costs nothing to look at.
    """
    never = f.octet_length(witness) < 0
    return f.when(never, f.transform(f.array(witness), lambda item: item)[0]).otherwise(text)
