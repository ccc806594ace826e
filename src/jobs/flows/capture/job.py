"""What to capture, and where to."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.sql import TableName

CONNECT_DEADLINE = 3.0
"""Seconds for all attempts to connect, in a run without an end."""


LINGER = 0.05
"""Seconds between batches into a table. What comes meanwhile is one batch, and writers need not notify."""

LINGER_OF_FILES = 10.0
"""Seconds between batches of files, each of which is a folder with at least one file."""


@dataclass(frozen=True)
class Files:
    """Files with changes.

    Attributes:
        path: A folder, which gets a folder for each batch.
        options: Options of Spark's writer.
        ordinal: The column that orders the versions of a row; empty for none.
    """

    path: str
    file_format: str = "parquet"
    options: Mapping[str, str] = field(default_factory=dict)
    ordinal: str = ""


@dataclass(frozen=True)
class CaptureJob:
    """What to capture, and where to.

    Attributes:
        settings: Where the source's database is.
        table: The table whose changes are captured.
        into: The table that is kept equal to it; None for files.
        files: The files for its changes; None for a table.
        into_settings: Where that is; None for the same database.
        channel: The name of the capture; empty for the default.
        columns: Those to carry over; empty for all. The key's are carried in any case.
        filter: A boolean expression; rows for which it is not true are not in the target.
        seconds: How long to run: 0 for one batch with all that is there, None until it is stopped.
        interval: Seconds between batches.
    """

    settings: Settings
    table: TableName
    into: TableName | None = None
    files: Files | None = None
    into_settings: Settings | None = None
    channel: str = ""
    columns: tuple[str, ...] = ()
    filter: str = ""
    seconds: float | None = 0
    interval: float = LINGER

    @property
    def goal(self) -> str:
        """The name of the target."""
        return str(self.into) if self.files is None else self.files.path

    @property
    def source(self) -> Connector:
        """Opens sessions at the source."""
        return Connector(self._patient(self.settings), "capture", str(self.table))

    @property
    def target(self) -> Connector:
        """Opens sessions at the target."""
        settings = self._patient(self.into_settings or self.settings)
        return Connector(settings, "capture", f"{self.table} into {self.goal}")

    def _patient(self, settings: Settings) -> Settings:
        """A run that tries for ever does so between connections, where it can be stopped."""
        if self.seconds is not None:
            return settings
        deadline = min(settings.timeouts.deadline, CONNECT_DEADLINE)
        return replace(settings, timeouts=replace(settings.timeouts, deadline=deadline))


class Stopped(Exception):
    """The run was asked to stop. What was under way is rolled back."""


@dataclass
class Stop:
    """The request to stop, which a signal makes at any time.

    Attributes:
        wanted: Whether it was made.
    """

    _event: threading.Event = field(default_factory=threading.Event)

    @property
    def wanted(self) -> bool:
        """Whether to stop."""
        return self._event.is_set()

    def request(self) -> None:
        """Ask to stop."""
        self._event.set()

    def check(self) -> None:
        """Stop if that was requested.

        Raises:
            Stopped: It was.
        """
        if self.wanted:
            raise Stopped

    def during(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield blocks until the run is to stop.

        Raises:
            Stopped: It is.
        """
        for block in blocks:
            self.check()
            yield block

    def pause(self, seconds: float) -> None:
        """Wait so long.

        Raises:
            Stopped: The run is to stop.
        """
        self.sleep(seconds)
        self.check()

    def sleep(self, seconds: float) -> None:
        """Wait so long, or until the run is to stop."""
        self._event.wait(seconds)
