"""A table that is copied between two databases: all rows or none, once, and equal in every type."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from libpq import environment
from submitted import until

from jobs.copy_table import main
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import JobError, UsageError
from jobs.dbaccess.load.copying.direct import STAGED
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.verify import VerificationFailed
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name
from jobs.flows.extract.plan import Wanted
from jobs.flows.load.job import LoadJob
from jobs.flows.report import LoadReport
from jobs.flows.table_copy.job import CopyJob, run

T = TableName("t", "public")


@pytest.fixture
def there(server: Settings) -> Iterator[Settings]:
    """Another database, in whose place another server would be."""
    name = f"pgjobs_there_{uuid.uuid4().hex[:12]}"
    with connect(server, "pgjobs tests") as admin:
        admin.run(f"CREATE DATABASE {quote_name(name)}")
        yield replace(server, dbname=name)
        admin.run(f"DROP DATABASE {quote_name(name)} WITH (FORCE)")


@pytest.fixture
def source(there: Settings) -> Iterator[Session]:
    with connect(there, "pgjobs tests") as opened:
        yield opened


def job(there: Settings, here: Settings, load_id: str = "1", mode: Move | None = None, **wanted: object) -> CopyJob:
    load = LoadJob(T, here, load_id, mode or Move("append", ()), publish=STAGED)
    return CopyJob(Wanted(T, **wanted), there, load)  # type: ignore[arg-type] # a test's


def verifying(copy: CopyJob) -> CopyJob:
    return replace(copy, load=replace(copy.load, verify=True))


def rows(session: Session, columns: str = "*") -> list[list[object]]:
    return session.run(f"SELECT {columns} FROM t ORDER BY 1")


MANY = "CREATE TABLE t (id int PRIMARY KEY, x text NOT NULL, y text)"
FILL = (
    "INSERT INTO t SELECT n, 'row ' || n, CASE n % 3 WHEN 0 THEN E'a\\tb\\n\\\\' WHEN 1 THEN '' END "
    "FROM generate_series(1, 5000) n"
)


def test_a_new_table_has_the_rows_types_and_key_of_the_source(
    session: Session, source: Session, database: Settings, there: Settings
) -> None:
    source.run(MANY)
    source.run(FILL)
    report = run(job(there, database, parallelism=3))
    assert (report.rows_inserted, report.parts, report.attempts_discarded) == (5000, 3, 0)
    assert list(report.seconds) == ["prepare", "copy", "publish", "analyze", "total"]
    assert rows(session) == rows(source)
    shape = (
        "SELECT attname, format_type(atttypid, atttypmod), attnotnull, "
        "(SELECT indkey::text FROM pg_index WHERE indrelid = attrelid AND indisprimary) "
        "FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 ORDER BY attnum"
    )
    assert session.run(shape) == source.run(shape)
    assert session.run("SELECT relname FROM pg_class WHERE relname ~ '^pgjobs_(rows|parts)'") == []


def test_a_load_id_is_copied_once(session: Session, source: Session, database: Settings, there: Settings) -> None:
    source.run(f"{MANY}; INSERT INTO t VALUES (1, 'a', NULL)")
    run(job(there, database))
    source.run("INSERT INTO t VALUES (2, 'b', NULL)")
    again = run(job(there, database))
    assert again.already_loaded
    assert rows(session, "id") == [[1]]


def test_a_table_is_not_copied_into_itself(session: Session, database: Settings) -> None:
    session.run(f"{MANY}; INSERT INTO t VALUES (1, 'a', NULL)")
    with pytest.raises(UsageError, match="into itself"):
        run(job(database, database))
    assert rows(session, "id") == [[1]]


ODD = {
    "DateStyle": "'German, DMY'",
    "IntervalStyle": "sql_standard",
    "TimeZone": "'Asia/Kolkata'",
    "bytea_output": "escape",
    "extra_float_digits": "-3",
    "array_nulls": "off",
    "xmloption": "document",
    "standard_conforming_strings": "off",
    "default_transaction_isolation": "serializable",
    "statement_timeout": "60000",
}
VALUES = """
CREATE TABLE t (id int, d date, ts timestamp, tz timestamptz, i interval, b bytea, f float8, r real, n numeric,
    arr text[], j json, rng tstzrange, c char(5), bits varbit, u uuid, m int[][], x xml, t time, ts0 tstzrange[]);
INSERT INTO t VALUES
    (1, '2026-02-03', '2026-02-03 04:05:06.789012', '2026-02-03 04:05:06+00', '-1 day +02:03', '\\x00ff5c',
     0.1::float8 + 0.2, 0.1, 'NaN', ARRAY['a', NULL, 'NULL', 'x,"y'], '{"a": 1}', '[2026-01-01, 2026-02-01)', 'ab',
     B'101', '00000000-0000-0000-0000-000000000001', '{{1,2},{3,4}}', XMLPARSE(CONTENT 'a<b/>c'),
     '04:05:06.7', '{"[2026-01-01,)"}'),
    (2, 'infinity', '-infinity', '0044-03-15 12:00:00+00 BC', '1 year -2 days -00:00:01', '', 'Infinity', 1e-40, 1e100,
     '{}', 'null', 'empty', '', B'', NULL, NULL, NULL, '24:00', NULL)
