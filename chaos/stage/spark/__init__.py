"""Spark below a lane: the processes in which jobs run."""
