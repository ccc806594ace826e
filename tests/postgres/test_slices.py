"""Append in slices inserts the same rows as one statement, with a pause before each slice."""

from __future__ import annotations

import time
from hashlib import shake_256

from publishing import AB, T, load, rows_of

from jobs.dbaccess.load.move import slices
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

APPEND = Move("append", AB)
ROWS = [(n, "x" * 1000) for n in range(10_000)]
"""Of which 7 fit into a page: three slices."""


class Pauses:
    """Counts the slices."""

    def __init__(self) -> None:
        self.begun = self.done = 0

    def wait(self) -> None:
        self.begun += 1

    def ended(self) -> None:
        self.done += 1


def test_all_rows_are_inserted_once_in_several_slices(session: Session) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text)")
    pauses = Pauses()
    assert load(session, APPEND, ROWS, pace=pauses).inserted == len(ROWS)
    assert rows_of(session) == [list(row) for row in ROWS]
    assert (pauses.begun, pauses.done) == (3, 3)


def test_values_that_the_server_stores_beside_the_rows_make_slices_of_fewer_rows(session: Session) -> None:
    """Only 60 bytes of each are in the pages of its table: one slice had all of these 20 MB."""
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text)")
    pauses, large = Pauses(), [(n, shake_256(b"%d" % n).hexdigest(10_000)) for n in range(1000)]
    assert load(session, APPEND, large, pace=pauses).inserted == 1000
    assert rows_of(session) == [list(row) for row in large]
    assert 4 <= pauses.begun == pauses.done


def test_a_pause_is_no_idleness_for_which_the_server_ends_a_session(session: Session) -> None:
    class Slow(Pauses):
        def wait(self) -> None:
            time.sleep(0.2)

    def be_impatient() -> None:
        session.run("SET idle_in_transaction_session_timeout = 100")

    session.run("CREATE TABLE t (a int, b text)")
    assert load(session, APPEND, ROWS[:1], pace=Slow(), meanwhile=be_impatient).inserted == 1


def test_a_slice_reads_its_own_pages_only(session: Session) -> None:
    session.run("CREATE TABLE s AS SELECT n AS a, 'x' AS b FROM generate_series(1, 9) n")
    query = slices.slice_of(APPEND, TableName("s", "public"), 0)
    with session.in_transaction(search_path="public"):
        plan = " ".join(line for [line] in session.run(f"EXPLAIN {query}"))
    assert "Tid Range Scan" in plan


def test_a_table_whose_rows_refer_to_each_other_takes_them_in_one_statement(session: Session) -> None:
    """A row may need one of a later slice."""
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text, c int GENERATED ALWAYS AS (9999 - a) STORED REFERENCES t)")
    pauses = Pauses()
    assert load(session, APPEND, ROWS, pace=pauses).inserted == len(ROWS)
    assert pauses.begun == 0


def test_a_partition_whose_rows_refer_to_the_table_takes_them_in_one_statement(session: Session) -> None:
    session.run(
        "CREATE TABLE t (a int PRIMARY KEY, b text) PARTITION BY RANGE (a); CREATE TABLE other PARTITION OF t DEFAULT"
    )
    assert slices.can_slice(session, APPEND, T)
    session.run("ALTER TABLE other ADD FOREIGN KEY (a) REFERENCES t")
    assert not slices.can_slice(session, APPEND, T)
    assert not slices.can_slice(session, APPEND, TableName("other", "public"))


def test_other_modes_are_published_by_one_statement(session: Session) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text)")
    assert not slices.can_slice(session, Move("upsert", AB, ("a",)), T)
    assert slices.can_slice(session, APPEND, T)


def test_an_empty_load_has_no_slice(session: Session) -> None:
    session.run("CREATE TABLE t (a int, b text)")
    assert load(session, APPEND, [], pace=Pauses()).inserted == 0
