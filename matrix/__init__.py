"""Runs the tests on every supported PostgreSQL, PySpark and Python, and keeps a table of the results.

`make matrix` runs it. plan.py decides what to run; servers come from npm (servers.py), everything else from the lock
files (environments.py). The table in docs/versions.md also serves as memory: what was run on a commit is not run again
on it.
"""
