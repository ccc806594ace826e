"""The code that executors run, expressions of DataFrames, and queries of Spark's state.

`tasks` copy parts in and out. `plans` says from a query's plan whether its parts fit together, and `sources`
what Spark's readers of files would pass over in silence.

Rows on their way in: `null_values` stand for NULL, `origins` says from which file a row comes, and `nul` finds the
column with text that PostgreSQL refuses. Rows on their way out: `ordinal` observes the maximum of a column,
`deleted_keys` adds deletes, and `file_text` prepares values for CSV and JSON. `hadoop_files` finds and removes files.
`session_settings` sets a setting of the session for a while.

`row_forms` and `row_hash` build the hashes that a verified load compares. `comparing` uses them, and `key_buckets`, to
compare a table with a DataFrame.
"""
