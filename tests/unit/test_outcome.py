"""What programs are told of a run: that it succeeded or failed, and why."""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from lineage_server import LineageServer, lineage_server

from jobs.cli.failure import Failure
from jobs.cli.outcome import Outcome, outcome_of
from jobs.cli.report_file import ReportFile
from jobs.cli.run import run_job
from jobs.dbaccess.errors import ConstraintViolated, JobError, UsageError
from jobs.flows.report import LoadReport
from jobs.lineage.datasets import Datasets, files

DONE = LoadReport("orders/1", "public.orders", "append", rows_inserted=3, seconds={"total": 1.0})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "reports"
    folder.mkdir()
    return folder / "report.json"


def outcome(path: Path, *, show_connection: bool = False) -> Outcome:
    return Outcome(
        "load_table",
        argparse.Namespace(report=ReportFile(str(path)), show_connection=show_connection),
        "3f5e83fa-3480-44ff-99c5-ff943904e5e8",
    )


def raising(error: BaseException) -> None:
    raise error


def test_the_report_of_a_success_has_what_the_job_tells_and_when_it_ran(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = outcome(path)
    run.begin(Datasets)
    run.succeed(DONE, Datasets)
    written = json.loads(path.read_text())
    assert list(written)[:6] == ["status", "job", "run_id", "started", "ended", "load_id"]
    assert (written["status"], written["job"], written["rows_inserted"]) == ("succeeded", "load_table", 3)
    assert datetime.fromisoformat(written["started"]) <= datetime.fromisoformat(written["ended"])
    assert capsys.readouterr().out == DONE.summary() + "\n"


@pytest.mark.parametrize(
    ("error", "told", "status"),
    [
        (
            ConstraintViolated("Row refused.", "Correct it.", "23514", "fare"),
            {
                "type": "ConstraintViolated",
                "message": "Row refused.",
                "hint": "Correct it.",
                "sqlstate": "23514",
                "column": "fare",
                "transient": False,
            },
            1,
        ),
        (
            UsageError("No table.", "Make it."),
            {
                "type": "UsageError",
                "message": "No table.",
                "hint": "Make it.",
                "sqlstate": "",
                "column": None,
                "transient": False,
            },
            2,
        ),
        (
            KeyboardInterrupt(),
            {
                "type": "Interrupted",
                "message": "interrupted. Run it again to complete it, or to confirm that it is done.",
                "hint": "",
                "sqlstate": "",
                "column": None,
                "transient": True,
            },
            1,
        ),
    ],
)
def test_the_report_of_a_failure_has_its_reason(
    path: Path, error: BaseException, told: dict[str, object], status: int
) -> None:
    run = outcome(path)
    run.begin(Datasets, load_id="orders/1", table="orders")
    assert run_job(lambda: raising(error), verbose=False, failed=run.fail) == status
    written = json.loads(path.read_text())
    assert written["error"] == told
    kept = [written[name] for name in ("status", "exit_status", "load_id", "table")]
    assert kept == ["failed", status, "orders/1", "orders"]
    assert written["seconds"]["total"] >= 0


def test_a_report_that_cannot_be_written_is_logged_and_the_job_has_succeeded(
    path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    run = outcome(path)

    def job() -> None:
        run.begin(Datasets)
        shutil.rmtree(path.parent)  # the disk dies meanwhile
        run.succeed(DONE, Datasets)

    with caplog.at_level(logging.WARNING):
        assert run_job(job, verbose=False, failed=run.fail) == 0
    assert capsys.readouterr().out == DONE.summary() + "\n"
    [warning] = caplog.messages
    assert warning.startswith(f"The job succeeded. The report cannot be written to {path}: No such file or directory")
    assert '"rows_inserted": 3' in warning


def test_a_place_that_cannot_be_is_refused_before_the_job_and_not_tried(
    path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    run = outcome(path.with_name("none") / "report.json")
    assert run_job(lambda: run.begin(Datasets), verbose=False, failed=run.fail) == 2
    assert capsys.readouterr().err.startswith("error: The folder of --report")
    assert caplog.messages == []


def test_what_fails_after_a_success_does_not_make_it_a_failure(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Closed:
        def write(self, _: str) -> None:
            raise BrokenPipeError

    run = outcome(path)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", Closed())
        assert run_job(lambda: run.succeed(DONE, Datasets), verbose=False, failed=run.fail) == 1
    assert json.loads(path.read_text())["status"] == "succeeded"
    assert capsys.readouterr().err == "error: BrokenPipeError\n"


@pytest.fixture
def lineage() -> Iterator[LineageServer]:
    with lineage_server() as server:
        yield server


def told_of(lineage: LineageServer, *, dry_run: bool = False) -> Outcome:
    options = argparse.Namespace(
        report=None, show_connection=False, lineage_url=lineage.url, lineage_job=None, dry_run=dry_run
    )
    return outcome_of("load_table", options, {}, "sales.orders")


def test_a_run_that_fails_before_it_begins_has_started_and_failed(lineage: LineageServer) -> None:
    run = told_of(lineage)
    assert run_job(lambda: raising(UsageError("No table.", "Make it.")), verbose=False, failed=run.fail) == 2
    assert lineage.kinds == ["START", "FAIL"]
    assert len({event["run"]["runId"] for event in lineage.events}) == 1
    assert lineage.events[1]["run"]["facets"]["errorMessage"]["message"] == "No table. Make it."
    assert {event["job"]["name"] for event in lineage.events} == {"load_table.sales.orders"}


def test_a_run_that_is_interrupted_is_aborted_and_knows_what_it_began_with(lineage: LineageServer) -> None:
    run = told_of(lineage)
    begun = Datasets(files(["s3://bucket/orders"]))

    def interrupted() -> None:
        run.begin(lambda: begun)
        raise KeyboardInterrupt

    assert run_job(interrupted, verbose=False, failed=run.fail) == 1
    assert lineage.kinds == ["START", "ABORT"]
    assert lineage.events[1]["inputs"] == [{"namespace": "s3://bucket", "name": "orders"}]


def test_a_message_that_is_not_ours_stays_in_the_log(lineage: LineageServer) -> None:
    run = told_of(lineage)
    assert run_job(lambda: raising(ValueError("Ada's salary")), verbose=False, failed=run.fail) == 1
    message = lineage.events[1]["run"]["facets"]["errorMessage"]["message"]
    assert message == "ValueError. The log of the job has the message."


def test_datasets_that_cannot_be_named_do_not_fail_a_job(
    lineage: LineageServer, caplog: pytest.LogCaptureFixture
) -> None:
    def unknown() -> Datasets:
        raise FileNotFoundError("no folder")

    run = told_of(lineage)
    run.begin(unknown)
    run.succeed(DONE, unknown)
    assert lineage.kinds == ["START", "COMPLETE"]
    assert caplog.messages == ["The lineage of load_table.sales.orders has no datasets: no folder."] * 2


def test_a_dry_run_is_not_told(lineage: LineageServer) -> None:
    run = told_of(lineage, dry_run=True)
    run.begin(Datasets)
    run.succeed(DONE, Datasets)
    assert lineage.events == []


def test_no_report_is_written_where_only_the_connection_is_shown(path: Path) -> None:
    outcome(path, show_connection=True).fail(Failure.of(JobError("No secret.")))
    assert not path.exists()
