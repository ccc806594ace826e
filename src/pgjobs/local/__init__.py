"""Runs a StartJobRun request on this machine: the archive, executors as processes, and nothing else to import."""
