"""run-local's driver runs an entrypoint as its caller would."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from pgjobs.local import driver

SCRIPT = """
import json, sys
from pathlib import Path
import beside
Path("report").write_text(json.dumps([sys.argv, __name__, __file__, sys.path[0]]))
sys.exit(3)
"""


def run_as_the_driver(folder: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run an entrypoint as run-local's driver does, started elsewhere."""
    jobs, elsewhere = folder / "jobs", folder / "elsewhere"
    jobs.mkdir()
    elsewhere.mkdir()
    (jobs / "job.py").write_text(script)
    (jobs / "beside.py").write_text("")
    command = [sys.executable, driver.__file__, str(folder), str(jobs / "job.py"), *arguments]
    return subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, check=False)


def test_the_entrypoint_is_the_main_program_in_the_callers_folder_and_its_status_counts(tmp_path: Path) -> None:
    done = run_as_the_driver(tmp_path, SCRIPT, "--table", "t")
    assert done.returncode == 3, done.stderr
    script = str(tmp_path / "jobs" / "job.py")
    told = json.loads((tmp_path / "report").read_text())
    assert told == [[script, "--table", "t"], "__main__", script, str(tmp_path / "jobs")]


def test_an_error_of_the_entrypoint_is_told_as_ever(tmp_path: Path) -> None:
    done = run_as_the_driver(tmp_path, "raise ValueError('no such day')")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "ValueError: no such day"
