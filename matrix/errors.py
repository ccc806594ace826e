"""What can go wrong before a test is run."""


class MatrixError(Exception):
    """A version cannot be had here; the text says why, and what to do."""
