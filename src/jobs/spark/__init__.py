"""The code that executors run, and queries of Spark's state.

`load_tasks` copy parts in, and `extract_tasks` copy them out; each task opens its own connection. `scheduling` runs
parts as jobs, `plans` detects whether Spark recomputed one, and `workers` detects what their Python has.
`row_forms` and `row_hash` build the hashes that a verified load compares.
"""
