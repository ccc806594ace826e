"""The check inside EMR's image: what is run there, what its outcome means, and that no check is no success."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgjobs.checks.image import NOT_CHECKED, image_of, main, run_command, verdict
from pgjobs.errors import FAILED, OK, WRONG_USAGE


def test_the_archives_own_interpreter_runs_the_probe_without_network_or_write_access() -> None:
    command = run_command("docker", image_of("emr-7.13.0"), "arm64", Path("/tmp/x"))
    assert command == [
        *["docker", "run", "--rm", "--network", "none", "--platform", "linux/arm64"],
        *["--volume", "/tmp/x:/check:ro", "--workdir", "/check", "--entrypoint", "/check/environment/bin/python"],
        *["public.ecr.aws/emr-serverless/spark/emr-7.13.0:latest", "-B", "probe.py"],
    ]


@pytest.mark.parametrize(
    ("status", "means", "says"),
    [
        (0, OK, "The archive runs in image."),
        (1, FAILED, "does not run in image"),
        (125, NOT_CHECKED, "Not checked"),
        (126, FAILED, "image cannot run /usr/bin/python3.9. Name an existing one with --python, or include one"),
        (127, FAILED, "image cannot run /usr/bin/python3.9"),
    ],
)
def test_the_outcome_is_told(status: int, means: int, says: str) -> None:
    found, sentence = verdict(status, "image", "/usr/bin/python3.9")
    assert found == means
    assert says in sentence


def test_without_docker_nothing_was_checked_and_that_is_no_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "x.tar.gz"
    archive.touch()
    assert main([str(archive), "--docker", "nosuch-docker"]) == NOT_CHECKED
    assert capsys.readouterr().err == "Not checked: there is no nosuch-docker here.\n"


def test_an_engine_that_does_not_answer_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = tmp_path / "x.tar.gz"
    archive.touch()
    assert main([str(archive), "--docker", "false"]) == NOT_CHECKED
    assert "no Docker engine answers" in capsys.readouterr().err


def test_without_an_archive_the_way_to_one_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.tar.gz")]) == WRONG_USAGE
    assert "run pgjobs package" in capsys.readouterr().err
