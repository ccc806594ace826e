"""Runs a StartJobRun request on this machine: from the archive, with executors as processes, in isolation."""
