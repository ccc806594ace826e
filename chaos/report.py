"""The output about trials: a line for each, and a summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date

from chaos.judge.verdict import Verdict


def line(verdict: Verdict) -> str:
    """Return a line about a trial: how its job ended, and what was wrong."""
    status = verdict.first.status
    ended = {None: "killed", 0: "done"}.get(status, f"failed ({status}), {verdict.first.last_line[:160]}")
    struck = "" if verdict.struck is not None else ", fault did not strike"
    head = (
        f"{'FOUND' if verdict.complaints else 'ok':5} {verdict.trial.seed:6} {verdict.seconds:5.1f} s  {verdict.trial}"
    )
    lines = [f"{head}: {ended}{struck}", *(f"      {complaint}" for complaint in verdict.complaints)]
    if verdict.complaints:
        lines.append(f"      struck at: {verdict.struck}; the job said: {verdict.first.last_line}")
        lines.append(f"      again: make chaos SEED={verdict.trial.seed} TIMES=1")
    return "\n".join(lines)


def summary(verdicts: Sequence[Verdict], seconds: float, versions: str, lacking: Mapping[str, str]) -> str:
    """Return a summary: trials by fault, their outcomes, the time spent, and how many found something.

    Args:
        verdicts: The verdicts of the trials.
        seconds: The total time.
        versions: What was tested.
        lacking: Jobs and faults that were impossible, each with the reason.
    """
    struck = [verdict for verdict in verdicts if verdict.struck is not None]
    complaining = [verdict for verdict in verdicts if verdict.complaints]
    faults = Counter(verdict.trial.fault for verdict in struck)
    flows = Counter(verdict.trial.flow for verdict in struck)
    statuses = Counter(verdict.first.status for verdict in struck)
    failed = len(struck) - statuses[0] - statuses[None]
    phases = sum((Counter(verdict.phases) for verdict in verdicts), Counter[str]())
    whole = sum(phases.values()) or 1.0
    return "\n".join(
        [
            "",
            f"{len(verdicts)} trials in {seconds:.0f} s, on {date.today().isoformat()}: {versions}",  # noqa: DTZ011 - here
            f"{len(struck)} faults struck; {len(complaining)} found something.",
            f"  ended:  {statuses[0]} well nevertheless, {failed} by an error, {statuses[None]} with their driver",
            "  jobs:   " + ", ".join(f"{name} {count}" for name, count in flows.most_common()),
            "  faults: " + ", ".join(f"{name} {count}" for name, count in faults.most_common()),
            "  time:   " + ", ".join(f"{name} {part / whole:.0%}" for name, part in phases.most_common()),
            *(f"  left out: {what}, for {why}" for what, why in lacking.items()),
            *(
                ["  again:  " + ", ".join(f"SEED={verdict.trial.seed}" for verdict in complaining)]
                if complaining
                else []
            ),
        ]
    )
