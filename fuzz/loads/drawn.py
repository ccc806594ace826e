"""Cases, as Hypothesis draws them: a table with some of all that tables have, and rows that fit it or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from hypothesis import strategies as st

from fuzz.loads.cases import DELETE_WHEN, EXTRA, OPERATION, QUARANTINE, UPDATE_WHEN, Case, DataRow, Options
from fuzz.loads.model import expected
from fuzz.loads.stored import Stored, Violation
from fuzz.loads.tables import (
    CHECKS,
    EFFECTS,
    GENERATED,
    INSERT,
    MARK,
    NUMBERED,
    REFUSE,
    REFUSE_AS_CHECK,
    STANDARD,
    UNIQUE_ON_U,
    UPDATE,
    Column,
    Row,
    Table,
    Trigger,
)
from fuzz.loads.values import INT, KEYS, NULL, OTHERS, Kind, Text, Value

Drawn = TypeVar("Drawn")
Draw = Callable[[st.SearchStrategy[Drawn]], Drawn]

ROWS = 14
"""The most rows of a table, and of a load."""

_NAMES = ("c", 'a "b"', "order")
"""Names of the columns that no constraint is about."""


def _sometimes(draw: Draw[Any], value: Drawn, otherwise: Drawn, one_in: int = 4) -> Drawn:
    middle = one_in // 2 + 1  # ends of a range are drawn more often
    return value if draw(st.integers(1, one_in)) == middle else otherwise


@st.composite
def tables(draw: Draw[Any]) -> Table:
    """Draw a table."""
    partitions = _sometimes(draw, draw(st.sampled_from(["LIST", "RANGE", "HASH"])), "")
    unique = draw(st.sampled_from(["PRIMARY KEY", "UNIQUE", "INDEX", ""]))
    keys = draw(st.sampled_from([("k",), ("k", "g")])) if not partitions or not unique else ("k", "g")
    refers = not partitions and unique in ("PRIMARY KEY", "UNIQUE") and keys == ("k",)
    key = Column("k", draw(st.sampled_from(KEYS)), required=_sometimes(draw, False, True, 3))
    to_itself = refers and key.kind == INT and _sometimes(draw, True, False)
    can_change = not partitions or bool(unique)  # a row that moves to another partition fires other triggers
    before = _sometimes(draw, draw(triggers("BEFORE", EFFECTS)), None) if can_change else None
    after = _sometimes(draw, draw(triggers("AFTER", (REFUSE, REFUSE_AS_CHECK))), None, 8) if can_change else None
    return Table(
        columns=(
            *(replace(one, required=one.name == "g" and "g" in keys and key.required) for one in STANDARD),
            key,
            *([Column("p", INT)] if to_itself else []),
            *draw(others()),
        ),
        keys=keys,
        unique=unique,
        unique_u="" if partitions else _sometimes(draw, draw(st.sampled_from(UNIQUE_ON_U)), "", 3),
        excludes=not partitions and _sometimes(draw, True, False, 8),
        checks=tuple(draw(st.lists(st.sampled_from(CHECKS), max_size=2, unique=True))),
        references=_sometimes(draw, draw(st.sampled_from(["IMMEDIATE", "DEFERRED"])), ""),
        refers_to_itself=to_itself,
        referenced=_sometimes(draw, draw(st.sampled_from(["NO ACTION", "RESTRICT", "CASCADE"])), "") if refers else "",
        partitions=partitions,
        has_default=partitions in ("LIST", "RANGE") and draw(st.booleans()),
        before=before,
        after=after,
        index=_sometimes(draw, draw(st.sampled_from(["(n)", "(lower(s))", "(ref) WHERE n > 0"])), ""),
    )


@st.composite
def triggers(draw: Draw[Any], timing: str, effects: Sequence[str]) -> Trigger:
    """Draw a trigger."""
    events = draw(st.sampled_from([(INSERT,), (UPDATE,), (INSERT, UPDATE)]))
    return Trigger(timing, draw(st.sampled_from(effects)), events)


@st.composite
def others(draw: Draw[Any]) -> list[Column]:
    """Draw columns that no constraint is about."""
    drawn = []
    for name in _NAMES[: draw(st.integers(0, len(_NAMES)))]:
        kind: Kind = draw(st.sampled_from(OTHERS))
        default = draw(st.sampled_from(kind.values)).text if draw(st.booleans()) else None
        drawn.append(Column(name, kind, required=_sometimes(draw, True, False), default=default))
    return [*drawn, *(one for one in (GENERATED, NUMBERED, MARK) if _sometimes(draw, True, False, 3))]


@st.composite
def options(draw: Draw[Any], table: Table) -> Options:
    """Draw options that may be given together."""
    known = table.partitions in ("LIST", "RANGE")  # by hash, the model does not know which partition a row belongs to
    replaces = (
        ["replace-partitions"] * 2 if known or (not table.partitions and _sometimes(draw, True, False, 10)) else []
    )
    mode = draw(st.sampled_from(["append", "append", "overwrite", "overwrite", *["upsert"] * 4, "ignore", *replaces]))
    is_keyed = bool(table.unique) or _sometimes(draw, True, False, 10)
    given: dict[str, Any] = {"mode": mode}
    if mode == "upsert":
        given.update(draw(_upserts(table)))
    elif mode == "overwrite":
        kinds = [{}, {"overwrite_strategy": "truncate"}, {"overwrite_where": draw(st.sampled_from(["g = 1", "n > 0"]))}]
        share = draw(st.sampled_from([1.0, 0.5]))
        diff = {"overwrite_strategy": "diff", "keys": table.keys, "max_delete_share": share}
        given.update(draw(st.sampled_from([*kinds, *([diff, diff] if is_keyed else [])])))
    elif mode == "ignore" and is_keyed and draw(st.booleans()):
        given.update({"keys": table.keys, "dedupe_order": draw(st.sampled_from(["", "n desc"]))})
    elif mode == "replace-partitions":
        given["new_partitions"] = "no"
    needs_all = mode == "replace-partitions" or not _NEED_ALL.isdisjoint(given)
    if _sometimes(draw, True, False, 20 if needs_all else 2):
        given.update(on_error=QUARANTINE, max_errors=draw(st.sampled_from([None, None, None, 2])))
    if draw(st.integers(0, 3)) == 0:
        given["schema_mode"] = draw(st.sampled_from(["add-columns", "widen"]))
    direct = mode == "append" and len(given) == 1 and table.before is None
    given["publish"] = draw(st.sampled_from(["auto", "staged", *(["parts", "parts"] if direct else [])]))
    return Options(**given)


_NEED_ALL = {"delete_when", "delete_missing", "update_when", "update_columns", "order_by"}
"""Options with which no row can be put aside."""


@st.composite
def _upserts(draw: Draw[Any], table: Table) -> dict[str, Any]:
    given: dict[str, Any] = {"keys": table.keys, "skip_unchanged": draw(st.sampled_from(["auto", "yes", "no"]))}
    given.update(draw(st.sampled_from([{}, {}, {"dedupe_order": "n desc"}, {"order_by": ("n",)}])))
    if draw(st.integers(0, 2)) == 0:
        given["delete_when"] = DELETE_WHEN
    if draw(st.integers(0, 2)) == 0:
        given["delete_missing"] = True
    deletes = "delete_when" in given or "delete_missing" in given
    if deletes and MARK in table.columns and draw(st.booleans()):
        given["soft_delete"] = MARK.name
    if deletes:
        given["max_delete_share"] = draw(st.sampled_from([None, 0.5, 1.0, 1.0]))
    if draw(st.integers(0, 3)) == 0:
        given["update_when"] = UPDATE_WHEN
    if draw(st.integers(0, 3)) == 0:
        given["update_columns"] = ("n", "s")
    return given


@st.composite
def cases(draw: Draw[Any]) -> Case:
    """Draw a load."""
    table = draw(tables())
    chosen = draw(options(table))
    rows = _fitting(table, draw(_lists(_rows(table.data))))
    for number, row in enumerate(rows):
        row["ref"] = str(2000 + number)
        if MARK in table.columns:
            row[MARK.name] = draw(st.sampled_from([None, "false", "true"]))
    keys = sorted({row["k"] for row in rows if row["k"] is not None})
    children = draw(st.lists(st.sampled_from(keys), max_size=2)) if table.referenced and keys else []
    columns = [*_kept(draw, table), *([OPERATION] if chosen.delete_when else [])]
    if chosen.mode != "replace-partitions" and _sometimes(
        draw, True, False, 12 if chosen.schema_mode == "strict" else 2
    ):
        columns.append(EXTRA)
    data = draw(_lists(_data_row(columns, rows)))
    if draw(st.booleans()):
        data = [{name: _good(draw, columns, name, one) for name, one in row.items()} for row in data]
    numbered = [
        row if row["ref"].text is not None else {**row, "ref": Value(place, str(place))}
        for place, row in enumerate(data)
    ]
    parts = draw(st.integers(1, 3))
    lost = draw(st.lists(st.tuples(st.integers(0, parts - 1), st.sampled_from([0.5, 1.0])), max_size=2))
    names = tuple(draw(st.permutations([column.name for column in columns])))
    case = Case(table, tuple(rows), tuple(children), names, tuple(numbered), chosen, parts, tuple(lost))
    # Of a load by parts that fails, some are in the table, as is documented.
    return case if draw(st.integers(0, 2)) == 1 and chosen.publish != "parts" else fitting(case)


def _lists(rows: st.SearchStrategy[Drawn]) -> st.SearchStrategy[list[Drawn]]:
    """Return lists of rows: most of them long, since each one costs a load."""
    return st.sampled_from([0, 3, 8, 12]).flatmap(lambda least: st.lists(rows, min_size=least, max_size=ROWS))


def _kept(draw: Draw[Any], table: Table) -> list[Column]:
    """Draw the columns of the data: all, but for some that may be left out."""
    needed = {"ref", "g", "n", "s", "u", "k", "p"}
    return [one for one in table.data if one.name in needed or not (_may_be_left_out(one) and draw(st.booleans()))]


def _may_be_left_out(column: Column) -> bool:
    return column.default is not None or not (column.required or column.kind.refuses_null)


def _rows(columns: Sequence[Column]) -> st.SearchStrategy[Row]:
    """Return rows of values that the columns store."""
    return st.fixed_dictionaries({one.name: _texts(one) for one in columns})


def _texts(column: Column) -> st.SearchStrategy[Text]:
    texts = st.sampled_from([value.text for value in column.kind.values])
    return texts if column.required or column.kind.refuses_null else texts | st.none()


def _fitting(table: Table, rows: Sequence[Row]) -> list[Row]:
    """Return those of the rows that can be in the table together."""
    stored = Stored(replace(table, before=None, after=None), [], ())
    for drawn in rows:
        for row in (drawn, {**drawn, **_TAME}, {**drawn, **_TAMER}):
            before = list(stored.rows)
            try:
                stored.begin()
                stored.insert({name: text for name, text in row.items() if name in drawn})
                stored.end()
            except Violation:
                stored.rows = before
            else:
                break
    return stored.rows


_TAME: Row = {"u": None, "p": None, "g": "0"}
_TAMER: Row = {**_TAME, "n": None, "s": "a"}
"""Values that violate few constraints: rows that do not fit are tried with them."""


@st.composite
def _data_row(draw: Draw[Any], columns: Sequence[Column], rows: Sequence[Row]) -> DataRow:
    """Draw a row of the data: a new one, or one of the table, changed or not."""
    old = draw(st.sampled_from(rows)) if rows and draw(st.booleans()) else None
    draw_keys = draw(st.booleans())
    names = [one.name for one in columns if draw_keys or one.name not in ("k", "g")]
    changed = {"ref", *draw(st.lists(st.sampled_from(names), max_size=2))}
    keeps_ref = draw(st.integers(0, 2)) > 0
    row: dict[str, Value] = {}
    for column in columns:
        text = None if old is None else old.get(column.name)
        same = [value for value in column.kind.values if value.text == text and text is not None]
        if column.name == "ref":
            row["ref"] = Value(int(old["ref"] or 0), old["ref"]) if old is not None and keeps_ref else NULL
        elif old is not None and column.name not in changed and (same or text is None):
            row[column.name] = same[0] if same else NULL
        else:
            row[column.name] = draw(_values(column))
    return row


def _values(column: Column) -> st.SearchStrategy[Value]:
    if column == OPERATION:
        return st.sampled_from([Value("D", "D"), Value("I", "I"), NULL])
    good, bad = st.sampled_from(column.kind.values), column.kind.refused
    some = [good, good, good, st.just(NULL) if not column.kind.refuses_null else good]
    return st.one_of(*some, *([st.sampled_from(bad)] if bad else []))


def _good(draw: Draw[Any], columns: Sequence[Column], name: str, value: Value) -> Value:
    if not value.refused:
        return value
    values = next(one.kind.values for one in columns if one.name == name)
    found: Value = draw(st.sampled_from(values))
    return found


def fitting(case: Case) -> Case:
    """Return the case with those of its rows that do not make it fail."""
    kept: tuple[DataRow, ...] = ()
    for drawn in case.data:
        good = {name: case.kind(name).values[0] if one.refused else one for name, one in drawn.items()}
        for row in (drawn, good, {**good, **_values_of(_TAME)}, {**good, **_values_of(_TAMER)}):
            more = replace(case, data=(*kept, {name: one for name, one in row.items() if name in drawn}))
            if not expected(more).fails:
                kept = more.data
                break
    return replace(case, data=kept)


def _values_of(row: Row) -> DataRow:
    return {name: Value(int(text) if text == "0" else text, text) for name, text in row.items()}
