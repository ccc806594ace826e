"""What is measured of processes while a way runs, and how long the machine rests around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

PAUSE = 1.0
"""Seconds of rest before and after a load: several samples, so that CPU counters are read while they do not change."""

DISTURBED = 0.25
"""Cores that other processes may use during a load. The benchmark's own measuring uses about 0.1."""


@dataclass(frozen=True)
class Sample:
    """One sample of the processes: CPU seconds since their start, and current memory in bytes.

    Attributes:
        at: Seconds on the monotonic clock.
        jvm_memory: Of the largest JVM; 0 without one.
        worker_memory: Of the largest Python process that Spark started for rows; 0 without one.
    """

    at: float
    server_cpu: float
    client_cpu: float
    machine_cpu: float
    client_memory: int = 0
    jvm_memory: int = 0
    worker_memory: int = 0
