"""A table with its rows, in Python: what an INSERT, UPDATE or DELETE does to it, or why it fails.

The order of what happens to a row is that of the manual: defaults, the partition, BEFORE triggers, generated columns,
NOT NULL and CHECK, what ON CONFLICT says, unique and exclusion constraints. At the end of the statement, deferrable and
foreign keys are checked.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Sequence
from typing import Optional

from fuzz.loads.conditions import CONDITIONS, number
from fuzz.loads.tables import CHANGE, GENERATED, INSERT, NUMBERED, PARENTS, REFUSE, SKIP, UPDATE, Row, Table, Trigger
from fuzz.loads.values import CHECK, EXCLUSION, FOREIGN_KEY, NOT_NULL, UNIQUE, Text

RAISED, TWICE, NO_ARBITER = "P0001", "21000", "55000"
"""SQLSTATEs: what a trigger raises; ON CONFLICT would update a row twice; it does not take deferrable constraints."""

INSERTED, UPDATED, LEFT_OUT = "inserted", "updated", "left out"


class Violation(Exception):
    """The server refuses a statement.

    Attributes:
        sqlstate: Its SQLSTATE.
        by_trigger: Whether a trigger does.
    """

    def __init__(self, sqlstate: str, *, by_trigger: bool = False) -> None:
        super().__init__(sqlstate)
        self.sqlstate, self.by_trigger = sqlstate, by_trigger


Key = Optional[tuple[Hashable, ...]]


class Stored:
    """A table with its rows. A statement that fails leaves it in any state.

    Attributes:
        rows: Its rows.
        order_matters: Whether, in a statement so far, a row took a unique value that another one had given up, so that
            another order of its rows may fail.
        is_lenient: Whether unique constraints are checked at the end of a statement only, as if its rows were written
            in the best order.
    """

    def __init__(self, table: Table, rows: Iterable[Row], children: Collection[Text]) -> None:
        self.table, self.rows, self.children = table, [dict(row) for row in rows], children
        self.order_matters = self.is_lenient = False
        self._written: list[Row] = []
        self._given_up: list[tuple[str, Hashable]] = []

    # What a row is compared by

    def key(self, row: Row, names: Sequence[str] = ()) -> Key:
        """Return the key of a row; None if a part of it is NULL, so that it is equal to no other."""
        names = names or self.table.keys
        parts = [(row[name], self.table.column(name).kind.equal) for name in names]
        return (
            None if any(text is None for text, _ in parts) else tuple(e(text) for text, e in parts if text is not None)
        )

    def of_key(self, row: Row) -> list[Row]:
        """Return the rows with the key of a row."""
        key = self.key(row)
        return [other for other in self.rows if key is not None and self.key(other) == key]

    # Statements, row by row

    def begin(self) -> None:
        """Begin a statement."""
        self._written, self._given_up = [], []

    def insert(self, values: Row, *, on_conflict: str = "", update: Sequence[str] = ()) -> str:
        """Insert a row.

        Args:
            values: What it is given.
            on_conflict: "keys" or "any", for ON CONFLICT; empty for none.
            update: The columns that are updated if its key is there; none to leave the row out.

        Returns:
            INSERTED, UPDATED or LEFT_OUT.

        Raises:
            Violation: The server refuses it.
        """
        row = self._completed(values)
        self._route(row)
        written = self._fire(self.table.before, INSERT, row)
        if written is None:
            return LEFT_OUT
        self._check(written)
        there = self._arbitrated(written, on_conflict)
        if there is not None:
            if not update:
                return LEFT_OUT
            if any(there is other for other in self._written):
                raise Violation(TWICE)
            return self.update(there, {name: written[name] for name in update})
        self._check_unique(written, self.rows)
        self.rows.append(written)
        self._written.append(written)
        self._fire(self.table.after, INSERT, written)
        return INSERTED

    def update(self, old: Row, changes: Row) -> str:
        """Update a row. Returns and raises as `insert`."""
        written = self._fire(self.table.before, UPDATE, {**old, **changes})
        if written is None:
            return LEFT_OUT
        self._route(written)
        self._check(written)
        others = [row for row in self.rows if row is not old]
        self._check_unique(written, others)
        self._give_up(old)
        self.rows[next(place for place, row in enumerate(self.rows) if row is old)] = written
        self._written.append(written)
        self._fire(self.table.after, UPDATE, written)
        return UPDATED

    def delete(self, gone: Sequence[Row]) -> int:
        """Delete rows, and return their number.

        Raises:
            Violation: Another table refers to one, and forbids that at once.
        """
        keys = {self.key(row, ("k",)) for row in gone}
        if self.table.referenced == "RESTRICT" and any(self._child(child) in keys for child in self.children):
            raise Violation(FOREIGN_KEY)
        self.rows = [row for row in self.rows if not any(row is other for other in gone)]
        return len(gone)

    def end(self) -> None:
        """End a statement, or all of them that a deferred constraint waits for.

        Raises:
            Violation: A constraint is violated that is checked then.
        """
        if self.is_lenient:
            self._check_pairs()
        self.check_row_at_end(self.rows)
        if any(self.dangles(row) for row in self.rows):
            raise Violation(FOREIGN_KEY)
        there = {self.key(row, ("k",)) for row in self.rows}
        if self.table.referenced and any(self._child(child) not in there for child in self.children):
            raise Violation(FOREIGN_KEY)

    def check_row_at_end(self, rows: Sequence[Row] | None = None) -> None:
        """Check rows, or else those of this statement, for constraints that need no other row of the load.

        Raises:
            Violation: One is violated.
        """
        if self.table.unique_u == "u DEFERRABLE":
            values = [row["u"] for row in self.rows if row["u"] is not None]
            if len(set(values)) < len(values):
                raise Violation(UNIQUE)
        some = self._written if rows is None else rows
        if self.table.references and any(row["u"] is not None and row["u"] not in PARENTS for row in some):
            raise Violation(FOREIGN_KEY)

    def refusals(self, values: Row) -> set[str]:
        """Return the SQLSTATEs of the constraints that a row violates by itself: the server tells one of them."""
        row = self._completed(values)
        found = set()
        for check in (self._route, self._check):
            try:
                check(row)
            except Violation as violation:
                found.add(violation.sqlstate)
        if any(CONDITIONS[check](row) is False for check in self.table.checks):
            found.add(CHECK)
        if self.table.references and row["u"] is not None and row["u"] not in PARENTS:
            found.add(FOREIGN_KEY)
        return found

    def dangles(self, row: Row) -> bool:
        """Return whether a row of the table refers to one that is not there."""
        if not self.table.refers_to_itself or row.get("p") is None:
            return False
        return all(self.key(other, ("k",)) != self.key({"k": row["p"]}, ("k",)) for other in self.rows)

    def _check_pairs(self) -> None:
        for place, row in enumerate(self.rows):
            for other in self.rows[:place]:
                sqlstate = self._conflict(row, other)
                if sqlstate:
                    raise Violation(sqlstate)

    # What happens to one row

    def _completed(self, values: Row) -> Row:
        row = {column.name: values.get(column.name, column.default) for column in self.table.columns}
        if NUMBERED.name in row:
            row[NUMBERED.name] = row[NUMBERED.name] or "0"
        return row

    def _child(self, child: Text) -> Key:
        return self.key({"k": child}, ("k",))

    def _route(self, row: Row) -> None:
        if "g" in row and self.table.partition_of(row["g"]) is None:
            raise Violation(CHECK)

    @staticmethod
    def _fire(trigger: Trigger | None, event: str, row: Row) -> Row | None:
        """Fire a trigger. Return the row, changed, or None if it is to be left out."""
        if trigger is None or event not in trigger.events:
            return row
        n, s = row["n"], row["s"]
        if trigger.effect == CHANGE:
            return {**row, "s": None if s is None else f"{s}!"}
        if trigger.effect == SKIP:
            return None if n == "3" else row
        if n == "4":
            raise Violation(RAISED if trigger.effect == REFUSE else CHECK, by_trigger=True)
        return row

    def _check(self, row: Row) -> None:
        """Compute generated columns, and check what depends on the row alone."""
        if GENERATED.name in row:
            n = number(row["n"])
            row[GENERATED.name] = None if n is None else str(2 * n)
        for column in self.table.columns:
            if row[column.name] is None and (self.table.is_required(column.name) or column.kind.refuses_null):
                raise Violation(NOT_NULL)
        if any(CONDITIONS[check](row) is False for check in self.table.checks):
            raise Violation(CHECK)

    def _arbitrated(self, row: Row, on_conflict: str) -> Row | None:
        """Return the row with which ON CONFLICT finds a conflict."""
        if on_conflict == "keys":
            return next(iter(self.of_key(row)), None)
        if on_conflict != "any":
            return None
        if self.table.unique_u == "u DEFERRABLE":
            raise Violation(NO_ARBITER)
        return next((other for other in self.rows if self._conflict(row, other)), None)

    def _check_unique(self, row: Row, others: Iterable[Row]) -> None:
        if self.is_lenient:
            return
        if any(value in self._given_up for value in self._values_of(row)):
            self.order_matters = True
        for other in others:
            sqlstate = self._conflict(row, other)
            if sqlstate:
                raise Violation(sqlstate)

    def _conflict(self, row: Row, other: Row) -> str:
        """Return the SQLSTATE of the constraint by which two rows cannot both be there; empty for none."""
        if self.table.unique and self.key(row) is not None and self.key(row) == self.key(other):
            return UNIQUE
        mine, theirs = self._unique_u(row), self._unique_u(other)
        if mine is not None and mine == theirs and self.table.unique_u != "u DEFERRABLE":
            return UNIQUE
        a, b = number(row["n"]) if self.table.excludes else None, number(other["n"])
        return EXCLUSION if a is not None and b is not None and abs(a - b) < 2 else ""

    def _unique_u(self, row: Row) -> int | None:
        """Return what is unique beside the key; None if the index does not have the row, or NULL."""
        if not self.table.unique_u or row["u"] is None:
            return None
        if self.table.unique_u == "u WHERE n > 0" and CONDITIONS["n > 0"](row) is not True:
            return None
        return abs(int(row["u"])) if self.table.unique_u == "abs(u)" else int(row["u"])

    def _values_of(self, row: Row) -> list[tuple[str, Hashable]]:
        """Return the values by which a row may conflict with another one, by anything but its key."""
        u = self._unique_u(row)
        found: list[tuple[str, Hashable]] = [("u", u)] if u is not None else []
        if self.table.excludes and row["n"] is not None:
            found += [("n", int(row["n"]) + near) for near in (-1, 0, 1)]
        return found

    def _give_up(self, row: Row) -> None:
        self._given_up += self._values_of(row)
