"""The order in which the tables of a release are written."""

from __future__ import annotations

import random
from itertools import permutations

import pytest

from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.together.arrange import ForeignKey, arrange
from jobs.dbaccess.sql import TableName

A, B, C, D = TABLES = tuple(TableName(name, "s") for name in "abcd")


def key(referencing: TableName | None, referenced: TableName, *, deferrable: bool = False) -> ForeignKey:
    name = f"{referencing.name if referencing else 'other'}_{referenced.name}"
    return ForeignKey(TableName(name, "s"), referencing, referenced, deferrable)


@pytest.mark.parametrize("given", list(permutations((A, B, C))))
def test_referenced_tables_come_first_however_they_are_given(given: tuple[TableName, ...]) -> None:
    assert arrange(given, (), [key(A, B), key(B, C), key(A, C)]).tables == (C, B, A)


def test_tables_without_keys_between_them_stay_in_their_order() -> None:
    assert arrange([C, A, D, B], (), [key(C, A), key(D, D), key(None, B)]).tables == (A, C, D, B)


def test_keys_that_form_a_circle_are_refused_by_name() -> None:
    with pytest.raises(UsageError) as caught:
        arrange(TABLES, (), [key(A, B), key(B, C), key(C, B), key(D, A, deferrable=True)])
    assert caught.value.message.startswith("Foreign keys form a circle: b_c from s.b to s.c, c_b from s.c to s.b.")
    assert caught.value.hint.endswith("ALTER TABLE s.b ALTER CONSTRAINT b_c DEFERRABLE.")


def test_a_circle_is_written_if_one_of_its_keys_is_checked_at_the_end() -> None:
    arrangement = arrange([A, B, C], (), [key(A, B), key(B, C), key(C, A, deferrable=True)])
    assert arrangement.tables == (C, B, A)
    assert arrangement.deferred == (TableName("c_a", "s"),)


def test_deferrable_keys_decide_where_they_can() -> None:
    assert arrange([A, B], (), [key(A, B, deferrable=True)]).tables == (B, A)


def test_what_refers_to_replaced_rows_is_emptied_before_the_last_referencing_table_first() -> None:
    arrangement = arrange([A, B, C], {A, B, C}, [key(A, B), key(B, C)])
    assert arrangement.tables == (C, B, A)
    assert arrangement.emptied == (A, B)


@pytest.mark.parametrize("holder", [None, D])
def test_a_table_whose_rows_others_refer_to_is_not_emptied(holder: TableName | None) -> None:
    """What is not replaced needs them: another table, or one of the release whose rows stay."""
    arrangement = arrange([A, B, C, D], {A, B, C}, [key(A, B), key(B, C), key(holder, B)])
    assert arrangement.emptied == (A,)
    assert arrange([A, B, C, D], {A, B, C}, [key(A, B), key(B, C), key(holder, A)]).emptied == ()


def test_a_key_of_a_table_to_itself_is_none_between_tables() -> None:
    arrangement = arrange([A, B], {A, B}, [key(A, A), key(A, B), key(B, B, deferrable=True)])
    assert (arrangement.tables, arrangement.emptied, arrangement.deferred) == ((B, A), (A,), ())


def test_each_order_satisfies_all_keys_that_are_not_deferrable() -> None:
    chance = random.Random(17)  # noqa: S311 - it makes graphs
    for _ in range(300):
        tables = [TableName(str(number)) for number in range(chance.randint(1, 7))]
        keys = [
            key(chance.choice(tables), chance.choice(tables), deferrable=chance.random() < 0.3)
            for _ in range(chance.randint(0, 8))
        ]
        try:
            arrangement = arrange(tables, tables, keys)
        except UsageError as error:
            assert "circle" in error.message  # noqa: PT017 - most graphs have an order
            continue
        assert sorted(arrangement.tables, key=str) == sorted(tables, key=str)
        place = {table: number for number, table in enumerate(arrangement.tables)}
        for one in keys:
            if one.is_between and not one.is_deferrable:
                assert place[one.referenced] < place[one.referencing]  # type: ignore[index] # it is between tables
