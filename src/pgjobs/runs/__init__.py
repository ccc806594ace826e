"""Runs that were started: `run` reads one, `poll` waits until it has ended, `wait` does so at the terminal.

`logs` reads the driver's logs from S3, in spite of their `log_rotation`. `summary` and `hints` describe how a run
ended.
"""
