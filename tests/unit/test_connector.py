"""The application_name of a job's sessions."""

from __future__ import annotations

import pytest

from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Server, Settings

SETTINGS = Settings("d", "u", (Server("a"), Server("b")))


@pytest.mark.parametrize(
    ("task", "label"), [("", "pgjobs load orders/1"), ("part 3", "pgjobs load part 3 of orders/1")]
)
def test_a_session_is_named_after_the_job_and_its_task(task: str, label: str) -> None:
    assert Connector(SETTINGS, "load", "orders/1").label(task) == label


def test_a_connector_to_one_server_keeps_the_name() -> None:
    connector = Connector(SETTINGS, "extract", "t").at(Server("b"))
    assert connector.settings.servers == (Server("b"),)
    assert connector.label() == "pgjobs extract t"
