"""A prototype of COPY's binary format, written by Spark's expressions, which `python -m bench.binary` measures.

It is not part of pgjobs: docs/performance.md says why. Integers are cast to binary, and decimals to their digits, by
internal classes of Spark, since its SQL refuses the former in ANSI mode and has no function for the latter.
https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.4
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from pyspark import SparkContext
from pyspark.serializers import Serializer, SpecialLengths
from pyspark.sql import functions as f
from pyspark.sql import types as t

from jobs.dbaccess.load.copying.parts import Counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import BufferedReader

    from pyspark.sql import Column, DataFrame

SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
NULL = struct.pack("!i", -1)

FIRST_DAY = 10_957
"""2000-01-01, PostgreSQL's day 0, counted from 1970-01-01, Spark's."""

_BASE, _DIGITS = 10_000, 4
"""A numeric's digits are to the base 10000, so each is one of four decimal digits."""
_NEGATIVE = 0x4000
_SENT_DIGITS = 6  # a bigint has at most five, and the first of these is 0
_LONG_DIGITS = 18  # decimal digits of any bigint
_WIDTHS: dict[type[t.DataType], int] = {t.ShortType: 2, t.IntegerType: 4, t.LongType: 8}
_HEADER = struct.Struct("!i")


class BinaryRows:
    """Encodes rows in COPY's binary format, without signature and trailer. It needs an active session of Spark 4."""

    def __init__(self) -> None:
        jvm: Any = SparkContext._jvm  # noqa: SLF001 - PySpark has no public way
        self._columns = jvm.org.apache.spark.sql.classic.ExpressionUtils
        self._expressions = jvm.org.apache.spark.sql.catalyst.expressions
        self._binary = jvm.org.apache.spark.sql.types.DataTypes.BinaryType
        self._no_zone = jvm.scala.Option.empty()

    def encode(self, df: DataFrame) -> DataFrame:
        """Return a DataFrame of one binary column: each row as it follows in the stream.

        Raises:
            TypeError: The prototype does not know a type.
        """
        fields = [self._field(df[field.name], field.dataType) for field in df.schema]
        return df.select(f.concat(_literal(struct.pack("!h", len(fields))), *fields).alias("row"))

    def _field(self, value: Column, spark_type: t.DataType) -> Column:
        """Return a value after its length. The concatenation with NULL is NULL."""
        width = _WIDTHS.get(type(spark_type))
        if width is not None:
            field = f.concat(_literal(_HEADER.pack(width)), self._octets(value))
        elif isinstance(spark_type, t.DateType):
            field = f.concat(_literal(_HEADER.pack(4)), self._octets(f.unix_date(value) - FIRST_DAY))
        elif isinstance(spark_type, t.StringType):
            text = value.cast("binary")
            field = f.concat(self._octets(f.octet_length(text)), text)
        elif isinstance(spark_type, t.DecimalType) and spark_type.precision + _DIGITS <= _LONG_DIGITS + 1:
            field = self._numeric(value, spark_type.scale)
        else:
            raise TypeError(f"the prototype has no encoding for {spark_type.simpleString()}")
        return f.coalesce(field, _literal(NULL))

    def _numeric(self, value: Column, scale: int) -> Column:
        """Return the number of digits, the first one's power of 10000, sign, scale and digits.

        There are always six digits, of which the server removes leading and trailing zeros. With their sign they are
        two bigints, and casting these takes less time than casting five smallints. A second, shorter form for small
        numbers makes the generated method so long that HotSpot does not compile it: three times the text's CPU.
        """
        fraction = -(-scale // _DIGITS)
        number = self._unscaled(value) * 10 ** (fraction * _DIGITS - scale)
        digits = f.abs(number)
        sign_and_scale = f.when(number < 0, f.lit(_NEGATIVE << 48 | scale << 32)).otherwise(f.lit(scale << 32))

        def digit(place: int) -> Column:
            return f.call_function("div", digits, f.lit(_BASE**place)) % _BASE if place else digits % _BASE

        head = struct.pack("!ihh", 8 + 2 * _SENT_DIGITS, _SENT_DIGITS, _SENT_DIGITS - 1 - fraction)
        upper = self._octets(sign_and_scale + digit(4))
        lower = self._octets(digit(3) * (1 << 48) + digit(2) * (1 << 32) + digit(1) * (1 << 16) + digit(0))
        return f.concat(_literal(head), upper, lower)

    def _octets(self, value: Column) -> Column:
        """Return an integer's bytes, the highest first."""
        legacy = self._expressions.EvalMode.LEGACY()
        return self._with(lambda child: self._expressions.Cast(child, self._binary, self._no_zone, legacy), value)

    def _unscaled(self, value: Column) -> Column:
        """Return a decimal's digits without the point, as a bigint."""
        return self._with(self._expressions.UnscaledValue, value)

    def _with(self, make: Callable[[Any], Any], column: Column) -> Column:
        """Return an expression of an internal class over a column."""
        from pyspark.sql.classic.column import Column as ClassicColumn

        child = self._columns.expression(column._jc)  # noqa: SLF001 - PySpark has no public way
        return ClassicColumn(self._columns.column(make(child)))


def _literal(octets: bytes) -> Column:
    return f.lit(bytearray(octets))


class RowDeserializer(Serializer):
    """Reads the JVM's stream of rows (each after a 4-byte length) as blocks of a COPY in binary format."""

    def load_stream(self, stream: BufferedReader[Any]) -> Iterator[Counted]:
        """Yield blocks until the section ends. Never read beyond it, because the next message begins there."""
        yield Counted(SIGNATURE, 0)
        while True:
            buffer = stream.peek()
            rows, at = _whole_rows(buffer)
            if rows:
                stream.read(at)
                yield Counted(b"".join(rows), len(rows))
                continue
            [length] = _HEADER.unpack(stream.read(_HEADER.size))
            if length == SpecialLengths.END_OF_DATA_SECTION:
                yield Counted(TRAILER, 0)
                return
            yield Counted(stream.read(length), 1)


def _whole_rows(buffer: bytes) -> tuple[list[bytes], int]:
    """Return the rows that are complete in a buffer, and where they end."""
    rows: list[bytes] = []
    length_at, most, at = _HEADER.unpack_from, len(buffer) - _HEADER.size, 0
    while at <= most:
        [length] = length_at(buffer, at)
        end = at + _HEADER.size + length
        if length < 0 or end > len(buffer):
            break
        rows.append(buffer[at + _HEADER.size : end])
        at = end
    return rows, at
