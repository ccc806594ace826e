"""What an incremental extract reads beside what is wanted."""

from __future__ import annotations

from jobs.flows.extract.incremental import with_ordinal
from jobs.flows.extract.plan import Wanted


def test_the_ordinal_column_comes_along() -> None:
    assert with_ordinal(Wanted(columns=("a",)), "c").columns == ("a", "c")
    assert with_ordinal(Wanted(columns=("a", "c")), "c").columns == ("a", "c")
    assert with_ordinal(Wanted(), "c").columns == ()
    assert with_ordinal(Wanted(columns=("a",)), "").columns == ("a",)
