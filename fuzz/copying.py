"""Targets: COPY's text format. What is decoded is what was encoded, by our rules and by the manual's."""

from __future__ import annotations

import io
import re
import struct
from functools import partial
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st
from pyspark.serializers import SpecialLengths
from pyspark.sql import types as t

from fuzz import texts
from fuzz.connections import refused
from fuzz.target import Target
from jobs.copyformat import decode_arrow, encode_arrow
from jobs.copyformat.match_columns import Match
from jobs.copyformat.read_types import ExtractColumn
from jobs.dbaccess.catalog.query_columns import BaseType, SourceColumn
from jobs.dbaccess.catalog.tables import Column
from jobs.dbaccess.rows.decode import RowDecoder
from jobs.dbaccess.rows.encode import RowEncoder
from jobs.spark.tasks.copy_blocks import BlockDeserializer

NULL = "\\N"
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def lines(columns: dict[str, list[Any]], kinds: dict[str, tuple[t.DataType, pa.DataType]]) -> bytes:
    """Return the COPY lines of columns."""
    batch = pa.record_batch({name: pa.array(columns[name], kinds[name][1]) for name in columns})
    matches = [Match(name, kinds[name][0], Column(name, "text", "text", "S")) for name in columns]
    return bytes(encode_arrow.lines(batch, matches))


def cells_of(data: bytes) -> list[list[str | None]]:
    """Return the cells, by the manual's rules.

    https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.2
    """
    assert data.endswith(b"\n") or not data
    return [[_cell(raw) for raw in line.split("\t")] for line in data.decode().split("\n")[:-1]]


def _cell(raw: str) -> str | None:
    return (
        None if raw == NULL else re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), raw, flags=re.DOTALL)
    )


TEXT, BINARY = (t.StringType(), pa.string()), (t.BinaryType(), pa.binary())
STRINGS = (
    st.none() | texts.PLAIN | texts.of("\\", "a", "\\N", size=4).filter(lambda s: "\0" not in s and "\ud800" not in s)
)
ROWS = st.lists(st.tuples(STRINGS, st.none() | st.binary(max_size=9)), max_size=20)


def written_text(rows: list[tuple[str | None, bytes | None]]) -> None:
    """Text and bytes are decoded unchanged, by the manual's rules and by our own decoder."""
    columns: dict[str, list[Any]] = {"a": [text for text, _ in rows], "b": [octets for _, octets in rows]}
    data = lines(columns, {"a": TEXT, "b": BINARY})
    expected = [[text, None if octets is None else f"\\x{octets.hex()}"] for text, octets in rows]
    assert cells_of(data) == expected
    if data:
        extract_columns = [ExtractColumn("a", "a", t.StringType()), ExtractColumn("b", "b", t.StringType())]
        read = [
            list(row.values())
            for batch in decode_arrow.batches(iter([data]), extract_columns)
            for row in batch.to_pylist()
        ]
        assert read == expected


ARRAYS = st.none() | st.lists(STRINGS, max_size=4)


def written_arrays(arrays: list[list[str | None] | None]) -> None:
    """Arrays of text, by the rules of array literals."""
    kind = (t.ArrayType(t.StringType()), pa.list_(pa.string()))
    cells = cells_of(lines({"a": arrays}, {"a": kind}))
    assert [None if cell is None else array_of(cell) for [cell] in cells] == arrays


def array_of(literal: str) -> list[str | None]:
    """Return the elements of an array literal.

    https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
    """
    elements = re.findall(r'"((?:[^"\\]|\\.)*)"|([^,{}"]+)', literal[1:-1], re.DOTALL)
    rebuilt = ",".join(bare or f'"{quoted}"' for quoted, bare in elements)
    assert literal == "{" + rebuilt + "}"
    return [None if bare == "NULL" else re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL) for quoted, bare in elements]


def carried(value: tuple[list[bytes], int]) -> None:
    """The JVM's stream of lines, read through buffers of any size, is complete, counted, and not read past its end."""
    rows, buffer = value
    stream = b"".join(struct.pack("!i", len(row)) + row for row in rows)
    stream += struct.pack("!i", SpecialLengths.END_OF_DATA_SECTION) + b"next"
    reader = io.BufferedReader(io.BytesIO(stream), buffer)
    found = list(BlockDeserializer().load_stream(reader))
    assert b"".join(bytes(counted.block) for counted in found) == b"".join(rows)
    assert sum(counted.rows for counted in found) == len(rows)
    assert reader.read(4) == b"next"


def written_values(rows: list[tuple[str | None, list[str | None] | None]]) -> None:
    """Rows of Python values that are encoded are decoded as they were."""
    encoder = RowEncoder([Column("a", "text", "text", "S"), Column("b", "text[]", "_text", "A", element="text")])
    decoder = RowDecoder(
        [SourceColumn("a", "text", BaseType("text")), SourceColumn("b", "text[]", BaseType("text"), 1)]
    )
    for number, row in enumerate(rows):
        line = refused(partial(encoder.line, row, number))
        if line is not None:
            assert line.count("\n") == 1
            assert decoder.row(line[:-1]) == row


TARGETS = [
    Target(
        "written_values",
        st.lists(st.tuples(st.none() | texts.ANY, st.none() | st.lists(st.none() | texts.ANY, max_size=4)), max_size=5),
        written_values,
    ),
    Target("written_text", ROWS, written_text),
    Target("written_arrays", st.lists(ARRAYS, max_size=10), written_arrays),
    Target(
        "carried_lines",
        st.tuples(
            st.lists(st.binary(max_size=80).map(lambda row: row.replace(b"\n", b"") + b"\n"), max_size=12),
            st.integers(8, 200),
        ),
        carried,
    ),
]
