"""The tests on every PostgreSQL, PySpark and Python that pgjobs is for, and a table of what came out.

`make matrix` runs it. What is tried is decided in plan.py; servers come from npm (servers.py), the rest from the lock
files of requirements (environments.py). The table in docs/versions.md is its memory, too: what was tried on a commit
is not tried again.
"""
