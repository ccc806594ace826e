"""Tables and files under the names that OpenLineage gives them, so that other tools mean the same by them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.sql import TableName


@dataclass(frozen=True)
class Dataset:
    """A table, or files at one place.

    Attributes:
        namespace, name: Its identity.
        columns: The names and types of its columns; empty if they are not known. A type may be empty.
        rows: The number of rows that were read or written; None if it is not known.
        size: Their bytes; None if that is not known.
    """

    namespace: str
    name: str
    columns: tuple[tuple[str, str], ...] = ()
    rows: int | None = None
    size: int | None = None


@dataclass(frozen=True)
class Datasets:
    """What a run reads and writes, as far as it is known."""

    inputs: tuple[Dataset, ...] = ()
    outputs: tuple[Dataset, ...] = ()


def table(settings: Settings, name: TableName | str) -> tuple[Dataset, ...]:
    """Return a table; nothing if its schema is not known, because then it has no name there.

    Of several servers of a database, the first one names it, whichever of them is connected to.
    """
    full = TableName.parse(name) if isinstance(name, str) else name
    if full.schema is None:
        return ()
    server = settings.servers[0]
    host = "localhost" if server.host.startswith("/") else server.host
    authority = f"[{host}]:{server.port}" if ":" in host else f"{host}:{server.port}"
    return (Dataset(f"postgres://{authority}", f"{settings.dbname}.{full.schema}.{full.name}"),)


def files(paths: Sequence[str]) -> tuple[Dataset, ...]:
    """Return the files at some paths or URLs, without credentials that a URL may hold."""
    return tuple(dict.fromkeys(_files(path) for path in paths))


def _files(path: str) -> Dataset:
    match = _URL.fullmatch(path)
    if match is None:
        return Dataset("file", os.path.abspath(path))  # noqa: PTH100 - a name, which is not resolved
    scheme, authority, place = match["scheme"].lower(), _PASSWORD.sub("@", match["authority"] or ""), match["place"]
    if scheme in _S3:
        return Dataset(f"s3://{authority.rpartition('@')[2]}", place.strip("/") or "/")
    if scheme == "file":
        return Dataset("file", place.rstrip("/") or "/")
    if scheme == "gs":
        return Dataset(f"gs://{authority}", place.strip("/") or "/")
    return Dataset(f"{scheme}://{authority}" if authority else scheme, place.rstrip("/") or "/")


_S3 = ("s3", "s3a", "s3n")
_PASSWORD = re.compile(r":[^@]*@")
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):(?://(?P<authority>[^/]*))?(?P<place>.*)", re.DOTALL)
