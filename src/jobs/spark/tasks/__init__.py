"""What executors run, in tasks that open connections of their own.

`load_tasks` copy parts in, as `copy_blocks`, and `extract_tasks` copy them out. `scheduling` runs parts as
jobs, and `workers` says what their Python has.
"""
