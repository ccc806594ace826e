"""Each target that asks a server, on the same few values every time; `make fuzz` tries more."""

from __future__ import annotations

import pytest

from fuzz import server
from jobs.dbaccess.session import Session

EXAMPLES = 40


@pytest.mark.parametrize("name", server.TARGETS)
def test_a_server_takes_nothing_for_sql_and_keeps_what_it_is_given(session: Session, name: str) -> None:
    server.targets(session)[name].try_out(EXAMPLES)
