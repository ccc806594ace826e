"""What executors run to read: the blocks of a part by COPY, in the driver's snapshot, decoded in bulk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark import Accumulator, AccumulatorParam, SparkContext
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as f
from pyspark.sql import types as t

from jobs.copyformat import decode_spark
from jobs.copyformat.read_types import ExtractColumn
from jobs.copyformat.whole_stage import DECODING, is_wide, outside_whole_stage
from jobs.dbaccess.connector import Connector
from jobs.dbaccess.extract import snapshot
from jobs.dbaccess.extract.snapshot import Snapshot
from jobs.dbaccess.session import Session
from jobs.spark.plans.function_names import check_names

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Fetching:
    """What a task needs in order to read a part.

    Attributes:
        parts: The SELECTs of each part.
        columns: The columns, in the order of the SELECTs.
    """

    connector: Connector
    snapshot: Snapshot
    parts: tuple[tuple[str, ...], ...]
    columns: tuple[ExtractColumn, ...]


class PartTally(AccumulatorParam[dict[int, tuple[int, int]]]):
    """Rows and bytes of each part. A part that is read again is the same, so it counts once."""

    def zero(self, value: dict[int, tuple[int, int]]) -> dict[int, tuple[int, int]]:  # noqa: ARG002 - PySpark's
        """Return the initial value: nothing was read."""
        return {}

    def addInPlace(  # noqa: N802 - PySpark's name
        self, value1: dict[int, tuple[int, int]], value2: dict[int, tuple[int, int]]
    ) -> dict[int, tuple[int, int]]:
        """Return both values combined."""
        value1.update(value2)
        return value1


Tally = Accumulator[dict[int, tuple[int, int]]]


def new_tally(context: SparkContext) -> Tally:
    """Return a new, empty tally."""
    return context.accumulator({}, PartTally())


def fetch(spark: SparkSession, fetching: Fetching, arrow: bool, tally: Tally) -> DataFrame:
    """Return a DataFrame with one partition for each part.

    Args:
        spark: The session.
        fetching: What to read.
        arrow: Whether to decode by PyArrow on the workers; otherwise by Spark's expressions.
        tally: Counts what was read.

    Raises:
        UsageError: A function of the user's own hides one of Spark's.
    """
    check_names(spark)
    cells = _by_arrow(spark, fetching, tally) if arrow else _by_text(spark, fetching, tally)
    carried = {field.name: field.dataType for field in cells.schema}
    values: list[Column] = []
    for place, column in enumerate(fetching.columns):
        name = _cell_name(place)
        is_value = carried[name] == column.spark_type
        values.append(f.col(name) if is_value else f.expr(decode_spark.value(name, column, place)))
    if not arrow and _is_wide(fetching):
        values[0] = outside_whole_stage(values[0], fetching.columns[0].spark_type, f.col(_cell_name(0)))
    return cells.select(*(value.alias(column.name) for value, column in zip(values, fetching.columns)))


def _is_wide(fetching: Fetching) -> bool:
    return is_wide([column.spark_type for column in fetching.columns], DECODING)


def _cell_name(place: int) -> str:
    return f"c{place}"


def _by_arrow(spark: SparkSession, fetching: Fetching, tally: Tally) -> DataFrame:
    """Return columns of their own types, or of text."""
    from jobs.copyformat import decode_arrow

    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for part in batch.column(0).to_pylist():
                yield from decode_arrow.batches(_blocks(fetching, part, tally), fetching.columns)

    schema = t.StructType(
        [
            t.StructField(_cell_name(place), decode_arrow.carried_type(column))
            for place, column in enumerate(fetching.columns)
        ]
    )
    parts = len(fetching.parts)
    return spark.range(0, parts, 1, parts).mapInArrow(read, schema)


def _by_text(spark: SparkSession, fetching: Fetching, tally: Tally) -> DataFrame:
    """Return columns of text, split from blocks by the JVM: Python only transfers blocks."""
    parts = len(fetching.parts)
    numbers = spark.sparkContext.parallelize(range(parts), parts)
    blocks = numbers.flatMap(lambda part: ((block[:-1],) for block in _blocks(fetching, part, tally)))
    frame = spark.createDataFrame(blocks, t.StructType([t.StructField("block", t.BinaryType())]), verifySchema=False)
    lines = frame.select(f.explode(f.split(f.decode("block", "UTF-8"), "\n")).alias("line"))
    raw = lines.select(f.split("line", "\t").alias("cells"))
    cells = [decode_spark.cell(f.col("cells")[place], column) for place, column in enumerate(fetching.columns)]
    if _is_wide(fetching):
        cells[0] = outside_whole_stage(cells[0], t.StringType(), f.col("cells")[0])
    return raw.select(*(cell.alias(_cell_name(place)) for place, cell in enumerate(cells)))


def _blocks(fetching: Fetching, part: int, tally: Tally) -> Iterator[bytes]:
    """Yield the blocks of a part, which are counted at its end."""
    rows = size = 0
    for block in read_part(fetching, part):
        yield block
        rows += block.count(b"\n")
        size += len(block)
    tally.add({part: (rows, size)})


def read_part(fetching: Fetching, part: int) -> Iterator[bytes]:
    """Yield the blocks of a part's SELECTs, over a connection of its own."""
    with fetching.connector.open(f"part {part}") as session, snapshot.adopted(session, fetching.snapshot):
        yield from copied(session, fetching.parts[part])


def copied(session: Session, queries: Iterable[str]) -> Iterator[bytes]:
    """Yield the rows of SELECTs, in blocks of whole lines."""
    for query in queries:
        yield from session.copy_out(f"COPY ({query}) TO STDOUT")
