"""Queries for staged rows that conflict, by unique and exclusion constraints, with rows of the table or each other.

The rows are those of a query that has their places in staging as `PLACE`. Values in, SQL text out.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobs.dbaccess.load.rejects.row_rules import Exclusion, Unique

PLACE = "pgjobs_place"
"""The column that has the ctid of a row in staging: rows are taken in its order."""

_GIVEN = "IS DISTINCT FROM NULL"
"""To an index, a composite value with NULLs in its fields is no NULL. To IS NOT NULL, it is one."""


def keyed(relation: str, rule: Unique | Exclusion, *others: str) -> str:
    """Return a query for the keys of rows, k0 and so on; without rows to which the constraint does not apply."""
    keys = ", ".join([*(f"({key}) AS k{number}" for number, key in enumerate(rule.keys)), *others])
    conditions = [rule.predicate or "true"]
    if not rule.nulls_are_equal:
        conditions += [f"({key}) {_GIVEN}" for key in rule.keys]
    return f"SELECT {keys} FROM {relation} WHERE {' AND '.join(f'({one})' for one in conditions)}"


def conflict(rule: Unique | Exclusion, names: Sequence[str] = ()) -> str:
    """Return the condition that rows t and s have keys that may not both be there.

    Args:
        rule: The constraint.
        names: The columns that have the keys; by default, those of `keyed`.
    """
    named = list(zip(names or [f"k{number}" for number in range(len(rule.keys))], rule.operators))
    same = [f"t.{name} {operator} s.{name}" for name, operator in named]
    if rule.nulls_are_equal:
        both = zip(same, named)
        same = [f"({one} OR NOT (t.{name} {_GIVEN} OR s.{name} {_GIVEN}))" for one, (name, _) in both]
    return " AND ".join(same)


def conflicting(source: str, relation: str, rule: Unique | Exclusion) -> str:
    """Return a query for the places of rows that conflict with rows of a relation."""
    staged, there = keyed(f"({source}) AS s", rule, f"{PLACE} AS place"), keyed(relation, rule)
    return f"SELECT place FROM ({staged}) AS s WHERE EXISTS (SELECT FROM ({there}) AS t WHERE {conflict(rule)})"


def later(source: str, unique: Sequence[Unique], exclusion: Sequence[Exclusion]) -> str:
    """Return a query for rows that conflict with an earlier row that stays: their places, and the number of the rule.

    A row stays if it conflicts with no row before it. Whether others do is known when these have gone: repeat it.
    """
    if exclusion:
        rules = [*unique, *exclusion]
        return (
            f"WITH {_pairs(source, rules)} SELECT later AS place, min(rule) AS rule FROM pairs AS p "
            "WHERE NOT EXISTS (SELECT FROM pairs AS q WHERE q.later = p.earlier) GROUP BY later"
        )
    found = " UNION ALL ".join(
        f"SELECT s.place, {number} AS rule FROM w AS s JOIN w AS t ON t.place = s.f{number} AND t.stays "
        f"WHERE s.f{number} <> s.place"
        for number in range(len(unique))
    )
    return f"WITH {_firsts(source, unique)} SELECT place, min(rule) AS rule FROM ({found}) AS f GROUP BY place"


def behind(source: str, unique: Sequence[Unique], exclusion: Sequence[Exclusion]) -> str:
    """Return a query for the places of rows that conflict with an earlier row, whether that one stays or not."""
    if exclusion:
        return f"WITH {_pairs(source, [*unique, *exclusion])} SELECT later FROM pairs"
    return f"WITH {_firsts(source, unique)} SELECT place FROM w WHERE NOT stays"


def _firsts(source: str, rules: Sequence[Unique]) -> str:
    """Return what follows WITH for w: the first row with the same key, by each rule; and whether a row is it."""
    firsts: list[str] = []
    for rule in rules:
        applies = [f"({rule.predicate or 'true'})"]
        if not rule.nulls_are_equal:
            applies += [f"({key}) {_GIVEN}" for key in rule.keys]
        condition = " AND ".join(applies)
        keys = ", ".join([f"({condition})", *(f"({key})" for key in rule.keys)])
        first = f"first_value({PLACE}) OVER (PARTITION BY {keys} ORDER BY {PLACE})"
        firsts.append(f"CASE WHEN {condition} THEN {first} ELSE {PLACE} END AS f{len(firsts)}")
    stays = " AND ".join(f"f{number} = place" for number in range(len(rules)))
    return (
        f"ranked AS (SELECT {PLACE} AS place, {', '.join(firsts)} FROM ({source}) AS s), "
        f"w AS MATERIALIZED (SELECT *, {stays} AS stays FROM ranked)"
    )


def _pairs(source: str, rules: Sequence[Unique | Exclusion]) -> str:
    """Return what follows WITH for pairs: two rows that conflict, and the number of the rule."""
    keys, pairs = [], []
    for number, rule in enumerate(rules):
        keys.append(f"keyed{number} AS MATERIALIZED ({keyed(f'({source}) AS s', rule, f'{PLACE} AS place')})")
        pairs.append(
            f"SELECT t.place AS earlier, s.place AS later, {number} AS rule "
            f"FROM keyed{number} AS t JOIN keyed{number} AS s ON t.place < s.place AND {conflict(rule)}"
        )
    return f"{', '.join(keys)}, pairs AS MATERIALIZED ({' UNION ALL '.join(pairs)})"
