"""A load that follows a source: what it reads, and that another one waits. The source is one in memory."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

import pytest
from pyspark.sql import DataFrame

from jobs.dbaccess import locks
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import LoadError, TransientError, UsageError
from jobs.dbaccess.load.followed import stored
from jobs.dbaccess.load.followed.definition import Definition
from jobs.dbaccess.load.followed.source_position import Position
from jobs.dbaccess.load.followed.stored import Step
from jobs.dbaccess.load.ledger import LUIGIS
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.load.feeds.following import Following
from jobs.flows.load.job import LoadJob
from jobs.flows.load.run import run

T = TableName("t", "public")
AT = Position("iceberg", "lake.sales.orders", "7", committed="today")


class Read(Exception):
    """Rows were about to be read."""


@dataclass(frozen=True)
class Source:
    """A source in a state, which tells when its rows are read."""

    at: Position | None = AT
    has_all_rows: bool = True
    tells_how_rows_were: bool = True
    order: tuple[str, ...] = ()

    def now(self) -> Position | None:
        return self.at

    def columns(self) -> dict[str, int]:
        return {}

    def lost(self, since: Position, to: Position) -> str:  # noqa: ARG002 - as a feed
        return "it was expired" if since.version == "0" else ""

    def rows(self, at: Position) -> DataFrame:
        raise Read("all", at.version)

    def changes(self, since: Position, to: Position) -> DataFrame:
        raise Read(since.version, to.version)


def never() -> DataFrame:
    raise AssertionError


def load(
    database: Settings, source: Source, *, full: bool = False, wait: int = 5, null_values: tuple[str, ...] = ()
) -> str:
    move = Move("upsert", (), ("a",))
    job = LoadJob(TableName("t"), database, "x", move, wait_for_load=wait, null_values=null_values)
    try:
        return run(replace(job, follows=Following(lambda: source, full)), never).summary()
    except Read as read:
        return " ".join(read.args)


@pytest.fixture
def at_seven(session: Session) -> None:
    """A table with a row, and the position 7."""
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text); INSERT INTO t VALUES (1, 'x')")
    _store(session, AT)


def _store(session: Session, position: Position) -> None:
    table = stored.ensure(session, LUIGIS.located(session))
    before, relation = stored.find(session, table, T), stored.relation_of(session, T)
    step = Step(table, before, position, Definition(("a",)), relation)
    with session.transaction():
        stored.store(session, T, step, position.version)


@pytest.mark.usefixtures("at_seven")
def test_nothing_new_is_told_and_recorded(database: Settings, session: Session) -> None:
    told = load(database, Source())
    assert told == ("nothing to load: public.t has lake.sales.orders at version 7 of today. Load id 'x' is recorded.")
    assert LUIGIS.recorded_target(session, "x") == "public.t"
    assert load(database, Source()).startswith("already loaded")


@pytest.mark.usefixtures("at_seven")
def test_what_is_new_since_the_position_is_read(database: Settings) -> None:
    assert load(database, Source(replace(AT, version="9"))) == "7 9"
    assert load(database, Source(replace(AT, version="9")), full=True) == "all 9"


@pytest.mark.usefixtures("at_seven")
def test_other_null_values_than_before_are_refused(database: Settings) -> None:
    """Rows that nobody changed would keep the texts."""
    with pytest.raises(UsageError, match=r"other values .*--null-value"):
        load(database, Source(replace(AT, version="9")), null_values=("-",))


@pytest.mark.usefixtures("at_seven")
def test_a_position_that_the_source_has_lost_ends_the_load(database: Settings, session: Session) -> None:
    _store(session, replace(AT, version="0"))
    with pytest.raises(LoadError, match="cannot be read: it was expired"):
        load(database, Source())
    assert LUIGIS.recorded_target(session, "x") is None


def test_a_table_without_rows_gets_all(database: Settings, session: Session) -> None:
    assert load(database, Source()) == "all 7"
    session.run("CREATE TABLE t (a int PRIMARY KEY)")
    assert load(database, Source()) == "all 7"
    session.run("INSERT INTO t VALUES (1)")
    with pytest.raises(UsageError, match="unknown which state"):
        load(database, Source())


def test_a_source_without_a_state_has_nothing_to_load(database: Settings, session: Session) -> None:
    assert load(database, Source(None)) == "nothing to load: the source has no rows yet. Load id 'x' is recorded."
    assert LUIGIS.recorded_target(session, "x") == "public.t"


@pytest.mark.usefixtures("at_seven")
def test_a_source_that_has_lost_all_its_states_is_not_taken_for_an_empty_one(database: Settings) -> None:
    with pytest.raises(UsageError, match="no rows and no history"):
        load(database, Source(None))


@pytest.mark.usefixtures("at_seven")
def test_a_source_that_may_lack_rows_deletes_none_for_that(database: Settings) -> None:
    with pytest.raises(UsageError, match=r"rows of public\.t might be missing"):
        load(database, Source(has_all_rows=False), full=True)


@pytest.mark.parametrize(("column", "null_values"), [("_op", ()), ("_ordinal", ()), ("b", ("D",))])
def test_what_tells_changes_is_neither_lost_nor_loaded(
    database: Settings, session: Session, column: str, null_values: tuple[str, ...]
) -> None:
    session.run(f"CREATE TABLE t (a int PRIMARY KEY, {column} text)")
    with pytest.raises(UsageError, match=r"values that mark changes|a name by which pgjobs reports changes"):
        load(database, Source(), null_values=null_values)


@pytest.mark.usefixtures("at_seven")
def test_a_load_waits_for_another_one_and_reads_what_is_new_after_it(database: Settings, session: Session) -> None:
    with connect(database, "another load") as other:
        assert locks.take(other, locks.position(T))
        with pytest.raises(TransientError, match=r"The position of public\.t is held by process"):
            load(database, Source(replace(AT, version="9")), wait=1)
        told: list[str] = []
        source = Source(replace(AT, version="9"))
        waiting = threading.Thread(target=lambda: told.append(load(database, source, wait=120)))
        waiting.start()
        while not session.run("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
            assert waiting.is_alive()
        _store(session, replace(AT, version="8"))
        locks.release(other, locks.position(T))
        waiting.join()
    assert told == ["8 9"]


@pytest.mark.usefixtures("at_seven")
def test_a_table_that_was_dropped_and_made_anew_gets_all(database: Settings, session: Session) -> None:
    """Its position is that of the dropped table, and is replaced."""
    session.run("DROP TABLE t")
    assert load(database, Source()) == "all 7"
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text)")
    assert load(database, Source()) == "all 7"
    _store(session, AT)
    assert load(database, Source()).startswith("nothing to load")


@pytest.mark.usefixtures("at_seven")
@pytest.mark.parametrize("version", ["7", "9"])
@pytest.mark.parametrize("statement", ["TRUNCATE t", "DELETE FROM t"])
def test_a_table_that_was_emptied_is_refused_until_all_rows_are_wanted(
    database: Settings, session: Session, statement: str, version: str
) -> None:
    """Also if the source has not changed since."""
    session.run(statement)
    source = Source(replace(AT, version=version))
    with pytest.raises(UsageError, match=r"loaded with .* version 7 of today, and it is empty now") as refused:
        load(database, source)
    assert refused.value.hint.endswith("--changes-since-ledger full.")
    assert load(database, source, full=True) == f"all {version}"


@pytest.mark.usefixtures("at_seven")
@pytest.mark.parametrize("statement", ["TRUNCATE t; INSERT INTO t VALUES (2, 'y')", "VACUUM FULL t"])
def test_a_table_whose_rows_may_be_gone_is_refused_until_they_are_believed(
    database: Settings, session: Session, statement: str
) -> None:
    """The server tells a table that was emptied and filled again from one that was rewritten by nothing."""
    for part in statement.split("; "):
        session.run(part)
    source = Source(replace(AT, version="9"))
    with pytest.raises(UsageError, match="emptied by TRUNCATE, detached, dropped or rewritten") as refused:
        load(database, source)
    believe = refused.value.hint.partition("run: ")[2].partition(". ")[0]
    session.run(believe.replace("...", str(T)))
    assert load(database, source) == "7 9"


def test_a_partition_that_was_emptied_is_noticed_and_a_new_one_is_none_of_it(
    database: Settings, session: Session
) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY) PARTITION BY RANGE (a)")
    for number in range(3):
        session.run(f"CREATE TABLE t{number} PARTITION OF t FOR VALUES FROM ({number}) TO ({number + 1})")
    session.run("INSERT INTO t VALUES (0), (1)")
    _store(session, AT)
    session.run("CREATE TABLE t3 PARTITION OF t FOR VALUES FROM (3) TO (4)")
    assert load(database, Source(replace(AT, version="9"))) == "7 9"
    session.run("TRUNCATE t1")
    with pytest.raises(UsageError, match="it, or a partition of it, was emptied by TRUNCATE"):
        load(database, Source(replace(AT, version="9")))


def test_a_table_that_had_no_rows_may_be_rewritten(database: Settings, session: Session) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY)")
    _store(session, AT)
    session.run("TRUNCATE t")
    assert load(database, Source(replace(AT, version="9"))) == "7 9"
