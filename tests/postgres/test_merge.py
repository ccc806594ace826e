"""Upserts that delete, update by condition, or have no unique index: what is in the table, and what is counted."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from looks import Looks, looking, make_slow
from publishing import AB, T, load, rows_of
from threads import at_once

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import ConstraintViolated, DatabaseError, JobError, LoadError, UsageError
from jobs.dbaccess.load.ledger import LUIGIS
from jobs.dbaccess.load.move import combinations
from jobs.dbaccess.load.move.by_keys.merge import marks_by_time
from jobs.dbaccess.load.move.changes import Changes
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.move.order import order_of
from jobs.dbaccess.load.move.suitable import check_target
from jobs.dbaccess.load.publish_plan import Published
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session

OP = (("op", "text"),)
OLD = [[1, "old"], [2, "old"], [3, "old"]]


TOLD = Move("upsert", AB, ("a",), changes=Changes(delete_when="op = 'D'"), staged_only=OP)
LAST = replace(
    TOLD,
    changes=replace(TOLD.changes, order_by=("seq",)),
    order=order_of(None, ["seq"]),
    staged_only=(*OP, ("seq", "bigint")),
)
MISSING = Move("upsert", AB, ("a",), changes=Changes(delete_missing=True))


@pytest.fixture
def keyed(session: Session) -> Session:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text)")
    session.run("INSERT INTO t VALUES (1, 'old'), (2, 'old'), (3, 'old')")
    return session


def written(published: Published) -> dict[str, int]:
    """The counts that are not 0."""
    names = ("inserted", "updated", "unchanged", "deleted", "ignored")
    return {name: getattr(published, name) for name in names if getattr(published, name)}


def test_rows_are_deleted_updated_and_inserted_as_the_data_says(keyed: Session) -> None:
    rows = [(1, None, "D"), (2, "old", "U"), (3, "new", "U"), (4, "new", "I"), (5, None, "D"), (6, "null", None)]
    published = load(keyed, TOLD, rows)
    assert written(published) == {"inserted": 2, "updated": 1, "unchanged": 1, "deleted": 1, "ignored": 1}
    assert rows_of(keyed) == [[2, "old"], [3, "new"], [4, "new"], [6, "null"]]


@pytest.mark.parametrize("condition", ["EXISTS (SELECT FROM t WHERE t.a = source.a)", "random() < 0.5"])
def test_which_rows_delete_is_decided_once(session: Session, condition: str) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text)")
    session.run("INSERT INTO t SELECT g, 'old' FROM generate_series(1, 100) AS g")
    published = load(session, replace(MISSING, changes=Changes(condition)), [(key, "new") for key in range(1, 101)])
    assert published.deleted + published.updated == 100
    assert session.run("SELECT DISTINCT b FROM t") == ([["new"]] if published.updated else [])
    assert session.value("SELECT count(*) FROM t") == published.updated
    assert session.run("SELECT relname FROM pg_class WHERE relname ~ '^pgjobs_rows'") == []


def test_the_same_changes_again_change_nothing(keyed: Session) -> None:
    rows = [(1, None, "D"), (3, "new", "U"), (4, "new", "I")]
    load(keyed, TOLD, rows)
    before = keyed.run("SELECT a, xmin::text FROM t ORDER BY 1")
    assert written(load(keyed, TOLD, rows)) == {"unchanged": 2, "ignored": 1}
    assert keyed.run("SELECT a, xmin::text FROM t ORDER BY 1") == before


def test_every_row_is_written_if_that_is_wanted(keyed: Session) -> None:
    assert written(load(keyed, replace(TOLD, skip_unchanged="no"), [(1, "old", "U")])) == {"updated": 1}


def test_of_the_changes_of_a_key_the_last_one_counts(keyed: Session) -> None:
    rows = [(1, "x", "U", 1), (1, None, "D", 2), (2, None, "D", 1), (2, "again", "I", 2), (3, "y", "U", None)]
    assert written(load(keyed, LAST, rows)) == {"updated": 2, "deleted": 1, "ignored": 2}
    assert rows_of(keyed) == [[2, "again"], [3, "y"]]


def test_changes_without_a_last_one_are_refused_unless_they_are_equal(keyed: Session) -> None:
    with pytest.raises(LoadError, match=r"For 1 key \(a\), the data has several last rows that differ"):
        load(keyed, LAST, [(1, "x", "U", 2), (1, None, "D", 2), (2, "y", "U", 1)])
    assert rows_of(keyed) == OLD
    load(keyed, LAST, [(1, "x", "U", 2), (1, "x", "U", 2), (1, "w", "U", 1)])
    assert rows_of(keyed)[0] == [1, "x"]


def test_a_key_twice_in_the_data_is_an_error(keyed: Session) -> None:
    with pytest.raises(LoadError, match=r"1 key \(a\) occurs more than once in the data, in 2 rows"):
        load(keyed, TOLD, [(1, "x", "U"), (1, None, "D")])
    assert rows_of(keyed) == OLD


def test_rows_that_the_data_lacks_are_deleted(keyed: Session) -> None:
    move = replace(MISSING, max_delete_share=1)
    assert written(load(keyed, move, [(2, "old"), (4, "new")])) == {"inserted": 1, "unchanged": 1, "deleted": 2}
    assert rows_of(keyed) == [[2, "old"], [4, "new"]]


@pytest.mark.parametrize("move", [MISSING, replace(TOLD, columns=AB)], ids=["missing", "told"])
def test_more_rows_than_allowed_are_not_deleted(keyed: Session, move: Move) -> None:
    rows: list[tuple[object, ...]] = [(1, "old"), (9, "x")] if move is MISSING else [(2, None, "D"), (3, None, "D")]
    with pytest.raises(LoadError, match=r"would delete 2 of the 3 rows of public\.t. At most 0\.5 of them"):
        load(keyed, replace(move, max_delete_share=0.5), rows)
    assert rows_of(keyed) == OLD
    assert load(keyed, replace(move, max_delete_share=0.7), rows).deleted == 2


def test_without_a_share_what_the_data_lacks_is_limited_and_what_it_tells_is_not(session: Session) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text)")
    session.run("INSERT INTO t SELECT g, 'old' FROM generate_series(1, 10) AS g")
    both = replace(TOLD, changes=replace(TOLD.changes, delete_missing=True))
    told = [(key, None, "D") for key in range(1, 7)]
    with pytest.raises(LoadError, match=r"would delete 3 of the 10 rows of public\.t, .* At most 0\.2 of them"):
        load(session, both, [*told, (7, "old", "U")])
    assert session.value("SELECT count(*) FROM t") == 10
    assert load(session, both, [*told, (7, "old", "U"), (8, "old", "U")]).deleted == 8
    assert load(session, TOLD, [(7, None, "D"), (8, None, "D")]).deleted == 2
    assert load(session, MISSING, [(1, "new")]).inserted == 1


@pytest.mark.parametrize("kind", ["boolean NOT NULL DEFAULT false", "timestamptz"])
def test_rows_are_marked_as_deleted_and_come_back(keyed: Session, kind: str) -> None:
    keyed.run(f"ALTER TABLE t ADD gone {kind}")
    marked = "gone" if kind.startswith("boolean") else "now() - gone < '1 hour'"
    move = replace(TOLD, changes=replace(TOLD.changes, soft_delete="gone", delete_missing=True), max_delete_share=0.7)
    first = load(keyed, move, [(1, None, "D"), (3, "old", "U"), (4, "new", "I")])
    assert written(first) == {"inserted": 1, "unchanged": 1, "deleted": 2}
    assert keyed.run(f"SELECT a FROM t WHERE {marked} ORDER BY 1") == [[1], [2]]
    again = load(keyed, move, [(1, None, "D"), (2, "old", "I"), (3, "old", "U"), (4, "new", "U")])
    assert written(again) == {"updated": 1, "unchanged": 2, "ignored": 1}
    assert keyed.run(f"SELECT a FROM t WHERE {marked}") == [[1]]


@pytest.mark.parametrize("made", ["", "ALTER TABLE t ADD gone int"])
def test_a_column_that_cannot_mark_a_row_is_refused_before_anything_is_copied(keyed: Session, made: str) -> None:
    keyed.run(made or "SELECT 1")
    with pytest.raises(UsageError, match="--soft-delete needs a boolean, or a timestamp"):
        marks_by_time(keyed, replace(TOLD, changes=replace(TOLD.changes, soft_delete="gone")), T)


def test_only_the_columns_that_are_named_are_updated(session: Session) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text, c int); INSERT INTO t VALUES (1, 'old', 1), (2, 'old', 2)")
    move = Move("upsert", ("a", "b", "c"), ("a",), changes=Changes(update_columns=("c",)), skip_unchanged="yes")
    published = load(session, move, [(1, "x", 1), (2, "x", 9), (3, "x", 3)])
    assert written(published) == {"inserted": 1, "updated": 1, "unchanged": 1}
    assert rows_of(session) == [[1, "old", 1], [2, "old", 9], [3, "x", 3]]


def test_rows_are_updated_only_if_the_condition_is_true(session: Session) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text, c int)")
    session.run("INSERT INTO t VALUES (1, 'old', 5), (2, 'old', 5), (3, 'old', NULL), (4, 'old', 5)")
    move = Move("upsert", ("a", "b", "c"), ("a",), changes=Changes(update_when="source.c > target.c -- newer"))
    rows = [(1, "late", 4), (2, "new", 6), (3, "unknown", 9), (4, "old", 5), (5, "new", 1)]
    assert written(load(session, move, rows)) == {"inserted": 1, "updated": 1, "unchanged": 1, "ignored": 2}
    assert rows_of(session) == [[1, "old", 5], [2, "new", 6], [3, "old", None], [4, "old", 5], [5, "new", 1]]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (Changes(delete_when="po = 'D'"), '--delete-when.*column "po" does not exist'),
        (Changes(delete_when="target.b = 'x'"), "--delete-when.*missing FROM-clause"),
        (Changes(delete_when="true) OR (true"), "--delete-when.*syntax error"),
        (Changes(delete_when="true; DROP TABLE t"), "--delete-when.*syntax error"),
        (Changes(delete_when="op"), "--delete-when.*must be type boolean"),
        (Changes(update_when="b = 'x'"), "--update-when.*ambiguous"),
        (Changes(update_when="count(*) > 1"), "--update-when.*aggregate"),
        (Changes(delete_when="op = 'D"), "quote or comment is not closed"),
    ],
)
def test_a_condition_that_cannot_be_right_is_refused_before_anything_is_copied(
    keyed: Session, changes: Changes, told: str
) -> None:
    move = replace(TOLD, changes=changes)
    with pytest.raises(UsageError, match=told):
        combinations.check(move)
        check_target(keyed, T, move)


WITHOUT_INDEX = Move("upsert", AB, ("a",))


@pytest.mark.parametrize("kind", ["int", "text", "varchar(9)", "numeric", "timestamptz", "uuid", "int4range", "text[]"])
def test_keys_need_no_unique_index(session: Session, kind: str) -> None:
    session.run(f"CREATE TABLE t (a {kind}, b text)")
    keys = {"timestamptz": "2026-01-0{}", "uuid": "0000000{}-0000-0000-0000-000000000000", "int4range": "[{},9)"}
    one, two, three = (keys.get(kind, "{{{}}}" if kind == "text[]" else "{}").format(key) for key in (1, 2, 3))
    load(session, WITHOUT_INDEX, [(one, "old"), (two, "old")])
    published = load(session, WITHOUT_INDEX, [(one, "old"), (two, "new"), (three, "new")])
    assert written(published) == {"inserted": 1, "updated": 1, "unchanged": 1}
    assert session.run("SELECT b FROM t ORDER BY a") == [["old"], ["new"], ["new"]]


def test_keys_without_an_index_are_compared_as_their_type_does(session: Session) -> None:
    session.run("CREATE COLLATION public.nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    session.run("CREATE TABLE t (a text COLLATE public.nocase, b text); INSERT INTO t VALUES ('Key', 'old')")
    assert written(load(session, WITHOUT_INDEX, [("kEY", "new")])) == {"updated": 1}


def test_keys_of_several_rows_of_the_table_are_refused(session: Session) -> None:
    session.run("CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'x'), (1, 'y'), (2, 'x'), (2, 'x'), (3, 'x')")
    with pytest.raises(LoadError, match=r"2 keys of the data \(a\) are those of several rows of public\.t"):
        load(session, WITHOUT_INDEX, [(1, "new"), (2, "new"), (3, "new")])
    assert written(load(session, WITHOUT_INDEX, [(3, "new")])) == {"updated": 1}


def test_two_loads_and_a_writer_never_insert_a_key_twice(session: Session, database: Settings) -> None:
    """The writer holds a key that it has not committed yet when the loads come: they wait for it."""
    session.run("CREATE TABLE t (a int, b text)")
    begun = threading.Event()

    def write() -> None:
        with connect(database, "writer") as writer, writer.transaction():
            writer.run("INSERT INTO t VALUES (1, 'written')")
            begun.set()
            writer.run("SELECT pg_sleep(0.2)")

    def replace_all(mark: str) -> None:
        begun.wait()
        with connect(database, "load") as loader:
            load(loader, WITHOUT_INDEX, [(a, mark) for a in range(20)])

    assert at_once(write, *[lambda mark=mark: replace_all(mark) for mark in "pq"]) == []
    assert session.run("SELECT count(*), count(DISTINCT a), count(DISTINCT b) FROM t") == [[20, 20, 1]]


def test_readers_see_the_rows_before_or_after(keyed: Session, database: Settings) -> None:
    make_slow(keyed, "INSERT OR UPDATE OR DELETE")
    with looking(database, "string_agg(a || b, ',' ORDER BY a)") as looks:
        load(keyed, TOLD, [(1, None, "D"), (2, "new", "U"), (4, "new", "I")])
    assert looks == Looks({"1old,2old,3old", "2new,3old,4new"}, waited=False)


def test_a_row_that_others_refer_to_is_not_deleted_and_the_table_is_named(keyed: Session) -> None:
    keyed.run("CREATE TABLE child (a int REFERENCES t); INSERT INTO child VALUES (1)")
    with pytest.raises(ConstraintViolated, match="child"):
        load(keyed, TOLD, [(1, None, "D")])
    assert rows_of(keyed) == OLD
    assert load(keyed, TOLD, [(2, None, "D")]).deleted == 1


@pytest.mark.parametrize("action", ["CASCADE", "SET NULL"])
@pytest.mark.parametrize("referencing", ["child", "t"])
def test_other_rows_are_never_deleted_or_changed_along(keyed: Session, referencing: str, action: str) -> None:
    keyed.run("CREATE TABLE child (other int); ALTER TABLE t ADD other int")
    keyed.run(f"ALTER TABLE {referencing} ADD FOREIGN KEY (other) REFERENCES t ON DELETE {action}")
    with pytest.raises(LoadError, match=f"Deleting rows of public.t would change or delete rows of {referencing}"):
        check_target(keyed, T, TOLD)
    keyed.run("ALTER TABLE t ADD gone boolean")
    check_target(keyed, T, replace(TOLD, changes=replace(TOLD.changes, soft_delete="gone")))


def test_a_unique_value_moves_from_a_row_that_is_deleted_to_a_new_one(keyed: Session) -> None:
    keyed.run("UPDATE t SET b = a; ALTER TABLE t ADD UNIQUE (b)")
    assert written(load(keyed, TOLD, [(1, None, "D"), (9, "1", "I")])) == {"inserted": 1, "deleted": 1}


def test_rows_exchange_unique_values_and_keep_what_the_data_lacks(session: Session) -> None:
    """An UPDATE finds the first of them taken. Others may refer to the rows."""
    session.run(
        "CREATE TABLE t (a int PRIMARY KEY, b text UNIQUE, own text DEFAULT 'new', "
        "n int GENERATED ALWAYS AS IDENTITY, up text GENERATED ALWAYS AS (upper(b)) STORED);"
        "INSERT INTO t (a, b, own) VALUES (1, 'x', 'one'), (2, 'y', 'two'), (3, 'z', 'three'), (4, 'q', 'four');"
        "CREATE TABLE child (a int REFERENCES t); INSERT INTO child VALUES (1), (2)"
    )
    rows = [(1, "y", "U"), (2, "x", "U"), (3, "z", "U"), (4, None, "D"), (5, "q", "I")]
    assert written(load(session, TOLD, rows)) == {"inserted": 1, "updated": 2, "unchanged": 1, "deleted": 1}
    assert session.run("SELECT a, b, own, n, up FROM t ORDER BY a") == [
        [1, "y", "one", 1, "Y"],
        [2, "x", "two", 2, "X"],
        [3, "z", "three", 3, "Z"],
        [5, "q", "new", 5, "Q"],
    ]


def test_a_unique_value_that_a_row_keeps_is_refused_to_another_one(session: Session) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text UNIQUE); INSERT INTO t VALUES (1, 'x'), (2, 'y')")
    with pytest.raises(ConstraintViolated, match="duplicate key value"):
        load(session, TOLD, [(1, "y", "U")])
    assert rows_of(session) == [[1, "x"], [2, "y"]]


@pytest.mark.parametrize("kept", ["by a mark", "for a trigger"])
def test_rows_that_are_not_to_be_deleted_do_not_exchange_unique_values(session: Session, kept: str) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text UNIQUE, gone boolean)")
    session.run("INSERT INTO t VALUES (1, 'x'), (2, 'y')")
    move = replace(TOLD, changes=replace(TOLD.changes, soft_delete="gone")) if kept == "by a mark" else TOLD
    if kept == "for a trigger":
        session.run("CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''deleted''; END'")
        session.run("CREATE TRIGGER no BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION no()")
    with pytest.raises(ConstraintViolated, match="duplicate key value"):
        load(session, move, [(1, "y", "U"), (2, "x", "U")])


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ("CREATE TABLE base (a int, b text); CREATE VIEW t AS TABLE base", "not a plain or partitioned table"),
        ("CREATE TABLE t (a int PRIMARY KEY, b text); CREATE TABLE child () INHERITS (t)", "inheritance children"),
    ],
)
def test_a_table_whose_rows_cannot_be_found_is_refused_before_anything_is_copied(
    session: Session, made: str, told: str
) -> None:
    session.run(made)
    with pytest.raises(LoadError, match=told):
        check_target(session, T, TOLD)


def test_policies_and_missing_privileges_are_told_before_anything_is_copied(keyed: Session) -> None:
    keyed.run("CREATE ROLE bound; GRANT SELECT, INSERT, UPDATE ON t TO bound; GRANT ALL ON SCHEMA public TO bound")
    try:
        keyed.run("SET ROLE bound")
        with pytest.raises(DatabaseError, match="permission denied for table t"):
            check_target(keyed, T, TOLD)
        keyed.run("RESET ROLE; ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (a <> 1)")
        keyed.run("SET ROLE bound")
        with pytest.raises(LoadError, match="Row-level security may hide rows"):
            check_target(keyed, T, TOLD)
    finally:
        keyed.run("RESET ROLE; DROP OWNED BY bound; DROP ROLE bound")


def test_rows_of_a_partitioned_table_change_and_move_between_partitions(session: Session) -> None:
    session.run(
        "CREATE TABLE t (a int, b text) PARTITION BY LIST (b); CREATE TABLE x PARTITION OF t FOR VALUES IN ('x')"
    )
    session.run("CREATE TABLE y PARTITION OF t FOR VALUES IN ('y'); INSERT INTO t VALUES (1, 'x'), (2, 'x'), (3, 'y')")
    rows = [(1, "y", "U"), (2, None, "D"), (3, "y", "U"), (4, "x", "I")]
    assert written(load(session, TOLD, rows)) == {"inserted": 1, "updated": 1, "unchanged": 1, "deleted": 1}
    assert session.run("SELECT a, tableoid::regclass::text FROM t ORDER BY 1") == [[1, "y"], [3, "y"], [4, "x"]]


def test_what_triggers_keep_is_not_counted(keyed: Session) -> None:
    keyed.run(
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;"
        "CREATE TRIGGER keep BEFORE INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION keep()"
    )
    rows = [(1, None, "D"), (2, "new", "U"), (3, "old", "U"), (4, "new", "I")]
    assert written(load(keyed, TOLD, rows)) == {"unchanged": 1, "ignored": 3}
    assert rows_of(keyed) == OLD


def test_columns_that_the_server_fills_stay(session: Session) -> None:
    session.run(
        "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY, a int UNIQUE, b text, "
        "twice text GENERATED ALWAYS AS (b || b) STORED); INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'x')"
    )
    load(session, TOLD, [(1, None, "D"), (2, "y", "U"), (3, "z", "I")])
    assert session.run("SELECT id, a, twice FROM t ORDER BY a") == [[2, 2, "yy"], [3, 3, "zz"]]


def test_scripts_see_the_rows_before_and_after_and_a_failure_leaves_no_trace(keyed: Session) -> None:
    keyed.run("CREATE TABLE seen (n int)")
    count = "INSERT INTO seen SELECT count(*) FROM t"
    load(keyed, TOLD, [(1, None, "D"), (2, None, "D")], before=count, after=count)
    assert keyed.run("TABLE seen") == [[3], [1]]
    with pytest.raises(JobError):
        load(keyed, TOLD, [(3, None, "D")], load_id="x", after="SELECT 1 / 0")
    assert (rows_of(keyed), LUIGIS.recorded_target(keyed, "x")) == ([[3, "old"]], None)


def test_a_new_table_has_no_rows_that_are_deleted(session: Session) -> None:
    move = replace(TOLD, columns=AB, staged_only=())
    move = replace(move, changes=Changes(delete_when="b IS NULL"))
    assert written(load(session, move, [(1, "x"), (2, None)], ("integer", "text"))) == {"inserted": 1, "ignored": 1}
    assert rows_of(session) == [[1, "x"]]


def test_nothing_to_load_with_deletes_of_what_is_missing_empties_the_table_only_if_all_may_be_deleted(
    keyed: Session,
) -> None:
    with pytest.raises(LoadError, match=r"would delete 3 of the 3 rows of public\.t, because") as caught:
        load(keyed, MISSING, [])
    assert "Nothing was changed." in str(caught.value)
    assert "--max-delete-share: 1 allows all." in str(caught.value)
    assert rows_of(keyed) == OLD
    assert written(load(keyed, replace(MISSING, max_delete_share=1), [])) == {"deleted": 3}
