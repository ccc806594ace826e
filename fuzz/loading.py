"""Targets: loads of drawn rows into drawn tables, compared with a model in Python (`loads`)."""

from __future__ import annotations

from functools import partial

from fuzz.loads import by_spark, quick
from fuzz.loads.check import Load, check
from fuzz.loads.drawn import cases
from fuzz.target import Target
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.session import Session

WITHOUT_SPARK, BY_SPARK = NAMES = ("loads", "loads_by_spark")
"""The first one does thousands of loads in minutes, the other one does what users do, about one a second."""


def target(name: str, session: Session, settings: Settings, load: Load | None = None) -> Target:
    """Return a target.

    Args:
        name: One of NAMES.
        session: A session of a database in which the target creates the schema fuzz.
        settings: Those of the connections of its loads.
        load: Does a load; by default what the name says, with a Spark of its own if it needs one.
    """
    does = load or (quick.load if name == WITHOUT_SPARK else partial(by_spark.load, by_spark.session()))
    examples = 100 if name == WITHOUT_SPARK else 10
    return Target(name, cases(), partial(check, session, settings, does), examples, guided=False)
