"""A packed job is asked whether it takes its arguments before a run is paid for, and without Spark."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from emr_runs import APPLICATION, ROLE, archive_with, console

from pgjobs.archive.build import build
from pgjobs.archive.target import target_for
from pgjobs.cli.commands import run
from pgjobs.cli.options import parse
from pgjobs.errors import OK, DeployError
from pgjobs.submit.arguments import check_arguments
from pgjobs.submit.entry import Entry

LOAD = ["--source", "s3://b/x", "--table", "t"]
EXTRACT = ["--table", "t", "--target", "s3://b/x"]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of Python 3.9's packages, which any Python of these tests can import."""
    return build(target_for("emr-7.9.0", "x86_64"), tmp_path_factory.mktemp("dist"))


def words(archive: Path, entry: str, *arguments: str) -> list[str]:
    """A submission that calls nothing."""
    flags = ["--application-id", APPLICATION, "--role", ROLE, "--code", "s3://code-bucket", "--dry-run"]
    return ["submit", entry, "--archive", str(archive), *flags, "--", *arguments]


def no_aws() -> None:
    pytest.fail("AWS was asked")


@pytest.mark.parametrize(
    ("entry", "arguments", "told"),
    [
        ("load_table", ["--sorce", "s3://b/x", "--table", "t"], "unrecognized arguments: --sorce s3://b/x"),
        ("load_table", ["--table", "t"], "one of the arguments --source --source-table is required"),
        ("load_table", [*LOAD, "--mode", "merge"], "argument --mode: invalid choice: 'merge'"),
        ("load_table", [*LOAD, "--option", "header"], "--option 'header' is not of the form K=V"),
        ("load_table", [*LOAD, "--format", "csv", "--option", "hedaer=true"], "Did you mean header?"),
        ("load_table", ["--source", "x", "--table", "a.b.c"], "a.b.c"),
        ("load_table", [*LOAD, "--dedupe-order", "a upwards"], "upwards"),
        ("extract_table", [*EXTRACT, "--parallelism", "0"], "'0' is not a number of at least 1"),
        ("extract_table", [*EXTRACT, "--query", "SELECT 1"], "not allowed with argument --table"),
    ],
)
def test_what_the_job_would_refuse_is_refused_before_a_run_is_paid_for(
    archive: Path, entry: str, arguments: list[str], told: str
) -> None:
    options = parse(words(archive, entry, *arguments), {})
    with pytest.raises(DeployError, match=f"^{entry} refuses its arguments: ") as caught:
        run(options, no_aws, console()[0])  # type: ignore[arg-type] # it is not to be called
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("entry", "arguments"), [("load_table", LOAD), ("extract_table", EXTRACT)])
def test_good_arguments_pass(archive: Path, entry: str, arguments: list[str]) -> None:
    terminal, out, err = console()
    assert run(parse(words(archive, entry, *arguments), {}), no_aws, terminal) == OK  # type: ignore[arg-type] # likewise
    assert json.loads(out.getvalue())["name"] == entry
    assert err.getvalue() == ""


def test_the_jobs_help_is_printed_and_nothing_is_submitted(archive: Path) -> None:
    terminal, out, _ = console()
    assert run(parse(words(archive, "load_table", "--help"), {}), no_aws, terminal) == OK  # type: ignore[arg-type] # likewise
    assert out.getvalue().startswith("usage: load_table.py")
    assert "clientToken" not in out.getvalue()


def test_the_entrypoints_check_their_arguments_without_spark_and_boto3() -> None:
    code = (
        "import sys; from jobs import extract_table, load_table;"
        f"load_table.check_arguments({LOAD!r}); extract_table.check_arguments({EXTRACT!r});"
        "print([name for name in ('pyspark', 'py4j', 'boto3', 'pyarrow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


OWN = "import argparse\ndef check_arguments(arguments):\n"


def checked(folder: Path, text: str, *arguments: str) -> tuple[str, list[str]]:
    """What the check of a job of one's own prints, and what is told."""
    told: list[str] = []
    archive = archive_with(folder, report=text, __init__="")
    return check_arguments(archive, Entry("report", "jobs.report", text.encode()), arguments, told.append), told


def test_a_job_of_ones_own_is_asked_in_the_same_way(tmp_path: Path) -> None:
    text = f"{OWN}    if arguments != ['today']:\n        raise ValueError('give a day')\n"
    assert checked(tmp_path, text, "today") == ("", [])
    with pytest.raises(DeployError, match=r"^report refuses its arguments: give a day\. "):
        checked(tmp_path, text, "never")


def test_a_function_of_another_name_can_be_the_check(tmp_path: Path) -> None:
    text = "def parse(arguments):\n    raise ValueError('no day')\ncheck_arguments = parse\n"
    with pytest.raises(DeployError, match=r"^report refuses its arguments: no day\. "):
        checked(tmp_path, text)


def test_a_job_that_does_not_want_to_be_asked_is_not_imported(tmp_path: Path) -> None:
    trace = tmp_path / "imported"
    assert checked(tmp_path, f"open({str(trace)!r}, 'w')\n", "x") == ("", [])
    assert checked(tmp_path, "def f(:\n", "x") == ("", [])
    assert not trace.exists()


def test_a_job_that_cannot_be_imported_here_is_told_and_submitted(tmp_path: Path) -> None:
    printed, [told] = checked(tmp_path, f"import nosuch\n{OWN}    pass\n", "x")
    assert printed == ""
    assert told == (
        "The arguments of report were not checked, because it cannot be imported here: "
        "ModuleNotFoundError: No module named 'nosuch'"
    )


def test_a_job_is_asked_with_the_python_files_that_are_sent_along(tmp_path: Path) -> None:
    text = f"import helpers, library.rates\n{OWN}    raise ValueError(helpers.TEXT + library.rates.TEXT)\n"
    with zipfile.ZipFile(tmp_path / "library.zip", "w") as opened:
        opened.writestr("library/__init__.py", "")
        opened.writestr("library/rates.py", "TEXT = 'two'")
    along = {"helpers.py": b"TEXT = 'one '", "library.zip": (tmp_path / "library.zip").read_bytes()}
    archive = archive_with(tmp_path, report=text, __init__="")
    with pytest.raises(DeployError, match=r"^report refuses its arguments: one two\. "):
        check_arguments(archive, Entry("report", "jobs.report", text.encode()), [], pytest.fail, along)
