"""Runs an entrypoint for run-local, in the caller's folder, and then stops Spark. The archive's interpreter runs it.

    spark-submit driver.py FOLDER SCRIPT ARGUMENT...

An entrypoint may leave stopping Spark to the end of its process. On local-cluster, the supervisors of the executors end
at the same time, treat the executors as lost, and start new ones until they give up: a successful run then logs
hundreds of lines. This file is sent alone, so it uses only the standard library and Python 3.9 syntax.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Sequence
from contextlib import suppress


def main(words: Sequence[str]) -> None:
    """Run the entrypoint as the main program. Its exceptions, including its exit status, propagate."""
    folder, script = words[:2]
    os.chdir(folder)
    sys.argv = list(words[1:])
    sys.path[0] = os.path.dirname(script)  # noqa: PTH120 - without imports beyond what is needed
    try:
        runpy.run_path(script, run_name="__main__")
    finally:
        stop_spark()


def stop_spark() -> None:
    """Stop Spark if the entrypoint has started it and not stopped it."""
    pyspark = sys.modules.get("pyspark")
    context = pyspark.SparkContext._active_spark_context if pyspark else None  # noqa: SLF001 - getOrCreate would start one
    if context is not None:
        with suppress(Exception):  # Ctrl-C may have ended the JVM
            context.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
