"""Runs that were started: `run` asks for one, `poll` until it has ended, `wait` does that at the terminal.

`logs` reads the driver's logs from S3, in spite of their `log_rotation`; `summary` and `hints` put the end into words.
"""
