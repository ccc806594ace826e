from __future__ import annotations

import sys
from pathlib import Path

import pytest

from setup_rules import Java
from setup_system import SetupError, ask_javas, run, step


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_only_what_answers_as_java_counts(tmp_path: Path) -> None:
    java = program(tmp_path / "java", """echo '    java.home = /jvm\nopenjdk version "17.0.1"' >&2""")
    stub = program(tmp_path / "stub", "echo 'Unable to locate a Java Runtime.' >&2; exit 1")
    assert list(ask_javas([stub, tmp_path / "missing", java])) == [Java("/jvm", 17)]


def test_a_command_that_fails_shows_its_last_lines_and_the_advice() -> None:
    with pytest.raises(SetupError) as caught:
        run([sys.executable, "-c", "print('the cause'); raise SystemExit(3)"], "Try this.")
    message = str(caught.value)
    assert "status 3" in message
    assert message.endswith("the cause\n\nTry this.")


def test_a_step_is_one_line_with_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    with step("a thing"):
        pass
    assert capsys.readouterr().out == "set-up: a thing ... 0 s\n"


def test_a_step_that_fails_says_so_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SetupError), step("a thing"):
        raise SetupError
    assert capsys.readouterr().out == "set-up: a thing ... failed\n"
