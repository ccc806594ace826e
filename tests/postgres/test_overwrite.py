"""Overwrite: the table holds the new rows and no others, and no other table loses any; else it is refused."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest
from looks import looking, make_slow
from publishing import AB, T, counts, load, rows_of

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import ConstraintViolated, DatabaseError, LoadError
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.move.suitable import check_target
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import quote_name

OVERWRITE = Move("overwrite", AB)
NEW = [(2, "new"), (3, "new")]
PLAIN = "CREATE TABLE t (a int PRIMARY KEY, b text); INSERT INTO t VALUES (1, 'old'), (2, 'old');"
CHILD = "CREATE TABLE child (a int DEFAULT 1 REFERENCES {}); INSERT INTO child VALUES (2)"


@pytest.mark.parametrize(
    "action", ["CASCADE", "SET NULL", "SET DEFAULT", "NO ACTION", "RESTRICT", "CASCADE DEFERRABLE INITIALLY DEFERRED"]
)
def test_a_table_that_points_to_itself_holds_all_the_rows_that_are_said_to_be_inserted(
    session: Session, action: str
) -> None:
    session.run(f"CREATE TABLE t (a int PRIMARY KEY, b int REFERENCES t ON DELETE {action})")
    tree = [(1, None), (2, 1), (3, 2), (4, 2)]
    for _ in range(2):
        assert counts(load(session, OVERWRITE, tree)) == (4, 0, 0)
        assert rows_of(session) == [list(row) for row in tree]


LEAVES = (
    "CREATE TABLE t (a int PRIMARY KEY, b text) PARTITION BY RANGE (a);"
    "CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO (100) PARTITION BY RANGE (a);"
    "CREATE TABLE lowest PARTITION OF low FOR VALUES FROM (0) TO (10); INSERT INTO t VALUES (1, 'old'), (2, 'old');"
)
HEIR = (
    "CREATE TABLE t (a int, b text); CREATE TABLE heir (PRIMARY KEY (a)) INHERITS (t);"
    "INSERT INTO heir VALUES (1, 'old'), (2, 'old');"
)
REACHED = {
    "the table": (PLAIN, "t"),
    "the partitioned table": (LEAVES, "t"),
    "a partition between": (LEAVES, "low"),
    "a leaf partition": (LEAVES, "lowest"),
    "a child by inheritance": (HEIR, "heir"),
    "the table of a view": (PLAIN + "ALTER TABLE t RENAME TO base; CREATE VIEW t AS SELECT * FROM base;", "base"),
    "the table of a view of a view": (
        PLAIN + "ALTER TABLE t RENAME TO base; CREATE VIEW v AS SELECT * FROM base; CREATE VIEW t AS SELECT * FROM v;",
        "base",
    ),
    "a table that a rule deletes from": (
        PLAIN + "CREATE TABLE other AS TABLE t; ALTER TABLE other ADD PRIMARY KEY (a);"
        "CREATE RULE r AS ON DELETE TO t DO ALSO DELETE FROM other;",
        "other",
    ),
}


@pytest.mark.parametrize(
    ("reached", "action"),
    [
        *((reached, "CASCADE") for reached in REACHED),
        ("the table", "SET NULL"),
        ("a leaf partition", "SET NULL"),
        ("the table of a view", "SET DEFAULT"),
    ],
)
def test_no_row_of_another_table_is_deleted_or_changed(session: Session, reached: str, action: str) -> None:
    tables, referenced = REACHED[reached]
    session.run(tables + CHILD.format(f"{referenced} ON DELETE {action}"))
    with pytest.raises(LoadError, match="would change or delete rows of child"):
        load(session, OVERWRITE, NEW)
    assert session.run("SELECT a FROM child") == [[2]]
    assert session.run("SELECT count(*) FROM t WHERE b = 'old'") == [[2]]


def test_a_partition_is_not_overwritten_where_rows_of_its_siblings_would_go(session: Session) -> None:
    session.run(
        "CREATE TABLE tree (a int PRIMARY KEY, b int REFERENCES tree ON DELETE CASCADE) PARTITION BY RANGE (a);"
        "CREATE TABLE t PARTITION OF tree FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE high PARTITION OF tree FOR VALUES FROM (10) TO (20);"
        "INSERT INTO tree VALUES (1, NULL), (11, 1)"
    )
    with pytest.raises(LoadError, match="would change or delete rows of"):
        load(session, OVERWRITE, [(1, None)])
    assert session.run("SELECT * FROM tree ORDER BY a") == [[1, None], [11, 1]]


def test_a_view_is_not_overwritten_where_rows_that_it_does_not_show_would_go(session: Session) -> None:
    session.run(
        "CREATE TABLE tree (a int PRIMARY KEY, b int REFERENCES tree ON DELETE CASCADE, shown boolean DEFAULT true);"
        "CREATE VIEW t AS SELECT a, b FROM tree WHERE shown; INSERT INTO tree VALUES (1, NULL, true), (2, 1, false)"
    )
    with pytest.raises(LoadError, match="would change or delete rows of tree"):
        load(session, OVERWRITE, [(1, None)])
    assert session.run("SELECT a FROM tree ORDER BY a") == [[1], [2]]


def test_a_foreign_key_that_is_made_while_rows_are_copied_is_found(session: Session) -> None:
    session.run(PLAIN)

    def meanwhile() -> None:
        session.run(CHILD.format("t ON DELETE CASCADE"))

    with pytest.raises(LoadError, match="would change or delete rows of child"):
        load(session, OVERWRITE, NEW, meanwhile=meanwhile)
    assert session.run("SELECT a FROM child") == [[2]]


@pytest.mark.parametrize("key", ["t", "low", "lowest DEFERRABLE", "t DEFERRABLE INITIALLY DEFERRED"])
def test_a_row_that_others_point_to_may_be_replaced_by_one_with_the_same_key(session: Session, key: str) -> None:
    session.run(LEAVES + CHILD.format(key))
    assert counts(load(session, OVERWRITE, NEW)) == (2, 0, 0)
    assert rows_of(session) == [list(row) for row in NEW]
    with pytest.raises(ConstraintViolated, match="child_a_fkey"):
        load(session, OVERWRITE, [(3, "newer")])
    assert rows_of(session) == [list(row) for row in NEW]


def test_a_row_that_others_restrict_is_kept_and_the_load_fails(session: Session) -> None:
    session.run(PLAIN + CHILD.format("t ON DELETE RESTRICT"))
    with pytest.raises(ConstraintViolated, match="child_a_fkey"):
        load(session, OVERWRITE, NEW)
    assert rows_of(session) == [[1, "old"], [2, "old"]]


def test_rows_may_not_go_though_the_table_deletes_along_its_own_foreign_key(session: Session) -> None:
    """In one statement, the cascade would take the new rows: so it is two, and others' rows are in the way."""
    session.run("CREATE TABLE t (a int PRIMARY KEY, b int REFERENCES t ON DELETE CASCADE); INSERT INTO t VALUES (2)")
    session.run(CHILD.format("t"))
    with pytest.raises(ConstraintViolated, match="child_a_fkey"):
        load(session, OVERWRITE, [(2, None), (3, 2)])
    session.run("DELETE FROM child")
    assert counts(load(session, OVERWRITE, [(2, None), (3, 2)])) == (2, 0, 0)
    assert rows_of(session) == [[2, None], [3, 2]]


