"""Run by spark-submit: runs loads one after the other in one driver, each with its environment, and tells their ends.

The loads come as JSON in the variable LOADS_IN_TURN, for a file or an argument would show their passwords.
"""

from __future__ import annotations

import json
import os
import sys

from jobs.load_table import main

END = "=== the end of load "
"""What a line begins with that tells a load's number and its exit status."""


def run_all() -> None:
    """Run the loads. One that ends the process, as for wrong flags, ends itself alone."""
    loads = json.loads(os.environ.pop("LOADS_IN_TURN"))
    around = dict(os.environ)
    for number, (arguments, environ) in enumerate(loads):
        os.environ.clear()
        os.environ.update({**around, **environ})
        try:
            status = main(arguments, os.environ)
        except SystemExit as ended:
            status = int(ended.code or 0)
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(1, f"{END}{number}: {status}\n".encode())


if __name__ == "__main__":
    run_all()
