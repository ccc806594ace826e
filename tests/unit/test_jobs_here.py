"""Jobs on this machine: what is told before Spark starts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from emr_runs import console

from pgjobs.__main__ import main
from pgjobs.cli.jobs_here import refuse_without_java
from pgjobs.errors import OK, WRONG_USAGE, DeployError


def test_help_and_examples_are_those_of_the_command() -> None:
    terminal, out, _ = console()
    with pytest.raises(SystemExit) as ended:
        main(["load", "--help"], {}, terminal)
    assert ended.value.code == OK
    assert out.getvalue().startswith("usage: pgjobs load [-h] ")
    assert "    pgjobs load --source s3://" in out.getvalue()
    assert "load_table" not in out.getvalue()


def test_a_release_has_a_command() -> None:
    terminal, out, _ = console()
    with pytest.raises(SystemExit) as ended:
        main(["load-release", "--help"], {}, terminal)
    assert ended.value.code == OK
    assert out.getvalue().startswith("usage: pgjobs load-release [-h] ")
    assert "    pgjobs load-release --manifest release.toml --load-id" in out.getvalue()


def test_wrong_flags_are_told_in_two_lines() -> None:
    terminal, _, err = console()
    with pytest.raises(SystemExit) as ended:
        main(["query", "--sql", "SELECT 1"], {}, terminal)
    assert ended.value.code == WRONG_USAGE
    assert err.getvalue().startswith("error: the following arguments are required: --load-id")
    assert err.getvalue().endswith("\nFor help: pgjobs query --help\n")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["load", "--table", "t", "--sorce", "a.csv"], "--sorce a.csv: did you mean --source?\n"),
        (["load", "--table", "t", "--lode-id=1"], "--lode-id=1: did you mean --load-id?\n"),
        (["query", "--sql", "SELECT 1", "--xyzzy"], "--xyzzy\n"),
    ],
)
def test_a_mistyped_flag_of_a_job_is_told_with_the_one_that_may_be_meant(words: list[str], told: str) -> None:
    terminal, _, err = console()
    with pytest.raises(SystemExit):
        main(words, {}, terminal)
    assert err.getvalue() == f"error: unrecognized arguments: {told}For help: pgjobs {words[0]} --help\n"


def test_the_ledger_has_a_command_with_help_of_its_own() -> None:
    terminal, out, _ = console()
    with pytest.raises(SystemExit) as ended:
        main(["ledger", "--help"], {}, terminal)
    assert ended.value.code == OK
    assert out.getvalue().startswith("usage: pgjobs ledger [-h] COMMAND")
    assert "  pgjobs ledger forget orders/2026-11-20 " in out.getvalue()
    assert "python -m" not in out.getvalue()


def test_wrong_flags_of_a_command_of_the_ledger_are_told_with_the_help_of_that_command() -> None:
    terminal, _, err = console()
    with pytest.raises(SystemExit) as ended:
        main(["ledger", "wait", "x", "--timeout", "soon"], {}, terminal)
    assert ended.value.code == WRONG_USAGE
    assert err.getvalue() == (
        "error: argument --timeout: 'soon' is not a number of seconds\nFor help: pgjobs ledger wait --help\n"
    )


def test_the_ledger_is_asked_without_spark_and_without_java(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setitem(sys.modules, "pyspark", None)
    words = ["ledger", "list", "--database-url", "postgresql://u@127.0.0.1:1/d", "--connect-deadline", "1"]
    terminal, _, _ = console()
    assert main(words, {}, terminal) == 1
    assert "No server answers at 127.0.0.1:1" in capsys.readouterr().err


def test_without_java_the_way_to_it_is_told_before_spark_starts() -> None:
    with pytest.raises(DeployError, match=r"Spark needs Java 17.*apt install openjdk-17"):
        refuse_without_java({}, lambda _: None)
    refuse_without_java({}, lambda _: "/usr/bin/java")


def test_a_copy_needs_java_only_for_a_query_of_spark(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    words = ["copy", "--source-url", "postgresql://u@127.0.0.1:1/d", "--database-url", "postgresql://u@127.0.0.1:1/d"]
    words += ["--table", "t", "--load-id", "x"]
    terminal, _, err = console()
    assert main([*words, "--select", "SELECT * FROM source"], {}, terminal) == WRONG_USAGE
    assert "Spark needs Java 17" in err.getvalue()
    assert main([*words, "--connect-deadline", "1"], {}, terminal) == 1
    assert "No server answers at 127.0.0.1:1" in capsys.readouterr().err


def test_a_java_home_without_java_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=f"JAVA_HOME is {tmp_path / 'none'}, where there is no Java"):
        refuse_without_java({"JAVA_HOME": str(tmp_path / "none")}, lambda _: "/usr/bin/java")
    (tmp_path / "bin").mkdir()
    refuse_without_java({"JAVA_HOME": str(tmp_path)}, lambda _: None)


@pytest.mark.parametrize(
    ("words", "package", "extra"),
    [(["package"], "elftools", "deploy"), (["load", "--table", "t", "--source", "x"], "pyspark", "spark")],
)
def test_a_package_that_is_not_installed_is_named_with_the_extra_that_brings_it(
    words: list[str], package: str, extra: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in sys.modules if name.startswith(("pgjobs.cli.packing", "pgjobs.archive", package))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    terminal, _, err = console()
    assert main(words, {}, terminal) == WRONG_USAGE
    assert err.getvalue() == (
        f"error: pgjobs {words[0]} needs {package}, which is not installed: pip install 'pgjobs-spark[{extra}]'\n"
    )
