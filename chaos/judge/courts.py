"""Which court judges a trial: each kind of job has one."""

from __future__ import annotations

from chaos.data.rows import Row
from chaos.jobs.place import Place
from chaos.judge.court import Court
from chaos.judge.follows import OfFollowing
from chaos.judge.reads import OfCopies, OfExtracts, OfNews, OfQueries
from chaos.judge.verdict import Verdict
from chaos.judge.writes import OfParts, OfReleases, OfWrites
from chaos.plan.flows import CAPTURE, FOLLOW, NEWER, PARTS, QUERY, READS, RELEASE
from chaos.plan.trial import Trial
from chaos.stage.database import Database

_OF_WRITES = {PARTS: OfParts, RELEASE: OfReleases}
_OF_OTHERS: dict[str, type[Court]] = {
    **dict.fromkeys(READS, OfExtracts),
    **dict.fromkeys(NEWER, OfNews),
    QUERY: OfQueries,
    CAPTURE: OfCopies,
    FOLLOW: OfFollowing,
}


def court_of(trial: Trial, database: Database, place: Place, verdict: Verdict, loaded: list[Row]) -> Court:
    """Return the court of a trial, made before its job runs.

    Args:
        trial: The trial.
        database: Its database.
        place: Where its job works.
        verdict: What gets the complaints.
        loaded: The rows of a write's input.
    """
    if trial.flow in _OF_OTHERS:
        return _OF_OTHERS[trial.flow](trial, database, place, verdict)
    return _OF_WRITES.get(trial.flow, OfWrites)(trial, database, place, verdict, loaded)