KEEPS = "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
KEPT = {
    "a trigger": PLAIN + KEEPS + "CREATE TRIGGER keep BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION f();",
    "a partition's trigger": LEAVES
    + KEEPS
    + "CREATE TRIGGER keep BEFORE DELETE ON lowest FOR EACH ROW EXECUTE FUNCTION f();",
    "a rule": PLAIN + "CREATE RULE keep AS ON DELETE TO t DO INSTEAD NOTHING;",
    "a view's trigger": PLAIN
    + "ALTER TABLE t RENAME TO base; CREATE VIEW t AS SELECT * FROM base;"
    + KEEPS
    + "CREATE TRIGGER keep INSTEAD OF DELETE ON t FOR EACH ROW EXECUTE FUNCTION f();",
}


@pytest.mark.parametrize("kept_by", KEPT)
def test_rows_that_a_trigger_or_a_rule_keeps_are_told_and_nothing_changes(session: Session, kept_by: str) -> None:
    session.run(KEPT[kept_by])
    with pytest.raises(LoadError, match="3 rows are there, and not the 1 that were inserted"):
        load(session, OVERWRITE, [(5, "new")])
    assert rows_of(session) == [[1, "old"], [2, "old"]]


def test_what_triggers_do_besides_is_done(session: Session) -> None:
    """An audit: the rows that went, and then those that came."""
    session.run(
        PLAIN + "CREATE TABLE audit (n serial, what text, a int);"
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN INSERT INTO audit (what, a) VALUES (TG_OP, coalesce(NEW.a, OLD.a)); RETURN NULL; END';"
        "CREATE TRIGGER audit AFTER DELETE OR INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()"
    )
    assert counts(load(session, OVERWRITE, NEW)) == (2, 0, 0)
    audit = [["DELETE", 1], ["DELETE", 2], ["INSERT", 2], ["INSERT", 3]]
    assert session.run("SELECT what, a FROM audit ORDER BY n") == audit


