"""The command line of `make matrix`."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from matrix.__main__ import interpreter


@pytest.mark.parametrize("text", ["/usr/bin/python3.9", "2.7=/usr/bin/python2.7"])
def test_an_interpreter_is_named_with_its_version(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not VERSION=PATH"):
        interpreter(text)
    assert interpreter("3.9=/opt/python") == ("3.9", Path("/opt/python"))
