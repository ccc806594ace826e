"""Files become rows: no record is silently misread, skipped or replaced with NULLs.

A `reader` says how the files are read. `parsed` reads those whose records may be malformed: `csv_files` settles the
columns of the ones, and `json_files` those of the others. `self_described` reads files that state their columns.
`file_errors` says in our words what Spark says of files.
"""