"""


def test_values_of_all_types_are_equal_whatever_the_settings_of_both_sides(
    session: Session, source: Session, database: Settings, there: Settings
) -> None:
    source.run("SET xmloption = content")
    source.run(VALUES)
    for settings, values in ((there, ODD), (database, {**ODD, "IntervalStyle": "sql_standard", "TimeZone": "'UTC'"})):
        for name, value in values.items():
            session.run(f"ALTER DATABASE {settings.dbname} SET {name} = {value}")
    report = run(verifying(job(there, database)))
    assert report.verified is not None
    assert (report.verified.rows, report.verified.not_compared) == (2, ())
    form = (
        "SET DateStyle = 'ISO, MDY'; SET IntervalStyle = 'postgres'; SET TimeZone = 'UTC'; SET bytea_output = 'hex'; "
        "SET extra_float_digits = 1"
    )
    for one in (session, source):
        one.run(form)
    as_text = "SELECT t::text FROM t ORDER BY id"
    assert session.run(as_text) == source.run(as_text)


def test_a_verified_copy_fails_if_the_table_holds_other_values(
    session: Session, source: Session, database: Settings, there: Settings
) -> None:
    for one in (source, session):
        one.run("CREATE TABLE t (id int, n numeric(9,2), c char(3), r regtype)")
    source.run("INSERT INTO t VALUES (1, 1.10, 'a', 'int'), (2, NULL, 'b', NULL)")
    session.run("ALTER TABLE t ALTER n TYPE numeric(10,3), ALTER c TYPE char(5)")
    report = run(verifying(job(there, database)))
    assert report.verified is not None
    assert (report.verified.columns, report.verified.not_compared) == (("id",), ("n", "c", "r"))
    session.run(
        "TRUNCATE t; CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.n := 0; RETURN NEW; END'; "
        "CREATE TRIGGER f BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()"
    )
    with pytest.raises(VerificationFailed, match="do not have the values that the source has sent"):
        run(verifying(job(there, database, "2")))  # by the NULL, which every type shows
    assert rows(session) == []


def test_a_copy_from_a_database_that_counts_bytes_is_verified(
    server: Settings, session: Session, database: Settings
) -> None:
    """There, char(4) has as many blanks as make it 4 bytes."""
    name = f"pgjobs_there_{uuid.uuid4().hex[:12]}"
    with connect(server, "pgjobs tests") as admin:
        admin.run(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE 'C'")
        try:
            with connect(replace(server, dbname=name), "pgjobs tests") as source:
                source.run("CREATE TABLE t (id int PRIMARY KEY, c char(4), v text); INSERT INTO t VALUES (1, 'é', 'é')")
            report = run(verifying(job(replace(server, dbname=name), database)))
        finally:
            admin.run(f"DROP DATABASE {name} WITH (FORCE)")
    assert report.verified is not None
    assert (report.verified.columns, report.verified.not_compared) == (("id", "v"), ("c",))
    assert rows(session) == [[1, "é   ", "é"]]


def test_modes_replace_or_update_as_those_of_a_load(
    session: Session, source: Session, database: Settings, there: Settings
) -> None:
    for one in (session, source):
        one.run(MANY)
    session.run("INSERT INTO t VALUES (1, 'old', NULL), (9, 'old', NULL)")
    source.run("INSERT INTO t VALUES (1, 'new', NULL), (2, 'new', NULL)")
    upserted = run(job(there, database, mode=Move("upsert", (), ("id",))))
    assert (upserted.rows_inserted, upserted.rows_updated) == (1, 1)
    assert rows(session, "id, x") == [[1, "new"], [2, "new"], [9, "old"]]
    replaced = run(job(there, database, "2", Move("overwrite", ())))
    assert (replaced.rows_inserted, replaced.rows_deleted) == (2, 3)
    assert rows(session, "id, x") == [[1, "new"], [2, "new"]]


def test_columns_and_rows_are_chosen_by_the_source(
    session: Session, source: Session, database: Settings, there: Settings
) -> None:
    source.run(MANY)
    source.run(FILL)
    run(job(there, database, columns=("id", "y"), filter="id <= 3 -- all of them"))
    assert rows(session) == source.run("SELECT id, y FROM t WHERE id <= 3 ORDER BY id")


def test_values_of_identity_columns_are_those_of_the_source_and_computed_ones_are_computed(
    session: Session, source: Session, database: Settings, there: Settings
) -> None:
    create = (
        "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY (START {}) PRIMARY KEY, a int, "
        "twice int GENERATED ALWAYS AS (a * 2) STORED)"
    )
    source.run(create.format(70))
    session.run(create.format(1))
    source.run("INSERT INTO t (a) VALUES (5), (6)")
    run(job(there, database))
    assert rows(session) == [[70, 5, 10], [71, 6, 12]]


@pytest.mark.parametrize(
    ("create", "message"),
    [
        ("CREATE TABLE t (id smallint, x text, y text)", "'id' is integer, which smallint does not take as it is"),
        ("CREATE TABLE t (id int, x text)", "'y' is not a column of the table"),
        ("CREATE TABLE t (id int, x text, y text, z int NOT NULL)", "'z' is missing"),
    ],
)
def test_columns_that_do_not_fit_are_refused_before_anything_is_copied(
    session: Session, source: Session, database: Settings, there: Settings, create: str, message: str
) -> None:
    source.run(MANY)
    session.run(create)
    with pytest.raises(UsageError, match=message):
        run(job(there, database))


def test_a_row_that_is_refused_leaves_nothing_and_the_source_free(
    session: Session, source: Session, database: Settings, there: Settings
) -> None:
    source.run(MANY)
    source.run(FILL)
    session.run("CREATE TABLE t (id int CHECK (id < 5000), x text, y text)")
    with pytest.raises(JobError, match="violates check constraint"):
        run(job(there, database, parallelism=3))
    assert rows(session) == []
    assert session.run("SELECT relname FROM pg_class WHERE relname ~ '^pgjobs_(rows|parts)'") == []
    source.run("SET lock_timeout = '60s'; TRUNCATE t")


STOPS = "id < 4995 OR pg_advisory_xact_lock_shared(1) IS NOT NULL"
"""A filter with which a part stops in the middle, while the source's session holds that lock."""

