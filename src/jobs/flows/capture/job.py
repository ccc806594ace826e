"""What to capture, and where to."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.sql import TableName

CONNECT_DEADLINE = 3.0
"""Seconds for all attempts to connect, in a run without an end."""


@dataclass(frozen=True)
class CaptureJob:
    """What to capture, and where to.

    Attributes:
        settings: Where the source's database is.
        table: The table whose changes are captured.
        into: The table that is kept equal to it.
        into_settings: Where that is; None for the same database.
        channel: The name of the capture; empty for the default.
        columns: Those to carry over; empty for all. The key's are carried in any case.
        filter: A boolean expression; rows for which it is not true are not in the target.
        seconds: How long to run: 0 for one batch with all that is there, None until it is stopped.
    """

    settings: Settings
    table: TableName
    into: TableName
    into_settings: Settings | None = None
    channel: str = ""
    columns: tuple[str, ...] = ()
    filter: str = ""
    seconds: float | None = 0

    @property
    def source(self) -> Connector:
        """Opens sessions at the source."""
        return Connector(self._patient(self.settings), "capture", str(self.table))

    @property
    def target(self) -> Connector:
        """Opens sessions at the target."""
        settings = self._patient(self.into_settings or self.settings)
        return Connector(settings, "capture", f"{self.table} into {self.into}")

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

    def sleep(self, seconds: float) -> None:
        """Wait so long, or until the run is to stop."""
        self._event.wait(seconds)
