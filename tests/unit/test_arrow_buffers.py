"""Arrow columns by their buffers: what is joined is divided again, NULLs and slices included."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given
from hypothesis import strategies as st

from jobs.copyformat import arrow_buffers

VALUES = st.lists(st.none() | st.binary(max_size=5), max_size=9)


@given(VALUES, st.integers(0, 3))
def test_what_is_joined_is_divided_again(values: list[bytes | None], start: int) -> None:
    array = pa.array(values, pa.binary())[start:]
    data = bytes(arrow_buffers.joined(array))
    assert arrow_buffers.divided(data, pc.binary_length(array), pa.binary()).to_pylist() == values[start:]


@given(st.lists(st.none() | st.lists(st.integers(0, 9), max_size=3), max_size=6), st.integers(0, 3))
def test_lists_are_made_of_their_items_and_lengths(values: list[list[int] | None], start: int) -> None:
    array = pa.array(values, pa.list_(pa.int32()))[start:]
    rebuilt = arrow_buffers.lists(array.flatten(), pc.list_value_length(array))
    assert rebuilt.to_pylist() == values[start:]


@given(st.lists(st.none() | st.lists(st.integers(0, 9), max_size=3), max_size=6), st.integers(0, 3))
def test_lists_get_other_items(values: list[list[int] | None], start: int) -> None:
    array = pa.array(values, pa.list_(pa.int32()))[start:]
    texts = arrow_buffers.with_items(array, array.values.cast(pa.string()))
    assert texts.to_pylist() == [None if items is None else [str(item) for item in items] for items in values[start:]]
