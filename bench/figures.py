"""What is measured, as values: from samples of a run to its figures, from several runs to their median."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from bench.errors import BenchError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PAUSE = 1.0
"""Seconds of silence before and after a load: several samples, so that CPU counters are read when nothing moves."""

DISTURBED = 0.25
"""Cores that others may take beside a load. The benchmark's own measuring takes some 0.1."""


@dataclass(frozen=True)
class Sample:
    """One look at the processes: CPU seconds since their start, bytes of memory now.

    Attributes:
        at: seconds on the monotonic clock.
        jvm_memory: of the biggest JVM, 0 without one.
        worker_memory: of the biggest Python process that Spark started for rows, 0 without one.
    """

    at: float
    server_cpu: float
    client_cpu: float
    machine_cpu: float
    client_memory: int = 0
    jvm_memory: int = 0
    worker_memory: int = 0


@dataclass(frozen=True)
class Figures:
    """What a load took.

    Attributes:
        seconds: from reading the Parquet file to the last commit.
        wall: of the process, with start, warm-up and end.
        other_cpu: what neither server nor client took; much of it means that the load was disturbed.
        phases: seconds of parts of the load, where the way knows them.
    """

    seconds: float
    wall: float
    server_cpu: float
    client_cpu: float
    other_cpu: float
    client_memory: float
    jvm_memory: float
    worker_memory: float
    phases: Mapping[str, float] = field(default_factory=dict)

    @property
    def disturbance(self) -> float:
        """How many cores were busy with neither server nor client."""
        return self.other_cpu / self.seconds


def figures(
    samples: Sequence[Sample], start: float, end: float, *, wall: float, phases: Mapping[str, float]
) -> Figures:
    """Take the CPU from pause to pause, and the most memory of all samples in between.

    Of a pause the largest counter is taken: a process that just ends may be missed by one sample.

    Raises:
        BenchError: There is no sample in a pause.
    """
    before = [sample for sample in samples if start - PAUSE <= sample.at <= start]
    after = [sample for sample in samples if end <= sample.at <= end + PAUSE]
    if not before or not after:
        raise BenchError("the machine was too busy to look at the processes")
    during = [sample for sample in samples if start <= sample.at <= end] or after
    server_cpu, client_cpu, machine_cpu = (
        max(getattr(one, counter) for one in after) - max(getattr(one, counter) for one in before)
        for counter in ("server_cpu", "client_cpu", "machine_cpu")
    )
    client_memory, jvm_memory, worker_memory = (
        max(getattr(one, size) for one in during) for size in ("client_memory", "jvm_memory", "worker_memory")
    )
    other_cpu = machine_cpu - server_cpu - client_cpu
    return Figures(
        end - start, wall, server_cpu, client_cpu, other_cpu, client_memory, jvm_memory, worker_memory, phases
    )


def median(runs: Sequence[Figures]) -> Figures:
    """Return the median of each figure by itself."""
    numbers = [one.name for one in fields(Figures) if one.name != "phases"]
    return Figures(
        **{name: statistics.median(getattr(run, name) for run in runs) for name in numbers},
        phases={name: statistics.median(run.phases[name] for run in runs) for name in runs[0].phases},
    )
