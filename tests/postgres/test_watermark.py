"""How far an incremental extract has come, among transactions that really run at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from jobs.dbaccess import snapshot, watermark
from jobs.dbaccess.errors import ExtractError, UsageError
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.settings import Settings
from jobs.dbaccess.watermark import Watermark

SOURCE = "public.t"


class Reader:
    """Takes what is new, run after run, as the extract does."""

    def __init__(self, database: Settings) -> None:
        self._database = database
        self.last: Watermark | None = None

    def take(self) -> list[int]:
        with connect(self._database, "reader") as session:
            watermark.ensure(session)
            self.last = watermark.read(session, "w", SOURCE)
            taken = watermark.window(snapshot.export(session, "SELECT 1").seen, self.last)
            rows = session.run(f"SELECT ordinal FROM t WHERE {taken.condition} ORDER BY ordinal")
            snapshot.release(session)
            watermark.move(session, "w", Watermark(SOURCE, (self.last.runs if self.last else 0) + 1, taken.below, None))
            return [row[0] for row in rows]


@pytest.fixture
def reader(session: Session, database: Settings) -> Reader:
    session.run("CREATE TABLE t (ordinal int)")
    return Reader(database)


@pytest.fixture
def writer(database: Settings) -> Iterator[Session]:
    with connect(database, "writer") as opened:
        yield opened


def test_a_lower_ordinal_that_commits_after_a_higher_one_is_not_missed(
    session: Session, writer: Session, reader: Reader
) -> None:
    writer.run("BEGIN; INSERT INTO t VALUES (10)")
    session.run("INSERT INTO t VALUES (20)")
    [[greatest]] = session.run("SELECT max(ordinal) FROM t")
    assert reader.take() == []
    writer.run("COMMIT")
    assert session.run("SELECT ordinal FROM t WHERE ordinal > %s", greatest) == [], "what is greater misses it"
    assert reader.take() == [10, 20]
    assert reader.take() == []


def test_what_had_ended_before_the_oldest_that_runs_is_taken_at_once(
    session: Session, writer: Session, reader: Reader
) -> None:
    session.run("INSERT INTO t VALUES (5)")
    writer.run("BEGIN; INSERT INTO t VALUES (10)")
    session.run("INSERT INTO t VALUES (20)")
    assert reader.take() == [5]
    writer.run("COMMIT")
    assert reader.take() == [10, 20]


def test_a_subtransaction_of_one_that_runs_is_not_missed(session: Session, writer: Session, reader: Reader) -> None:
    writer.run("BEGIN; INSERT INTO t VALUES (1)")
    session.run("INSERT INTO t VALUES (20)")
    writer.run("SAVEPOINT s; INSERT INTO t VALUES (10); RELEASE s")
    session.run("INSERT INTO t VALUES (30)")
    assert reader.take() == []
    writer.run("COMMIT")
    assert reader.take() == [1, 10, 20, 30]


def test_what_was_rolled_back_is_never_taken(session: Session, writer: Session, reader: Reader) -> None:
    writer.run("BEGIN; INSERT INTO t VALUES (10)")
    session.run("INSERT INTO t VALUES (20)")
    assert reader.take() == []
    writer.run("ROLLBACK")
    assert reader.take() == [20]


def test_an_update_is_new_and_an_old_row_is_not(session: Session, reader: Reader) -> None:
    session.run("INSERT INTO t VALUES (1), (2)")
    assert reader.take() == [1, 2]
    session.run("UPDATE t SET ordinal = 3 WHERE ordinal = 1")
    assert reader.take() == [3]


def test_freezing_makes_nothing_new(session: Session, reader: Reader) -> None:
    session.run("INSERT INTO t VALUES (1)")
    assert reader.take() == [1]
    session.run("VACUUM (FREEZE) t")
    session.run("VACUUM FULL t")
    assert reader.take() == []


def test_of_two_runs_at_once_the_second_waits_for_the_first(session: Session, database: Settings) -> None:
    with connect(database, "first") as first, connect(database, "second") as second:
        watermark.hold(first, "w")
        waiting = threading.Thread(target=watermark.hold, args=(second, "w"))
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
        watermark.hold(session, "another")
        first.close()
        waiting.join(10)
        assert not waiting.is_alive()


def test_to_move_twice_is_the_same_as_once(session: Session) -> None:
    watermark.ensure(session)
    mark = Watermark(SOURCE, 1, 100, "7")
    watermark.move(session, "w", mark)
    watermark.move(session, "w", mark)
    assert watermark.read(session, "w", SOURCE) == mark


def test_a_watermark_that_another_run_has_moved_is_left(session: Session) -> None:
    watermark.ensure(session)
    watermark.move(session, "w", Watermark(SOURCE, 1, 100, None))
    watermark.move(session, "w", Watermark(SOURCE, 2, 200, None))
    with pytest.raises(ExtractError, match="Another run has moved the watermark 'w'"):
        watermark.move(session, "w", Watermark(SOURCE, 2, 150, None))
    assert watermark.read(session, "w", SOURCE) == Watermark(SOURCE, 2, 200, None)


def test_a_watermark_of_another_table_is_refused(session: Session) -> None:
    watermark.ensure(session)
    watermark.move(session, "w", Watermark("public.other", 1, 100, None))
    with pytest.raises(UsageError, match=r"'w' is of public\.other, not of public\.t"):
        watermark.read(session, "w", SOURCE)
