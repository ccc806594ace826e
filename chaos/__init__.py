"""Breaks real jobs at random, from a seed, and checks what is left with independent programs.

The steps of a trial: `plan` draws it from its seed; `trial` creates its data, database and table; `drivers` runs the
job in a Spark of its own; `wire` is a proxy between the job and the server, which triggers the fault at the planned
point; `faults` breaks something; and `judge` compares the result with the expected rows, by psql and PyArrow.
"""
