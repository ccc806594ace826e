"""Values that Hypothesis draws for a test that needs many at once, because each of its runs is expensive."""

from __future__ import annotations

from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy

Value = TypeVar("Value")


def drawn(strategy: SearchStrategy[Value], count: int) -> list[Value]:
    """Return values of a strategy.

    Each is an example of its own. A list of them would be one example, for which Hypothesis limits how much it draws:
    whether wide rows fit would depend on the constants of all modules that happen to be imported.
    """
    values: list[Value] = []

    @settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    @given(strategy)
    def collect(value: Value) -> None:
        values.append(value)

    collect()
    return values
