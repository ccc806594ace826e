"""What a worker holds of a part at once does not grow with the part."""

from __future__ import annotations

import tracemalloc

import pyarrow as pa
from pyspark.sql import types as t

from jobs.copyformat import decode_arrow
from jobs.copyformat.read_types import ExtractColumn
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.postgres_connectivity import connect

MEGABYTE = 1 << 20
ROWS = 40
"""Of a megabyte each."""


def test_a_part_of_long_rows_is_held_a_few_rows_at_a_time(server: Settings) -> None:
    columns = (ExtractColumn("x", '"x"', t.StringType()),)
    query = f"COPY (SELECT repeat(E'\\\\', {MEGABYTE}) FROM generate_series(1, {ROWS})) TO STDOUT"
    read, most_arrow, before = 0, 0, pa.total_allocated_bytes()
    tracemalloc.start()
    try:
        with connect(server, "pgjobs tests") as session:
            for batch in decode_arrow.batches(session.copy_out(query), columns):
                read += len(batch.column(0)[0].as_py()) * len(batch)
                most_arrow = max(most_arrow, pa.total_allocated_bytes() - before)
        most_python = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert read == ROWS * MEGABYTE
    assert most_python < 16 * MEGABYTE
    assert most_arrow < 16 * MEGABYTE
