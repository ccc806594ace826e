"""Watermarks: a run continues one of the same definition, and no other one."""

from __future__ import annotations

import pytest

from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.extract.watermark import Definition, Watermark

DEFINITION = Definition("public.t", 16400, ("id",), "id > 0")


def test_a_watermark_goes_on_with_its_own_definition_and_where_the_table_was_renamed() -> None:
    mark = Watermark("public.t", 1, 100, None, DEFINITION)
    mark.check(DEFINITION)
    mark.check(Definition("public.renamed", 16400, ("id",), "id > 0"))


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (Definition("public.t", 16401, ("id",), "id > 0"), "of public.t, which was another table"),
        (Definition("public.t", 16400, (), "id > 0"), "with other columns"),
        (Definition("public.t", 16400, ("id",)), "with another filter"),
    ],
)
def test_a_watermark_of_another_definition_is_refused(other: Definition, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Watermark("public.t", 1, 100, None, DEFINITION).check(other)


def test_a_watermark_of_which_nothing_was_taken_goes_with_every_definition() -> None:
    Watermark("public.t", 1, 0, None, DEFINITION).check(Definition("public.other", 1))


def test_a_watermark_that_is_older_than_definitions_is_known_by_its_tables_name() -> None:
    mark = Watermark("public.t", 1, 100)
    mark.check(DEFINITION)
    with pytest.raises(UsageError, match=r"is of public\.t, not of public\.other"):
        mark.check(Definition("public.other", 16400))
