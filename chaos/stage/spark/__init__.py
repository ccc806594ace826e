"""Spark below a lane: `drivers` starts and ends the processes in which jobs run.

`program` is what a driver executes, and `daemon` what forks its Python workers. `processes` tells them apart, so that a
fault kills the right one.
"""
