"""Runs several things at the same time."""

from __future__ import annotations

import threading
from typing import Callable

from jobs.dbaccess.errors import JobError


def at_once(*runs: Callable[[], object]) -> list[BaseException]:
    """Run each in a thread of its own, and return the errors of those that failed."""
    errors: list[BaseException] = []

    def caught(run: Callable[[], object]) -> None:
        try:
            run()
        except JobError as error:
            errors.append(error)

    threads = [threading.Thread(target=caught, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors
