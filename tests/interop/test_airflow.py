"""What a real Airflow writes of a connection, for any field, is read as what was put in."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.dbaccess.conninfo.airflow import read_connection

AIRFLOW_PYTHON = os.environ.get("AIRFLOW_PYTHON", str(Path(__file__).parents[2] / ".venv-interop" / "bin" / "python"))
WRITER = Path(__file__).with_name("write_connections.py")

pytestmark = pytest.mark.skipif(not Path(AIRFLOW_PYTHON).exists(), reason="no Airflow: run make test-interop")

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=30)
HOSTS = st.one_of(
    st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\.[a-z]{2,5})?", fullmatch=True),
    st.text("abcXYZ/_ -%@", min_size=1, max_size=20).map(lambda path: "/" + path),
)
EXTRAS = st.dictionaries(
    st.sampled_from(["sslmode", "application_name", "options", "connect_timeout"]),
    TEXT | st.integers(0, 99) | st.booleans(),
)
CONNECTIONS = st.fixed_dictionaries(
    {"host": HOSTS},
    optional={
        "login": TEXT,
        "password": TEXT,
        "schema": TEXT,
        "port": st.integers(1, 65535),
        "extra": EXTRAS.map(json.dumps),
    },
)


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """A home of Airflow's own."""
    return {**os.environ, "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")), "PYTHONWARNINGS": "ignore"}


def expected(fields: Mapping[str, Any]) -> dict[str, str]:
    """What libpq would be told."""
    names = {"login": "user", "password": "password", "host": "host", "port": "port", "schema": "dbname"}
    stated = {names[name]: str(value) for name, value in fields.items() if name != "extra"}
    for name, value in json.loads(fields.get("extra", "{}")).items():
        stated[name] = str(int(value)) if isinstance(value, bool) else str(value)
    return {name: text for name, text in stated.items() if text}


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(CONNECTIONS, min_size=200, max_size=400))
def test_what_airflow_writes_is_read_as_what_was_put_in(
    environ: Mapping[str, str], connections: list[dict[str, Any]]
) -> None:
    lines = "".join(json.dumps(fields) + "\n" for fields in connections)
    written = subprocess.run(
        [AIRFLOW_PYTHON, str(WRITER)], input=lines, env=environ, capture_output=True, text=True, check=False
    )
    assert written.returncode == 0, written.stderr[-2000:]
    answers = [json.loads(line) for line in written.stdout.splitlines() if line.startswith('["')]
    assert len(answers) == len(connections)
    for fields, (uri, as_json) in zip(connections, answers):
        assert read_connection(uri, "uri") == expected(fields), uri
        assert read_connection(as_json, "json") == expected(fields), as_json
