"""The command line of servermgr."""

from __future__ import annotations

import pytest

from servermgr import cli


def test_flags_have_their_published_names_and_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POSTGRES_DATA", raising=False)
    assert vars(cli.parse([], None)) == {
        "host": "127.0.0.1",
        "port": 15432,
        "datadir": "/var/tmp/pg_data",
        "init": True,
        "version": "",
    }
    long = ["--host", "::1", "--port", "1", "--datadir", "x", "--init", "False", "--version", "15"]
    assert cli.parse(long, None) == cli.parse(["-H", "::1", "-p", "1", "-d", "x", "-i", "False", "-v", "15"], None)


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--init"], True),
        (["-i"], True),
        (["-i", "-p", "1"], True),
        (["--init=True"], True),
        (["--init=False"], False),
        (["-i", "True"], True),
        (["-i", "false"], False),
        (["-iFalse"], False),
    ],
)
def test_init_may_have_a_value(arguments: list[str], wanted: bool) -> None:
    assert cli.parse(arguments, None).init is wanted


def test_another_value_of_init_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.parse(["-i", "/var/tmp/try"], None)
    assert "'/var/tmp/try' is neither True nor False" in capsys.readouterr().err


def test_the_data_directory_may_be_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTGRES_DATA", "/data/of/mine")
    assert cli.parse([], None).datadir == "/data/of/mine"
    assert cli.parse(["-d", "x"], None).datadir == "x"


def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.fail("what\nwhy") == 1
    assert capsys.readouterr().err == "servermgr.postgres: what | why\n"
