"""A line between a server and its clients that carries so many bytes per second."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from peers import Handler, peer

SAVED = 0.25
"""Seconds. What the line could have carried in them is carried at once: the rate holds on a busy machine, too."""


@dataclass
class Line:
    """What the server sends is carried at a rate, and what the client sends at once.

    Attributes:
        rate: In bytes per second. None is as fast as can be.
        free: When the line has carried what it was given, by time.monotonic().
    """

    rate: float | None = None
    free: float = field(default=0.0, init=False)
    _carried: list[threading.Event] = field(default_factory=list, init=False)

    @contextmanager
    def to(self, server: tuple[str, int]) -> Iterator[int]:
        """Yield a port that leads to the server, on this machine."""
        with peer(self._carry(server)) as port:
            yield port

    @contextmanager
    def slowed(self, rate: float) -> Iterator[None]:
        """Carry so many bytes per second meanwhile."""
        self.rate = rate
        try:
            yield
        finally:
            self.rate = None

    def fall_silent(self) -> None:
        """From now on, lose what the server sends on the connections that are open, while TCP goes on."""
        for silent in self._carried:
            silent.set()

    def _carry(self, server: tuple[str, int]) -> Handler:
        def handle(client: socket.socket) -> None:
            silent = threading.Event()
            self._carried.append(silent)
            with socket.create_connection(server) as there:
                asking = threading.Thread(target=_pass_on, args=(client, there), daemon=True)
                asking.start()
                while data := there.recv(65536):
                    if silent.is_set():
                        continue
                    client.sendall(data)
                    self._wait(len(data))
                client.shutdown(socket.SHUT_RDWR)
                asking.join(5)

        return handle

    def _wait(self, size: int) -> None:
        if self.rate is not None:
            now = time.monotonic()
            self.free = max(self.free, now - SAVED) + size / self.rate
            time.sleep(max(0.0, self.free - now))


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
