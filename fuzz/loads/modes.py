"""The modes of a load, as docs/load.md describes them: operations of a stored table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from fuzz.loads.cases import OPERATION, Case
from fuzz.loads.conditions import CONDITIONS
from fuzz.loads.stored import INSERTED, UPDATED, Key, Stored, Violation
from fuzz.loads.tables import MARK, Row
from fuzz.loads.values import NOT_NULL


class Refused(Exception):
    """A load that the docs refuse, by its table, its options or its rows. It changes nothing."""


@dataclass
class Counts:
    """What the report of a load says.

    Attributes:
        told: Rows of the data that deleted a row.
        may_fail: Whether it depends on the order of rows in the server whether a constraint is violated meanwhile.
    """

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    told: int = 0
    may_fail: bool = False

    def add(self, outcome: str) -> None:
        """Count the outcome of a row."""
        self.inserted += outcome == INSERTED
        self.updated += outcome == UPDATED

    def ignored(self, staged: int) -> int:
        """Return how many of the staged rows had no effect."""
        return staged - self.inserted - self.updated - self.unchanged - self.told


def move(case: Case, stored: Stored, rows: Sequence[Row]) -> Counts:
    """Do what the mode says with staged rows.

    Raises:
        Refused: The mode refuses them.
        Violation: The table does.
    """
    counts = Counts()
    if case.options.mode == "append":
        stored.begin()
        for row in rows:
            counts.add(stored.insert(row))
        stored.end()
    else:
        {
            "overwrite": _diff if case.options.overwrite_strategy == "diff" else _overwrite,
            "upsert": _upsert,
            "ignore": _ignore,
            "replace-partitions": _replace_partitions,
        }[case.options.mode](case, stored, rows, counts)
    return counts


def clear(case: Case, stored: Stored) -> None:
    """Delete what an overwrite replaces, whatever it replaces it by."""
    if case.options.mode == "overwrite":
        where = case.options.overwrite_where
        stored.rows = [row for row in stored.rows if where is not None and CONDITIONS[where](row) is not True]


def move_one(case: Case, stored: Stored, row: Row) -> None:
    """Move one row by a statement of its own. Raises as `move`, but for what is checked at its end."""
    stored.begin()
    if case.options.mode in ("append", "overwrite") and case.options.overwrite_strategy != "diff":
        stored.insert(_loaded(row))
    elif case.options.mode == "ignore":
        stored.insert(row, on_conflict="keys" if case.options.keys else "any")
    elif not any(is_same(case, old, row) for old in stored.of_key(row)):
        stored.insert(row, on_conflict="keys", update=values_of(case))


def chosen(case: Case, rows: Sequence[Row]) -> list[Row]:
    """Return the rows that are moved: with an order, the first or last of each key. NULL is no key: it equals none.

    Raises:
        Refused: Which one is the last, is unknown.
    """
    if not case.options.is_ordered:
        return list(rows)
    groups: dict[object, list[Row]] = {}
    for place, row in enumerate(rows):
        key = case.key(row)
        groups.setdefault(place if key is None else key, []).append(row)
    found = []
    for group in groups.values():
        largest = max(_rank(row, nulls_last=bool(case.options.dedupe_order)) for row in group)
        best = [row for row in group if _rank(row, nulls_last=bool(case.options.dedupe_order)) == largest]
        if case.options.order_by and any(row != best[0] for row in best):
            raise Refused("several last rows differ")
        found.append(best[0])
    return [row for row in rows if any(row is one for one in found)]


def _rank(row: Row, *, nulls_last: bool) -> tuple[bool, int]:
    """Return what n is ordered by: "n desc" puts NULL first, as the greatest; --order-by puts it before all others."""
    return (nulls_last, 0) if row["n"] is None else (not nulls_last, int(row["n"]))


def lacks_required_key(case: Case, row: Row) -> bool:
    """Return whether a row of the data has NULL in a key that is NOT NULL in the table."""
    return any(row[name] is None for name in case.options.keys if case.table.is_required(name))


def check_keys(case: Case, rows: Sequence[Row]) -> None:
    """Check that no key is NULL, and that each is there once, or one of its rows is chosen.

    Raises:
        Refused: That is not so.
        Violation: A key is NULL that the table requires: such rows can be put aside.
    """
    keys = [case.key(row) for row in rows]
    if any(key is None for key in keys):
        puts_aside = case.options.quarantines
        if puts_aside and all(lacks_required_key(case, row) for row, key in zip(rows, keys) if key is None):
            raise Violation(NOT_NULL)
        raise Refused("a key is NULL")
    if not case.options.is_ordered and len(set(keys)) < len(keys):
        raise Refused("a key is there twice")


def _overwrite(case: Case, stored: Stored, rows: Sequence[Row], counts: Counts) -> None:
    where = case.options.overwrite_where
    inside = (lambda _: True) if where is None else CONDITIONS[where]
    stored.begin()
    counts.deleted = stored.delete([row for row in stored.rows if inside(row) is True])
    for row in rows:
        before = len(stored.rows)
        counts.add(stored.insert(row))
        if len(stored.rows) > before and inside(stored.rows[-1]) is not True:
            raise Refused("a row is outside of the slice")
    stored.end()


def _diff(case: Case, stored: Stored, rows: Sequence[Row], counts: Counts) -> None:
    check_keys(case, rows)
    keys, before = {case.key(row) for row in rows}, len(stored.rows)
    stored.begin()
    counts.deleted = stored.delete([row for row in stored.rows if case.key(row) not in keys])
    stored.end()
    _check_share(case, before, missing=counts.deleted)
    _write(case, stored, rows, counts, skips=True)


def _check_share(case: Case, before: int, *, missing: int, told: int = 0) -> None:
    """By default, a fifth of the rows may be deleted by --delete-missing, and any number otherwise."""
    share = case.options.max_delete_share
    by_default = case.options.delete_missing and 5 * missing > before
    if by_default if share is None else missing + told > share * before:
        raise Refused("too many rows would be deleted")


def values_of(case: Case) -> tuple[str, ...]:
    """Return the columns that an upsert updates."""
    return case.options.update_columns or tuple(name for name in case.loaded if name not in case.options.keys)


def is_same(case: Case, old: Row, row: Row) -> bool:
    """Return whether a row of the table is as a row of the data wants it: stored in the same form, not only equal."""
    return all(old.get(name) == row[name] for name in values_of(case))


def _upsert(case: Case, stored: Stored, rows: Sequence[Row], counts: Counts) -> None:
    check_keys(case, rows)
    picked = chosen(case, rows)
    if case.options.by_statements or not has_index(case):
        _merge(case, stored, picked, counts)
        return
    unchanged = [row for row in rows if any(is_same(case, old, row) for old in stored.of_key(row))]
    skips = {"yes": True, "no": False, "auto": bool(rows) and len(unchanged) >= 0.3 * len(rows)}
    _write(case, stored, picked, counts, skips=skips[case.options.skip_unchanged])


def _write(case: Case, stored: Stored, rows: Sequence[Row], counts: Counts, *, skips: bool) -> None:
    """INSERT .. ON CONFLICT DO UPDATE, maybe without unchanged rows."""
    same = [row for row in rows if skips and any(is_same(case, old, row) for old in stored.of_key(row))]
    counts.unchanged = len(same)
    stored.begin()
    for row in rows:
        if not any(row is one for one in same):
            counts.add(stored.insert(_loaded(row), on_conflict="keys", update=values_of(case)))
    stored.end()


def _loaded(row: Row) -> Row:
    return {name: text for name, text in row.items() if name != OPERATION.name}


def has_index(case: Case) -> bool:
    """Return whether ON CONFLICT can use the keys."""
    return bool(case.table.unique) and sorted(case.table.keys) == sorted(case.options.keys)


def _merge(case: Case, stored: Stored, rows: Sequence[Row], counts: Counts) -> None:
    """Deletes, updates and inserts, one after the other."""
    options = case.options
    repeated = Counter(case.key(row) for row in stored.rows)
    if any(repeated[case.key(row)] > 1 for row in rows):
        raise Refused("a key is that of several rows of the table")
    telling = [row for row in rows if options.delete_when is not None and row[OPERATION.name] == "D"]
    others = [row for row in rows if not any(row is one for one in telling)]
    alive = [row for row in stored.rows if options.soft_delete is None or row[MARK.name] != "true"]
    before = len(alive)
    told = {case.key(row) for row in telling}
    counts.told = _gone(case, stored, [row for row in alive if case.key(row) in told])
    if options.delete_missing:
        keys = {case.key(row) for row in rows}
        missing = [row for row in stored.rows if case.key(row) is None or case.key(row) not in keys]
        counts.deleted = _gone(case, stored, [row for row in missing if _is_alive(case, row)])
    if options.deletes:
        _check_share(case, before, missing=counts.deleted, told=counts.told)
    counts.deleted += counts.told
    _update(case, stored, others, counts)
    stored.begin()
    there = {case.key(row) for row in stored.rows}
    new = {} if options.soft_delete is None else {MARK.name: "false"}
    for row in others:
        if case.key(row) not in there:
            counts.add(stored.insert({**_loaded(row), **new}))
    stored.end()


def _is_alive(case: Case, row: Row) -> bool:
    return case.options.soft_delete is None or row[MARK.name] != "true"


def _gone(case: Case, stored: Stored, rows: Sequence[Row]) -> int:
    """Delete rows, or mark them, and return their number."""
    stored.begin()
    if case.options.soft_delete is None:
        number = stored.delete(rows)
    else:
        number = sum(stored.update(row, {MARK.name: "true"}) == UPDATED for row in list(rows))
    stored.end()
    return number


def _update(case: Case, stored: Stored, rows: Sequence[Row], counts: Counts) -> None:
    by_key: dict[Key, Row] = {stored.key(row, case.options.keys): row for row in stored.rows}
    back = {} if case.options.soft_delete is None else {MARK.name: "false"}
    stored.begin()
    for row in rows:
        old = by_key.get(case.key(row))
        if old is None:
            continue
        if case.options.skip_unchanged != "no" and is_same(case, old, row) and _is_alive(case, old):
            counts.unchanged += 1
            continue
        if case.options.update_when is not None and not _is_later(row, old):
            continue
        counts.add(stored.update(old, {**{name: row[name] for name in values_of(case)}, **back}))
    stored.end()


def _is_later(row: Row, old: Row) -> bool:
    return row["n"] is not None and old["n"] is not None and int(row["n"]) > int(old["n"])


def _ignore(case: Case, stored: Stored, rows: Sequence[Row], counts: Counts) -> None:
    stored.begin()
    for row in chosen(case, rows):
        counts.add(stored.insert(row, on_conflict="keys" if case.options.keys else "any"))
    stored.end()


def _replace_partitions(case: Case, stored: Stored, rows: Sequence[Row], counts: Counts) -> None:
    named = {case.table.partition_of(row["g"]) for row in rows}
    if named & {None, "d"}:
        raise Refused("a row belongs to no partition, or to the DEFAULT partition")
    stored.rows = [row for row in stored.rows if case.table.partition_of(row["g"]) not in named]
    stored.begin()
    for row in rows:
        counts.add(stored.insert(row))
    stored.end()
