"""A table of random commits, as a model in Python, for tests of what follows it."""

from __future__ import annotations

import random
import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import count

from peers import peer

from jobs.dbaccess.conninfo.settings import Server, Settings, Tls
from jobs.dbaccess.errors import ConnectionFailed
from jobs.flows.report import LoadReport

Rows = dict[int, str]


@dataclass
class Model:
    """What a table holds: keys, each with a value. Each commit changes some, and may do so again in the next."""

    random: random.Random
    rows: Rows = field(default_factory=dict)
    count: int = 0

    def commit(self) -> tuple[Rows, set[int]]:
        """Change some rows. Return the keys that are written, with their values, and those that are deleted."""
        self.count += 1
        there = sorted(self.rows)
        deleted = set(self.random.sample(there, self.random.randint(0, min(3, len(there)))))
        keys = set(range(12)) - deleted
        written = {key: f"{key} of {self.count}" for key in self.random.sample(sorted(keys), self.random.randint(0, 4))}
        for key in deleted:
            del self.rows[key]
        self.rows.update(written)
        return written, deleted


CRASHES = (b"pgjobs_positions", b'INSERT INTO "public"."table_updates"', b"to_regclass", b"DROP TABLE", b"COMMIT")
"""What somebody says to the server when all connections break for good. Each is said several times in a load."""


@contextmanager
def crashing(database: Settings, at: bytes, time: int, *, answered: bool) -> Iterator[Settings]:
    """A way to the server that ends at one statement: for whoever is on it, as if this machine had died then.

    Args:
        database: Where it leads.
        at: The statement.
        time: Which of those that contain it, from 1 on.
        answered: Whether the server executes it.
    """
    [server] = database.servers
    lock, said = threading.Lock(), count(1)
    dead = threading.Event()

    def is_last(data: bytes) -> bool:
        with lock:
            return any(next(said) >= time for _ in range(data.count(at)))

    def pass_on(client: socket.socket) -> None:
        if dead.is_set():
            return
        with socket.create_connection((server.host, server.port)) as backend, selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ, backend)
            selector.register(backend, selectors.EVENT_READ, client)
            while not dead.is_set():
                for key, _ in selector.select(0.05):
                    data = key.fileobj.recv(65536)  # type: ignore[union-attr]  # they are sockets
                    if key.fileobj is client and is_last(data):
                        if answered:
                            backend.sendall(data)
                            backend.recv(65536)
                        dead.set()
                    if not data or dead.is_set():
                        return
                    key.data.sendall(data)

    with peer(pass_on) as port:
        timeouts = replace(database.timeouts, deadline=0.2)
        yield replace(database, servers=(Server("127.0.0.1", port),), tls=Tls("disable"), timeouts=timeouts)
        dead.set()


def until_done(load: Callable[[Settings], LoadReport], database: Settings, choose: random.Random) -> int:
    """Load, as often as it takes, since some runs crash. Return how many did."""
    crashes = 0
    while choose.random() < 0.5:
        at, time, answered = choose.choice(CRASHES), choose.randint(1, 4), choose.random() < 0.5
        with crashing(database, at, time, answered=answered) as way, suppress(ConnectionFailed):
            load(way)
            continue
        crashes += 1
    load(database)
    return crashes
