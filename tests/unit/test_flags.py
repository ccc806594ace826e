"""Flags that all jobs share."""

from __future__ import annotations

from jobs.cli.flags import connection_of
from jobs.dbaccess.conninfo.settings import Server
from jobs.load_table import build_parser


def test_flags_and_environment_become_settings() -> None:
    options = build_parser().parse_args(["--source", "x", "--table", "t", "--host", "h", "--dbname", "d"])
    settings = connection_of(options, {"PGUSER": "u", "PGHOST": "other"}).settings
    assert (settings.servers, settings.dbname, settings.user) == ((Server("h"),), "d", "u")
