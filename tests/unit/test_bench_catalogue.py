from __future__ import annotations

from importlib.util import find_spec

import pytest

from bench.errors import BenchError
from bench.plan import catalogue
from bench.plan.way import Way


@pytest.mark.parametrize("way", catalogue.WAYS, ids=lambda way: way.label)
def test_each_way_has_a_module(way: Way) -> None:
    assert find_spec(f"bench.ways.{way.module}") is not None


def test_several_ways_are_chosen_by_parts_of_their_names() -> None:
    chosen = catalogue.choose("JDBC, three indexes|upsert, 100")
    assert chosen == (catalogue.JDBC_INDEXED, catalogue.ALL)
    with pytest.raises(BenchError, match="No way's name contains 'nothing'"):
        catalogue.choose("nothing")


def test_each_way_has_a_name_of_its_own() -> None:
    assert len({way.label for way in catalogue.WAYS}) == len(catalogue.WAYS)
