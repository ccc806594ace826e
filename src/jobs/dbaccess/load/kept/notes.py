"""The note on kept staging: the comment on its tables says of which load, of which input, and until when."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone

from jobs.dbaccess.errors import UsageError, plural
from jobs.dbaccess.load.copying.claims import Size
from jobs.dbaccess.load.copying.direct import PARTS
from jobs.dbaccess.load.kept import leftovers
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.session import Session

DAY = 86_400.0
KEPT_FOR = 7 * DAY
"""Seconds for which staging is kept by default: a weekend and some days."""

LONGEST = 3650 * DAY
"""Whoever wants to keep it for longer wants a table."""


def check_keep(seconds: float | None, move: Move, publish: str, *, has_id: bool = True) -> None:
    """Check, without a server, that a load's staging can be kept.

    Args:
        seconds: For how long; None for a load that does not keep it.
        move: The mode.
        publish: How the rows come into the table.
        has_id: Whether the user gives a load id.

    Raises:
        UsageError: It cannot. The message says why.
    """
    if seconds is None:
        return
    if not 1 <= seconds <= LONGEST:
        raise UsageError(f"--keep-staging cannot keep anything for {seconds:g} s.", "Give a time such as 2d or 12h.")
    if publish == PARTS:
        raise UsageError(
            "--publish parts has no staging to keep: its parts stay in the table, and a rerun copies the others.",
            "Leave out --keep-staging.",
        )
    if move.replaces_partitions:
        raise UsageError(
            f"--keep-staging does not go with the mode {move.mode}: what it stages depends on the partitions.",
            "Leave out --keep-staging.",
        )
    if not has_id:
        raise UsageError(
            "--keep-staging needs a load id, by which a rerun finds what was kept.",
            "Give --load-id, the same one in each run.",
        )


@dataclass(frozen=True)
class Note:
    """What the comment on kept tables says.

    Attributes:
        target: The table of the load.
        parts: How many parts the load has.
        until: Until when the tables are kept, in seconds since 1970.
        input: What the staged rows depend on, by name, each as a short hash.
    """

    load_id: str
    target: str
    parts: int
    until: int
    input: Mapping[str, str]

    @property
    def text(self) -> str:
        """The comment. `leftovers.sweep` understands its beginning."""
        fields = {name: value for name, value in asdict(self).items() if name != "until"}
        return f"{leftovers.KEPT}{self.until} ({self.date}) {json.dumps(fields)}"

    @property
    def date(self) -> str:
        """Until when the tables are kept, for people."""
        return datetime.fromtimestamp(self.until, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def read_note(comment: str) -> Note | None:
    """Return what a comment says, or None if it is not ours."""
    found = _NOTE.fullmatch(comment)
    if found is None:
        return None
    try:
        fields = json.loads(found[2])
        inputs = {str(name): str(value) for name, value in fields["input"].items()}
        note = Note(str(fields["load_id"]), str(fields["target"]), int(fields["parts"]), int(found[1]), inputs)
    except (ValueError, TypeError, LookupError, AttributeError):  # somebody has edited it
        return None
    return note if note.until <= _LAST else None


_LAST = 253_402_300_799
"""The last second of the year 9999, which is the last one for Python."""

_NOTE = re.compile(rf"{leftovers.KEPT}([0-9]{{1,12}}) \([^()]*\) (.*)")


def until(session: Session, seconds: float) -> int:
    """Return the time in so many seconds, by the server's clock, in seconds since 1970."""
    return int(session.value("SELECT (extract(epoch FROM now()) + %s)::bigint", seconds))


def dropping(load_id: str) -> str:
    """Return the command that drops what is kept of a load."""
    return f"pgjobs ledger drop-kept {load_id!r}"


def what_stays(note: Note, size: Size) -> str:
    """Return what a failed load says of what it keeps."""
    return (
        f"{size.parts:,} of {plural(note.parts, 'part')}, with {plural(size.rows, 'row')}, are kept in staging "
        f"until {note.date}. Run it again with --keep-staging, the same input and the load id {note.load_id!r} to copy "
        f"the rest. To drop them: {dropping(note.load_id)}."
    )
