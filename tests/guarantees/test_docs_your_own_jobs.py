"""docs/your-own-jobs.md names what exists: names of `jobs`, keys of [tool.pgjobs], extras, files of a new project."""

from __future__ import annotations

import re
from pathlib import Path

import jobs
from pgjobs.archive.project import read_project
from pgjobs.cli.init import project
from pgjobs.toml import read_toml

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "your-own-jobs.md").read_text()


def section(title: str) -> str:
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_what_a_job_uses_is_public() -> None:
    rows = re.findall(r"^\| (`.*?) \|", section("What a job uses"), re.MULTILINE)
    names = {name for row in rows for name in re.findall(r"`(\w+)", row)}
    assert {"load_dataframe", "run_job", "connect", "UsageError"} <= names
    assert names <= set(jobs.__all__)


def test_the_configuration_is_one(tmp_path: Path) -> None:
    [text] = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    (tmp_path / "pyproject.toml").write_text(text)
    read = read_project(tmp_path)
    assert read.names == ("shop_jobs", "shop_common")
    assert (read.entrypoints, read.extras) == ({"nightly_totals": "shop_jobs.nightly_totals"}, ("holidays",))
    assert set(re.findall(r"^\| `(\w+)`", section("What is packed"), re.MULTILINE)) == set(
        re.findall(r"^(\w+) = ", text, re.MULTILINE)
    )


def test_the_extras_are_the_distributions() -> None:
    extras = read_toml((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = set(re.findall(r"^\| `pgjobs-spark\[(\w+)\]`", TEXT, re.MULTILINE))
    assert {"deploy", "spark"} <= named <= set(extras)


def test_a_new_project_has_the_files_that_are_named() -> None:
    written = set(project("shop_jobs"))
    assert {"pyproject.toml", "Makefile", ".gitignore", "src/shop_jobs/nightly_totals.py"} <= written
    assert all(any(path.startswith(start) for path in written) for start in ("tests/", "src/shop_jobs/"))
