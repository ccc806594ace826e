"""A state of a source whose changes are followed: one of its snapshots, versions or batches."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.dbaccess.load.followed.definition import Definition


@dataclass(frozen=True)
class Position:
    """A state of a source.

    Attributes:
        kind: What the source is: a word of the feed that reads it, such as "iceberg".
        source: The source, by the name that is unique for its kind.
        version: The state: a snapshot's id, a version, or the number of a batch.
        identity: What tells the source from another one of the same name; empty if the version does that.
        committed: When the state came to be, for people; empty if that is not known.
    """

    kind: str
    source: str
    version: str
    identity: str = ""
    committed: str = ""

    @property
    def state(self) -> str:
        """The state without its source: "version 12 of 2026-11-20 10:00:00"."""
        return f"version {self.version}" + (f" of {self.committed}" if self.committed else "")

    def __str__(self) -> str:
        """Return what it is, for messages."""
        return f"{self.source} at {self.state}"

    def is_state_of(self, other: Position) -> bool:
        """Return whether both are states of the same source."""
        return (self.kind, self.source, self.identity) == (other.kind, other.source, other.identity)


@dataclass(frozen=True)
class Stored:
    """The position of a table.

    Attributes:
        position: The table is equal to the source in this state.
        relation: The oid of the table that has it. Another table may have got its name.
        definition: What of the source the table has.
        load_id: The load that stored it: another position of the same table is by another load.
        files: The files of the table and its partitions when it was stored; empty not to ask, as of a table without
            rows.
    """

    position: Position
    relation: int
    definition: Definition
    load_id: str
    files: str = ""
