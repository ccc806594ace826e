"""The Python of docs/connecting.md runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from libpq import environment

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.session import Session

DOCS = Path(__file__).parents[2] / "docs" / "connecting.md"


def test_the_example_of_a_session_runs(session: Session, database: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, text in environment(database).items():
        monkeypatch.setenv(variable, text)
    [example] = [
        block for block in re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL) if "connect" in block
    ]
    names: dict[str, Any] = {}
    exec(example, names)  # noqa: S102 - our own documentation
    assert names["answer"] == 42
    assert session.run("SELECT x, y FROM points ORDER BY x") == [[1, 2], [3, 4]]
