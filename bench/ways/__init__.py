"""What a way's process runs: `run_once` warms up, and runs a `task` by one of the modules in `ours` or `peers`.

Each module's `run(task)` reads the data, returns after the last commit or row, and returns the seconds of its phases.
Reads by Spark end by `reading` all rows.
"""
