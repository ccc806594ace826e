"""The order in which the tables of a release are written, by their foreign keys. Values in, values out.

Referenced tables come before those that reference them. A key of a table to itself is checked at the end of each
statement, which moves all rows at once. Deferrable keys are checked when all rows are moved, so they may form a circle.

Rows that are replaced are deleted in the opposite order: tables that reference others are emptied before any rows are
moved, so that they refer to no row that another table loses. Only tables to whose own rows nothing refers then can be.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.sql import TableName


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key that references a table of the release.

    Attributes:
        name: Its name, with the schema of the referencing table.
        referencing: The table of the release that has it, or a partition of which has it; None for another table.
        referenced: The table of the release that it references.
        is_deferrable: Whether it can be checked when all rows are moved.
    """

    name: TableName
    referencing: TableName | None
    referenced: TableName
    is_deferrable: bool = False

    @property
    def is_between(self) -> bool:
        """Whether it leads from one table of the release to another one."""
        return self.referencing not in (None, self.referenced)


@dataclass(frozen=True)
class Arrangement:
    """How the tables of a release are written.

    Attributes:
        tables: The tables, in the order in which rows are moved there.
        emptied: Those of them that are emptied before, in this order.
        deferred: The names of the keys that are checked at the end.
    """

    tables: tuple[TableName, ...]
    emptied: tuple[TableName, ...] = ()
    deferred: tuple[TableName, ...] = ()

    def empty_at(self, table: TableName) -> tuple[TableName, ...]:
        """Return the tables that contain no rows which deleting rows of a table could change, when it is its turn.

        One that was emptied and has got its new rows by then is not empty any more. A table that was emptied itself
        has no rows to delete.
        """
        if table in self.emptied:
            return self.emptied
        written = self.tables[: self.tables.index(table)]
        return tuple(other for other in self.emptied if other not in written)


def arrange(tables: Sequence[TableName], replaced: Collection[TableName], keys: Collection[ForeignKey]) -> Arrangement:
    """Return how tables are written. Where no key decides, their order is kept.

    Args:
        tables: The tables.
        replaced: Those of which all rows are replaced.
        keys: All foreign keys that reference one of them.

    Raises:
        UsageError: Keys that are not deferrable form a circle.
    """
    between = [key for key in keys if key.is_between]
    ordered = tuple(_sorted(tables, between))
    emptied = _emptiable(replaced, keys) & {key.referencing for key in between}
    return Arrangement(
        ordered,
        tuple(table for table in reversed(ordered) if table in emptied),
        tuple(sorted({key.name for key in between if key.is_deferrable}, key=str)),
    )


def _sorted(tables: Sequence[TableName], keys: Sequence[ForeignKey]) -> Iterator[TableName]:
    """Yield the tables, each after those that it references. Deferrable keys are disregarded where there is a circle.

    Raises:
        UsageError: There is a circle without them.
    """
    immediate = [key for key in keys if not key.is_deferrable]
    left = list(tables)
    while left:
        chosen = _first_free(left, keys) or _first_free(left, immediate)
        if chosen is None:
            raise _circular(left, immediate)
        left.remove(chosen)
        yield chosen


def _first_free(left: Sequence[TableName], keys: Sequence[ForeignKey]) -> TableName | None:
    """Return the first table that references none that is left."""
    bound = {key.referencing for key in keys if key.referenced in left}
    return next((table for table in left if table not in bound), None)


def _circular(left: Sequence[TableName], keys: Sequence[ForeignKey]) -> UsageError:
    """Return the error for tables each of which references one of the others."""
    path: list[ForeignKey] = []
    table: TableName | None = left[0]
    while table not in [key.referencing for key in path]:
        path.append(next(key for key in keys if key.referencing == table and key.referenced in left))
        table = path[-1].referenced
    circle = path[[key.referencing for key in path].index(table) :]
    named = ", ".join(f"{key.name.name} from {key.referencing} to {key.referenced}" for key in circle)
    [first, *_] = circle
    statement = f"ALTER TABLE {first.referencing} ALTER CONSTRAINT {first.name.name} DEFERRABLE"
    return UsageError(
        f"Foreign keys form a circle: {named}. No order of these tables satisfies all of them.",
        f"Have one of them checked at the end: {statement}.",
    )


def _emptiable(replaced: Collection[TableName], keys: Collection[ForeignKey]) -> set[TableName]:
    """Return the replaced tables to whose rows only rows of such tables refer, which are deleted, too."""
    emptiable = set(replaced)
    while True:
        held = {key.referenced for key in keys if key.referencing not in emptiable}
        if not held & emptiable:
            return emptiable
        emptiable -= held
