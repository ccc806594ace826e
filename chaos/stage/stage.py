"""What trials share: a server, the proxy, and Spark drivers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from chaos.stage.passwords import Search
from chaos.stage.server import PostgresUnderTrial
from chaos.stage.spark.drivers import Driver
from chaos.stage.wire import Wire

CLUSTER = "local-cluster[2,1,640]"
RIVAL = "local[1]"


@dataclass
class Stage:
    """The shared resources.

    Attributes:
        server: The running server.
        wire: The proxy.
        port: The port of the proxy.
        folder: The folder for everything that is written.
        search: The search for the password.
        bound: Seconds within which every job must end, whatever broke.
        ended: Drivers that were killed.
    """

    server: PostgresUnderTrial
    wire: Wire
    port: int
    folder: Path
    search: Search
    bound: float = 120.0
    ended: list[Driver] = field(default_factory=list)
    _drivers: dict[str, Driver] = field(default_factory=dict)

    def driver(self, master: str) -> Driver:
        """Return a running driver; a new one if the last one was killed, or lost its JVM."""
        known = self._drivers.get(master)
        if known is not None and known.serves:
            return known
        if known is not None:
            known.kill()
            self.ended.append(known)
        self._drivers[master] = Driver(master, self.folder, self.server.password)
        return self._drivers[master]

    def give_up(self, master: str) -> None:
        """End a driver whose job does not end."""
        self._drivers.pop(master).close()

    def close(self) -> None:
        """End the drivers."""
        for driver in (*self._drivers.values(), *self.ended):
            driver.close()
        self._drivers.clear()
        self.ended.clear()
