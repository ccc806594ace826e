"""What an upsert does beside inserting and updating: which rows it deletes, and which rows and columns it updates.

Conditions are SQL of the user's own. --delete-when sees the row of the data, as `source`; --update-when also the
table's row with the same keys, as `target`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.query import condition

OPERATION = "_op"
"""The column by which our own files say what happened to a row: an extract with --deletes, and a capture."""

OWN_COLUMNS = (OPERATION, "_key", "_ordinal", "pgjobs_batch", "pgjobs_run")
"""What our own files have beside the columns of their table, and the columns that Spark reads from their folders."""

_OWN_ORDER = ("pgjobs_batch", "pgjobs_run")
DELETED = "D"
"""The value of OPERATION in a row that tells a delete."""

OWN_CONDITION = f"source.\"{OPERATION}\" = '{DELETED}'"
"""The condition of rows that tell a delete, in our own files and in what is read of a lake's changes."""


@dataclass(frozen=True)
class Changes:
    """What an upsert does beside inserting and updating.

    Attributes:
        delete_when: A condition over the row of the data: if it is true, the table's row with these keys is deleted.
        delete_missing: Whether rows of the table whose keys the data lacks are deleted.
        soft_delete: A column of the table that marks rows as deleted, which are kept.
        update_columns: The columns that are updated; empty for all that are no keys.
        update_when: A condition over both rows: a row is updated only if it is true.
        order_by: Columns that order the rows of one key: the last one counts.
    """

    delete_when: str | None = None
    delete_missing: bool = False
    soft_delete: str | None = None
    update_columns: tuple[str, ...] = ()
    update_when: str | None = None
    order_by: tuple[str, ...] = ()

    @property
    def deletes(self) -> bool:
        """Whether rows of the table may be deleted, or marked as deleted."""
        return self.delete_when is not None or self.delete_missing

    @property
    def removes(self) -> bool:
        """Whether rows may leave the table."""
        return self.deletes and self.soft_delete is None

    @property
    def by_statements(self) -> bool:
        """Whether INSERT .. ON CONFLICT cannot do it: the table is locked against writers, for several statements."""
        return self.deletes or self.update_when is not None

    @property
    def flags(self) -> list[str]:
        """The flags that are given, as messages name them."""
        given: Mapping[str, object] = {
            "--delete-when": self.delete_when is not None,
            "--delete-missing": self.delete_missing,
            "--soft-delete": self.soft_delete is not None,
            "--update-columns": self.update_columns,
            "--update-when": self.update_when is not None,
            "--order-by": self.order_by,
        }
        return [flag for flag, value in given.items() if value]

    def check(self) -> None:
        """Check what can be checked without the data and without a server.

        Raises:
            UsageError: A condition is empty, or is no expression.
        """
        for flag, text in (("--delete-when", self.delete_when), ("--update-when", self.update_when)):
            if text is not None and not text.strip():
                raise UsageError(f"{flag} is empty.", "Give a condition, or check the variable that was to hold it.")
            if text is not None:
                _check_closed(flag, text)
        if self.soft_delete is not None and not self.soft_delete.strip():
            raise UsageError("--soft-delete is empty.", "Give the name of a column.")

    def check_verify(self) -> None:
        """Check that --verify can compare the rows that are written with those of the data.

        Raises:
            UsageError: It cannot.
        """
        refused = [flag for flag in self.flags if flag in ("--soft-delete", "--update-columns")]
        if refused:
            raise UsageError(
                f"--verify compares whole rows with the data, and {' and '.join(refused)} writes parts of rows.",
                "Leave --verify out, and run compare_table.py after the load.",
            )

    def check_null_values(self, texts: Collection[str]) -> None:
        """Check that strings that stand for NULL are not those by which our own files mark deletes.

        Raises:
            UsageError: One is.
        """
        if self.delete_when == OWN_CONDITION and DELETED in texts:
            raise UsageError(
                f"--null-value {DELETED} would make NULL of the values that mark deletes in the column {OPERATION}.",
                "Replace these values of other columns with --select.",
            )

    def check_columns(self, columns: Collection[str], keys: Collection[str]) -> None:
        """Check the columns that are named.

        Args:
            columns: The columns of the table that the data has.
            keys: Those that identify a row.

        Raises:
            UsageError: A column is missing, or has another task.
        """
        wrong = [name for name in self.update_columns if name not in columns or name in keys]
        if wrong:
            raise UsageError(
                f"--update-columns names {', '.join(map(repr, wrong))}: the data does not have it, or it is a key.",
                f"It has {', '.join(name for name in columns if name not in keys)}.",
            )
        if self.soft_delete in columns:
            raise UsageError(
                f"The data has the column {self.soft_delete!r} of --soft-delete, which the load sets itself.",
                "Leave the column out with --select, or --soft-delete.",
            )
        if self.soft_delete is not None and not self.deletes:
            raise UsageError(
                "--soft-delete says how rows are deleted, and nothing says which.",
                "Give --delete-when or --delete-missing.",
            )

    def staged_only(self, names: Iterable[str], of_table: Iterable[str], as_of: str = "") -> dict[str, str]:
        """Return the columns of the data that only conditions and the order use, so that the table need not have them.

        Args:
            names: The columns of the data.
            of_table: Those of the table.
            as_of: The column of the time from which a row is valid, for a history; empty for none.

        Returns:
            By their names in the data, the names by which conditions refer to them.
        """
        known = {name.casefold() for name in of_table}
        used = {*self.order_by, *filter(None, [as_of])}
        for text in (self.delete_when, self.update_when):
            used |= condition.names(text) if text is not None else set()
        if self.delete_when == OWN_CONDITION:
            used |= set(OWN_COLUMNS)
        by_fold = {name.casefold(): name for name in sorted(used)}
        return {
            name: name if name in used else by_fold[name.casefold()]
            for name in names
            if name.casefold() not in known and name.casefold() in by_fold
        }


