"""The error before a test is run."""


class MatrixError(Exception):
    """A version is not available here. The message says why, and what to do."""
