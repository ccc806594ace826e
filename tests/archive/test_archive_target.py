"""What an archive is packed for."""

from __future__ import annotations

import pytest

from pgjobs.__main__ import command
from pgjobs.archive.target import target_for
from pgjobs.errors import WRONG_USAGE, DeployError


def test_another_interpreter_of_the_image_can_be_named() -> None:
    assert target_for("emr-7.13.0", "x86_64", "/usr/bin/python3.11").version == "3.11"
    with pytest.raises(DeployError, match="is not the path of an interpreter with its version"):
        target_for("emr-7.13.0", "x86_64", "/usr/bin/python3")


def test_an_interpreter_that_the_image_is_not_known_to_have_is_doubted() -> None:
    """It is not refused, because a custom image may have it."""
    named = target_for("emr-7.13.0", "x86_64", "/usr/bin/python3.12")
    assert named.doubt.startswith("The image of emr-7.13.0 has Python 3.9 and 3.11, and not 3.12: ")
    assert not target_for("emr-7.13.0", "x86_64", "/usr/bin/python3.11").doubt
    assert not target_for("emr-7.13.0", "x86_64", "3.12", carried=True).doubt


def test_package_warns_of_such_an_interpreter_before_it_packs(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["package", "--release", "emr-7.14.0", "--python", "/usr/bin/python3.13", "--requirements", "missing.txt"]
    assert command(words) == WRONG_USAGE
    warning, error = capsys.readouterr().err.splitlines()
    assert warning.startswith("warning: The image of emr-7.14.0 has Python 3.11, and not 3.13: ")
    assert "missing.txt" in error
