"""The command line of load_release.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobs.dbaccess.errors import UsageError
from jobs.load_release import build_parser, check_arguments


def test_wrong_flags_have_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        check_arguments(["--load-id", "x"])
    assert caught.value.code == 2
    assert "the following arguments are required: --manifest" in capsys.readouterr().err


def test_the_help_shows_a_manifest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        build_parser().parse_args(["--help"])
    assert caught.value.code == 0
    assert '[[tables]]\n    table = "sales.customers"' in capsys.readouterr().out


def test_a_manifest_that_is_here_is_checked_before_a_run(tmp_path: Path) -> None:
    check_arguments(["--manifest", "s3://bucket/release.toml"])
    manifest = tmp_path / "release.json"
    manifest.write_text(json.dumps({"tables": [{"table": "t", "source": "x"}]}))
    check_arguments(["--manifest", str(manifest)])
    manifest.write_text(json.dumps({"tables": [{"table": "t", "sorce": "x"}]}))
    with pytest.raises(UsageError, match=r"Did you mean source\?"):
        check_arguments(["--manifest", str(manifest)])
