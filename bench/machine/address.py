"""The address of the server's database."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Server:
    """The address of the database, which requires no password."""

    host: str
    port: int
    user: str
    dbname: str
