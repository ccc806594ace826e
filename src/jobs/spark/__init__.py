"""The code that executors run, and queries of Spark's state.

`load_tasks` copy parts in, and `extract_tasks` copy them out; each task opens its own connection. `scheduling` runs
parts as jobs, and `workers` says what their Python has. `plans` says from a query's plan whether its parts fit
together.

Rows on their way in: `null_values` stand for NULL, `origins` says from which file a row comes, and `nul` finds the
column with text that PostgreSQL refuses. Rows on their way out: `ordinal` observes the maximum of a column,
`deleted_keys` adds deletes, and `file_text` prepares values for CSV and JSON. `hadoop_files` finds and removes files.

`row_forms` and `row_hash` build the hashes that a verified load compares. `comparing` uses them, and `key_buckets`, to
compare a table with a DataFrame.
"""
