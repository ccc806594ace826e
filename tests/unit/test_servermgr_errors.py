"""Errors of servermgr cross processes."""

from __future__ import annotations

import pickle

from servermgr.errors import DatabaseException


def test_database_exception_keeps_its_cause_through_a_process_boundary() -> None:
    error = pickle.loads(pickle.dumps(DatabaseException(OSError("gone"), 1, path="/x")))  # noqa: S301 - made here
    assert (str(error), error.args[1], error.kwargs) == ("gone", 1, {"path": "/x"})
