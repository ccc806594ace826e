"""The definition of a target, and how Hypothesis tries it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.database import ExampleDatabase
from hypothesis.strategies import SearchStrategy

_TRY, _MEND = (Phase.generate, Phase.target), (Phase.reuse, Phase.shrink)


@dataclass(frozen=True)
class Target:
    """A function under fuzzing.

    Attributes:
        strategy: The values to try.
        check: Raises if something is wrong.
        examples: How many values are tried between two looks at the clock.
        guided: Whether Atheris may search for values that reach new code.
    """

    name: str
    strategy: SearchStrategy[Any]
    check: Callable[[Any], None]
    examples: int = 500
    guided: bool = True

    def property(self, **given_settings: Any) -> Any:  # noqa: ANN401 - the types of Hypothesis
        """Return the test that Hypothesis runs, with its settings."""

        def fuzzed(value: object) -> None:
            self.check(value)

        fuzzed.__qualname__ = fuzzed.__name__ = self.name  # failed examples are stored under this name
        patient = settings(deadline=None, suppress_health_check=list(HealthCheck), **given_settings)
        return patient(given(self.strategy)(fuzzed))

    def try_out(self, examples: int) -> None:
        """Try so many values, the same ones each time.

        Raises:
            AssertionError: A value was handled wrongly. Any other error: one that the target does not expect.
        """
        self.property(max_examples=examples, derandomize=True, database=None, phases=(*_TRY, Phase.shrink))()

    def explore(self, examples: int, found: ExampleDatabase) -> None:
        """Try values that failed before, then so many others.

        Raises:
            AssertionError: As in `try_out`.
        """
        self.property(max_examples=examples, database=found, phases=(*_TRY, *_MEND))()


def named(targets: list[Target]) -> Mapping[str, Target]:
    """Return targets by name."""
    return {target.name: target for target in targets}
