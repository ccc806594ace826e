"""Each target that needs no server, on the same few values every time; `make fuzz` tries more."""

from __future__ import annotations

import pytest

from fuzz.targets import TARGETS

EXAMPLES = 60


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_takes_whatever_it_is_given(name: str) -> None:
    TARGETS[name].try_out(EXAMPLES)
