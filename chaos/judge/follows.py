"""What must hold of a table that follows a capture: its rows, its position and its marker are one."""

from __future__ import annotations

from chaos.data import batches
from chaos.jobs.names import BEFORE, NEXT, load_id
from chaos.judge import followed
from chaos.judge.court import Court


class OfFollowing(Court):
    """Judges a load of the changes that a capture writes."""

    _published = False
    _reached = 0

    def _judge_first(self, neighbour: bool) -> None:  # noqa: ARG002 - nobody else changes such a table
        what = "after the first run"
        if self.trial.fault == "same table":
            self._judge_followed(what, least=batches.READ)
            return
        self._published = self.is_published()
        identity = load_id(self.trial)
        if self._published:
            self._reached = self._judge_followed(what, identity, batches.READ)
        else:
            self._judge_followed(what, identity + BEFORE if self.trial.primed else "", 0)

    def judge_last(self) -> None:
        """Check that a rerun has read what is new if the load was not published, and has done nothing otherwise."""
        if self.trial.fault == "same table":  # each of the two may have taken the last step
            self._judge_followed("at the end", least=batches.READ)
            return
        reached = self._judge_followed("at the end", load_id(self.trial), self._reached if self._published else None)
        if self._published and reached != self._reached:
            self.complain("a rerun of what was loaded has read changes")

    def judge_next(self) -> None:
        """Check that the next load has read all batches that are complete."""
        self._judge_followed("after the next load", load_id(self.trial) + NEXT)

    def _judge_followed(self, what: str, by: str | None = None, least: int | None = None) -> int:
        """Check that a table that follows a capture is what its position says, and who stored that.

        Args:
            what: When this is.
            by: The load that stored the position; empty for none, None for any.
            least: The batch that was read at least; None for the newest one.

        Returns:
            The position.
        """
        seen = followed.look(self.database)
        found = followed.contradictions(seen, self.place.source, by, least)
        self.complain(*(f"{what}: {complaint}" for complaint in found))
        return seen.batch
