"""The Python of the README, and of the pages on extracting and comparing, runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from libpq import environment
from pyspark.sql import SparkSession

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.session import Session
from jobs.flows.extract import dataframe

ROOT = Path(__file__).parents[2]


def run_examples(page: str, names: dict[str, Any]) -> None:
    for example in re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL):
        exec(example, names)  # noqa: S102 - our own documentation


def test_what_the_readme_loads_is_extracted_and_compared_as_the_docs_show(
    spark: SparkSession,
    session: Session,
    database: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for variable, text in environment(database).items():
        monkeypatch.setenv(variable, text)
    session.run("CREATE SCHEMA sales")
    names: dict[str, Any] = {}
    run_examples("README.md", names)
    assert capsys.readouterr().out.startswith("loaded 2 rows into sales.orders")
    names["spark"] = spark
    try:
        run_examples("docs/extract.md", names)
        assert [row.id for row in names["df"].collect()] == [2]
        run_examples("docs/compare.md", names)
        assert [(row.id, row.difference) for row in names["differences"].collect()] == [(1, "extra")]
    finally:
        dataframe.held.close()  # as the end of the process does
