"""The command line of servermgr."""

from __future__ import annotations

import pytest

from servermgr import cli


def test_flags_have_their_published_names_and_defaults() -> None:
    assert vars(cli.parse(["-d", "x"], None)) == {
        "host": "127.0.0.1",
        "port": 15432,
        "datadir": "x",
        "init": False,
        "version": "",
    }
    long = ["--host", "::1", "--port", "1", "--datadir", "x", "--init", "--version", "15"]
    assert cli.parse(long, None) == cli.parse(["-H", "::1", "-p", "1", "-d", "x", "-i", "-v", "15"], None)


def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.fail("what\nwhy") == 1
    assert capsys.readouterr().err == "servermgr.postgres: what | why\n"
