from __future__ import annotations

import pytest

from bench.errors import BenchError
from bench.machine.samples import PAUSE, Sample
from bench.results.figures import Figures, figures, median


def sample(at: float, cpu: float, memory: int = 0) -> Sample:
    return Sample(at, cpu, 2 * cpu, 5 * cpu, client_memory=memory, jvm_memory=memory + 1, worker_memory=memory + 2)


def load(seconds: float, copy: float) -> Figures:
    return Figures(seconds, 9.0, 1.0, 2.0, 0.0, 3, 2, 1, {"copy": copy})


START, END = 10.0, 20.0
QUIET = [sample(START - PAUSE / 2, 3.0), sample(END + PAUSE / 2, 8.0)]


def test_cpu_is_what_the_counters_went_up_by_from_pause_to_pause() -> None:
    one = figures(QUIET, START, END, wall=30.0, phases={})
    assert (one.seconds, one.wall, one.server_cpu, one.client_cpu) == (10.0, 30.0, 5.0, 10.0)


def test_what_neither_server_nor_client_took_is_others_cpu() -> None:
    assert figures(QUIET, START, END, wall=30.0, phases={}).other_cpu == 25.0 - 5.0 - 10.0


def test_the_warm_up_and_the_end_of_the_process_do_not_count() -> None:
    outside = [sample(START - 2 * PAUSE, 1.0, memory=99), sample(END + 2 * PAUSE, 99.0, memory=99)]
    one = figures([outside[0], *QUIET, outside[1]], START, END, wall=30.0, phases={})
    assert (one.server_cpu, one.client_memory) == (5.0, 0)


def test_a_process_that_a_sample_missed_while_it_ended_does_not_lessen_the_cpu() -> None:
    late = sample(END + PAUSE, 7.0)
    assert figures([*QUIET, late], START, END, wall=30.0, phases={}).server_cpu == 5.0


def test_memory_is_the_most_of_all_samples() -> None:
    during = [sample(12.0, 4.0, memory=100), sample(13.0, 4.0, memory=300), sample(14.0, 4.0, memory=200)]
    one = figures([QUIET[0], *during, QUIET[1]], START, END, wall=30.0, phases={})
    assert (one.client_memory, one.jvm_memory, one.worker_memory) == (300, 301, 302)


@pytest.mark.parametrize("seen", QUIET)
def test_a_load_without_a_sample_before_and_after_is_not_measured(seen: Sample) -> None:
    with pytest.raises(BenchError):
        figures([seen], START, END, wall=30.0, phases={})


def test_the_median_is_that_of_each_figure_and_phase() -> None:
    assert median([load(3.0, 2.5), load(1.0, 0.5), load(2.0, 1.0)]) == load(2.0, 1.0)
