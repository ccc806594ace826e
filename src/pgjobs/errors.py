"""What can go wrong on the laptop's side, and the exit statuses that tell how a command ended.

DeployError             what was asked for cannot be right, or cannot be had; nothing was submitted
+-- AwsError            AWS refused, or does not answer
    +-- PassingError    not now: throttled, no network, a fault of AWS; the same call may succeed later
"""

from __future__ import annotations

OK = 0
"""Done; with --wait: the run has succeeded."""
FAILED = 1
"""The run has failed, or AWS has refused a call."""
WRONG_USAGE = 2
"""Flags, files or settings cannot be right; nothing was submitted."""
CANCELLED = 3
"""The run was cancelled, by whomever."""
TIMED_OUT = 4
"""EMR ended the run because it took longer than --timeout-minutes."""
STILL_GOING = 5
"""--wait-minutes have passed; the run goes on."""
INTERRUPTED = 130
"""Ctrl-C, as shells have it (128 + SIGINT); a run that was submitted goes on."""


class DeployError(Exception):
    """Something that a person can mend; the message says how."""

    status = WRONG_USAGE


class AwsError(DeployError):
    """AWS refused, or does not answer."""

    status = FAILED


class PassingError(AwsError):
    """AWS cannot serve this now, and may later."""