def test_a_trigger_that_deletes_new_rows_is_told_and_nothing_changes(session: Session) -> None:
    """What deletes along a key as a cascade does, fires after the new rows are in where others point to the table."""
    session.run(
        PLAIN + CHILD.format("t") + ";CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN DELETE FROM t WHERE a = OLD.a + 2; RETURN NULL; END';"
        "CREATE TRIGGER along AFTER DELETE ON t FOR EACH ROW EXECUTE FUNCTION f()"
    )
    with pytest.raises(LoadError, match="1 row is there, and not the 2 that were inserted"):
        load(session, OVERWRITE, NEW)
    assert rows_of(session) == [[1, "old"], [2, "old"]]


@pytest.mark.parametrize(
    "does", ["DELETE FROM t WHERE a = 3", "IF pg_trigger_depth() = 1 THEN INSERT INTO t VALUES (9); END IF"]
)
def test_a_trigger_on_insert_that_changes_what_the_table_holds_is_told(session: Session, does: str) -> None:
    session.run(
        PLAIN + f"CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {does}; RETURN NULL; END';"
        "CREATE TRIGGER after AFTER INSERT ON t EXECUTE FUNCTION f()"
    )
    with pytest.raises(LoadError, match="there, and not the 2 that were inserted"):
        load(session, OVERWRITE, NEW)
    assert rows_of(session) == [[1, "old"], [2, "old"]]


def test_a_view_is_overwritten_in_what_it_shows(session: Session) -> None:
    session.run(PLAIN + "ALTER TABLE t RENAME TO base; CREATE VIEW t AS SELECT * FROM base WHERE a > 1")
    assert counts(load(session, OVERWRITE, NEW)) == (2, 0, 0)
    assert session.run("SELECT * FROM base ORDER BY a") == [[1, "old"], [2, "new"], [3, "new"]]


def test_rows_that_a_view_would_not_show_are_told_for_the_next_overwrite_would_leave_them(session: Session) -> None:
    session.run(PLAIN + "ALTER TABLE t RENAME TO base; CREATE VIEW t AS SELECT * FROM base WHERE a < 3")
    with pytest.raises(LoadError, match="1 row is there, and not the 2 that were inserted"):
        load(session, OVERWRITE, NEW)
    assert rows_of(session) == [[1, "old"], [2, "old"]]


@pytest.fixture
def loader(session: Session, database: Settings) -> Iterator[Settings]:
    """A user who is no superuser, owns nothing, and may write."""
    name, password = f"pgjobs_loader_{uuid.uuid4().hex[:8]}", uuid.uuid4().hex
    session.run(f"CREATE ROLE {quote_name(name)} LOGIN PASSWORD '{password}'")
    session.run(f"GRANT CREATE ON SCHEMA public TO {quote_name(name)}")
    session.run(f"GRANT ALL ON table_updates TO {quote_name(name)}")
    session.run(f"ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO {quote_name(name)}")
    yield replace(database, user=name, password=lambda _: password)
    session.run(f"DROP OWNED BY {quote_name(name)}; DROP ROLE {quote_name(name)}")


HIDING = "ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON {0} USING (b <> 'hidden') WITH CHECK (true)"
HIDDEN = {
    "the table": PLAIN + "ALTER TABLE t " + HIDING.format("t"),
    "the partitioned table": LEAVES + "ALTER TABLE t " + HIDING.format("t"),
    "the table of a view that asks as its user": PLAIN
    + "ALTER TABLE t RENAME TO base; CREATE VIEW t WITH (security_invoker) AS SELECT * FROM base; ALTER TABLE base "
    + HIDING.format("base"),
}


