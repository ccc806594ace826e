"""Breaks real jobs at random, from a seed, and has somebody else judge what is left.

A trial goes like this: `plan` draws it from its seed, `trial` makes its data, database and table, `drivers` runs the
job in a Spark of its own, `wire` stands between the job and the server and tells when the moment has come, `faults`
breaks something, and `judge` compares what is there with what should be, by psql and PyArrow.
"""
