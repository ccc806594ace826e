"""Publications of several tables: one transaction, in an order that their foreign keys allow, without deadlocks."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest
from faults import Cut, cuts_on_the_way_to
from releases import Rows, release, staged
from stages import tables

from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import ConstraintViolated, LoadError, TransientError, UsageError
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.ledger import LUIGIS
from jobs.dbaccess.load.move.changes import Changes
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.publish import AlreadyRecorded, publish_together
from jobs.dbaccess.load.publish_plan import TransactionPlan
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.load.publish import Driver, publish_together_once

CUSTOMERS, ORDERS = TableName("customers", "public"), TableName("orders", "public")
OVER_CUSTOMERS, OVER_ORDERS = Move("overwrite", ("id", "v")), Move("overwrite", ("id", "customer", "v"))
Tables = dict[str, tuple[Move, Rows]]
APPEND_CUSTOMERS, APPEND_ORDERS = Move("append", ("id", "v")), Move("append", ("id", "customer", "v"))


@pytest.fixture
def shop(session: Session) -> Session:
    """Orders refer to customers. The version of their release is in v."""
    session.run("CREATE TABLE customers (id int PRIMARY KEY, v int)")
    session.run("CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL REFERENCES customers, v int)")
    session.run("INSERT INTO customers VALUES (1, 0), (2, 0); INSERT INTO orders VALUES (1, 1, 0), (2, 2, 0)")
    return session


def version(number: int) -> Tables:
    """A release that replaces all rows, with customers that were not there before. Orders are given first."""
    ids = [10 * number, 10 * number + 1]
    return {
        "orders": (OVER_ORDERS, [(one, one, number) for one in ids]),
        "customers": (OVER_CUSTOMERS, [(one, number) for one in ids]),
    }


JOINED = "SELECT c.v, o.v FROM customers c JOIN orders o ON o.customer = c.id"


@contextmanager
def polled(database: Settings) -> Iterator[list[list[list[int]]]]:
    """What a reader sees who joins the tables, over and over again, while the block runs."""
    seen: list[list[list[int]]] = []
    over = threading.Event()

    def poll() -> None:
        with connect(database, "reader") as reader:
            while not over.is_set():
                seen.append(reader.run(JOINED))

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join(10)


def test_a_reader_who_joins_the_tables_sees_one_release_whenever_he_looks(shop: Session, database: Settings) -> None:
    with polled(database) as seen:
        for number in range(1, 6):
            release(shop, f"release {number}", version(number))
            looks = len(seen)
            while len(seen) < looks + 2:  # the second one began after the release
                time.sleep(0.002)
    assert all(len(rows) == 2 and len({v for row in rows for v in row}) == 1 for rows in seen)
    assert {rows[0][0] for rows in seen} >= set(range(1, 6))


def test_while_one_table_is_locked_nothing_of_the_others_is_seen(shop: Session, database: Settings) -> None:
    transaction = staged(shop, "x", version(1))
    with connect(database, "writer") as writer, ThreadPoolExecutor(1) as pool:
        with writer.transaction():
            writer.run("UPDATE orders SET v = v WHERE id = 1")
            publishing = pool.submit(publish_together, shop, transaction)
            while not writer.run("SELECT 1 FROM pg_locks WHERE NOT granted AND pid = %s", shop.backend.pid):
                assert not publishing.done()
            assert writer.run(JOINED) == [[0, 0], [0, 0]]
            # The release holds no row that a writer could wait for while he holds what it waits for.
            writer.run("SET LOCAL lock_timeout = '5s'; SELECT FROM customers FOR KEY SHARE")
        publishing.result(120)
    assert shop.run(JOINED) == [[1, 1], [1, 1]]


def test_rows_are_deleted_and_inserted_in_the_order_of_the_foreign_keys(shop: Session) -> None:
    published = release(shop, "x", version(1))
    assert list(published) == ["customers", "orders"]
    assert [(one.inserted, one.deleted) for one in published.values()] == [(2, 2), (2, 2)]
    assert shop.run("SELECT id, customer FROM orders ORDER BY 1") == [[10, 10], [11, 11]]
    assert tables(shop) == ["customers", "orders", "table_updates"]


def test_a_failure_of_the_last_table_publishes_none(shop: Session) -> None:
    shop.run("ALTER TABLE orders ADD CHECK (v < 1)")
    with pytest.raises(ConstraintViolated, match="orders_v_check"):
        release(shop, "x", version(1))
    assert shop.run(JOINED) == [[0, 0], [0, 0]]
    assert LUIGIS.recorded_target(shop, "x") is None
    assert tables(shop) == ["customers", "orders", "table_updates"]


def test_staging_of_one_table_that_a_crash_emptied_publishes_none(shop: Session) -> None:
    transaction = staged(shop, "x", version(1))
    shop.run(f"TRUNCATE {transaction.plans[1].staging.rows.quoted}, {transaction.plans[1].staging.parts.quoted}")
    with pytest.raises(LoadError, match=r"^public\.orders: 0 of 1 parts are staged.*the server crashed"):
        publish_together(shop, transaction)
    assert shop.run(JOINED) == [[0, 0], [0, 0]]


def test_one_marker_records_the_release_and_each_of_its_tables(shop: Session) -> None:
    release(shop, "x", version(1))
    assert shop.run("SELECT update_id, target_table FROM table_updates") == [
        ["x", '["public.customers", "public.orders"]']
    ]
    assert LUIGIS.is_recorded(shop, "x", ORDERS, CUSTOMERS)
    assert [marker.load_id for marker in LUIGIS.markers(shop, table="public.orders", limit=9)] == ["x"]
    assert LUIGIS.markers(shop, table="public.order", limit=9) == []
    with pytest.raises(UsageError, match=r"is taken by a marker of .*, which is not public\.orders, public\.others"):
        LUIGIS.is_recorded(shop, "x", ORDERS, TableName("others", "public"))


def test_a_second_publish_of_an_id_or_a_load_of_it_into_one_of_the_tables_doubles_nothing(shop: Session) -> None:
    appended: Tables = {"customers": (APPEND_CUSTOMERS, [(5, 1)]), "orders": (APPEND_ORDERS, [(5, 5, 1)])}
    release(shop, "x", appended)
    with pytest.raises(AlreadyRecorded):
        release(shop, "x", appended)
    with pytest.raises(AlreadyRecorded):
        release(shop, "x", {"orders": (APPEND_ORDERS, [(6, 5, 1)])})
    shop.run("CREATE TABLE others (id int, v int)")
    with pytest.raises(UsageError, match=r"which is not public\.others"):
        release(shop, "x", {"others": (APPEND_CUSTOMERS, [(1, 1)])})
    assert shop.run("SELECT count(*) FROM orders") == [[3]]


def test_a_release_of_an_id_that_one_table_has_is_refused(shop: Session) -> None:
    release(shop, "x", {"customers": (APPEND_CUSTOMERS, [(5, 1)])})
    with pytest.raises(UsageError, match=r"by a marker of 'public\.customers', which is not public\.customers, public"):
        release(shop, "x", version(1))
    assert shop.run(JOINED) == [[0, 0], [0, 0]]


def test_names_in_a_marker_are_told_apart_whatever_they_contain(session: Session) -> None:
    odd = TableName('public", "b', "public"), TableName("a.b", "public"), TableName("c, d", "public")
    tables: Tables = {name.name: (Move("append", ("id",)), [(1,)]) for name in odd}
    for name in odd:
        session.run(f"CREATE TABLE {name.quoted} (id int)")
    release(session, "x", tables)
    assert LUIGIS.is_recorded(session, "x", *odd)
    for name in odd:
        assert LUIGIS.is_recorded(session, "x", name)
    for other in (TableName("b", "public"), TableName("c", "public"), TableName('["public', "public")):
        with pytest.raises(UsageError, match="is taken"):
            LUIGIS.is_recorded(session, "x", other)


def test_a_lost_answer_to_commit_is_resolved_for_all_tables(shop: Session, database: Settings) -> None:
    cut = Cut("pgjobs load", b"COMMIT", b"table_updates", answered=True)
    with cuts_on_the_way_to(database, cut) as way:
        driver = Driver(Connector(way, "load", "x"))
        with driver.connect() as session:
            transaction = staged(shop, "x", version(1))
            for plan in transaction.plans:
                staging.hold(session, plan.staging)
            published = publish_together_once(driver, session, transaction)
    assert cut.cut
    assert published is not None
    assert [(one.inserted, one.deleted) for one in published] == [(2, 2), (2, 2)]
    assert shop.run(JOINED) == [[1, 1], [1, 1]]
    assert tables(shop) == ["customers", "orders", "table_updates"]


def test_two_releases_into_the_same_tables_do_not_deadlock(shop: Session, database: Settings) -> None:
    """Without foreign keys, they write the tables in opposite orders, and some of the same rows."""
    shop.run("ALTER TABLE orders DROP CONSTRAINT orders_customer_fkey")
    upsert_customers = Move("upsert", ("id", "v"), ("id",), skip_unchanged="no")
    upsert_orders = Move("upsert", ("id", "customer", "v"), ("id",), skip_unchanged="no")
    rows: Tables = {
        "customers": (upsert_customers, [(one, 1) for one in range(50)]),
        "orders": (upsert_orders, [(one, one, 1) for one in range(50)]),
    }
    start = threading.Barrier(2)

    def publish(names: tuple[str, ...]) -> None:
        with connect(database, "release") as session:
            for number in range(4):
                transaction = staged(session, f"{names} {number}", {name: rows[name] for name in names})
                start.wait(120)
                publish_together(session, transaction)  # which does not try again

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(publish, [("customers", "orders"), ("orders", "customers")]))
    assert shop.run("SELECT count(*) FROM table_updates") == [[8]]


def test_an_upsert_and_an_append_are_published_with_an_overwrite(shop: Session) -> None:
    shop.run("CREATE TABLE lines (of int NOT NULL REFERENCES orders, n int)")
    upsert = Move("upsert", ("id", "customer", "v"), ("id",))
    published = release(
        shop,
        "x",
        {
            "lines": (Move("append", ("of", "n")), [(2, 1), (3, 1)]),
            "orders": (upsert, [(2, 3, 1), (3, 1, 1)]),
            "customers": (OVER_CUSTOMERS, [(1, 1), (2, 1), (3, 1)]),
        },
    )
    assert list(published) == ["customers", "orders", "lines"]
    assert [(one.inserted, one.updated, one.deleted) for one in published.values()] == [(3, 0, 2), (1, 1, 0), (2, 0, 0)]
    assert shop.run("SELECT id, customer FROM orders ORDER BY 1") == [[1, 1], [2, 3], [3, 1]]


def test_a_table_that_others_still_need_keeps_the_keys_that_they_need(shop: Session) -> None:
    """Orders are appended to, so the old ones need their customers, of whom one is missing."""
    appended = (APPEND_ORDERS, [(3, 3, 1)])
    release(shop, "x", {"orders": appended, "customers": (OVER_CUSTOMERS, [(1, 1), (2, 1), (3, 1)])})
    with pytest.raises(ConstraintViolated, match="orders_customer_fkey") as caught:
        release(shop, "y", {"orders": appended, "customers": (OVER_CUSTOMERS, [(1, 2), (3, 2)])})
    assert "in the order public.customers, public.orders" in caught.value.hint
    assert "has to be DEFERRABLE" in caught.value.hint
    assert shop.run("SELECT DISTINCT v FROM customers") == [[1]]


DELETING = Changes(delete_missing=True)


def test_deletes_of_an_upsert_need_a_key_that_is_checked_at_the_end(shop: Session) -> None:
    complete: Tables = {
        "customers": (Move("upsert", ("id", "v"), ("id",), max_delete_share=1, changes=DELETING), [(2, 1), (3, 1)]),
        "orders": (Move("upsert", ("id", "customer", "v"), ("id",), max_delete_share=1, changes=DELETING), [(1, 3, 1)]),
    }
    with pytest.raises(ConstraintViolated, match="orders_customer_fkey"):
        release(shop, "x", complete)
    shop.run("ALTER TABLE orders ALTER CONSTRAINT orders_customer_fkey DEFERRABLE")
    release(shop, "x", complete)
    assert shop.run("SELECT id, customer FROM orders") == [[1, 3]]
    assert shop.run("SELECT id FROM customers ORDER BY 1") == [[2], [3]]


def test_rows_that_refer_to_each_other_are_published_if_a_key_is_checked_at_the_end(shop: Session) -> None:
    shop.run("ALTER TABLE customers ADD last int REFERENCES orders DEFERRABLE")
    over_customers = Move("overwrite", ("id", "v", "last"))
    for number in (1, 2):
        of_orders = version(number)["orders"]
        of_customers = [(customer, v, order) for order, customer, v in of_orders[1]]
        release(shop, f"release {number}", {"customers": (over_customers, of_customers), "orders": of_orders})
    assert shop.run("SELECT id, last FROM customers ORDER BY 1") == [[20, 20], [21, 21]]
    with pytest.raises(ConstraintViolated, match="customers_last_fkey"):
        release(shop, "wrong", {"customers": (over_customers, [(20, 3, 99)]), "orders": (OVER_ORDERS, [(1, 20, 3)])})
    assert shop.run(JOINED) == [[2, 2], [2, 2]]


@pytest.mark.parametrize("action", ["CASCADE", "SET NULL", "RESTRICT"])
def test_what_a_key_does_on_delete_does_no_harm_to_tables_that_are_replaced_together(
    shop: Session, action: str
) -> None:
    shop.run("ALTER TABLE orders DROP CONSTRAINT orders_customer_fkey, ALTER customer DROP NOT NULL")
    shop.run(f"ALTER TABLE orders ADD FOREIGN KEY (customer) REFERENCES customers ON DELETE {action}")
    published = release(shop, "x", version(1))
    assert [(one.inserted, one.deleted) for one in published.values()] == [(2, 2), (2, 2)]
    assert shop.run(JOINED) == [[1, 1], [1, 1]]
    if action != "RESTRICT":
        with pytest.raises(LoadError, match="would change or delete rows of orders"):
            release(shop, "y", {"customers": version(2)["customers"], "orders": (APPEND_ORDERS, [])})


def test_new_rows_of_a_table_are_not_deleted_when_another_one_is_overwritten_after_it(session: Session) -> None:
    """Keys of a circle that are checked at the end let x come before a. ON DELETE acts at once all the same."""
    session.run("CREATE TABLE a (id int PRIMARY KEY, b int); CREATE TABLE b (id int PRIMARY KEY, a int)")
    session.run("ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b DEFERRABLE")
    session.run("ALTER TABLE b ADD FOREIGN KEY (a) REFERENCES a DEFERRABLE")
    session.run("CREATE TABLE x (id int, a int REFERENCES a ON DELETE CASCADE DEFERRABLE); INSERT INTO a VALUES (1)")
    tables: Tables = {
        "x": (Move("overwrite", ("id", "a")), [(1, 1)]),
        "a": (Move("overwrite", ("id", "b"), where="id < 10"), [(1, 1)]),
        "b": (Move("overwrite", ("id", "a")), [(1, 1)]),
    }
    with pytest.raises(LoadError, match="would change or delete other rows of x"):
        release(session, "x", tables)
    release(session, "x", {"a": tables["a"], "b": tables["b"], "x": tables["x"]})
    assert session.run("SELECT * FROM x") == [[1, 1]]


def test_rows_that_refer_to_rows_of_their_own_table_are_replaced(session: Session) -> None:
    session.run("CREATE TABLE staff (id int PRIMARY KEY, boss int REFERENCES staff, v int)")
    session.run("CREATE TABLE desks (id int PRIMARY KEY, of int REFERENCES staff)")
    session.run("INSERT INTO staff VALUES (1, 2, 0), (2, NULL, 0); INSERT INTO desks VALUES (1, 1)")
    release(
        session,
        "x",
        {
            "desks": (Move("overwrite", ("id", "of")), [(1, 4)]),
            "staff": (Move("overwrite", ("id", "boss", "v")), [(3, 4, 1), (4, None, 1)]),
        },
    )
    assert session.run("SELECT id, boss FROM staff ORDER BY 1") == [[3, 4], [4, None]]


def test_a_lock_that_is_not_granted_is_told_of_its_table(shop: Session, database: Settings) -> None:
    transaction = staged(shop, "x", version(1))
    limited = replace(transaction, plans=tuple(replace(plan, lock_timeout=1) for plan in transaction.plans))
    with connect(database, "somebody's psql") as other, other.transaction():
        other.run("UPDATE orders SET v = v")
        with pytest.raises(TransientError, match=r"A lock on public\.orders or its rows was not granted in time") as e:
            publish_together(shop, limited)
    assert "somebody's psql" in e.value.message
    assert publish_together(shop, limited)


def test_a_publication_of_one_table_is_a_load_of_it(shop: Session) -> None:
    transaction = staged(shop, "x", {"customers": (APPEND_CUSTOMERS, [(5, 1)])})
    assert isinstance(transaction, TransactionPlan)
    assert publish_together(shop, transaction)[0].inserted == 1
    assert LUIGIS.recorded_target(shop, "x") == "public.customers"
