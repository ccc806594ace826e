"""Parts by blocks and by keys: every row is in exactly one, and blocks are dealt out evenly."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from qualified import unqualified

from jobs.dbaccess.extract.partitioning import Leaf, Part, by_blocks, by_key
from jobs.dbaccess.sql import TableName

CTID = re.compile(r"(?:ctid >= '\((\d+),0\)'::tid)?(?: AND )?(?:ctid < '\((\d+),0\)'::tid)?")
LEAVES = st.lists(st.integers(0, 60), min_size=1, max_size=5).map(
    lambda sizes: [Leaf(TableName(f"leaf{number}", "s"), blocks) for number, blocks in enumerate(sizes)]
)


def blocks_of(part: Part, leaves: list[Leaf]) -> list[tuple[str, int]]:
    """The blocks that a part reads; of a leaf's open end, those that are there by now, which is one more."""
    sizes = {f"ONLY {leaf.name.quoted}": leaf.blocks + 1 for leaf in leaves}
    found = []
    for piece in part:
        match = CTID.fullmatch(unqualified(piece.condition))
        assert match is not None
        start, end = int(match.group(1) or 0), int(match.group(2) or sizes[piece.relation])
        found += [(piece.relation, block) for block in range(start, end)]
    return found


@given(leaves=LEAVES, parts=st.integers(1, 12))
@example(leaves=[Leaf(TableName("empty", "s"), 0)], parts=8)
@example(leaves=[Leaf(TableName("small", "s"), 3)], parts=8)
def test_every_block_of_every_leaf_is_in_one_part(leaves: list[Leaf], parts: int) -> None:
    read = Counter(block for part in by_blocks(leaves, parts) for block in blocks_of(part, leaves))
    assert read == Counter((f"ONLY {leaf.name.quoted}", block) for leaf in leaves for block in range(leaf.blocks + 1))


@given(leaves=LEAVES, parts=st.integers(1, 12))
def test_parts_differ_by_one_block_at_most(leaves: list[Leaf], parts: int) -> None:
    """An empty leaf counts as one block, and the block that a leaf may have grown by is not counted."""
    grown = {(f"ONLY {leaf.name.quoted}", max(leaf.blocks, 1)) for leaf in leaves}
    made = by_blocks(leaves, parts)
    sizes = [len(set(blocks_of(part, leaves)) - grown) for part in made]
    total = sum(max(leaf.blocks, 1) for leaf in leaves)
    assert len(made) == min(parts, total)
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(
    ("bounds", "conditions"),
    [
        ([], [""]),
        (["5"], ['("k" < 5 OR "k" IS NULL)', '"k" >= 5']),
        (["5", "7"], ['("k" < 5 OR "k" IS NULL)', '"k" >= 5 AND "k" < 7', '"k" >= 7']),
    ],
)
def test_ranges_of_a_key_are_half_open_and_the_first_has_what_has_none(
    bounds: list[str], conditions: list[str]
) -> None:
    assert [[unqualified(piece.condition) for piece in part] for part in by_key("t", "k", bounds)] == [
        [c] for c in conditions
    ]


@given(bounds=st.lists(st.integers(-50, 50), max_size=6, unique=True).map(sorted), key=st.integers(-60, 60) | st.none())
def test_every_key_is_in_one_range(bounds: list[int], key: int | None) -> None:
    conditions = [unqualified(part[0].condition) for part in by_key("t", "k", [str(bound) for bound in bounds])]
    assert [holds(condition, key) for condition in conditions].count(True) == 1


def holds(condition: str, key: int | None) -> bool:
    """A condition as the server would see it, by Python's own comparisons."""
    if key is None:
        return not condition or condition.endswith("IS NULL)")
    pairs = re.findall(r'"k" (<|>=) (-?\d+)', condition)
    return all(key < int(bound) if sign == "<" else key >= int(bound) for sign, bound in pairs)
