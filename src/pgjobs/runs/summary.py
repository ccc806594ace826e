"""Descriptions of a run as text: how it ended, what it cost, tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta, timezone

from pgjobs.runs.hints import hints
from pgjobs.runs.run import Run

END_LINES = 20
"""Lines of stderr to show (again) with a failure."""
SEARCHED_LINES = 300
"""Lines of each stream in which to look for the cause of a failure."""

_UNITS = {"vCPUHour": "vCPU-hours", "memoryGBHour": "memory GB-hours", "storageGBHour": "storage GB-hours"}


def ending(run: Run, stdout: Sequence[str], stderr: Sequence[str]) -> str:
    """Describe how a run ended: for a failure the reason, the end of stderr and hints; then the cost.

    Args:
        run: A run that has ended.
        stdout: The last lines of the driver's output.
        stderr: The last lines of its errors.
    """
    lines = [headline(run)]
    if run.state == "FAILED":
        if stderr:
            lines += ["", "the end of stderr:", *(f"  {line}" for line in stderr[-END_LINES:])]
        advice = hints("\n".join([run.details, *stdout, *stderr]))
        lines += ["", *(f"hint: {hint}" for hint in advice)] if advice else []
    return "\n".join([*lines, "", costs(run)])


def headline(run: Run) -> str:
    """Return the state, EMR's own words for it, and the duration."""
    state = f"{run.state} (--timeout-minutes {run.timeout_minutes} have passed)" if run.timed_out else run.state
    attempt = f", {which_attempt(run)}" if run.most_attempts > 1 or run.attempt > 1 else ""
    after = f" after {duration(run.seconds)}" if run.seconds else ""
    return f"{state}{after}{attempt}{f': {run.details}' if run.details else ''}"


def which_state(run: Run) -> str:
    """Return the state, and after a first attempt which one it is."""
    return f"{run.state}, {which_attempt(run)}" if run.attempt > 1 else run.state


def which_attempt(run: Run) -> str:
    """Return the attempt. The maximum number is known only for batch runs."""
    return f"attempt {run.attempt}{f' of {run.most_attempts}' if run.most_attempts >= run.attempt else ''}"


def costs(run: Run) -> str:
    """Return the billed hours as a table."""
    if not run.billed:
        return f"billed: not known yet. AWS reports it some minutes after the end: {command('status', run)}"
    rows = [(unit, f"{run.billed[name]:.3f}") for name, unit in _UNITS.items() if name in run.billed]
    return table(("billed", "hours"), rows) + "\n(AWS may still add to this for some minutes after the end.)"


def command(name: str, run: Run) -> str:
    """Return the command line that does something with a run."""
    region = f" --region {run.region}" if run.region else ""
    return f"pgjobs {name} {run.run_id} --application-id {run.application_id}{region}"


def status(run: Run, attempts: Sequence[Run]) -> str:
    """Return the output of `status`."""
    rows = [
        ("run", run.run_id),
        ("application", f"{run.application_id}, {run.release}"),
        ("name", run.name),
        ("mode", run.mode),
        ("created", utc_time(run.created)),
        ("state", headline(run)),
        ("logs", run.log_uri or run.log_group or "EMR's own (see: dashboard)"),
    ]
    parts = [table((), rows)]
    if len(attempts) > 1:
        tried = [(str(one.attempt), one.state, utc_time(one.created), one.details) for one in attempts]
        parts.append(table(("attempt", "state", "created", "details"), tried))
    if run.ended:
        parts.append(costs(run))
    return "\n\n".join(parts)


def value(run: Run) -> dict[str, object]:
    """Return a run as plain data, for JSON. The time is in ISO 8601."""
    return {**asdict(run), "created": run.created.isoformat() if run.created else None, "ended": run.ended}


def listing(runs: Sequence[Run]) -> str:
    """Return the output of `list`."""
    rows = [(one.run_id, one.state, utc_time(one.created), one.name, one.details) for one in runs]
    return table(("run", "state", "created", "name", "details"), rows)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows in columns of equal width."""
    shown = [header, *rows] if header else list(rows)
    widths = [max(map(len, column)) for column in zip(*shown)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in shown)


def duration(seconds: int) -> str:
    """Return seconds in readable units: "1 h 2 min 3 s"."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min"), (rest, "s")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 s"


def utc_time(when: datetime | None) -> str:
    """Return a time in UTC, to the second."""
    return f"{when.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC" if when else ""


def ago(when: datetime, now: datetime) -> str:
    """Return how long ago something happened, to the minute."""
    minutes = (now - when) // timedelta(minutes=1)
    return f"{duration(minutes * 60)} ago" if minutes > 0 else "just now"
