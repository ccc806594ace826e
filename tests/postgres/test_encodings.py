"""The server tells which characters the encoding of its database lacks."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest

from jobs.dbaccess.catalog.encodings import lacking, lacks_some
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session

CHARACTERS = "Z\u00fc\u20ac\u6771\ufffd\U0001f600"


@pytest.mark.parametrize(
    ("encoding", "lacks"),
    [
        ("LATIN1", "\u20ac\u6771\ufffd\U0001f600"),
        ("WIN1252", "\u6771\ufffd\U0001f600"),
        ("EUC_JP", "\u20ac\ufffd\U0001f600"),
        ("SQL_ASCII", ""),
    ],
)
def test_what_an_encoding_lacks(server: Settings, encoding: str, lacks: str) -> None:
    name = f"pgjobs_{uuid.uuid4().hex[:12]}"
    with connect(server, "encodings") as admin:
        admin.run(f"CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
        try:
            with connect(replace(server, dbname=name), "encodings") as session:
                assert lacking(session, CHARACTERS) == lacks
                assert lacks_some(session) == bool(lacks)
        finally:
            admin.run(f"DROP DATABASE {name} WITH (FORCE)")


def test_utf8_holds_all(session: Session) -> None:
    assert lacking(session, CHARACTERS) == ""
