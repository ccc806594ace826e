"""Who started a run, as variables say it."""

from __future__ import annotations

import logging

import pytest

from jobs.lineage.origin import Ancestor, ancestors, namespace

ID = "f99310b4-3c3c-1a1a-2b2b-c1b95c24ff11"


def test_a_parent_and_a_root_come_from_variables() -> None:
    environ = {
        "OPENLINEAGE_PARENT_ID": f"airflow/orders.load/{ID}",
        "OPENLINEAGE_ROOT_PARENT_ID": f"airflow/orders/{ID}",
    }
    assert ancestors(environ) == (Ancestor("airflow", "orders.load", ID), Ancestor("airflow", "orders", ID))
    assert ancestors({"OPENLINEAGE_PARENT_ID": f"https://airflow/a/task/{ID}"}) == (
        Ancestor("https://airflow/a", "task", ID),
    )
    assert ancestors({"OPENLINEAGE_ROOT_PARENT_ID": f"airflow/orders/{ID}"}) == ()


@pytest.mark.parametrize("text", ["airflow", f"orders/{ID}", f"/orders/{ID}", f"airflow//{ID}", "airflow/orders/17"])
def test_what_names_no_run_is_ignored_with_a_warning(text: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert ancestors({"OPENLINEAGE_PARENT_ID": text}) == ()
    assert caplog.messages == ["OPENLINEAGE_PARENT_ID is not NAMESPACE/JOB/RUN_ID, and is ignored."]


def test_the_namespace_of_jobs_can_be_set() -> None:
    assert (namespace({}), namespace({"OPENLINEAGE_NAMESPACE": "shop"})) == ("pgjobs", "shop")
