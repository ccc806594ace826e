"""How far a reader of a capture is: the snapshot whose state it has carried over. Values in, SQL out.

The order of transaction ids is not the order of commits. A snapshot says exactly which transactions had ended, so what
is new in a later snapshot are the changes of the transactions that the earlier one did not see.
https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from jobs.dbaccess.catalog import storage
from jobs.dbaccess.errors import ExtractError

_SNAPSHOT = re.compile(r"(\d+):(\d+):((?:\d+(?:,\d+)*)?)")


@dataclass(frozen=True)
class Seen:
    """A snapshot, as PostgreSQL's pg_snapshot.

    Attributes:
        xmin: All transactions with a lower id had ended.
        xmax: The first id that had not been assigned.
        running: The transactions between them that had not ended.
    """

    xmin: int
    xmax: int
    running: tuple[int, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Seen:
        """Parse pg_snapshot's text, `xmin:xmax:running`.

        Raises:
            ExtractError: It is another text.
        """
        found = _SNAPSHOT.fullmatch(text)
        if found is None:
            raise ExtractError(f"{text[:100]!r} is not a snapshot.")
        running = tuple(int(xid) for xid in found[3].split(",") if xid)
        return cls(int(found[1]), int(found[2]), running)

    @property
    def later(self) -> str:
        """Return the condition on changes that this snapshot did not see, as SQL. An index on xid serves it."""
        started = f"c.xid OPERATOR(pg_catalog.>=) '{self.xmax}'::pg_catalog.xid8"
        if not self.running:
            return started
        listed = ",".join(map(str, self.running))
        return f"({started} OR c.xid OPERATOR(pg_catalog.=) ANY ('{{{listed}}}'::pg_catalog.xid8[]))"


@dataclass(frozen=True)
class Definition:
    """What a reader carries over. If it changes, the whole table is compared.

    Attributes:
        channel: The capture.
        columns: Those that are carried, with the key's.
        relations: The oids of the table and its partitions. The rows of one that was attached or detached come and go
            without a change.
        altered: As in `changes.Look`. Such an ALTER TABLE changes values without a change.
        copy: The state of the copy's columns, whose values an ALTER TABLE changes, too; empty for files.
        stored: The files of the copy, as of `storage.files_of`: TRUNCATE makes new ones; empty for files.
    """

    channel: str
    columns: tuple[str, ...]
    filter: str
    keys: tuple[str, ...]
    relations: tuple[int, ...]
    altered: str = ""
    copy: str = ""
    stored: str = ""

    def to_json(self) -> str:
        """Return it as text."""
        stated = asdict(self)
        return json.dumps(
            {name: stated[name] for name in stated if name not in _OF_COPY or stated[name]}, sort_keys=True
        )

    def follows(self, last: str) -> bool:
        """Return whether changes alone lead from what another definition has carried over to this one.

        Args:
            last: The other one, as JSON. That of version 0.2 does not say in which state the copy was.
        """
        before = json.loads(last)
        now = json.loads(self.to_json())
        if "copy" in before and not storage.are_kept(before.pop("stored", "{}"), now.pop("stored")):
            return False
        return bool(before == {name: now[name] for name in now if "copy" in before or name not in _OF_COPY})


_OF_COPY = ("copy", "stored")
"""What a definition for files lacks."""


@dataclass(frozen=True)
class Position:
    """What a reader has carried over.

    Attributes:
        reader: Identifies it among the readers of the capture.
        number: Of its last batch.
        snapshot: The state of the target is that of the source in this snapshot.
        history: The server and timeline whose transaction ids these are.
        definition: As JSON.
    """

    reader: str
    number: int
    snapshot: str
    history: str
    definition: str


def reason_to_compare(
    position: Position | None, *, reader: str, history: str, definition: Definition, registered: int
) -> str:
    """Return why changes alone do not lead from a position to the present; empty if they do.

    Args:
        position: The last one; None for none.
        reader: The reader's id at the source.
        history: Of the server now.
        definition: Of this run.
        registered: The number of the batch up to which the source may have deleted changes.
    """
    if position is None:
        return "the first run"
    reasons = {
        "the source did not know this reader any more": position.reader != reader,
        "the server is another one, or was promoted": position.history != history,
        "the table, its copy, partitions, the columns or the filter were altered": not definition.follows(
            position.definition
        ),
        "the target is older than what the source still has": registered > position.number,
    }
    return ", and ".join(reason for reason, applies in reasons.items() if applies)


def marks(operations: Sequence[str]) -> str:
    """Return why the whole table is compared, by the marks among the changes; empty if there are none."""
    reasons = {"T": "the table was truncated", "?": "triggers were created, or did not know what had changed"}
    return ", and ".join(reason for mark, reason in reasons.items() if mark in operations)
