"""The position of a table that follows a source is stored with its rows and its marker, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from faults import Cut, cuts_on_the_way_to
from publishing import AB, load, rows_of

from jobs.dbaccess.catalog import storage
from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import LoadError, UsageError
from jobs.dbaccess.load.followed import stored
from jobs.dbaccess.load.followed.definition import Definition
from jobs.dbaccess.load.followed.source_position import Position, Stored
from jobs.dbaccess.load.followed.stored import Step
from jobs.dbaccess.load.ledger import LUIGIS
from jobs.dbaccess.load.move.changes import OWN_CONDITION, Changes
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.move.order import order_of
from jobs.dbaccess.load.publish import publish
from jobs.dbaccess.load.publish_plan import Published, PublishPlan
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.load.publish import Driver, publish_once

T = TableName("t", "public")
KEYS_A = Definition(("a",), "SELECT 1", "gone", {"a": 1, "b.c": 2})
ORDER = ("_ordinal", "_op")
CHANGED = Move(
    "upsert",
    AB,
    ("a",),
    order_of(None, ORDER),
    changes=Changes(delete_when=OWN_CONDITION, order_by=ORDER),
    staged_only=(("_ordinal", "bigint"), ("_op", "text")),
)


@pytest.fixture
def positions(session: Session) -> TableName:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text)")
    return stored.ensure(session, LUIGIS.located(session))


def at(version: int) -> Position:
    return Position("iceberg", "lake.sales.orders", str(version), committed="today")


def step(session: Session, positions: TableName, to: int) -> Step:
    """The step that a load takes that begins now."""
    before = stored.find(session, positions, T)
    relation = stored.relation_of(session, T)
    files = "" if relation is None else storage.files_of(session, relation)
    return Step(positions, before, at(to), KEYS_A, relation=relation, files=files)


def taking(step: Step, how: Callable[[Session, PublishPlan], Published] = publish) -> Callable[..., Published]:
    return lambda session, plan: how(session, replace(plan, step=step))


def version(session: Session, positions: TableName) -> str | None:
    found = stored.find(session, positions, T)
    return None if found is None else found.position.version


def test_a_position_is_read_as_it_was_stored(session: Session, positions: TableName) -> None:
    assert stored.find(session, positions, T) is None
    load(session, CHANGED, [(1, "x", 0, "U")], load_id="first", publish=taking(step(session, positions, 1)))
    relation = stored.relation_of(session, T)
    assert relation is not None
    files = storage.files_of(session, relation)
    assert stored.find(session, positions, T) == Stored(at(1), relation, KEYS_A, "first", files)
    load(session, CHANGED, [(2, "y", 0, "U")], load_id="second", publish=taking(step(session, positions, 2)))
    assert stored.find(session, positions, T) == Stored(at(2), relation, KEYS_A, "second", files)


def test_the_last_change_of_a_key_counts(session: Session, positions: TableName) -> None:
    """Changed often; deleted and inserted again; inserted and deleted; and by one commit updated, or its key taken."""
    session.run("INSERT INTO t VALUES (1, 'old'), (2, 'old'), (3, 'old'), (5, 'old')")
    told = [
        *[(1, "one", 0, "U"), (1, "two", 1, "U"), (1, "three", 10, "U")],
        *[(2, "old", 0, "D"), (2, "again", 3, "U")],
        *[(4, "x", 0, "U"), (4, "x", 5, "D")],
        *[(3, "old", 2, "D"), (3, "new", 2, "U"), (5, "old", 2, "D"), (6, "old", 2, "U")],
    ]
    load(session, CHANGED, told[::-1], publish=taking(step(session, positions, 1)))
    assert rows_of(session) == [[1, "three"], [2, "again"], [3, "new"], [6, "old"]]


def test_a_publish_that_fails_leaves_the_position(session: Session, positions: TableName) -> None:
    load(session, CHANGED, [(1, "x", 0, "U")], publish=taking(step(session, positions, 1)))
    session.run("ALTER TABLE t ADD CHECK (b <> 'bad')")
    with pytest.raises(Exception, match="t_b_check"):
        load(session, CHANGED, [(2, "bad", 0, "U")], load_id="bad", publish=taking(step(session, positions, 2)))
    assert version(session, positions) == "1"
    assert LUIGIS.recorded_target(session, "bad") is None


def test_a_publish_whose_script_fails_leaves_the_position(session: Session, positions: TableName) -> None:
    with pytest.raises(Exception, match="division"):
        load(session, CHANGED, [(1, "x", 0, "U")], after="SELECT 1/0", publish=taking(step(session, positions, 1)))
    assert version(session, positions) is None
    assert rows_of(session) == []


@pytest.mark.parametrize("before", [0, 1])
def test_of_two_loads_that_began_at_one_position_one_is_refused(
    session: Session, database: Settings, positions: TableName, before: int
) -> None:
    """Whichever publishes second: it would apply changes twice, or undo those of the first."""
    for number in range(before):
        load(session, CHANGED, [(0, "x", 0, "U")], publish=taking(step(session, positions, number)))
    slow = step(session, positions, 8)

    def overtaken() -> None:
        with connect(database, "other driver") as other:
            load(other, CHANGED, [(1, "new", 0, "U")], publish=taking(step(other, positions, 9)))

    with pytest.raises(LoadError, match=r"Another load has published changes into public\.t"):
        load(session, CHANGED, [(1, "old", 0, "U")], load_id="slow", publish=taking(slow), meanwhile=overtaken)
    assert rows_of(session)[-1] == [1, "new"]
    assert version(session, positions) == "9"
    assert LUIGIS.recorded_target(session, "slow") is None


def test_two_drivers_that_publish_at_once_move_the_position_once(
    session: Session, database: Settings, positions: TableName
) -> None:
    load(session, CHANGED, [(0, "x", 0, "U")], publish=taking(step(session, positions, 0)))
    begun = step(session, positions, 1)

    def drive(value: str) -> str:
        with connect(database, value) as own:
            try:
                load(own, CHANGED, [(1, value, 0, "U")], load_id=value, publish=taking(begun))
            except LoadError:
                return ""
            return value

    with ThreadPoolExecutor(2) as pool:
        won = [value for value in pool.map(drive, ["one", "other"]) if value]
    assert len(won) == 1
    assert rows_of(session) == [[0, "x"], [1, *won]]


@pytest.mark.parametrize("answered", [False, True])
def test_a_lost_answer_to_commit_moves_the_position_once(
    session: Session, database: Settings, positions: TableName, answered: bool
) -> None:
    begun = step(session, positions, 1)
    cut = Cut("pgjobs load", b"COMMIT", b"table_updates", answered=answered)

    def resolving(own: Session, plan: PublishPlan) -> Published:
        published = publish_once(driver, own, plan)
        assert published is not None
        return published

    with cuts_on_the_way_to(database, cut) as way:
        driver = Driver(Connector(way, "load", "lost"))
        with driver.connect() as own:
            published = load(own, CHANGED, [(1, "x", 0, "U")], load_id="lost", publish=taking(begun, resolving))
    assert cut.cut
    assert published.inserted == 1
    assert rows_of(session) == [[1, "x"]]
    assert version(session, positions) == "1"


def test_a_table_that_was_replaced_is_not_taken_for_the_one_that_was_read(
    session: Session, positions: TableName
) -> None:
    load(session, CHANGED, [(1, "x", 0, "U")], publish=taking(step(session, positions, 1)))

    def replaced() -> None:
        session.run("ALTER TABLE t RENAME TO gone; CREATE TABLE t (a int PRIMARY KEY, b text)")

    with pytest.raises(LoadError, match="replaced by another table"):
        load(session, CHANGED, [(2, "y", 0, "U")], publish=taking(step(session, positions, 2)), meanwhile=replaced)
    assert rows_of(session) == []
    assert version(session, positions) == "1"


def test_a_table_that_is_emptied_while_changes_are_read_does_not_get_them(
    session: Session, positions: TableName
) -> None:
    load(session, CHANGED, [(1, "x", 0, "U")], publish=taking(step(session, positions, 1)))
    begun = step(session, positions, 2)

    def emptied() -> None:
        session.run("TRUNCATE t")

    with pytest.raises(LoadError, match="meanwhile it, or a partition of it, was emptied by TRUNCATE"):
        load(session, CHANGED, [(2, "y", 0, "U")], load_id="2", publish=taking(begun), meanwhile=emptied)
    assert rows_of(session) == []
    assert version(session, positions) == "1"


def test_a_load_that_rewrites_its_table_itself_knows_its_new_files(session: Session, positions: TableName) -> None:
    load(session, CHANGED, [(1, "x", 0, "U")], publish=taking(step(session, positions, 1)))
    begun = step(session, positions, 2)
    load(session, CHANGED, [(2, "y", 0, "U")], load_id="2", after="CLUSTER t USING t_pkey", publish=taking(begun))
    found = stored.find(session, positions, T)
    assert found is not None
    assert found.files == storage.files_of(session, found.relation) != begun.files


def test_a_new_table_has_its_position_at_once(session: Session, positions: TableName) -> None:
    session.run("DROP TABLE t")
    whole = Move("upsert", AB, ("a",))
    load(session, whole, [(1, "x")], types=("integer", "text"), publish=taking(step(session, positions, 1)))
    found = stored.find(session, positions, T)
    assert found is not None
    assert found.relation == stored.relation_of(session, T)


def test_positions_are_beside_the_ledger(session: Session) -> None:
    session.run("CREATE SCHEMA ops; CREATE TABLE t (a int PRIMARY KEY, b text)")
    ledger = replace(LUIGIS, table=TableName("markers", "ops"))
    ledger.ensure(session)
    assert stored.ensure(session, ledger) == TableName("pgjobs_positions", "ops")
    assert stored.ensure(session, ledger) == TableName("pgjobs_positions", "ops")


def test_a_table_that_a_crash_empties_holds_no_positions(session: Session) -> None:
    session.run("CREATE UNLOGGED TABLE pgjobs_positions (target text PRIMARY KEY)")
    with pytest.raises(UsageError, match="unlogged"):
        stored.ensure(session, LUIGIS.located(session))
