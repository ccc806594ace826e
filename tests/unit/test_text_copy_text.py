"""COPY's escapes: what is dumped is loaded unchanged, and is never taken for NULL or for the end of a cell."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jobs.copyformat.text.copy_text import dump, load
from jobs.dbaccess.copy_text import COPY_ESCAPES, NULL

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])) | st.text("\\Nntrb\b\f\v\t\r\n")


@given(TEXTS)
def test_what_is_dumped_is_loaded_unchanged(text: str) -> None:
    assert load(dump(text, str.replace, COPY_ESCAPES), str.replace) == text


@given(TEXTS)
def test_a_dumped_text_is_one_cell_that_is_not_null(text: str) -> None:
    dumped = dump(text, str.replace, COPY_ESCAPES)
    assert dumped != NULL
    assert not set("\t\n\r") & set(dumped)


def test_the_escapes_that_only_the_server_writes_are_loaded() -> None:
    assert load(r"\b\f\v\\b", str.replace) == "\b\f\v\\b"
