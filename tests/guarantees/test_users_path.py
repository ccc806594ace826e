"""The user's own code, of triggers and checks, runs on their search_path; a stranger's tables are not used."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pyspark.sql import SparkSession

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.flows.load.dataframe import load_dataframe


def test_triggers_and_checks_of_a_table_see_their_users_search_path(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    session.run(
        "CREATE FUNCTION positive(n int) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RETURN n > floor_of(); END$$"
    )
    session.run("CREATE FUNCTION floor_of() RETURNS int LANGUAGE sql AS 'SELECT -1'")
    session.run("CREATE DOMAIN checked AS int CHECK (positive(VALUE))")
    session.run("CREATE TABLE seen (a int)")
    session.run("CREATE TABLE t (a checked)")
    session.run(
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN INSERT INTO seen VALUES (NEW.a); RETURN NEW; END$$"
    )
    session.run("CREATE TRIGGER note BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION note()")
    rows = spark.range(0, 10, 1, 2).selectExpr("CAST(id AS int) AS a")
    for mode in ("append", "overwrite"):
        load_dataframe(rows, table="t", settings=database, mode=mode)
    assert session.run("SELECT count(*) FROM seen") == [[20]]


def test_a_marker_table_of_a_stranger_is_refused(spark: SparkSession, session: Session, database: Settings) -> None:
    """Its triggers would run as the loader."""
    stranger = f"stranger_{database.dbname}"
    session.run("DROP TABLE table_updates")
    session.run(f"CREATE ROLE {stranger} LOGIN PASSWORD 'secret'; GRANT CREATE ON SCHEMA public TO {stranger}")
    try:
        with connect(replace(database, user=stranger, password=lambda _: "secret"), "stranger") as theirs:
            theirs.run("CREATE TABLE table_updates (update_id text PRIMARY KEY, target_table text, inserted timestamp)")
        with pytest.raises(UsageError, match=f"public.table_updates belongs to {stranger}, who is neither"):
            load_dataframe(spark.range(1), table="t", settings=database)
    finally:
        session.run(f"DROP OWNED BY {stranger}; DROP ROLE {stranger}")
