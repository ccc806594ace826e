"""Rows of Arrow, before they are encoded."""

from __future__ import annotations

import pyarrow as pa
import pytest

pytest.importorskip("pyspark.sql.datasource", reason="Python data sources are Spark 4's")

from jobs.pgcopy.writer import with_nulls


def test_strings_that_stand_for_null_are_null_and_nothing_else_is() -> None:
    schema = pa.schema(
        [
            pa.field("a", pa.string(), nullable=False),
            pa.field("b", pa.large_string()),
            pa.field("c", pa.list_(pa.string())),
            pa.field("d", pa.binary()),
            pa.field("e", pa.int32()),
        ]
    )
    columns = [["NA", "", "na"], ["NA", None, "x"], [["NA"], None, []], [b"NA", b"", None], [1, None, 3]]
    batch = pa.RecordBatch.from_arrays([pa.array(c, f.type) for c, f in zip(columns, schema)], schema=schema)
    loaded = with_nulls(batch, ("NA", ""))
    assert loaded.to_pydict() == {**batch.to_pydict(), "a": [None, None, "na"], "b": [None, None, "x"]}
    loaded.validate(full=True)


def test_rows_are_as_they_are_where_nothing_stands_for_null() -> None:
    batch = pa.RecordBatch.from_pydict({"a": ["", "NA"]})
    assert with_nulls(batch, ()) is batch
