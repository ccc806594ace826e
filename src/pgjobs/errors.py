"""The errors of `pgjobs`, and the exit statuses of its commands.

DeployError             the request is wrong or cannot be met; nothing was submitted
+-- BadArchive          an archive does not pass its checks
+-- AwsError            AWS refused the call, or does not answer
    +-- PassingError    a temporary failure: throttling, no network, a fault of AWS; the same call may succeed later
"""

from __future__ import annotations

OK = 0
"""Success; with --wait: the run succeeded."""
FAILED = 1
"""The run failed, or AWS refused a call."""
WRONG_USAGE = 2
"""Flags, files or settings are wrong; nothing was submitted."""
CANCELLED = 3
"""The run was cancelled, by anybody."""
TIMED_OUT = 4
"""EMR ended the run after --timeout-minutes."""
STILL_GOING = 5
"""--wait-minutes have passed; the run is still active."""
INTERRUPTED = 130
"""Ctrl-C, as in shells (128 + SIGINT); a submitted run stays active."""
NOT_READ = 141
"""Nobody reads the output any more, as in shells (128 + SIGPIPE): `pgjobs list | head -1`."""


class DeployError(Exception):
    """An error that the user can correct. The message says how."""

    status = WRONG_USAGE


class BadArchive(DeployError):
    """An archive does not pass its checks."""

    status = FAILED


class AwsError(DeployError):
    """AWS refused the call, or does not answer."""

    status = FAILED


class PassingError(AwsError):
    """AWS cannot serve the call now, but may later."""
