"""The real CocoIndex and a capture follow one table: both copies are equal to it, and neither is in the other's way."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from libpq import password_of

from jobs import capture_changes
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.session import Session

PYTHON = Path(__file__).parents[2] / ".venv-interop" / "bin" / "python"
FLOW = Path(__file__).with_name("cocoindex_flow.py")

pytestmark = pytest.mark.skipif(
    not list(PYTHON.parents[1].glob("lib/*/site-packages/cocoindex")), reason="no CocoIndex: run make test-interop"
)


def url_of(database: Settings) -> str:
    """Return the database as a URL, with the password."""
    server = database.servers[0]
    login = f"{database.user}:{quote(password_of(database))}"
    return f"postgresql://{login}@{server.host}:{server.port}/{database.dbname}"


@contextmanager
def cocoindex_follows(database: Settings) -> Iterator[None]:
    environ = {**os.environ, "COCOINDEX_DATABASE_URL": url_of(database), "COCOINDEX_DISABLE_USAGE_TRACKING": "1"}
    with subprocess.Popen([PYTHON, FLOW], env=environ, stdin=subprocess.PIPE) as flow:
        try:
            yield
        finally:
            flow.communicate()
    assert flow.returncode == 0


def copy(session: Session, table: str) -> list[list[object]]:
    if session.run("SELECT to_regclass(%s)", f"public.{table}") == [[None]]:
        return []
    return session.run(f"SELECT id, name, amount FROM public.{table} ORDER BY id")


def check_copies(session: Session, database: Settings) -> None:
    capture_changes("products", "ours", settings=database, columns=["name", "amount"], filter="amount > 0")
    expected = session.run("SELECT id, name, amount FROM public.products WHERE amount > 0 ORDER BY id")
    assert copy(session, "ours") == expected
    deadline = time.monotonic() + 120
    while copy(session, "theirs") != expected and time.monotonic() < deadline:
        time.sleep(0.2)
    assert copy(session, "theirs") == expected


def test_both_copies_of_a_table_are_equal_to_it(session: Session, database: Settings) -> None:
    session.run(
        "CREATE TABLE products (id int PRIMARY KEY, name text, amount int, modified_time timestamptz DEFAULT now()); "
        "INSERT INTO products SELECT i, 'product ' || i, i % 5 FROM generate_series(1, 200) i"
    )
    with cocoindex_follows(database):
        check_copies(session, database)
        session.run("INSERT INTO products SELECT i, 'new ' || i, i % 3 FROM generate_series(201, 260) i")
        session.run("UPDATE products SET amount = 7, modified_time = now() WHERE id % 10 = 0")
        session.run("DELETE FROM products WHERE id % 17 = 0")
        session.run("UPDATE products SET amount = 0, modified_time = now() WHERE id = 33")
        check_copies(session, database)
    names = session.run("SELECT DISTINCT tgfoid::regproc::text, count(*) FROM pg_trigger GROUP BY 1 ORDER BY 1")
    assert names == [["public__products__pgjobs_n", 4], ["shop__products__cocoindex_n", 1]]
