"""Runs an entrypoint for run-local, in the caller's folder, and stops Spark after it; run by the archive's interpreter.

    spark-submit driver.py FOLDER SCRIPT ARGUMENT...

An entrypoint may leave it to the end of its process to stop Spark. On local-cluster, the executors' own supervisors end
in the same moment then, take the executors for lost, and start new ones until they give up: hundreds of lines of a run
that went well. It is sent alone: the standard library and Python 3.9 must do.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Sequence
from contextlib import suppress


def main(words: Sequence[str]) -> None:
    """Run the entrypoint as a main program; what it raises, its exit status among it, passes."""
    folder, script = words[:2]
    os.chdir(folder)
    sys.argv = list(words[1:])
    sys.path[0] = os.path.dirname(script)  # noqa: PTH120 - alone and small
    try:
        runpy.run_path(script, run_name="__main__")
    finally:
        stop_spark()


def stop_spark() -> None:
    """Stop Spark where the entrypoint has started it, and has not stopped it."""
    pyspark = sys.modules.get("pyspark")
    context = pyspark.SparkContext._active_spark_context if pyspark else None  # noqa: SLF001 - getOrCreate would start one
    if context is not None:
        with suppress(Exception):  # Ctrl-C may have ended the JVM
            context.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
