"""A release from its manifest, or from DataFrames, to its tables: all of them or none, once for a load id."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from libpq import environment
from pyspark.sql import DataFrame, SparkSession

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import LoadError, UsageError
from jobs.dbaccess.load.ledger import LUIGIS
from jobs.dbaccess.session import Session
from jobs.flows.load.dataframe import load_dataframe
from jobs.flows.load.together.dataframes import ReleaseTable, load_release
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
    assert json.loads(report.read_text())["dry_run"]
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
    with pytest.raises(UsageError, match="nosuch"):
        load_release([ReleaseTable(rows(spark, "(1, 2)", "id, nosuch"), "orders")], settings=database, load_id="x")
    assert shop.run("SELECT name, price::text FROM customers c JOIN orders o ON customer = c.id") == [["old", "1"]]
    assert (left(shop), LUIGIS.recorded_target(shop, "x")) == ([], None)
    load("('1', '1', '2'), ('2', '2', '3')")
    assert shop.run("SELECT name, price::text FROM customers c JOIN orders o ON customer = c.id ORDER BY 2") == [
        ["new", "2"],
        ["new", "3"],
    ]


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
