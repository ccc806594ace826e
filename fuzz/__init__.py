"""Runs generated input through parsers, COPY's encoders and decoders, and whole loads, and compares with an oracle.

A target is a Hypothesis strategy and a check. `make test` tries each with the same values every time (test_fuzz_*.py in
tests/unit, tests/postgres and tests/spark). `make fuzz` runs for a given time, with Atheris if that is installed, which
searches for values that reach new code. A check fails if an error is not one of ours, if it shows a secret, or if the
oracle disagrees: the inverse function, libpq, a server, or for loads a model in Python.
"""
