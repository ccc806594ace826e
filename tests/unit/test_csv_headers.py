"""The names of CSV columns, as the files have them and as Spark's reader compares them."""

from __future__ import annotations

import pytest

from jobs.spark.sources.csv_bytes import as_bytes, as_text, options_for
from jobs.spark.sources.csv_headers import are_different, found, read_as, stated, unmarked


@pytest.mark.parametrize(
    ("name", "meant"),
    [("id", "id"), ("\ufeffid", "id"), ('\ufeff"id"', "id"), ('"id"', '"id"'), ("\ufeff", ""), ('\ufeff"', '"')],
)
def test_a_bom_is_no_part_of_the_first_name(name: str, meant: str) -> None:
    assert unmarked(name) == meant


def test_names_are_given_to_the_reader_as_it_sees_them() -> None:
    assert stated(["größe", "id"]).read == ("grÃ¶Ã\x9fe", "id")
    assert stated(["Id", "x"], as_bytes("\ufeffid")).read == (as_bytes("\ufeffid"), "x")
    assert stated(["other", "x"], as_bytes("\ufeffid")).read == ("other", "x")
    header = found(("ï»¿id", "grÃ¶Ã\x9fe"), ("\ufeffid", "größe"))
    assert (header.read, header.names) == (("ï»¿id", "grÃ¶Ã\x9fe"), ("id", "größe"))
    assert found(("ï»¿", "a"), ("\ufeff", "a")).names == ("_c0", "a")


def test_names_that_occur_twice_cannot_be_compared_and_one_that_is_empty_can() -> None:
    assert read_as([None, "a"], "nothing") == ("nothing", "a")
    assert are_different(["a", "b"], case_sensitive=False)
    assert not are_different(["a", "A"], case_sensitive=False)
    assert are_different(["a", "A"], case_sensitive=True)


def test_text_and_its_bytes() -> None:
    assert as_text(as_bytes("größe €")) == "größe €"
    assert as_text("gr\xf6\xdfe") is None


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({}, {"encoding": "ISO-8859-1"}),
        ({"Encoding": "utf8", "sep": "§"}, {"Encoding": "ISO-8859-1", "sep": "Â§"}),
        ({"charset": "UTF-8", "header": "true"}, {"charset": "ISO-8859-1"}),
        ({"encoding": "ISO-8859-1"}, {}),
        ({"encoding": "UTF-16"}, {}),
        ({"quote": "§"}, {}),
        ({"locale": "fr-FR"}, {}),
    ],
)
def test_files_are_read_byte_for_byte_unless_their_encoding_is_another_one(
    given: dict[str, str], read: dict[str, str]
) -> None:
    assert options_for(given) == read