@pytest.mark.parametrize("hidden", HIDDEN)
def test_a_table_of_which_policies_may_hide_rows_is_refused_before_anything_is_copied(
    session: Session, loader: Settings, hidden: str
) -> None:
    if "security_invoker" in HIDDEN[hidden] and session.run("SHOW server_version_num") < [["150000"]]:
        pytest.skip("PostgreSQL 15 and newer have such views")
    session.run(HIDDEN[hidden])
    session.run("UPDATE t SET b = 'hidden' WHERE a = 1")
    with connect(loader, "loader") as user:
        with pytest.raises(LoadError, match=r"Row-level security may hide rows of public.t .*BYPASSRLS"):
            check_target(user, T, OVERWRITE)
        assert user.run("SHOW row_security") == [["on"]]
    assert rows_of(session) == [[1, "hidden"], [2, "old"]]


def test_who_is_not_bound_by_policies_overwrites_all_rows(session: Session) -> None:
    session.run(HIDDEN["the table"])
    assert counts(load(session, OVERWRITE, NEW)) == (2, 0, 0)
    assert rows_of(session) == [list(row) for row in NEW]


def test_the_owner_of_a_table_with_forced_policies_is_bound_by_them(session: Session, loader: Settings) -> None:
    with connect(loader, "loader") as owner:
        owner.run(HIDDEN["the table"] + "; ALTER TABLE t FORCE ROW LEVEL SECURITY")
        with pytest.raises(LoadError, match="may hide rows"):
            check_target(owner, T, OVERWRITE)
        owner.run("ALTER TABLE t NO FORCE ROW LEVEL SECURITY")
        assert counts(load(owner, OVERWRITE, NEW)) == (2, 0, 0)
    assert rows_of(session) == [list(row) for row in NEW]


def test_upsert_of_a_row_that_a_policy_hides_fails_and_ignore_leaves_it(session: Session, loader: Settings) -> None:
    session.run(HIDDEN["the table"])
    session.run("UPDATE t SET b = 'hidden' WHERE a = 2")
    with connect(loader, "loader") as user:
        with pytest.raises(DatabaseError, match="row-level security"):
            load(user, Move("upsert", AB, ("a",)), NEW)
        assert counts(load(user, Move("ignore", AB, ("a",)), NEW)) == (1, 0, 1)
    assert rows_of(session) == [[1, "old"], [2, "hidden"], [3, "new"]]


def test_who_may_not_delete_is_told_before_anything_is_copied(session: Session, loader: Settings) -> None:
    session.run(PLAIN + f"REVOKE DELETE ON t FROM {quote_name(loader.user)}")
    with connect(loader, "loader") as user, pytest.raises(DatabaseError, match="permission denied for table t"):
        check_target(user, T, OVERWRITE)


@pytest.mark.parametrize(("strategy", "waits"), [("delete", False), ("diff", False), ("truncate", True)])
def test_a_reader_sees_the_old_rows_or_the_new_ones_and_waits_for_truncate_alone(
    session: Session, database: Settings, strategy: str, waits: bool
) -> None:
    session.run(
        "CREATE TABLE t (a int PRIMARY KEY, b text); INSERT INTO t SELECT n, 'old' FROM generate_series(1, 9) n"
    )
    make_slow(session, "INSERT")
    move = Move("overwrite", AB, ("a",) if strategy == "diff" else (), strategy=strategy)
    with looking(database, "count(*) || min(b) || max(b)") as looks:
        load(session, move, [(a, "new") for a in range(5, 12)])
    assert (looks.seen - {"9oldold"}, looks.waited) == ({"7newnew"}, waits)
    assert session.run("SELECT count(*), min(b) FROM t") == [[7, "new"]]


def test_a_table_that_others_refer_to_is_not_truncated(session: Session) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text); CREATE TABLE child (a int REFERENCES t)")
    with pytest.raises(LoadError, match=r"cannot be truncated: public\.child may refer to its rows"):
        check_target(session, T, Move("overwrite", AB, strategy="truncate"))


def test_truncate_replaces_all_rows_also_of_partitions_and_counts_them(session: Session) -> None:
    session.run("CREATE TABLE t (a int, b text) PARTITION BY LIST (b); CREATE TABLE rest PARTITION OF t DEFAULT")
    move = Move("overwrite", AB, strategy="truncate")
    for inserted, deleted in ((2, 0), (1, 2), (0, 1)):
        published = load(session, move, [(a, "x") for a in range(inserted)])
        assert (published.inserted, published.deleted) == (inserted, deleted)
    assert rows_of(session) == []
