"""What is printed of trials: a line for each, and a summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from chaos.verdict import Verdict


def line(verdict: Verdict) -> str:
    """A trial, how its job ended, and what was wrong."""
    status = verdict.first.status
    ended = {None: "killed", 0: "done"}.get(status, f"failed ({status})")
    struck = "" if verdict.struck is not None else ", fault did not strike"
    head = (
        f"{'FOUND' if verdict.complaints else 'ok':5} {verdict.trial.seed:6} {verdict.seconds:5.1f} s  {verdict.trial}"
    )
    lines = [f"{head}: {ended}{struck}", *(f"      {complaint}" for complaint in verdict.complaints)]
    if verdict.complaints:
        lines.append(f"      struck at: {verdict.struck}; the job said: {verdict.first.last_line}")
        lines.append(f"      again: make chaos SEED={verdict.trial.seed} TIMES=1")
    return "\n".join(lines)


def summary(verdicts: Sequence[Verdict], seconds: float) -> str:
    """How many of each fault, how they ended, and how many found something."""
    struck = [verdict for verdict in verdicts if verdict.struck is not None]
    found = [verdict for verdict in verdicts if verdict.complaints]
    faults = Counter(verdict.trial.fault for verdict in struck)
    flows = Counter(verdict.trial.flow for verdict in struck)
    return "\n".join(
        [
            "",
            f"{len(verdicts)} trials in {seconds:.0f} s; {len(struck)} faults struck; {len(found)} found something.",
            "  jobs:   " + ", ".join(f"{name} {count}" for name, count in flows.most_common()),
            "  faults: " + ", ".join(f"{name} {count}" for name, count in faults.most_common()),
            *(["  again:  " + ", ".join(f"SEED={verdict.trial.seed}" for verdict in found)] if found else []),
        ]
    )
