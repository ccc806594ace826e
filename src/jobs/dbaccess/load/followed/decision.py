"""What a load has to read so that a table becomes equal to its source: nothing, changes, or all rows. Values only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from jobs.dbaccess.catalog.storage import REPLACED, are_kept
from jobs.dbaccess.errors import LoadError, UsageError
from jobs.dbaccess.load.followed.definition import Definition
from jobs.dbaccess.load.followed.source_position import Position, Stored
from jobs.dbaccess.load.move.modes import Move

FLAG = "--changes-since-ledger"
"""The flag, as messages name it."""

CHANGES, FULL = FOLLOWING = ("changes", "full")
"""Whether to read changes, or all rows in any case."""

_FULL = f"To make the table equal to the source, which deletes the rows that the source lacks: {FLAG} {FULL}."


def check_followed(move: Move, *, keeps: bool = False, quarantines: bool = False) -> None:
    """Check that a load can follow a source by its changes.

    Args:
        move: How its rows are moved.
        keeps: Whether staging is kept if the load fails.
        quarantines: Whether rows that the server refuses are put aside.

    Raises:
        UsageError: It cannot. The message says why.
    """
    if move.mode != "upsert" or not move.keys:
        raise UsageError(
            f"{FLAG} loads changes of rows that keys identify.",
            "Give --mode upsert and --keys, the columns of the key.",
        )
    refused = [flag for flag in move.changes.flags if flag != "--soft-delete"]
    if move.order and not move.changes.order_by:
        refused.append("--dedupe-order")
    if refused:
        raise UsageError(
            f"{FLAG} itself determines what changed, and in which order: it takes no {', '.join(refused)}.",
            "Leave it out.",
        )
    if quarantines:
        raise UsageError(
            f"{FLAG} puts no rows aside: the table would not be equal to the source any more.",
            "Leave out --on-error quarantine.",
        )
    if keeps:
        raise UsageError(f"{FLAG} keeps no staging: a rerun reads what is new by then.", "Leave out --keep-staging.")


@dataclass(frozen=True)
class Known:
    """What is known of a table before its source is read.

    Attributes:
        stored: The position that is stored under its name; None for none.
        relation: The oid of the table; None if there is none.
        has_rows: Whether it has any.
        definition: What of the source it is to have.
        files: The files of it and its partitions.
        positions: The name of the table of positions, for a statement.
    """

    stored: Stored | None
    relation: int | None
    has_rows: bool
    definition: Definition
    files: str = "{}"
    positions: str = "pgjobs_positions"

    @property
    def current(self) -> Stored | None:
        """The position of this table; None if there is none, or if it is that of another table of the same name."""
        return self.stored if self.stored is not None and self.stored.relation == self.relation else None


@dataclass(frozen=True)
class Nothing:
    """The table is equal to the source as it is now."""

    at: Position


@dataclass(frozen=True)
class Changes:
    """What changed after one state, up to another one."""

    since: Position
    to: Position


@dataclass(frozen=True)
class Whole:
    """All rows of a state. Rows that the source lacks are to be deleted."""

    to: Position
    reason: str


def decide(
    known: Known, now: Position, lost: Callable[[Position, Position], str], *, full: bool = False
) -> Nothing | Changes | Whole:
    """Return what is to be read.

    Args:
        known: The table.
        now: The state of the source.
        lost: Returns why changes after a state, up to another one, cannot be read; empty if they can.
        full: Whether the user wants all rows.

    Raises:
        UsageError: The table has rows of which nothing is known, or follows another source, or another part of it; or
            rows that it had may be gone, or a column of the source is another one.
        LoadError: The changes since its position cannot be read any more.
    """
    if full:
        return Whole(now, f"{FLAG} {FULL}")
    stored = known.current
    if stored is None:
        if known.has_rows:
            raise UsageError("The table has rows, and it is unknown which state of the source they represent.", _FULL)
        return Whole(now, "the table is new" if known.relation is None else "the table is empty")
    _check_same(stored, now, known.definition)
    _check_rows(stored, known)
    if stored.position.version == now.version:
        return Nothing(stored.position)
    reason = lost(stored.position, now)
    if reason:
        raise LoadError(
            f"The table has {stored.position}, and the changes since then cannot be read: {reason}.",
            f"Nothing was loaded. {_FULL}",
        )
    return Changes(stored.position, now)


def _check_same(stored: Stored, now: Position, definition: Definition) -> None:
    if not stored.position.is_state_of(now):
        what = "another table of this name" if stored.position.source == now.source else now.source
        raise UsageError(f"The table follows {stored.position.source}, and not {what}.", _FULL)
    if not stored.definition.is_wanted_as(definition):
        raise UsageError(
            f"The table was loaded with {stored.position} and other values of --keys, --select, --soft-delete, "
            "--null-value or --nul.",
            f"Give the same values. {_FULL}",
        )
    changed = stored.definition.changed(definition)
    if changed:
        raise UsageError(
            f"The table has {stored.position}, and {changed}: rows that nobody changed would keep old values.",
            _FULL,
        )


def _check_rows(stored: Stored, known: Known) -> None:
    """Check that the rows of the position can still be in the table."""
    if not stored.files:
        return
    if not known.has_rows:
        raise UsageError(f"The table was loaded with {stored.position}, and it is empty now.", _FULL)
    if not are_kept(stored.files, known.files):
        raise UsageError(
            f"The table was loaded with {stored.position}, and since then {REPLACED}: its rows may be gone.",
            f"If the rows are still there, run: UPDATE {known.positions} SET storage = NULL WHERE target = '...'. "
            f"{_FULL}",
        )


def folder_of(paths: Sequence[str]) -> str:
    """Return the only path.

    Raises:
        UsageError: There are several.
    """
    if len(paths) != 1:
        raise UsageError(
            f"{FLAG} reads the batches of one folder.", "Give the folder that capture_changes.py writes, as --source."
        )
    return paths[0].rstrip("/")


def between(parents: Mapping[str, str | None], since: str, to: str) -> list[str]:
    """Return the versions after one, up to another one, the newest first. All are there if the last one's is `since`.

    Args:
        parents: The versions that the source still has, each with the one before it.
        since: The older one.
        to: The newer one.
    """
    found: list[str] = []
    at: str | None = to
    while at is not None and at != since and at in parents and at not in found:
        found.append(at)
        at = parents[at]
    return found


def is_ancestor(parents: Mapping[str, str | None], since: str, to: str) -> bool:
    """Return whether a version is another one, or comes before it in its history. Arguments are as for `between`."""
    found = between(parents, since, to)
    return since in parents and since == (parents[found[-1]] if found else to)
