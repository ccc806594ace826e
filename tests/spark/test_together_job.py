"""A release from its manifest, or from DataFrames, to its tables: all of them or none, once for a load id."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from libpq import environment
from pyspark.sql import DataFrame, SparkSession

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import ConstraintViolated, LoadError, UsageError
from jobs.dbaccess.load.ledger import LUIGIS
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.flows.load.dataframe import load_dataframe
from jobs.flows.load.together.dataframes import ReleaseTable, load_release
from jobs.flows.load.together.report import ReleaseReport
from jobs.load_release import main


@pytest.fixture
def shop(session: Session) -> Session:
    """Orders refer to customers."""
    session.run("CREATE TABLE customers (id int PRIMARY KEY, name text)")
    session.run("CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL REFERENCES customers, price numeric)")
    session.run("INSERT INTO customers VALUES (1, 'old'); INSERT INTO orders VALUES (1, 1, 1)")
    return session


def left(session: Session) -> list[str]:
    query = "SELECT relname FROM pg_class WHERE relname ~ '^pgjobs_(rows|parts|rejects)_' AND relkind = 'r'"
    return [name for [name] in session.run(query)]


def rows(spark: SparkSession, text: str, columns: str) -> DataFrame:
    return spark.sql(f"SELECT * FROM VALUES {text} AS t({columns})").repartition(2)


def test_a_manifest_is_loaded_once_and_reported_and_its_plan_touches_nothing(
    spark: SparkSession, shop: Session, database: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "customers.csv").write_text("id,name,since\n2,two,x\n3,three,y\n")
    (tmp_path / "orders.csv").write_text("id,customer,price\n7,2,2.50\n8,3,NA\n9,3,1\n")
    spark.range(1, 3).selectExpr("CAST(id AS int) AS id", "'seen' AS what").createOrReplaceTempView("release_events")
    shop.run("CREATE TABLE events (id int, what text)")
    manifest = {
        "format": "csv",
        "option": {"header": True},
        "tables": [
            {
                "table": "orders",
                "source": str(tmp_path / "orders.csv"),
                "mode": "overwrite",
                "null-value": "NA",
                "verify": True,
            },
            {
                "table": "public.customers",
                "source": [str(tmp_path / "customers.csv")],
                "select": "SELECT CAST(id AS int) AS id, name FROM source",
                "mode": "overwrite",
            },
            {"table": "events", "query": "SELECT * FROM release_events"},
        ],
    }
    (tmp_path / "release.json").write_text(json.dumps(manifest))
    report = tmp_path / "report.json"
    arguments = ["--manifest", str(tmp_path / "release.json"), "--load-id", "day 1", "--report", str(report)]

    assert main([*arguments, "--dry-run"], environment(database)) == 0
    said = capsys.readouterr().out
    assert "plan: a release of 3 tables in one transaction, load id 'day 1'. Nothing was loaded." in said
    assert "emptied first: public.orders\n" in said
    assert said.index("1. overwrite into public.customers") < said.index("2. overwrite into public.orders")
    assert said.index("publish  BEGIN;\n") < said.index('DELETE FROM "public"."orders";') < said.index("COMMIT;\n")
    assert '-- values: \'day 1\', \'["public.customers", "public.events", "public.orders"]\'' in said
    told = json.loads(report.read_text())
    assert (told["dry_run"], told["tables"][0]["table"], told["steps"][-1]["phase"]) == (
        True,
        "public.customers",
        "analyze",
    )
    assert (shop.run("SELECT count(*) FROM orders"), LUIGIS.recorded_target(shop, "day 1")) == ([[1]], None)

    assert main(arguments, environment(database)) == 0
    said = capsys.readouterr().out
    assert "published 3 tables in one transaction" in said
    assert "public.orders: overwrite, inserted 3, deleted 1, verified 3\n" in said
    assert shop.run(
        "SELECT o.id, c.name, price::text FROM orders o JOIN customers c ON c.id = customer ORDER BY 1"
    ) == [
        [7, "two", "2.50"],
        [8, "three", None],
        [9, "three", "1"],
    ]
    assert shop.run("SELECT count(*) FROM events") == [[2]]
    told = json.loads(report.read_text())
    assert (told["status"], told["load_id"], told["already_loaded"]) == ("succeeded", "day 1", False)
    assert [(one["table"], one["rows_inserted"], one["rows_deleted"]) for one in told["tables"]] == [
        ("public.customers", 2, 1),
        ("public.orders", 3, 1),
        ("public.events", 2, 0),
    ]
    assert set(told["seconds"]) == {"prepare", "copy", "publish", "analyze", "total"}
    assert left(shop) == []

    (tmp_path / "orders.csv").unlink()  # which is not read again
    assert main(arguments, environment(database)) == 0
    assert "already loaded: " in capsys.readouterr().out
    assert shop.run("SELECT count(*) FROM events") == [[2]]
    again = load_dataframe(rows(spark, "(1, 'x')", "id, what"), table="events", settings=database, load_id="day 1")
    assert again.already_loaded


def test_a_query_that_is_a_command_is_not_run_by_a_dry_run_or_else(
    spark: SparkSession, shop: Session, database: Settings, tmp_path: Path
) -> None:
    shop.run("CREATE TABLE events (id int)")
    spark.range(1).createOrReplaceTempView("release_kept")
    manifest = tmp_path / "release.json"
    for query, status in [("DROP VIEW release_kept", 2), ("SELECT INT(id) AS id FROM release_kept ; ", 0)]:
        manifest.write_text(json.dumps({"tables": [{"table": "events", "query": query}]}))
        assert main(["--manifest", str(manifest), "--dry-run"], environment(database)) == status
    assert spark.catalog.tableExists("release_kept")


def test_a_row_that_one_table_refuses_leaves_all_as_they_were(
    spark: SparkSession, shop: Session, database: Settings
) -> None:
    def load(orders: str) -> None:
        load_release(
            [
                ReleaseTable(rows(spark, orders, "id, customer, price"), "orders", mode="upsert", keys=["id"]),
                ReleaseTable(rows(spark, "(1, 'new'), (2, 'new')", "id, name"), "customers", mode="overwrite"),
            ],
            settings=database,
            load_id="x",
        )

    with pytest.raises(LoadError, match=r"^public\.orders: The server refused a row: .*column \"customer\""):
        load("('1', '1', '2'), ('2', 'not a number', '3')")
    with pytest.raises(LoadError, match=r"would delete 1 of the 1 rows of public\.orders"):
        nothing = rows(spark, "(1, 1, 1)", "id, customer, price").where("false")
        lacking = ReleaseTable(nothing, "orders", mode="upsert", keys=["id"], delete_missing=True)
        load_release([lacking], settings=database, load_id="x")
    with pytest.raises(UsageError, match="nosuch"):
        load_release([ReleaseTable(rows(spark, "(1, 2)", "id, nosuch"), "orders")], settings=database, load_id="x")
    assert shop.run("SELECT name, price::text FROM customers c JOIN orders o ON customer = c.id") == [["old", "1"]]
    assert (left(shop), LUIGIS.recorded_target(shop, "x")) == ([], None)
    load("('1', '1', '2'), ('2', '2', '3')")
    assert shop.run("SELECT name, price::text FROM customers c JOIN orders o ON customer = c.id ORDER BY 2") == [
        ["new", "2"],
        ["new", "3"],
    ]


def test_tables_that_are_missing_are_created_filled_and_published_in_the_one_commit(
    spark: SparkSession, shop: Session, database: Settings
) -> None:
    def load(items: str) -> ReleaseReport:
        return load_release(
            [
                ReleaseTable(
                    rows(spark, items, "id, customer"),
                    "items",
                    mode="upsert",
                    keys=["id"],
                    column_types={"customer": "int NOT NULL REFERENCES customers"},
                    indexes=["customer"],
                    verify=True,
                ),
                ReleaseTable(rows(spark, "(1, 'a'), (1, 'b')", "item, note"), "notes", mode="overwrite"),
                ReleaseTable(rows(spark, "(2, 'two')", "id, name"), "customers"),
            ],
            settings=database,
            load_id="x",
        )

    with pytest.raises(ConstraintViolated, match=r"items_customer_fkey"):
        load("(7, 2), (8, 3)")
    assert shop.run("SELECT to_regclass('items'), to_regclass('notes'), count(*) FROM customers") == [[None, None, 1]]
    assert (left(shop), LUIGIS.recorded_target(shop, "x")) == ([], None)
    with pytest.raises(UsageError, match=r"There is no table public\.customer\."):
        load_release([ReleaseTable(rows(spark, "(2, 'two')", "id, name"), "customer", create=False)], settings=database)

    report = load("(7, 2), (8, 1)")
    assert [one.table for one in report.tables] == ["public.customers", "public.items", "public.notes"]
    assert shop.run("SELECT i.id, name FROM items i JOIN customers c ON c.id = customer ORDER BY 1") == [
        [7, "two"],
        [8, "old"],
    ]
    assert shop.run("SELECT count(*) FROM notes") == [[2]]
    assert shop.run("SELECT indexdef FROM pg_indexes WHERE tablename = 'items' ORDER BY 1") == [
        ["CREATE INDEX items_customer_idx ON public.items USING btree (customer)"],
        ["CREATE UNIQUE INDEX items_pkey ON public.items USING btree (id)"],
    ]
    assert left(shop) == []


def test_rows_that_are_put_aside_are_published_with_the_others(
    spark: SparkSession, shop: Session, database: Settings
) -> None:
    report = load_release(
        [
            ReleaseTable(
                rows(spark, "(2, 1, '2'), (3, 99, '3'), (4, 2, '4')", "id, customer, price"),
                "orders",
                on_error="quarantine",
            ),
            ReleaseTable(rows(spark, "(2, 'two')", "id, name"), "customers"),
        ],
        settings=database,
        load_id="x",
    )
    assert [(one.table, one.rows_inserted, one.rows_rejected) for one in report.tables] == [
        ("public.customers", 1, 0),
        ("public.orders", 2, 1),
    ]
    assert shop.run("SELECT reason, \"row\"->>'customer' FROM orders_rejects") == [["foreign_key", "99"]]
    assert left(shop) == []


@contextmanager
def drivers_end_while_they_copy(database: Settings, load_id: str) -> Iterator[set[str]]:
    """Terminate the driver's session of a release when it copies a table, for each of them once. Yield their tokens.

    The table `ended` has the tokens, too: what is copied may wait for its own.
    """
    ended, tokens = threading.Event(), set[str]()
    copying = (
        "SELECT DISTINCT substring(query FROM 'pgjobs_(?:rows|parts)_([0-9a-f]{32})') FROM pg_stat_activity "
        "WHERE application_name LIKE 'pgjobs load part %'"
    )
    drivers = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s"

    def terminate() -> None:
        with connect(database, "somebody") as other:
            while not ended.wait(0.02):
                new = {token for [token] in other.run(copying) if token} - tokens
                if new:
                    other.run(drivers, f"pgjobs load {load_id}")
                    for token in new:
                        other.run("INSERT INTO ended VALUES (%s)", token)
                    tokens.update(new)

    thread = threading.Thread(target=terminate)
    thread.start()
    try:
        yield tokens
    finally:
        ended.set()
        thread.join()


def test_a_driver_whose_connection_breaks_while_each_table_is_copied_goes_on(
    spark: SparkSession, shop: Session, database: Settings
) -> None:
    shop.run(
        "CREATE TABLE ended (token text); CREATE FUNCTION waits() RETURNS bool LANGUAGE plpgsql AS $$ BEGIN "
        "WHILE starts_with(current_query(), 'COPY') "
        "AND NOT EXISTS (SELECT FROM public.ended WHERE strpos(current_query(), token) > 0) "
        "LOOP PERFORM pg_sleep(0.02); END LOOP; RETURN true; END $$"
    )
    shop.run("CREATE DOMAIN waiting_int AS int CHECK (waits()); CREATE DOMAIN waiting_text AS text CHECK (waits())")
    shop.run("ALTER TABLE orders ALTER customer TYPE waiting_int; ALTER TABLE customers ALTER name TYPE waiting_text")
    customers = rows(spark, "(1, 'new'), (2, 'new')", "id, name")
    orders = rows(spark, "(1, 1), (2, 2)", "id, customer")
    with drivers_end_while_they_copy(database, "day 1") as tables:
        report = load_release(
            [
                ReleaseTable(orders, "orders", mode="overwrite", verify=True),
                ReleaseTable(customers, "customers", mode="overwrite"),
            ],
            settings=database,
            load_id="day 1",
        )
    assert len(tables) == 2
    assert [one.rows_inserted for one in report.tables] == [2, 2]
    assert shop.run("SELECT o.id, name FROM orders o JOIN customers c ON customer = c.id ORDER BY 1") == [
        [1, "new"],
        [2, "new"],
    ]
    assert (left(shop), LUIGIS.recorded_target(shop, "day 1")) == ([], '["public.customers", "public.orders"]')
