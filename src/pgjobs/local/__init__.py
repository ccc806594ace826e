"""Runs a StartJobRun request on this machine, from the archive, with executors as processes.

`run_local` prepares an isolated environment, `driver` starts the job in it, and `process_group` ends all of its
processes.
"""
