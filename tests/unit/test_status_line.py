"""The status line of a terminal: what a person sees, and that nothing printed is lost or mixed up with it."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from emr_runs import Terminal, console, on_time

from jobs.flows.load.progress import progress_line
from pgjobs.runs.status_line import StatusLine, status_line


def screen(written: str) -> list[str]:
    """The lines of a terminal after this was written to it. A carriage return goes back to the line's start."""
    lines = []
    for line in written.split("\n"):
        cells: list[str] = []
        for piece in line.split("\r"):
            cells[: len(piece)] = piece
        lines.append("".join(cells).rstrip())
    return lines


def test_it_shows_state_time_and_what_the_load_logs_of_its_progress() -> None:
    out = Terminal()
    line = StatusLine(out, lambda: 80)
    line.see("RUNNING", 10.0)
    rest = line.sift(
        f"INFO a\n{progress_line(1, 16, 10, 10, 1.0)}\n{progress_line(3, 16, 1000, 5_000_000, 1.0)}\nINFO b\n"
    )
    assert rest == "INFO a\nINFO b\n"
    line.show(135.0)
    assert screen(out.getvalue()) == ["RUNNING  2 min 5 s  [###.................] 3/16 parts, 1,000 rows, 5.0 MB/s"]
    line.see("RUNNING, attempt 2 of 3", 140.0)
    line.show(141.0)
    assert screen(out.getvalue()) == ["RUNNING, attempt 2 of 3  1 s"]
    line.clear()
    assert screen(out.getvalue()) == [""]


def test_a_narrow_terminal_gets_a_part_of_it_lest_it_wraps() -> None:
    out = Terminal()
    line = StatusLine(out, lambda: 10)
    line.see("SCHEDULED", 0.0)
    line.show(61.0)
    assert screen(out.getvalue()) == ["SCHEDULED"]


def test_what_is_printed_stands_above_it_whole() -> None:
    terminal, _, _ = console()
    out, err = io.StringIO(), Terminal()
    terminal = replace(terminal, out=out, err=err)
    with status_line(terminal, on_time()[0]) as (inside, clock, line):
        assert line is not None
        line.see("RUNNING", 0.0)
        clock.sleep(3.0)
        inside.tell("PENDING")
        inside.show("stdout", "a row of the job\n")
        clock.sleep(1.0)
        inside.tell("SUCCESS")
    assert screen(err.getvalue()) == ["PENDING", "SUCCESS", ""]
    assert err.getvalue().count("RUNNING") == 4  # once a second
    assert out.getvalue() == "a row of the job\n"


@pytest.mark.parametrize(("err", "term"), [(io.StringIO(), "xterm"), (Terminal(), "dumb")])
def test_there_is_none_without_a_terminal_that_can(
    err: io.StringIO, term: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", term)
    plain = replace(console()[0], err=err)
    with status_line(plain, on_time()[0]) as (inside, _, line):
        assert (inside, line) == (plain, None)
