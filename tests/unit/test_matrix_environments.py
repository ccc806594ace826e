"""Which interpreter `make matrix` takes for a version."""

from __future__ import annotations

from pathlib import Path

import pytest

from matrix import environments
from matrix.errors import MatrixError


def test_an_interpreter_is_asked_for_its_version_and_a_missing_one_is_told_with_what_to_say(tmp_path: Path) -> None:
    for name, version in (("shim", ""), ("other", "3.8"), ("right", "3.9")):
        body = f"echo {version}" if version else "exit 127"
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    among = [tmp_path / name for name in ("shim", "other", "right")]
    assert environments.find("3.9", among) == tmp_path / "right"
    with pytest.raises(MatrixError, match=r"no Python 3\.9: name one by PYTHONS=3\.9=/path"):
        environments.find("3.9", among[:2])
