"""How far an incremental extract has come, among transactions that really run at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import ExtractError
from jobs.dbaccess.extract import snapshot, watermark
from jobs.dbaccess.extract.attachments import attached, table_oid
from jobs.dbaccess.extract.selection import Selection
from jobs.dbaccess.extract.watermark import Definition, Watermark
from jobs.dbaccess.extract.window import Window, reached, window_since
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

SOURCE = "public.t"
DEFINITION = Definition(SOURCE, 16400, ("a",), "a > 0")
T = TableName("t")


class Reader:
    """Takes what is new, run after run, as the extract does."""

    def __init__(self, database: Settings) -> None:
        self._database = database

    def take(self) -> list[int]:
        with connect(self._database, "reader") as session:
            watermark.ensure(session)
            last = watermark.read(session, "w") or Watermark(SOURCE)
            definition = Definition(SOURCE, table_oid(session, T))
            taken = window_since(snapshot.export(session, "SELECT 1 FROM t").seen, last.xmin)
            taken = attached(session, T, taken)
            rows = session.run(f"SELECT ordinal FROM t WHERE {taken.condition} ORDER BY ordinal")
            snapshot.release(session)
            watermark.begin(session, "w", definition, "run=", last.runs + 1)
            watermark.move(session, "w", last.runs, Watermark(SOURCE, last.runs + 1, taken.xmin, None, definition))
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
        waiting.join(120)
        assert not waiting.is_alive()


def moved(session: Session, runs: int, below: int) -> Watermark:
    mark = Watermark(SOURCE, runs, below, "7", DEFINITION, "run=")
    watermark.move(session, "w", runs - 1, mark)
    return mark


def test_to_move_twice_is_the_same_as_once(session: Session) -> None:
    watermark.ensure(session)
    watermark.begin(session, "w", DEFINITION, "run=", 1)
    moved(session, 1, 100)
    assert moved(session, 1, 100) == watermark.read(session, "w")


def test_a_watermark_that_another_run_has_moved_is_left(session: Session) -> None:
    watermark.ensure(session)
    watermark.begin(session, "w", DEFINITION, "run=", 1)
    moved(session, 1, 100)
    second = moved(session, 2, 200)
    with pytest.raises(ExtractError, match="Another run has moved the watermark 'w'"):
        watermark.move(session, "w", 1, Watermark(SOURCE, 3, 150, None, DEFINITION))
    assert watermark.read(session, "w") == second


def test_a_run_that_began_is_known_until_two_others_have_moved_the_watermark(session: Session) -> None:
    watermark.ensure(session)
    known = []
    for number in (1, 2, 3, 4):
        watermark.begin(session, "w", DEFINITION, "run=", number)
        if number > 1:  # the first one dies
            last = number - 1 if number > 2 else 0
            watermark.move(session, "w", last, Watermark(SOURCE, number, number, None, DEFINITION))
        mark = watermark.read(session, "w")
        assert mark is not None
        known.append(mark.begun)
    assert known == [(1,), (1,), (), ()]


OLD = """
CREATE TABLE pgjobs_watermarks (
    watermark_id text PRIMARY KEY, source text NOT NULL, runs bigint NOT NULL, below xid8 NOT NULL,
    ordinal text, moved timestamptz NOT NULL DEFAULT now()
);
INSERT INTO pgjobs_watermarks (watermark_id, source, runs, below) VALUES ('w', 'public.t', 3, '100')
"""


def test_a_table_of_an_older_version_gets_the_columns_that_came_later(session: Session, database: Settings) -> None:
    session.run(OLD)
    with connect(database, "another") as another:  # at once: each waits for the other
        ensuring = threading.Thread(target=watermark.ensure, args=(another,))
        ensuring.start()
        watermark.ensure(session)
        ensuring.join()
    assert watermark.read(session, "w") == Watermark("public.t", 3, 100, None, None, "run=")
    watermark.begin(session, "w", DEFINITION, "pgjobs_run=", 4)
    moved(session, 4, 200)
    assert watermark.read(session, "w") == Watermark(SOURCE, 4, 200, "7", DEFINITION, "run=")


@pytest.fixture
def partitions(session: Session, database: Settings) -> Reader:
    session.run("CREATE TABLE t (ordinal int) PARTITION BY RANGE (ordinal)")
    session.run("CREATE TABLE p1 PARTITION OF t FOR VALUES FROM (0) TO (10); INSERT INTO t VALUES (1)")
    session.run("CREATE TABLE p2 (ordinal int); INSERT INTO p2 VALUES (11)")
    return Reader(database)


ATTACH = "ALTER TABLE t ATTACH PARTITION p2 FOR VALUES FROM (10) TO (20)"


def test_rows_of_a_partition_that_is_attached_are_new(session: Session, partitions: Reader) -> None:
    """They were written before the last run, in another table."""
    assert partitions.take() == [1]
    session.run(ATTACH)
    session.run("INSERT INTO t VALUES (2), (12)")
    assert partitions.take() == [2, 11, 12]
    for vacuum in ("VACUUM (FULL, FREEZE) t", "VACUUM (FULL, FREEZE) pg_inherits"):
        session.run(vacuum)
    assert partitions.take() == []


def test_a_partition_that_was_changed_elsewhere_and_attached_again_is_new(session: Session, partitions: Reader) -> None:
    session.run(ATTACH)
    assert partitions.take() == [1, 11]
    session.run("ALTER TABLE t DETACH PARTITION p2")
    session.run("INSERT INTO p2 VALUES (12)")
    assert partitions.take() == []
    session.run(ATTACH)
    assert partitions.take() == [11, 12]


def test_so_are_a_tree_of_partitions_and_an_heir(session: Session, partitions: Reader) -> None:
    session.run("CREATE TABLE mid (ordinal int) PARTITION BY RANGE (ordinal)")
    session.run("ALTER TABLE mid ATTACH PARTITION p2 FOR VALUES FROM (10) TO (20)")
    assert partitions.take() == [1]
    session.run("ALTER TABLE t ATTACH PARTITION mid FOR VALUES FROM (10) TO (30)")
    assert partitions.take() == [11]
    session.run("ALTER TABLE t RENAME TO parts; CREATE TABLE t (ordinal int); CREATE TABLE heir (ordinal int)")
    session.run("INSERT INTO heir VALUES (5)")
    assert partitions.take() == [], "nothing is in the table of that name"
    session.run("ALTER TABLE heir INHERIT t")
    assert partitions.take() == [5]


def test_a_partition_is_taken_once_where_its_attaching_ends_later_than_a_run(
    session: Session, writer: Session, partitions: Reader
) -> None:
    assert partitions.take() == [1]
    writer.run("BEGIN; SELECT pg_current_xact_id()")
    session.run(ATTACH)
    session.run("INSERT INTO t VALUES (12)")
    assert partitions.take() == [], "an older transaction runs still"
    writer.run("COMMIT")
    assert partitions.take() == [11, 12]
    assert partitions.take() == []


def test_a_batch_ends_before_a_partition_that_was_attached_later(session: Session, database: Settings) -> None:
    """So that `most` rows are a batch, and the partition comes whole in another one."""
    session.run("CREATE TABLE t (ordinal int) PARTITION BY RANGE (ordinal)")
    session.run("CREATE TABLE p2 (ordinal int); INSERT INTO p2 VALUES (11), (12)")
    session.run("CREATE TABLE p1 PARTITION OF t FOR VALUES FROM (0) TO (10)")
    with connect(database, "reader") as reader:
        start = window_since(snapshot.export(reader, "SELECT 1 FROM t").seen, 0).xmin
        snapshot.release(reader)
        session.run("INSERT INTO t VALUES (1), (2)")
        session.run(ATTACH)
        session.run("INSERT INTO t VALUES (3)")
        batches = []
        seen = snapshot.export(reader, "SELECT 1 FROM t").seen
        table = Selection.of_table(T)
        for _ in range(4):
            rest = attached(reader, T, window_since(seen, start))
            xmin = reached(reader, table.where(rest.condition), rest, most=1)
            if xmin is None:
                break
            batch = attached(reader, T, Window(start, xmin, rest.xmax))
            batches.append([row[0] for row in reader.run(table.where(batch.condition).select(["ordinal"]))])
            start = xmin
    assert [sorted(batch) for batch in batches] == [[1, 2], [11, 12], [3]]


def test_windows_end_between_transactions_and_cover_each_row_once(session: Session, database: Settings) -> None:
    session.run("CREATE TABLE events (id int)")
    for first in range(0, 12, 4):
        session.run("INSERT INTO events SELECT generate_series(%s::int, %s::int)", first, first + 3)
    table = Selection.of_table(TableName("events"))
    taken: list[list[int]] = []
    last = 0
    for _ in range(2):
        with connect(database, "reader") as reader:
            window = window_since(snapshot.export(reader, "SELECT 1").seen, last)
            xmin = reached(reader, table.where(window.condition), window, most=5)
            assert xmin is not None
            part = Window(window.start, xmin, window.xmax)
            taken.append([number for [number] in reader.run(table.where(part.condition).select(["id"]))])
            last = xmin
    assert taken == [list(range(8)), list(range(8, 12))]
