"""The events of one run: its start, and how it ended."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timezone

from jobs.lineage import origin
from jobs.lineage.datasets import Datasets
from jobs.lineage.events import START, Run, event
from jobs.lineage.sender import KEY, Sender

logger = logging.getLogger(__name__)

Known = Callable[[], Datasets]
"""Returns what a run reads and writes, as far as it is known. It is called only if events are sent."""


class RunEvents:
    """Sends the events of a run.

    Args:
        run: The run.
        sender: Sends the events.
    """

    def __init__(self, run: Run, sender: Sender) -> None:
        self._run = run
        self._sender = sender
        self._started = datetime.now(timezone.utc)
        self._has_started = False
        self._datasets = Datasets()

    @classmethod
    def of(cls, url: str, run_id: str, job: str, kind: str, environ: Mapping[str, str], *, endless: bool) -> RunEvents:
        """Return the events of a run. The environment has its namespace, its ancestors and the key of the server."""
        run = Run(
            id=run_id,
            namespace=origin.namespace(environ),
            job=job,
            kind=kind,
            is_endless=endless,
            ancestors=origin.ancestors(environ),
        )
        return cls(run, Sender(url, environ.get(KEY, "")))

    def start(self, known: Known) -> None:
        """Send START."""
        self._has_started = True
        self._datasets = self._looked_up(known)
        self._sender.send(event(START, self._run, self._started, self._datasets))

    def end(self, kind: str, known: Known | None = None, error: str = "") -> None:
        """Send how the run ended, after START if that was not sent.

        Args:
            kind: COMPLETE, FAIL or ABORT.
            known: Returns what it has read and written; None for what was known at the start.
            error: Why it failed.
        """
        if not self._has_started:
            self.start(Datasets)
        datasets = self._datasets if known is None else self._looked_up(known)
        self._sender.send(event(kind, self._run, datetime.now(timezone.utc), datasets, error))

    def _looked_up(self, known: Known) -> Datasets:
        """Return the datasets. What fails here must not fail a load that is published."""
        try:
            return known()
        except Exception as error:  # noqa: BLE001 - see above
            logger.warning("The lineage of %s has no datasets: %s.", self._run.job, error)
            return Datasets()

    def finish(self) -> None:
        """Wait until the events are sent, for a limited time."""
        self._sender.finish()
