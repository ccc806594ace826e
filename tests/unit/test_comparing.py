"""Which columns can be compared, by their types on both sides."""

from __future__ import annotations

from pyspark.sql import types as t

from jobs.spark.comparing import can_be_compared


def test_intervals_are_not_compared_with_the_text_of_an_extract() -> None:
    """Each row would differ: Spark's text of an interval is not the server's."""
    for interval in (t.DayTimeIntervalType(), t.YearMonthIntervalType(), t.ArrayType(t.DayTimeIntervalType())):
        text = t.ArrayType(t.StringType()) if isinstance(interval, t.ArrayType) else t.StringType()
        assert not can_be_compared(interval, text)


PAIR = t.StructType([t.StructField("a", t.LongType())])


def test_structs_and_maps_are_compared_only_where_that_tells_equal_values() -> None:
    hstore = t.MapType(t.StringType(), t.StringType())
    assert can_be_compared(PAIR, t.StructType([t.StructField("a", t.LongType(), nullable=False)]))
    assert not can_be_compared(PAIR, t.StructType([t.StructField("b", t.LongType())]))
    assert not can_be_compared(PAIR, t.StringType())
    assert can_be_compared(t.MapType(t.StringType(), t.LongType()), hstore)
    assert not can_be_compared(t.MapType(t.StringType(), t.DoubleType()), hstore)
    for inner in (t.ArrayType(hstore), t.StructType([t.StructField("h", hstore)])):
        assert not can_be_compared(inner, inner), "Spark compares no maps"