STOPPED = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()"


def test_a_part_whose_connection_breaks_is_copied_again_in_the_same_snapshot(
    session: Session, source: Session, database: Settings, there: Settings
) -> None:
    """Its first attempt is ended in the middle; rows that are committed meanwhile are not seen."""
    source.run(MANY)
    source.run(FILL)
    with ThreadPoolExecutor(1) as pool:
        source.run("SELECT pg_advisory_lock(1)")
        copying = pool.submit(run, job(there, database, filter=STOPS, parallelism=2))
        until(lambda: source.run(STOPPED), "the middle of a part")
        source.run("INSERT INTO t VALUES (0, 'too late', NULL)")
        source.run(f"SELECT pg_terminate_backend(pid) FROM ({STOPPED}) AS stopped")
        source.run("SELECT pg_advisory_unlock(1)")
        report: LoadReport = copying.result()
    assert (report.rows_inserted, report.attempts_discarded) == (5000, 1)
    assert rows(session, "count(*), min(id), max(id)") == [[5000, 1, 5000]]


def test_a_snapshot_that_is_lost_fails_the_copy_and_leaves_nothing(
    session: Session, source: Session, database: Settings, there: Settings
) -> None:
    source.run(MANY)
    source.run(FILL)
    session.run(MANY)
    end_all = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ '^pgjobs copy' "
        "AND datname = current_database()"
    )
    with ThreadPoolExecutor(1) as pool:
        source.run("SELECT pg_advisory_lock(1)")
        copying = pool.submit(run, job(there, database, filter=STOPS))
        until(lambda: source.run(STOPPED), "the middle of a part")
        source.run(end_all)
        source.run("SELECT pg_advisory_unlock(1)")
        with pytest.raises(JobError, match="snapshot of all parts is lost"):
            copying.result()
    assert rows(session) == []


def test_two_runs_of_a_load_id_copy_once(
    session: Session, source: Session, database: Settings, there: Settings
) -> None:
    source.run(MANY)
    source.run(FILL)
    session.run(MANY)
    with ThreadPoolExecutor(2) as pool:
        reports = [each.result() for each in [pool.submit(run, job(there, database)) for _ in range(2)]]
    assert sorted(report.already_loaded for report in reports) == [False, True]
    assert rows(session, "count(*)") == [[5000]]


def test_a_type_that_the_other_server_lacks_is_refused_and_no_table_is_left(
    session: Session, source: Session, database: Settings, there: Settings
) -> None:
    source.run("CREATE TYPE mood AS ENUM ('ok'); CREATE TABLE t (m mood)")
    with pytest.raises(JobError, match=r'type "public\.mood" does not exist'):
        run(job(there, database))
    assert session.run("SELECT to_regclass('t')") == [[None]]


def test_the_command_copies_and_reports(
    source: Session,
    database: Settings,
    there: Settings,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source.run("CREATE TABLE mine (id int); INSERT INTO mine VALUES (1), (2)")
    server = there.servers[0]
    url = f"postgresql://{there.user}@{server.host}:{server.port}/{there.dbname}"
    arguments = ["--source-url", url, "--source-table", "mine", "--table", "public.t", "--load-id", "c/1"]
    report = tmp_path / "report.json"
    assert main([*arguments, "--report", str(report)], environment(database)) == 0
    assert capsys.readouterr().out.startswith("copied 2 rows into public.t in ")
    told = json.loads(report.read_text())
    assert (told["job"], told["rows_inserted"], told["load_id"]) == ("copy_table", 2, "c/1")
    assert told["columns"] == [{"source": "id", "spark_type": "integer", "name": "id", "type": "integer"}]
    assert main(arguments, environment(database)) == 0
    assert capsys.readouterr().out.startswith("already copied: public.t holds the load 'c/1'.")
