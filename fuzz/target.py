"""What a target is, and how Hypothesis tries it."""

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
    """Something to be fuzzed.

    Attributes:
        strategy: what to try.
        check: raises where it goes wrong.
    """

    name: str
    strategy: SearchStrategy[Any]
    check: Callable[[Any], None]

    def property(self, **given_settings: Any) -> Any:  # noqa: ANN401 - Hypothesis' settings and test, as it has them
        """The test that Hypothesis runs, with its settings."""

        def fuzzed(value: object) -> None:
            self.check(value)

        fuzzed.__qualname__ = fuzzed.__name__ = self.name  # the examples that failed are kept under it
        patient = settings(deadline=None, suppress_health_check=list(HealthCheck), **given_settings)
        return patient(given(self.strategy)(fuzzed))

    def try_out(self, examples: int) -> None:
        """Try so many values, the same ones each time.

        Raises:
            AssertionError: one of them was taken wrongly; any other error where one was not foreseen.
        """
        self.property(max_examples=examples, derandomize=True, database=None, phases=(*_TRY, Phase.shrink))()

    def explore(self, examples: int, found: ExampleDatabase) -> None:
        """Try values that failed before, then so many others.

        Raises:
            AssertionError: as `try_out`.
        """
        self.property(max_examples=examples, database=found, phases=(*_TRY, *_MEND))()


def named(targets: list[Target]) -> Mapping[str, Target]:
    """Targets by their names."""
    return {target.name: target for target in targets}
