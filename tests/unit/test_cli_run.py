"""How a job ends: an exit status, and for an error one line that says what to do."""

from __future__ import annotations

import pytest

from jobs.cli.run import interrupt, quiet, run_job
from jobs.dbaccess.errors import LoadError, UsageError


def raising(error: BaseException) -> None:
    raise error


def test_a_job_that_ends_well_has_status_0() -> None:
    assert run_job(lambda: None, verbose=False) == 0


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (UsageError("No table.", "Make it."), 2, "error: No table. Make it.\n"),
        (LoadError("Lost.", "Run it again."), 1, "error: Lost. Run it again.\n"),
        (RuntimeError("first\nsecond"), 1, "error: first\n"),
        (RuntimeError(), 1, "error: RuntimeError\n"),
        (
            KeyboardInterrupt(),
            1,
            "error: interrupted. Run it again to complete it, or to confirm that it is done.\n",
        ),
    ],
)
def test_an_error_is_one_line_and_a_status(
    error: BaseException, status: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_job(lambda: raising(error), verbose=False) == status
    assert capsys.readouterr().err == line


@pytest.mark.parametrize(
    ("message", "hint"),
    [
        ('org.apache.hadoop.fs.UnsupportedFileSystemException: No FileSystem for scheme "s3"', "cannot reach S3"),
        ("java.lang.ClassNotFoundException: Class org.apache.hadoop.fs.s3a.S3AFileSystem not found", "docs/load.md"),
        ("[PATH_NOT_FOUND] Path does not exist: file:/a. SQLSTATE: 42K03", "Check the path"),
        ("[PATH_ALREADY_EXISTS] Path file:/out already exists. SQLSTATE: 42K04", "--write-mode overwrite"),
    ],
)
def test_what_a_message_of_spark_leaves_out_is_added(
    message: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run_job(lambda: raising(RuntimeError(message)), verbose=False)
    told = capsys.readouterr().err
    assert told.startswith(f"error: {message}. ")
    assert hint in told


# As Spark passes it on: cut to one frame.
OF_A_WORKER = """org.apache.spark.api.python.PythonException: Traceback (most recent call last):
  File "pyspark/worker.py", line 3386, in main
    process()
{error}
\tat org.apache.spark.api.python.BasePythonRunner$ReaderIterator.handlePythonException(PythonRunner.scala:645)
"""


@pytest.mark.parametrize(
    ("raised", "line"),
    [
        ("jobs.aws.errors.AwsError: The secret x cannot be read. Allow it.", "The secret x cannot be read. Allow it."),
        ("ValueError: no", "ValueError: no"),
        ("KeyError: 1\n\nDuring handling of it:\n\nTraceback (most recent call last):\n  File\nLater: no", "Later: no"),
    ],
)
def test_an_error_of_a_worker_is_told_in_its_own_words(
    raised: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    error = RuntimeError(OF_A_WORKER.format(error=raised))
    assert run_job(lambda: raising(error), verbose=False) == 1
    assert capsys.readouterr().err == f"error: {line}\n"


def test_an_error_on_the_way_out_of_an_interrupted_job_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> None:
        try:
            raise KeyboardInterrupt
        finally:
            raise RuntimeError("Answer from Java side is empty")

    assert run_job(interrupted, verbose=False) == 1
    assert capsys.readouterr().err.startswith("error: interrupted.")


def test_an_interruption_is_told_when_it_comes_and_not_again_on_the_way_out(capfd: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> None:
        try:
            interrupt()
        finally:
            assert capfd.readouterr().err.startswith("error: interrupted.")
            raise RuntimeError("Answer from Java side is empty")

    assert run_job(interrupted, verbose=False) == 1
    assert capfd.readouterr().err == ""


def test_the_stack_trace_comes_with_verbose(capsys: pytest.CaptureFixture[str]) -> None:
    run_job(lambda: raising(LoadError("Lost.")), verbose=True)
    assert "Traceback" in capsys.readouterr().err


def test_spark_is_quiet_unless_the_user_has_set_its_level() -> None:
    """Without spark-submit, PySpark's bar of progress would share its line with the error."""
    level, bar = {"spark.log.level": "ERROR"}, {"spark.ui.showConsoleProgress": "false"}
    assert quiet({"spark.log.level"}.__contains__, is_submitted=True) == {}
    assert quiet({"spark.log.level"}.__contains__, is_submitted=False) == bar
    assert quiet(set().__contains__, is_submitted=True) == level
    assert quiet({*level, *bar}.__contains__, is_submitted=False) == bar
