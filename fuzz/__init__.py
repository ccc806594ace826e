"""Runs generated input through every parser and through COPY's encoders and decoders, and compares with an oracle.

A target is a Hypothesis strategy and a check. `make test` tries each with the same values every time
(tests/unit/test_fuzz_targets.py, tests/postgres/test_fuzz_server.py). `make fuzz` runs for a given time, with Atheris
if that is installed, which searches for values that reach new code. A check fails if an error is not one of ours, if it
shows a secret, or if the oracle disagrees: the inverse function, libpq, or a server.
"""
