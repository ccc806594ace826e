"""What an archive is packed for."""

from __future__ import annotations

import pytest

from pgjobs.archive.target import target_for
from pgjobs.errors import DeployError


def test_another_interpreter_of_the_image_can_be_named() -> None:
    assert target_for("emr-7.13.0", "x86_64", "/usr/bin/python3.11").version == "3.11"
    with pytest.raises(DeployError, match="is not the path of an interpreter with its version"):
        target_for("emr-7.13.0", "x86_64", "/usr/bin/python3")
