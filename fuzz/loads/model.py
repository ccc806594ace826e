"""What a load must have done: the rows of its table, what is put aside, and what its report says; or that it fails."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from fuzz.loads import modes
from fuzz.loads.cases import EXTRA, Case
from fuzz.loads.modes import Counts, Refused
from fuzz.loads.stored import Stored, Violation
from fuzz.loads.tables import INSERT, UPDATE, Row
from fuzz.loads.values import CHECK, EXCLUSION, FOREIGN_KEY, NOT_NULL, UNIQUE

_CONSTRAINTS = "23"
"""The class of SQLSTATEs of violated constraints."""

ROW_RULES = frozenset({NOT_NULL, CHECK, FOREIGN_KEY})


@dataclass(frozen=True)
class Expected:
    """What a load must have done, unless it fails.

    Attributes:
        fails: Why it must fail; empty if it must not.
        sqlstates: Those of which its error must have one; empty for any error.
        may_fail: Whether it may also fail, for the order in which the server happens to write rows.
        rows: The rows of the table.
        rejected: For each row that is put aside, by ref, the SQLSTATEs of which it must have one.
        counts: What the report says; None for nothing.
        staged: How many rows were not put aside.
    """

    fails: str = ""
    sqlstates: frozenset[str] = frozenset()
    may_fail: bool = False
    rows: Sequence[Row] = ()
    rejected: Sequence[tuple[str, frozenset[str]]] = ()
    counts: Counts | None = None
    staged: int = 0


def expected(case: Case, put_aside: Collection[str] = ()) -> Expected:
    """Return what a load must have done.

    Args:
        case: The load.
        put_aside: The rows that it put aside for a constraint, by ref. Where it depends on the order in which the
            server updates rows which ones these are, they are taken for given.
    """
    try:
        check(case)
        bad = [(row, frozenset(case.refusals(row))) for row in case.data]
        staged = [case.staged(row) for row, sqlstates in bad if not sqlstates]
        rejected = [(str(row["ref"].text), sqlstates) for row, sqlstates in bad if sqlstates]
        if rejected and not case.options.quarantines:
            return Expected("values", frozenset().union(*(sqlstates for _, sqlstates in rejected)))
        conflicting = _conflicting(case, staged, put_aside) if case.options.quarantines else {}
        rejected += [(str(row["ref"]), conflicting[id(row)]) for row in staged if id(row) in conflicting]
        if case.options.max_errors is not None and len(rejected) > case.options.max_errors:
            return Expected("too many rows are rejected")
        return _moved(case, [row for row in staged if id(row) not in conflicting], rejected)
    except Refused as reason:
        return Expected(str(reason))
    except Violation as violation:
        return Expected("a constraint or trigger", frozenset({violation.sqlstate}))


def stored(case: Case) -> Stored:
    """Return the table as it is when the rows are moved: it has what its schema mode adds to it and widens."""
    adds = case.options.schema_mode != "strict" and EXTRA.name in case.columns
    table = case.table if not adds else case.table.with_column(EXTRA)
    rows = [{**row, **({EXTRA.name: None} if adds else {})} for row in case.rows]
    if case.widens:
        for row in rows:
            for column in (column for column in table.data if column.kind.widened and column.name in case.columns):
                text = row[column.name]
                row[column.name] = None if text is None else column.kind.wider(text)
    return Stored(table, rows, case.children)


def _moved(case: Case, rows: Sequence[Row], rejected: Sequence[tuple[str, frozenset[str]]]) -> Expected:
    """Return what becomes of rows of which none is put aside."""
    table = stored(case)
    try:
        counts = modes.move(case, table, rows)
    except Violation as violation:
        if violation.sqlstate not in (UNIQUE, EXCLUSION) or not _updates(case):
            raise
        table = stored(case)
        table.is_lenient = True
        counts = modes.move(case, table, rows)
        table.order_matters = True
    return Expected("", frozenset(), table.order_matters, table.rows, tuple(rejected), counts=counts, staged=len(rows))


def _updates(case: Case) -> bool:
    return case.options.mode == "upsert" or case.options.overwrite_strategy == "diff"


def check(case: Case) -> None:
    """Check what docs/load.md says is refused before anything is copied.

    Raises:
        Refused: It is.
    """
    table, options = case.table, case.options
    if EXTRA.name in case.columns and options.schema_mode == "strict":
        raise Refused("the table has no such column")
    if any(column.required and column.default is None and column.name not in case.columns for column in table.data):
        raise Refused("a required column is missing")
    needs_index = options.overwrite_strategy == "diff" or (options.mode == "ignore" and bool(options.keys))
    if needs_index and not modes.has_index(case):
        raise Refused("there is no unique index")
    removes = options.mode == "overwrite" or (options.deletes and options.soft_delete is None)
    if removes and table.referenced in ("CASCADE", "SET NULL"):
        raise Refused("rows of another table would be changed")
    if options.overwrite_strategy == "truncate" and table.referenced:
        raise Refused("another table may refer to its rows")
    if options.quarantines and (options.by_statements or options.update_columns or options.order_by):
        raise Refused("it needs all rows")
    if options.mode == "replace-partitions":
        _check_replaceable(case)
    if options.publish == "parts" and _why_no_parts(case):
        raise Refused("parts cannot be copied straight into the table")


def _why_no_parts(case: Case) -> bool:
    options = case.options
    return (
        options.mode != "append"
        or options.schema_mode != "strict"
        or options.quarantines
        or case.table.before is not None
    )


def _check_replaceable(case: Case) -> None:
    table = case.table
    if not table.partitions or case.options.quarantines:
        raise Refused("there are no partitions, or rows are to be put aside")
    if case.options.schema_mode != "strict" and EXTRA.name in case.columns:
        raise Refused("columns are not added")
    if table.references or table.refers_to_itself or table.referenced:
        raise Refused("there is a foreign key")
    if any(trigger is not None and INSERT in trigger.events for trigger in (table.before, table.after)):
        raise Refused("there is a trigger, which would not fire")


def _conflicting(case: Case, staged: Sequence[Row], put_aside: Collection[str]) -> dict[int, frozenset[str]]:
    """Return the rows that violate a constraint, by id, with the SQLSTATEs: those that single INSERTs would not let in.

    Raises:
        Refused: The load cannot say which ones these are.
        Violation: A trigger refuses a row.
    """
    if _updates(case):
        modes.check_keys(case, [row for row in staged if not modes.lacks_required_key(case, row)])
    try:
        _moved(case, staged, ())
    except Violation as violation:
        if not _is_constraint(violation) or _changes_rows(case):
            raise
    else:
        return {}
    if depends_on_order(case):
        return {id(row): frozenset({UNIQUE, EXCLUSION, *ROW_RULES}) for row in staged if row["ref"] in put_aside}
    dangling: dict[int, frozenset[str]] = {}
    while True:
        some = [row for row in staged if id(row) not in dangling]
        conflicting, table = _refused(case, some)
        missing = [row for row in some if id(row) not in conflicting and table.dangles(row)]
        if not missing:
            return {**dangling, **conflicting}
        dangling.update({id(row): frozenset({FOREIGN_KEY}) for row in missing})


def _is_constraint(violation: Violation) -> bool:
    return violation.sqlstate.startswith(_CONSTRAINTS) and not violation.by_trigger


def depends_on_order(case: Case) -> bool:
    """Return whether a row may take a unique value that another one gives up by the same load."""
    return _updates(case) and (bool(case.table.unique_u) or case.table.excludes)


def _changes_rows(case: Case) -> bool:
    """Return whether a BEFORE trigger may change rows before they are checked."""
    events = {INSERT, *([UPDATE] if case.options.mode == "upsert" else [])}
    return case.table.before is not None and not events.isdisjoint(case.table.before.events)


def _refused(case: Case, staged: Sequence[Row]) -> tuple[dict[int, frozenset[str]], Stored]:
    """Return the rows that are refused, and the table. If one of a key is refused, another one of it is chosen."""
    refused: dict[int, frozenset[str]] = {}
    while True:
        some = modes.chosen(case, [row for row in staged if id(row) not in refused])
        found, table = _one_by_one(case, some)
        if not found:
            return refused, table
        refused.update(found)


def _one_by_one(case: Case, staged: Sequence[Row]) -> tuple[dict[int, frozenset[str]], Stored]:
    """Move each row by a statement of its own. Return those that are refused, and the table. References wait.

    Raises:
        Violation: A trigger refuses a row.
    """
    table = stored(case)
    modes.clear(case, table)
    refused: dict[int, frozenset[str]] = {}
    for row in staged:
        before = list(table.rows)
        try:
            modes.move_one(case, table, row)
            table.check_row_at_end()
        except Violation as violation:
            if not _is_constraint(violation):
                raise
            refused[id(row)] = frozenset({violation.sqlstate, *table.refusals(row)})
            table.rows = before
    return refused, table
