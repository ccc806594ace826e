"""The ways of this project.

- Loads: `load` is load_table.py, `small` runs it ten times in a session, and `three` for a table each, which is
  compared with a `release`. `pgcopy` writes by the data source, `copy_rows` copies without Spark, and `copy_table` from
  server to server.
- Reads: `extract` into Spark, `extract_files` into Parquet, `pgcopy_extract` by the data source; `compare` compares the
  table with files.
"""
