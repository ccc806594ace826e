"""A connection is composed alike for flags, for pgcopy's options and for callers."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs import connection
from jobs.cli.flags import connection_of
from jobs.dbaccess.conninfo.settings import Server
from jobs.dbaccess.errors import UsageError
from jobs.load_table import build_parser
from jobs.pgcopy.options import Options

URL = "postgresql://db.example.com:6543/shop"


def test_flags_options_and_arguments_give_the_same_settings(tmp_path: Path) -> None:
    environ = {"PGUSER": "me", "PGPASSWORD": "secret", "HOME": str(tmp_path)}
    flags = ["--database-url", URL, "--sslmode", "require", "--connect-deadline", "5"]
    by_flags = connection_of(build_parser().parse_args(flags), environ).settings
    by_options = Options.parse({"databaseUrl": URL, "sslmode": "require", "connectDeadline": "5"}).settings(environ)
    by_arguments = connection(database_url=URL, sslmode="require", connect_deadline=5, environ=environ)
    assert by_flags == by_options == by_arguments
    assert by_arguments.timeouts.deadline == 5


def test_the_environment_of_the_process_fills_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGUSER", "me")
    monkeypatch.setenv("PGHOST", "not this one")
    settings = connection(host="h", port=6543, dbname="d")
    assert (settings.servers, settings.user) == ((Server("h", 6543),), "me")


def test_an_argument_that_is_no_parameter_is_refused() -> None:
    with pytest.raises(UsageError, match="--colour has parameters that are not supported: colour"):
        connection(dbname="d", user="u", colour="red", environ={})
