"""The scene of a fault: what it can disturb, and what goes on beside the job."""

from __future__ import annotations

import random
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from chaos.errors import ChaosError
from chaos.plan.trial import Trial
from chaos.stage.database import Database
from chaos.stage.pooler import Pooler
from chaos.stage.server import PostgresUnderTrial
from chaos.stage.spark.drivers import Driver


@dataclass
class Scene:
    """What a fault can disturb.

    Attributes:
        beside: What must end before the trial is judged: threads of temporary faults.
    """

    trial: Trial
    server: PostgresUnderTrial
    database: Database
    driver: Driver
    choose: random.Random
    pooler: Pooler | None = None
    beside: list[threading.Thread] = field(default_factory=list)
    sessions: list[subprocess.Popen[bytes]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def meanwhile(self, work: Callable[[], None]) -> None:
        """Do something while the job continues."""

        def run() -> None:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - `settle` reports it, whatever it is
                self.failures.append(f"{self.trial.fault}: {error}")

        thread = threading.Thread(target=run, daemon=True)
        self.beside.append(thread)
        thread.start()

    def settle(self) -> bool:
        """Wait until everything beside the job has ended. Return whether all of it was done.

        Raises:
            ChaosError: A fault could not be caused or repaired.
        """
        for thread in self.beside:
            thread.join(60)
        for session in self.sessions:
            session.wait(60)
        if self.failures:
            raise ChaosError("; ".join(self.failures))
        return not any(session.returncode for session in self.sessions)
