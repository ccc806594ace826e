"""Runs that were started.

`run` reads the state of one, `poll` waits until it has ended, and `wait` does so at the terminal, with a `status_line`.
`logs` reads the driver's logs from S3, in spite of their `log_rotation`. `summary` and `hints` describe how a run
ended.
"""
