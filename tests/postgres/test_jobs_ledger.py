"""python -m jobs.ledger: what finished is listed, asked for, awaited, recorded and forgotten."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from libpq import environment
from publishing import AB, T
from stages import attempt, tables

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.kept.notes import DAY, Note, until
from jobs.dbaccess.load.ledger import LUIGIS
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.ledger import NO, main


class Ledger:
    """Calls the command."""

    def __init__(self, database: Settings) -> None:
        self._environ = environment(database)

    def __call__(self, *arguments: str) -> int:
        return main(arguments, self._environ)


@pytest.fixture
def ledger(database: Settings) -> Ledger:
    return Ledger(database)


def test_without_a_marker_table_nothing_is_recorded_and_none_is_created(
    ledger: Ledger, session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    session.run("DROP TABLE IF EXISTS table_updates")
    assert [ledger(command, "x") for command in ("show", "exists", "forget")] == [NO] * 3
    assert ledger("wait", "x", "--timeout", "0") == NO
    assert ledger("list") == 0
    assert capsys.readouterr().out == "load id | table | recorded\n--------+-------+---------\n"
    assert session.run("SELECT to_regclass('table_updates')::text") == [[None]]


def test_what_was_recorded_is_shown_and_listed_with_its_time(
    ledger: Ledger, session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    session.run("CREATE TABLE t (a int); CREATE SCHEMA s")
    for load_id, table in (("first", "t"), ("second", "s.t"), ("third", "t")):
        assert ledger("touch", load_id, "--table", table) == 0
    capsys.readouterr()
    assert ledger("list", "--table", "t", "--json") == 0
    assert [marker["load_id"] for marker in json.loads(capsys.readouterr().out)] == ["third", "first"]
    assert ledger("list", "--limit", "1") == 0
    assert capsys.readouterr().out.splitlines()[2].startswith("third   | public.t | 20")
    assert ledger("show", "second") == 0
    assert capsys.readouterr().out.startswith("second: s.t, recorded 20")


def test_what_failed_loads_keep_is_listed_with_its_size_and_dropped(
    ledger: Ledger, session: Session, database: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    session.run("CREATE TABLE t (a int, b text)")
    note = Note("orders/1", str(T), 3, until(session, DAY), {})
    names = replace(staging.plan_staging(T, AB), note=note.text)
    with connect(database, "a load") as driver:
        staging.create(driver, names, T)
        attempt(driver, names, 0, 1, 1)
        assert ledger("kept") == 0
        assert re.search(r" \| 1 of 3 \| [\d.]+ kB \| in use \|", capsys.readouterr().out)
        assert ledger("drop-kept", "orders/1") == 1
        assert "is in use by process" in capsys.readouterr().err
    assert ledger("kept", "--table", "t", "--json") == 0
    [kept] = json.loads(capsys.readouterr().out)
    assert (kept["load_id"], kept["table"], kept["parts_kept"], kept["parts"]) == ("orders/1", "public.t", 1, 3)
    assert kept["bytes"] == session.value(
        "SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c WHERE relname ~ '^pgjobs_.*[0-9a-f]{32}$'"
    )
    assert ledger("drop-kept", "orders/2") == NO
    assert ledger("drop-kept", "orders/1") == 0
    assert tables(session) == ["t", "table_updates"]
    assert ledger("drop-kept", "orders/1") == NO


def test_exists_answers_by_its_status_alone(
    ledger: Ledger, session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    LUIGIS.ensure(session)
    LUIGIS.record(session, "x", "public.t")
    assert [ledger("exists", load_id) for load_id in ("x", "y")] == [0, NO]
    assert capsys.readouterr() == ("", "")


def test_wait_ends_when_the_load_is_recorded(ledger: Ledger, session: Session) -> None:
    LUIGIS.ensure(session)
    looks = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'pgjobs ledger wait' AND query ~ 'table_updates'"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ledger, "wait", "x", "--timeout", "120")
        while not session.run(looks):
            assert not waiting.done()
        LUIGIS.record(session, "x", "public.t")
        assert waiting.result() == 0


def test_wait_gives_up_and_says_so(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    assert ledger("wait", "x", "--timeout", "0.2") == NO
    assert capsys.readouterr().err == "The load 'x' was not recorded within 0.2 s.\n"


def test_a_load_that_is_forgotten_can_be_recorded_again(
    ledger: Ledger, session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    LUIGIS.ensure(session)
    assert LUIGIS.record(session, "x", "public.t")
    assert ledger("forget", "x") == 0
    assert capsys.readouterr().out.startswith("forgotten: x.")
    assert ledger("forget", "x") == NO
    assert LUIGIS.record(session, "x", "public.t")


def test_touch_refuses_an_id_of_another_table(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    assert [ledger("touch", "x", "--table", "t") for _ in range(2)] == [0, 0]
    assert ledger("touch", "x", "--table", "other") == 2
    assert "taken by a marker of 'public.t'" in capsys.readouterr().err
    assert ledger("touch", "y") == 2


def test_the_time_is_recorded_where_the_column_has_no_default(ledger: Ledger, session: Session) -> None:
    """Luigi creates the table without one where use_db_timestamps is off."""
    session.run("DROP TABLE IF EXISTS table_updates")
    session.run("CREATE TABLE table_updates (update_id text PRIMARY KEY, target_table text, inserted timestamp)")
    assert ledger("touch", "x", "--table", "t") == 0
    assert session.run("SELECT now() - inserted < interval '1 minute' FROM table_updates") == [[True]]


def test_touch_names_the_table_that_a_load_would_find(
    ledger: Ledger, session: Session, database: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """It need not be in the first schema of search_path."""
    session.run("CREATE SCHEMA s1; CREATE SCHEMA s2; CREATE TABLE s2.t (a int)")
    session.run(f"ALTER DATABASE {database.dbname} SET search_path = s1, s2, public")
    assert ledger("touch", "x", "--table", "t") == 0
    assert capsys.readouterr().out == "recorded: x for s2.t\n"
    assert ledger("list", "--table", "t") == 0
    assert "x       | s2.t" in capsys.readouterr().out


def test_each_command_asks_the_marker_table_that_it_is_given(
    ledger: Ledger, session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    session.run("CREATE SCHEMA etl")
    here = ("--marker-table", "etl.marks")
    assert ledger("exists", "x", *here) == NO
    assert ledger("touch", "x", "--table", "t", *here) == 0
    assert [ledger("exists", "x", *table) for table in (here, ())] == [0, NO]
    assert ledger("wait", "x", "--timeout", "0", *here) == 0
    capsys.readouterr()
    assert ledger("list", *here) == 0
    assert "x       | public.t" in capsys.readouterr().out
    assert ledger("touch", "x", "--table", "other", *here) == 2
    assert "set the marker's target_table in etl.marks" in capsys.readouterr().err
    assert ledger("forget", "x", *here) == 0
    assert ledger("list", "--marker-table", "a.b.c") == 2
