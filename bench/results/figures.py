"""The measurements, as values: from the samples of a run to its figures, from several runs to their median."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from bench.errors import BenchError
from bench.machine.samples import PAUSE, Sample

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Figures:
    """The figures of a load.

    Attributes:
        seconds: From reading the Parquet file to the last commit.
        wall: Of the process, including start, warm-up and end.
        other_cpu: What neither the server nor the client used. A large value means that the load was disturbed.
        phases: Seconds of parts of the load, if the way reports them.
        wal: Bytes of write-ahead log that the server wrote, with the warm-up's.
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
    wal: float = 0

    @property
    def worker_megabytes(self) -> float:
        """Return the memory of the largest Python worker in MB."""
        return self.worker_memory / MEGABYTE

    @property
    def disturbance(self) -> float:
        """Return how many cores were busy with neither the server nor the client."""
        return self.other_cpu / self.seconds


NUMBERS = tuple(one.name for one in fields(Figures) if one.name != "phases")


def figures(
    samples: Sequence[Sample], start: float, end: float, *, wall: float, phases: Mapping[str, float]
) -> Figures:
    """Compute the CPU from rest to rest, and the maximum memory of all samples in between.

    Within a rest, the largest counter counts: a sample may miss a process that just ends.

    Raises:
        BenchError: A rest has no sample.
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
        seconds=end - start,
        wall=wall,
        server_cpu=server_cpu,
        client_cpu=client_cpu,
        other_cpu=other_cpu,
        client_memory=client_memory,
        jvm_memory=jvm_memory,
        worker_memory=worker_memory,
        phases=phases,
    )


def median(runs: Sequence[Figures]) -> Figures:
    """Return the median of each figure by itself."""
    return Figures(
        **{name: statistics.median(getattr(run, name) for run in runs) for name in NUMBERS},
        phases={
            name: statistics.median(run.phases[name] for run in runs if name in run.phases) for name in runs[0].phases
        },
    )


def spread(runs: Sequence[Figures]) -> dict[str, tuple[float, float]]:
    """Return the smallest and the largest value of each figure."""
    values = {name: [getattr(run, name) for run in runs] for name in NUMBERS}
    return {name: (min(of_name), max(of_name)) for name, of_name in values.items()}
