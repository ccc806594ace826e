"""The copy of a captured table is equal to it after every run, whatever was written, and by whom, in which order."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from itertools import count

import pytest
from captures import COPY, captured, job_of, rows
from faults import Cut, cuts_on_the_way_to

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import DatabaseError, UsageError
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import quote_name
from jobs.flows.capture.job import Stop
from jobs.flows.capture.report import CaptureReport
from jobs.flows.capture.table import run

T = (
    "CREATE TABLE t (id int PRIMARY KEY, a text, b numeric); "
    "INSERT INTO t SELECT g, 'a' || g, g FROM generate_series(1, 50) g"
)


def test_each_kind_of_change_is_carried_over(database: Settings, session: Session) -> None:
    session.run(T)
    first = captured(database)
    assert (first.rows_written, first.compared) == (50, 1)
    for change in (
        "INSERT INTO t VALUES (100, E'tab\\t, back\\\\slash', NULL)",
        "UPDATE t SET b = -b WHERE id < 5",
        "UPDATE t SET id = id + 1000 WHERE id = 7",
        "DELETE FROM t WHERE id = 8",
        "INSERT INTO t VALUES (9, 'other', 0), (200, 'new', 0) ON CONFLICT (id) DO UPDATE SET a = excluded.a",
        "WITH gone AS (DELETE FROM t WHERE id = 10 RETURNING *) INSERT INTO t SELECT id + 500, a, b FROM gone",
        "UPDATE t SET id = CASE id WHEN 20 THEN 21000 ELSE 20 END WHERE id IN (20, 21)",
        "TRUNCATE t; INSERT INTO t VALUES (1, 'after', 1)",
    ):
        session.run(change)
        report = captured(database)
        assert rows(session) == rows(session, COPY), change
        assert report.compared == change.startswith("TRUNCATE")
    assert captured(database).batches == 0


def test_rows_enter_and_leave_the_filter(database: Settings, session: Session) -> None:
    session.run(T)
    for change in ("", "UPDATE t SET b = b + 20", "UPDATE t SET b = NULL WHERE id < 40", "DELETE FROM t WHERE id > 45"):
        session.run(change or "SELECT 1")
        captured(database, filter="b > 30 -- only these", columns=("b",))
        assert session.run(f'SELECT id, b FROM "{COPY}" ORDER BY 1') == session.run(
            "SELECT id, b FROM t WHERE b > 30 ORDER BY 1"
        )


def test_a_transaction_that_commits_late_is_not_missed(database: Settings, session: Session) -> None:
    session.run(T)
    captured(database)
    with connect(database, "late") as late:
        late.run("BEGIN; INSERT INTO t VALUES (101, 'late', 1); SAVEPOINT s; INSERT INTO t VALUES (102, 'sub', 1)")
        session.run("INSERT INTO t VALUES (103, 'early', 1)")
        assert captured(database).rows_written == 1
        late.run("COMMIT")
    assert captured(database).rows_written == 2
    assert rows(session) == rows(session, COPY)


def test_a_writer_that_is_open_while_the_triggers_are_made_is_waited_for(database: Settings, session: Session) -> None:
    session.run(T)
    with connect(database, "writer") as writer:
        writer.run("BEGIN; INSERT INTO t VALUES (101, 'before the triggers', 1)")
        first = threading.Thread(target=captured, args=(database,))
        first.start()
        _until(lambda: session.run("SELECT 1 FROM pg_locks WHERE NOT granted") != [])
        writer.run("COMMIT")
        first.join()
    assert rows(session) == rows(session, COPY)


def test_partitions_are_captured_however_they_are_written(database: Settings, session: Session) -> None:
    session.run("CREATE TABLE t (id int, day date, a text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day)")
    session.run("CREATE TABLE t1 PARTITION OF t FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')")
    session.run(
        "CREATE TABLE t2 PARTITION OF t FOR VALUES FROM ('2026-02-01') TO ('2026-03-01') PARTITION BY LIST (id)"
    )
    session.run("CREATE TABLE t2a PARTITION OF t2 DEFAULT")
    session.run("CREATE TABLE t3 (a text, day date NOT NULL, id int NOT NULL)")
    captured(database)
    for change in (
        "INSERT INTO t SELECT g, '2026-01-01'::date + g, g FROM generate_series(1, 50) g",
        "INSERT INTO t1 VALUES (101, '2026-01-05', 'into the partition')",
        "UPDATE t2 SET a = 'by the middle' WHERE id = 40",
        "UPDATE t SET day = '2026-02-03' WHERE id = 1",
        "TRUNCATE t2",
        "INSERT INTO t3 VALUES ('x', '2026-03-01', 1)",
        "ALTER TABLE t ATTACH PARTITION t3 FOR VALUES FROM ('2026-03-01') TO ('2026-04-01')",
        "INSERT INTO t3 VALUES ('y', '2026-03-02', 2)",
        "ALTER TABLE t DETACH PARTITION t1",
    ):
        session.run(change)
        captured(database)
        assert rows(session) == rows(session, COPY), change


def test_a_table_that_took_the_name_is_compared(database: Settings, session: Session) -> None:
    session.run(T)
    captured(database)
    session.run("CREATE TABLE other (LIKE t INCLUDING ALL); INSERT INTO other VALUES (7, 'other', 7)")
    session.run("BEGIN; ALTER TABLE t RENAME TO old; ALTER TABLE other RENAME TO t; COMMIT")
    captured(database)
    assert rows(session) == rows(session, COPY)


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE t ALTER b TYPE numeric USING b * 2",
        "ALTER TABLE t DROP other, ADD other text DEFAULT 'new'",
        "ALTER TABLE t DISABLE TRIGGER ALL; UPDATE t SET b = -b; ALTER TABLE t ENABLE TRIGGER ALL",
    ],
)
def test_what_no_trigger_records_is_found_by_comparing_all_rows(
    database: Settings, session: Session, change: str
) -> None:
    session.run(f"{T}; ALTER TABLE t ADD other text")
    assert captured(database).rows_written == 50
    session.run(change)
    assert captured(database).compared == 1
    tables = ("t", f'"{COPY}"')
    [there, here] = [session.run(f"SELECT id, a, b, other FROM {table} ORDER BY 1") for table in tables]
    assert there == here
    assert captured(database).batches == 0


def test_triggers_that_were_disabled_record_what_replicas_write_again(database: Settings, session: Session) -> None:
    session.run(T)
    captured(database)
    session.run("ALTER TABLE t DISABLE TRIGGER ALL; ALTER TABLE t ENABLE TRIGGER ALL")
    captured(database)
    session.run("SET session_replication_role = replica; DELETE FROM t WHERE id < 9; RESET session_replication_role")
    captured(database)
    assert rows(session) == rows(session, COPY)


def test_a_key_that_is_spelled_anew_is_so_in_the_copy(database: Settings, session: Session) -> None:
    session.run("CREATE TABLE t (a numeric PRIMARY KEY, b int); INSERT INTO t VALUES (1.0, 1), (2.0, 2)")
    captured(database)
    session.run("UPDATE t SET a = 1.00 WHERE a = 1; DELETE FROM t WHERE a = 2; INSERT INTO t VALUES (2.000, 2)")
    captured(database)
    assert rows(session, COPY) == [["(1.00,1)"], ["(2.000,2)"]]


def test_a_key_whose_collation_takes_different_texts_for_equal_is_refused(database: Settings, session: Session) -> None:
    if not session.run("SELECT 1 FROM pg_collation WHERE collprovider = 'i'"):
        pytest.skip("this server was built without ICU")
    session.run("CREATE COLLATION alike (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    session.run("CREATE TABLE t (a text COLLATE alike PRIMARY KEY)")
    with pytest.raises(UsageError, match="not deterministic"):
        captured(database)


def test_a_copy_whose_key_takes_different_texts_for_equal_is_refused(database: Settings, session: Session) -> None:
    """Of two rows of the source, it would have one."""
    if not session.run("SELECT 1 FROM pg_collation WHERE collprovider = 'i'"):
        pytest.skip("this server was built without ICU")
    session.run("CREATE COLLATION alike (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    session.run(f'CREATE TABLE t (a text PRIMARY KEY); CREATE TABLE "{COPY}" (a text COLLATE alike PRIMARY KEY)')
    with pytest.raises(UsageError, match="the collation of a is not deterministic"):
        captured(database)


@pytest.mark.parametrize(
    ("type_name", "refused"),
    [("numeric", True), ("timestamptz", True), ("interval", True), ("int", False), ("uuid", False), ("date", False)],
)
def test_a_copy_whose_key_is_a_text_is_refused_if_a_key_has_several(
    database: Settings, session: Session, type_name: str, refused: bool
) -> None:
    """1.0 and 1.00 are one key of a numeric: the copy would have a row for each."""
    session.run(f'CREATE TABLE t (a {type_name} PRIMARY KEY); CREATE TABLE "{COPY}" (a text PRIMARY KEY)')
    with pytest.raises(UsageError, match="several rows for a key") if refused else nullcontext():
        captured(database)


def test_nulls_in_arrays_are_carried_over_whatever_array_nulls_is(database: Settings, session: Session) -> None:
    session.run("CREATE TABLE t (id int PRIMARY KEY, a text[]); INSERT INTO t VALUES (1, '{a,NULL}')")
    other = replace(database, startup=(("array_nulls", "off"),))
    captured(database, into_settings=other)
    session.run("INSERT INTO t VALUES (2, '{NULL}')")
    captured(database, into_settings=other)
    assert session.run(f'SELECT id FROM "{COPY}" AS c JOIN t USING (id, a) ORDER BY 1') == [[1], [2]]


def test_money_is_refused_where_it_would_be_read_otherwise(database: Settings, session: Session) -> None:
    session.run("CREATE TABLE t (id int PRIMARY KEY, price money); INSERT INTO t VALUES (1, 2)")
    assert captured(database).rows_written == 1
    with pytest.raises(UsageError, match=r"price of .* is money"):
        captured(database, into_settings=replace(database, startup=(("lc_monetary", "POSIX"),)))


def test_a_copy_whose_types_would_change_values_is_refused(database: Settings, session: Session) -> None:
    """The server reads a timestamp as a date, and a number as one with fewer digits, without an error."""
    session.run("CREATE TABLE t (id int PRIMARY KEY, at timestamp, price numeric, word varchar(9))")
    session.run(f'CREATE TABLE "{COPY}" (id bigint PRIMARY KEY, at date, price numeric(9, 2), word text)')
    session.run("INSERT INTO t VALUES (1, '2026-11-20 10:00', 1.555, 'a')")
    with pytest.raises(
        UsageError,
        match=r"at is timestamp without time zone at the source and date in the copy; "
        r"price is numeric at the source and numeric\(9,2\) in the copy\.",
    ):
        captured(database)
    assert captured(database, columns=("id", "word")).rows_written == 1
    session.run(f'ALTER TABLE "{COPY}" ALTER at TYPE timestamp, ALTER price TYPE numeric')
    captured(database)
    assert rows(session) == rows(session, COPY)


@contextmanager
def running(database: Settings) -> Iterator[Future[CaptureReport]]:
    """A run that has made the first copy, and ends with the block."""
    stop = Stop()
    with ThreadPoolExecutor(1) as pool, connect(database, "watch") as watch:
        future = pool.submit(run, job_of(database, seconds=None), stop)
        _until(lambda: watch.run("SELECT 1 FROM pg_tables WHERE tablename = 'pgjobs_captures'") != [])
        _until(lambda: watch.run("SELECT 1 FROM pgjobs_captures") != [])
        try:
            yield future
        finally:
            stop.request()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            f'ALTER TABLE "{COPY}" ALTER b TYPE numeric(9, 1)',
            r"b is numeric at the source and numeric\(9,1\) in the copy",
        ),
        ("ALTER TABLE t ALTER a TYPE char(9)", r"a is character\(9\) at the source and text in the copy"),
        ("CREATE TABLE child () INHERITS (t)", "t has child tables"),
        ("ALTER TABLE t SET UNLOGGED", "t is not a permanent table"),
    ],
)
def test_a_change_meanwhile_after_which_the_copy_would_differ_ends_the_run(
    database: Settings, session: Session, change: str, told: str
) -> None:
    session.run(T)
    with running(database) as future:
        session.run(change)
        session.run("UPDATE t SET b = 7.77 WHERE id = 3")
        with pytest.raises(UsageError, match=told):
            future.result(20)
    assert session.run(f'SELECT b::int FROM "{COPY}" WHERE id = 3') == [[3]]


@pytest.mark.parametrize(
    "change",
    [
        'ALTER TABLE "{}" RENAME a TO x; ALTER TABLE "{}" RENAME c TO a; ALTER TABLE "{}" RENAME x TO c',
        'ALTER TABLE "{}" ALTER b TYPE int; ALTER TABLE "{}" ALTER b TYPE numeric',
        'ALTER TABLE "{}" DROP c, ADD c text',
        'TRUNCATE "{}"',
    ],
)
@pytest.mark.parametrize("meanwhile", [True, False])
def test_a_copy_that_was_altered_or_emptied_and_takes_the_values_becomes_equal(
    database: Settings, session: Session, change: str, meanwhile: bool
) -> None:
    session.run(f"{T}; ALTER TABLE t ADD c text DEFAULT 'c'; UPDATE t SET b = b + 0.5")
    if meanwhile:
        with running(database):
            session.run(change.replace("{}", COPY))
            session.run("UPDATE t SET b = 7.77 WHERE id = 3")
            _until(lambda: session.run(f'SELECT 1 FROM "{COPY}" WHERE b = 7.77') != [])
    else:
        captured(database)
        session.run(change.replace("{}", COPY))
        captured(database)
    columns = "SELECT id, a, b, c FROM {} ORDER BY 1"
    assert session.run(columns.format("t")) == session.run(columns.format(f'"{COPY}"'))


def test_a_copy_of_which_policies_hide_rows_is_refused(database: Settings, session: Session) -> None:
    """A row that the source deletes would stay in it."""
    session.run(T)
    role = f"{database.dbname}_writer"
    session.run(f"CREATE ROLE {quote_name(role)} LOGIN; GRANT CREATE ON SCHEMA public TO {quote_name(role)}")
    try:
        into = replace(database, user=role)
        captured(database, into_settings=into)
        session.run(f'ALTER TABLE "{COPY}" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY')
        session.run("DELETE FROM t WHERE id < 9")
        with pytest.raises(UsageError, match="may hide rows of"):
            captured(database, into_settings=into)
        session.run(f'ALTER TABLE "{COPY}" DISABLE ROW LEVEL SECURITY')
        captured(database, into_settings=into)
        assert rows(session) == rows(session, COPY)
    finally:
        session.run(f"DROP OWNED BY {quote_name(role)} CASCADE; DROP ROLE {quote_name(role)}")


def test_many_keys_of_one_statement_are_carried_over(database: Settings, session: Session) -> None:
    session.run("CREATE TABLE t (a text, b int, PRIMARY KEY (a, b))")
    captured(database)
    session.run("INSERT INTO t SELECT g::text, g FROM generate_series(1, 25000) g")
    session.run("UPDATE t SET b = b + 1 WHERE b % 2 = 0")
    assert captured(database).rows_written == 25000
    assert rows(session) == rows(session, COPY)


def test_rows_may_exchange_a_unique_value(database: Settings, session: Session) -> None:
    session.run("CREATE TABLE t (id int PRIMARY KEY, place int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    session.run("INSERT INTO t VALUES (1, 1), (2, 2)")
    captured(database)
    session.run(f'ALTER TABLE "{COPY}" ADD UNIQUE (place)')
    session.run("UPDATE t SET place = 3 - place")
    captured(database)
    assert rows(session) == rows(session, COPY)


def test_the_copy_is_equal_after_sessions_wrote_at_the_same_time(database: Settings, session: Session) -> None:
    """They commit out of order, roll back, truncate, change keys, and add partitions; the reader runs meanwhile."""
    session.run("CREATE TABLE t (id int PRIMARY KEY, a text, n int) PARTITION BY RANGE (id)")
    session.run("CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (500)")
    session.run("CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (500) TO (1000)")
    captured(database, filter="n IS DISTINCT FROM 3")
    stop = Stop()
    reports = []
    reader = threading.Thread(
        target=lambda: reports.append(run(job_of(database, filter="n IS DISTINCT FROM 3", seconds=None), stop))
    )
    reader.start()
    enough = threading.Event()
    writers = [threading.Thread(target=_write, args=(database, seed, enough)) for seed in range(4)]
    for writer in writers:
        writer.start()
    try:
        _until(lambda: session.run("SELECT number > 5 FROM pgjobs_captures") == [[True]])
    finally:
        enough.set()
        for writer in writers:
            writer.join()
    expected = rows(session, condition="n IS DISTINCT FROM 3")
    _until(lambda: rows(session, COPY) == expected)
    stop.request()
    reader.join()
    assert reports[0].batches > 3
    assert expected


def _write(database: Settings, seed: int, enough: threading.Event) -> None:
    dice, transactions = random.Random(seed), count()  # noqa: S311 - not for secrets
    with connect(database, "writer") as session:
        while next(transactions) < 60 or not enough.is_set():
            with suppress(DatabaseError, _RolledBack), session.transaction():  # deadlocks are part of it
                for _ in range(dice.randint(1, 4)):
                    session.run(_change(dice))
                    time.sleep(dice.choice([0, 0, 0.02]))
                if dice.randint(1, 4) == 1:
                    raise _RolledBack


class _RolledBack(Exception):
    """The writer gives up its transaction."""


def _change(dice: random.Random) -> str:
    table = dice.choice(["t", "t", "t1"])
    key, other, n = dice.randint(0, 499), dice.randint(0, 999), dice.randint(1, 5)
    return dice.choice(
        [
            f"INSERT INTO {table} VALUES ({key}, 'i', {n}) ON CONFLICT (id) DO UPDATE SET n = excluded.n, a = 'u'",
            f"UPDATE {table} SET n = {n} WHERE id BETWEEN {key} AND {key + 20}",
            f"UPDATE t SET id = {other} WHERE id = {key}",
            f"DELETE FROM {table} WHERE id BETWEEN {key} AND {key + 5}",
            f"INSERT INTO t SELECT g, 'many', {n} FROM generate_series({key}, {key + 60}) g ON CONFLICT DO NOTHING",
            f"SAVEPOINT s; DELETE FROM {table} WHERE id = {key}; ROLLBACK TO s",
            "TRUNCATE t2" if n == 1 else "SELECT 1",
        ]
    )


@pytest.mark.parametrize(
    ("whose", "at", "after", "answered"),
    [
        ("pgjobs capture target", b"COMMIT", b"pgjobs_captures", True),
        ("pgjobs capture target", b"COMMIT", b"pgjobs_captures", False),
        ("pgjobs capture target", b"COPY pg_temp", b"", False),
        ("pgjobs capture target", b"COMMIT", b"pgjobs_captures", None),
        ("pgjobs capture t", b"COPY (", b"", True),
        ("pgjobs capture t", b"SELECT pg_current_wal_flush_lsn", b"", False),
    ],
)
def test_a_connection_that_breaks_once_is_replaced(
    database: Settings, session: Session, whose: str, at: bytes, after: bytes, answered: bool | None
) -> None:
    """If `answered` is None, the server does not notice, and the session there keeps its locks."""
    session.run(T)
    captured(database)
    session.run("UPDATE t SET b = 0 WHERE id < 4; DELETE FROM t WHERE id = 5")
    cut = Cut(whose, at, after, answered=bool(answered), half=answered is None)
    with cuts_on_the_way_to(database, cut) as way:
        report = captured(way)
    assert cut.cut
    assert report.reconnected == 1
    assert rows(session) == rows(session, COPY)
    assert session.run("SELECT number FROM pgjobs_captures") == [[2]]


def test_a_server_that_does_not_tell_its_wal_is_captured_too(database: Settings, session: Session) -> None:
    """As on Aurora, whose storage is not a WAL. A superuser may always call the functions."""
    session.run(T)
    session.run("CREATE ROLE capture_test_owner LOGIN; ALTER TABLE t OWNER TO capture_test_owner")
    functions = "pg_walfile_name(pg_lsn), pg_current_wal_flush_lsn(), pg_current_wal_insert_lsn()"
    try:
        session.run("GRANT CREATE ON SCHEMA public TO capture_test_owner; ALTER ROLE capture_test_owner PASSWORD 'pw'")
        session.run(f"REVOKE EXECUTE ON FUNCTION {functions} FROM PUBLIC")
        owner = replace(database, user="capture_test_owner", password=lambda _: "pw")
        captured(owner)
        session.run("UPDATE t SET b = 0 WHERE id < 4; DELETE FROM t WHERE id = 5")
        assert captured(owner).rows_written == 3
        assert rows(session) == rows(session, COPY)
    finally:
        session.run("DROP OWNED BY capture_test_owner CASCADE; DROP ROLE capture_test_owner")


def test_a_table_is_refused_whose_rows_cannot_be_told_apart(database: Settings, session: Session) -> None:
    session.run("CREATE TABLE t (id int)")
    with pytest.raises(UsageError, match="no primary key"):
        captured(database)


def test_rows_of_others_are_not_deleted(database: Settings, session: Session) -> None:
    session.run(T)
    session.run("CREATE TABLE other (LIKE t INCLUDING ALL); INSERT INTO other VALUES (1000, 'precious', 1)")
    with pytest.raises(UsageError, match="no capture has written them"):
        captured(database, into="other")
    assert len(rows(session, "other")) == 1


def _until(done: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
