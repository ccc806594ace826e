"""The command line of `pgjobs`: what a person reads who asks for help, or mistypes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pgjobs.cli.command_flags import ADDING
from pgjobs.cli.commands import COMMANDS, JOBS
from pgjobs.cli.options import RUNNING, front_page, parse
from pgjobs.errors import NOT_READ


def test_the_help_fits_a_screen_and_names_every_command() -> None:
    lines = front_page().splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert {line.split()[0] for line in lines if line.startswith("  ")} == set(COMMANDS)


def test_every_command_has_flags_of_its_own_or_those_of_a_job() -> None:
    assert {*ADDING, *JOBS} == set(COMMANDS)


@pytest.mark.parametrize("words", [[], ["--help"], ["help"]])
def test_without_a_command_the_help_is_shown(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(words, {})
    shown = capsys.readouterr()
    assert (ended.value.code, shown.out or shown.err) == (0 if words else 2, front_page())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["sumbit"], "there is no command 'sumbit': did you mean submit?\nFor help: pgjobs --help\n"),
        (["xyzzy"], "there is no command 'xyzzy'\n"),
        (
            ["package", "--releese", "x"],
            "unrecognized: --releese x: did you mean --release?\nFor help: pgjobs package --help",
        ),
        (["submit", "load_table", "--xyzzy"], "--xyzzy (the job's own arguments come last, after --)"),
        (["--wat"], "unrecognized: --wat (a command comes first)"),
        (["status"], "the following arguments are required: RUN\nFor help: pgjobs status --help"),
        (["list"], "missing: --application-id (PGJOBS_DEPLOY_APPLICATION_ID)"),
        (["verify", "--arch", "arm"], "invalid choice: 'arm'"),
        (["package", "--", "x"], "package accepts no arguments of a job"),
    ],
)
def test_a_mistyped_command_line_is_answered_in_two_lines(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(words, {})
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert error.startswith("error: ")
    assert told in error
    assert len(error.splitlines()) == 2


def test_all_words_after_a_jobs_command_are_the_jobs() -> None:
    options = parse(["load", "--table", "t", "--", "x", "--json"], {})
    assert (options.command, options.arguments, options.json) == ("load", ["--table", "t", "--", "x", "--json"], False)


@pytest.mark.parametrize("name", RUNNING)
def test_the_usage_shows_where_the_jobs_own_arguments_go(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse([name, "--help"], {})
    assert f"usage: pgjobs {name} ENTRY [FLAG]... [-- ARGUMENT OF THE JOB]...\n" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--help"], ["load", "--help"], ["completion", "bash"]])
def test_who_reads_only_the_beginning_is_told_no_error(words: list[str]) -> None:
    """As in `pgjobs logs RUN | head`."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as unread:
        command = [sys.executable, "-m", "pgjobs", *words]
        done = subprocess.run(command, stdout=unread, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (NOT_READ, "")
