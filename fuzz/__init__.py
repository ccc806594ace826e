"""Feeds every parser and COPY's encoders and decoders with what nobody would write, and asks an oracle what is right.

A target is a strategy of Hypothesis' and a check. `make test` tries each with the same values every time
(tests/unit/test_fuzz.py, tests/postgres/test_fuzz.py), `make fuzz` for as long as it is told, by Atheris where that is
installed: it looks which values reach new code. A check fails where an error is not one of ours, shows a secret, or
where the oracle disagrees: the inverse function, libpq, or a server.
"""
