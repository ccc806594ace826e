"""Faults of driver and server: a load is there whole or not at all, nothing is left behind, and the rerun mends it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from faults import Cut, Trial, TrialOf, cuts_on_the_way_to
from faulty_load import ALL, APPEND, INTO_TABLES, NEW, ROWS, numbers
from pyspark.sql import SparkSession
from server_folder import server_folder
from submitted import CLUSTER, IN_BACKGROUND, RETRYING, until

from jobs.dbaccess.conninfo.resolve import resolve
from jobs.dbaccess.conninfo.sources import Given
from jobs.dbaccess.errors import ConnectionFailed, LoadError
from servermgr.postgres import Manager

INTERRUPTED = "error: interrupted. Run it again to have it done, or to be sure that it is done."

ENDLESS = 10**12
"""Rows, of a load that is interrupted."""


def test_a_driver_that_is_killed_before_publish_loads_nothing_and_the_rerun_clears_up(trial_of: TrialOf) -> None:
    trial = trial_of(APPEND)
    with trial.submit("stalling", CLUSTER) as job:
        trial.wait_for_stall(job)
        job.kill_driver()
    trial.assert_nothing_loaded()
    trial.assert_a_rerun_loads()


def test_a_driver_that_is_killed_in_publish_loads_nothing_and_the_rerun_clears_up(trial_of: TrialOf) -> None:
    trial = trial_of(*INTO_TABLES)
    with trial.submit("whole", RETRYING) as job, trial.locked():
        job.until(trial.in_publish, "publish")
        job.kill_driver()
    trial.assert_nothing_loaded()
    trial.assert_a_rerun_loads()


def test_a_driver_whose_jvm_is_killed_clears_up_itself(trial_of: TrialOf) -> None:
    trial = trial_of(APPEND)
    with trial.submit("stalling", CLUSTER) as job:
        job.until(job.stalled, "the copying")
        job.kill_jvm()
        until(lambda: not trial.staging_tables(), "the dropping of staging")
    trial.assert_nothing_loaded()
    trial.assert_a_rerun_loads()


@pytest.mark.parametrize("answered", [False, True], ids=["COMMIT is lost", "its answer is lost"])
def test_a_connection_that_breaks_when_publish_commits_neither_loses_nor_doubles_rows(
    trial_of: TrialOf, answered: bool
) -> None:
    trial = trial_of(*ALL)
    cut = Cut("pgjobs load faulty", b"COMMIT", after=b'"table_updates" (update_id', answered=answered)
    with cuts_on_the_way_to(trial.database, cut) as way:
        reports = trial.run(way)
    assert len(cut.cut) == len(ALL)
    assert not any(report.already_loaded for report in reports)
    trial.assert_loaded_once()


def test_a_driver_whose_connection_breaks_while_rows_are_copied_loads_all_the_same(trial_of: TrialOf) -> None:
    trial = trial_of(*ALL)
    with trial.submit("stalling", RETRYING) as job:
        trial.wait_for_stall(job)
        terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ %s"
        assert len(trial.ask(terminate, _DRIVERS)) == len(ALL)
        job.go_on()
        assert job.status() == 0, job.output
    assert "ANALYZE" not in job.output
    trial.assert_loaded_once()


def test_a_driver_whose_load_another_run_published_while_its_connection_was_lost_says_so(trial_of: TrialOf) -> None:
    trial = trial_of(APPEND)
    with trial.submit("stalling", RETRYING) as job:
        trial.wait_for_stall(job)
        record = "INSERT INTO table_updates (update_id, target_table) VALUES (%s, %s) RETURNING 1"
        trial.ask(record, APPEND.load_id, f"public.{APPEND.table}")
        trial.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ %s", _DRIVERS)
        job.go_on()
        assert job.status() == 0, job.output
        assert job.output.count("already loaded: ") == 1, job.output
    assert trial.staging_tables() == []
    assert trial.ask("SELECT EXISTS (SELECT FROM append WHERE name ~ '^row')") == [[False]]


_DRIVERS = "^pgjobs load faulty"


def test_of_two_drivers_with_the_same_load_id_at_once_one_loads_and_the_other_waits(trial_of: TrialOf) -> None:
    trial = trial_of(*INTO_TABLES)
    with trial.submit("whole", RETRYING) as one, trial.submit("whole", RETRYING) as other:

        def told(words: str) -> int:
            return (one.output + other.output).count(words)

        with trial.locked():
            one.until(lambda: told("Another run holds the load id") == len(INTO_TABLES), "the load that waits")
            one.until(trial.in_publish, "the load that does not")
        assert (one.status(), other.status()) == (0, 0)
        assert told("already loaded: ") == told(" rows into ") == len(INTO_TABLES), one.output + other.output
    trial.assert_loaded_once()


def test_ctrl_c_while_rows_are_copied_ends_the_load_with_a_line_and_nothing_left(trial_of: TrialOf) -> None:
    trial = trial_of(APPEND)
    with trial.submit_table(ENDLESS) as job:
        job.until(lambda: trial.ask("SELECT pid FROM pg_stat_progress_copy"), "the copying")
        job.interrupt()
        assert job.status() != 0
    assert job.told == [INTERRUPTED]
    trial.assert_nothing_loaded()
    assert trial.staging_tables() == []
    trial.assert_a_rerun_loads()


def test_sigterm_ends_a_load_as_ctrl_c_does_also_where_sigint_was_ignored(trial_of: TrialOf) -> None:
    trial = trial_of(APPEND)
    with trial.submit_table(ENDLESS, IN_BACKGROUND) as job:
        job.until(lambda: trial.ask("SELECT pid FROM pg_stat_progress_copy"), "the copying")
        job.terminate()
        assert job.status() != 0
    assert job.told == [INTERRUPTED]
    trial.assert_nothing_loaded()
    assert trial.staging_tables() == []


def test_ctrl_c_in_publish_ends_the_load_with_a_line_and_nothing_left(trial_of: TrialOf) -> None:
    trial = trial_of(APPEND)
    with trial.submit_table(ROWS) as job, trial.locked():
        job.until(trial.in_publish, "publish")
        job.interrupt()
        assert job.status() != 0
    assert job.told == [INTERRUPTED]
    trial.assert_nothing_loaded()
    assert trial.staging_tables() == []
    trial.assert_a_rerun_loads()


@pytest.fixture
def fragile() -> Iterator[Manager]:
    """A server that a test may stop."""
    with (
        server_folder() as directory,
        Manager("127.0.0.1", 0, directory / "data", initialize=True, settings={"fsync": "off"}) as manager,
    ):
        yield manager


@pytest.fixture
def fragile_trial(spark: SparkSession, fragile: Manager, tmp_path: Path) -> Trial:
    """A trial on that server."""
    return Trial(spark, resolve(Given(url=fragile.url()), {}).settings, tmp_path, ())


def crash(server: Manager) -> None:
    """Stop as `pg_ctl stop -m immediate` does, and start again."""
    assert server.process is not None
    server.process.send_signal(signal.SIGQUIT)
    server.wait()
    server.start()


def test_a_crash_of_the_server_while_rows_are_copied_fails_loads_into_tables_and_costs_a_new_table_no_row(
    fragile_trial: Trial, fragile: Manager
) -> None:
    """The rows that were staged before are gone, but those that are to become a table survive."""
    trial = fragile_trial.of(*ALL)
    with trial.submit("stalling", RETRYING) as job:
        trial.wait_for_stall(job)
        crash(fragile)
        job.go_on()
        assert job.status() == 1
    assert len(job.told) == len(INTO_TABLES)
    assert all("the server crashed meanwhile. Nothing was loaded. Run the load again." in line for line in job.told)
    replace(trial, loads=[NEW]).assert_loaded_once()
    failed = replace(trial, loads=INTO_TABLES)
    failed.assert_nothing_loaded()
    failed.assert_a_rerun_loads()


def test_a_crash_of_the_server_in_publish_fails_the_load_and_leaves_nothing(
    fragile_trial: Trial, fragile: Manager
) -> None:
    trial = fragile_trial.of(*INTO_TABLES)
    with ThreadPoolExecutor() as pool:
        loads = [pool.submit(load.run, numbers(trial.spark), trial.database) for load in trial.loads]
        with suppress(ConnectionFailed), trial.locked():
            until(trial.in_publish, "publish")
            crash(fragile)
    for load in loads:
        with pytest.raises(LoadError, match="the server crashed meanwhile"):
            load.result()
    trial.assert_nothing_loaded()
    assert trial.staging_tables() == []
    trial.assert_a_rerun_loads()
