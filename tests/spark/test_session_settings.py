"""Settings that apply for a while, in a session that several loads share."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from pyspark.sql import SparkSession

from jobs.spark.session_settings import setting

NAME = "spark.sql.debug.maxToStringFields"


def test_loads_at_once_each_have_their_setting_and_leave_the_session_as_it_was(spark: SparkSession) -> None:
    is_set, first_is_over = threading.Event(), threading.Event()

    def second() -> str:
        with setting(spark, NAME, "2"):
            is_set.set()
            first_is_over.wait(60.0)
            return str(spark.conf.get(NAME))

    with ThreadPoolExecutor() as pool:
        with setting(spark, NAME, "1"):
            other = pool.submit(second)
            assert not is_set.wait(0.5)
            assert spark.conf.get(NAME) == "1"
        first_is_over.set()
        assert other.result() == "2"
    assert spark.conf.get(NAME, None) is None
