"""Faults of driver and server: a load is there whole or not at all, nothing is left behind, and the rerun mends it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from faults import Cut, Trial, TrialOf, cuts_on_the_way_to
from faulty_load import ALL, APPEND, INTO_TABLES, NEW, ROWS, Load, numbers
from pyspark.sql import SparkSession
from server_folder import PATIENCE, server_folder, serving
from submitted import CLUSTER, IN_BACKGROUND, RETRYING, until

from jobs.dbaccess.conninfo.resolve import resolve
from jobs.dbaccess.conninfo.sources import Given
from jobs.dbaccess.errors import ConnectionFailed, LoadError
from servermgr.postgres import Manager

INTERRUPTED = "error: interrupted. Run it again to complete it, or to confirm that it is done."

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
    with trial.held_in_publish() as in_publish, trial.submit("whole", RETRYING) as job:
        job.until(in_publish, "publish")
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


@pytest.mark.parametrize("load", ALL, ids=lambda load: load.table)
def test_a_driver_whose_connection_breaks_while_rows_are_copied_loads_all_the_same(
    trial_of: TrialOf, caplog: pytest.LogCaptureFixture, load: Load
) -> None:
    trial = trial_of(load)
    with trial.stalling() as loading:
        break_the_drivers_connection(trial)
    assert not loading.result().already_loaded
    assert "ANALYZE" not in caplog.text
    trial.assert_loaded_once()


def test_a_driver_whose_load_another_run_published_while_its_connection_was_lost_says_so(trial_of: TrialOf) -> None:
    trial = trial_of(APPEND)
    with trial.stalling() as loading:
        record = "INSERT INTO table_updates (update_id, target_table) VALUES (%s, %s) RETURNING 1"
        trial.ask(record, APPEND.load_id, f"public.{APPEND.table}")
        break_the_drivers_connection(trial)
    assert loading.result().already_loaded
    assert trial.staging_tables() == []
    assert trial.ask("SELECT EXISTS (SELECT FROM append WHERE name ~ '^row')") == [[False]]


def break_the_drivers_connection(trial: Trial) -> None:
    terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ '^pgjobs load faulty'"
    assert trial.ask(terminate) == [[True]]


def test_of_two_drivers_with_the_same_load_id_at_once_one_loads_and_the_other_waits(
    trial_of: TrialOf, caplog: pytest.LogCaptureFixture
) -> None:
    """One of them is this process."""
    trial = trial_of(*INTO_TABLES)
    with ExitStack() as held, ThreadPoolExecutor() as pool:
        in_publish = held.enter_context(trial.held_in_publish())
        with trial.submit("whole", RETRYING) as job:

            def waiting() -> int:
                return (job.output + caplog.text).count("Another run holds the load id")

            job.until(in_publish, "a load that does not wait")
            runs = [pool.submit(load.run, numbers(trial.spark), trial.database) for load in trial.loads]
            job.until(lambda: waiting() == len(INTO_TABLES), "the load that waits")
            held.close()
            reports = [run.result() for run in runs]
            assert job.status() == 0, job.output
    loaded = sum(not report.already_loaded for report in reports) + job.output.count(" rows into ")
    already = sum(report.already_loaded for report in reports) + job.output.count("already loaded: ")
    assert (loaded, already) == (len(INTO_TABLES), len(INTO_TABLES)), job.output
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
    with trial.held_in_publish() as in_publish, trial.submit_table(ROWS) as job:
        job.until(in_publish, "publish")
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
        serving(Manager("127.0.0.1", 0, directory / "data", initialize=True, settings={"fsync": "off"})) as manager,
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
    server.start(timeout=PATIENCE)


def test_a_crash_of_the_server_while_rows_are_copied_fails_loads_into_tables_and_costs_a_new_table_no_row(
    fragile_trial: Trial, fragile: Manager
) -> None:
    """The rows that were staged before are gone, but those that are to become a table survive."""
    trial = fragile_trial.of(*ALL)
    for load in INTO_TABLES:
        with pytest.raises(LoadError, match="the server crashed meanwhile") as caught:
            load_while_the_server_crashes(replace(trial, loads=[load]), fragile)
        assert caught.value.hint == "Nothing was loaded. Run the load again."
    new = replace(trial, loads=[NEW])
    load_while_the_server_crashes(new, fragile)
    new.assert_loaded_once()
    failed = replace(trial, loads=INTO_TABLES)
    failed.assert_nothing_loaded()
    failed.assert_a_rerun_loads()


def load_while_the_server_crashes(trial: Trial, server: Manager) -> None:
    with trial.stalling() as loading:
        crash(server)
    loading.result()


def test_a_crash_of_the_server_in_publish_fails_the_load_and_leaves_nothing(
    fragile_trial: Trial, fragile: Manager
) -> None:
    trial = fragile_trial.of(*INTO_TABLES)
    with ThreadPoolExecutor() as pool, suppress(ConnectionFailed), trial.held_in_publish() as in_publish:
        loads = [pool.submit(load.run, numbers(trial.spark), trial.database) for load in trial.loads]
        until(in_publish, "publish")
        crash(fragile)
    for load in loads:
        with pytest.raises(LoadError, match="the server crashed meanwhile"):
            load.result()
    trial.assert_nothing_loaded()
    assert trial.staging_tables() == []
    trial.assert_a_rerun_loads()