def _check_closed(flag: str, text: str) -> None:
    try:
        condition.names(text)
    except UsageError as error:
        raise UsageError(f"{flag} {text!r}: {error.message}", error.hint) from None


NO_CHANGES = Changes()


def with_own(changes: Changes, names: Iterable[str], of_table: Iterable[str], *, ordered: bool) -> Changes:
    """Return the changes, with what our own files tell if the data comes from some.

    Args:
        changes: What the user wants.
        names: The columns of the data.
        of_table: Those of the table.
        ordered: Whether the user orders the rows of one key.
    """
    given, known = set(names), set(of_table)
    if OPERATION not in given - known or changes.delete_when is not None:
        return changes
    order = () if ordered else tuple(name for name in _OWN_ORDER if name in given - known)
    return replace(changes, delete_when=OWN_CONDITION, order_by=changes.order_by or order)


@dataclass(frozen=True)
class History:
    """How a table keeps the versions of its rows.

    Attributes:
        valid_from: The column of the time from which a version is valid.
        valid_to: The column of the time at which it ended; NULL if it did not.
        is_current: The column that is true for versions that did not end.
        as_of: The time from which the data is valid: a column of it, or a time for all rows; None for that of the load.
        as_of_column: The column, if it is one.
    """

    valid_from: str = "valid_from"
    valid_to: str = "valid_to"
    is_current: str = "is_current"
    as_of: str | None = None
    as_of_column: str | None = None

    @property
    def columns(self) -> tuple[str, str, str]:
        """The columns that the data does not have."""
        return self.valid_from, self.valid_to, self.is_current

    @property
    def definitions(self) -> tuple[tuple[str, str], ...]:
        """Their definitions in a table that the load creates."""
        return (
            (self.valid_from, "pg_catalog.timestamptz NOT NULL"),
            (self.valid_to, "pg_catalog.timestamptz"),
            (self.is_current, "boolean NOT NULL"),
        )

    def check(self) -> None:
        """Check what can be checked without the data.

        Raises:
            UsageError: A column has two tasks, or --as-of is empty.
        """
        if len({name.casefold() for name in self.columns}) < len(self.columns) or not all(self.columns):
            raise UsageError(
                f"--history-columns {','.join(self.columns)} does not name three columns.",
                "Give three: valid_from,valid_to,is_current",
            )
        if self.as_of is not None and not self.as_of.strip():
            raise UsageError("--as-of is empty.", "Give a column of the data or a time, or leave it out.")

    @classmethod
    def of(cls, columns: Iterable[str], as_of: str | None) -> History:
        """Return a history by the names of its columns; none for the default.

        Raises:
            UsageError: They are not three.
        """
        names = tuple(columns) or NO_HISTORY.columns
        if len(names) != len(NO_HISTORY.columns):
            raise UsageError(
                f"--history-columns {','.join(names)} does not name three columns.",
                "Give three: valid_from,valid_to,is_current",
            )
        return cls(names[0], names[1], names[2], as_of)


NO_HISTORY = History()
"""What a load has that keeps none."""
