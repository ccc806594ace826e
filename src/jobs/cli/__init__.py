"""The jobs' command line.

`flags` has the flags that all jobs share, with `quantities` such as `50MB/s`, and `load_flags` those of a load, with
those of its mode (`mode_flags`). `load_of` returns the load that they describe. A `manifest` has these for several
tables. `run` starts and ends a job. Its `outcome` is a report (`report_file`) and lineage (`lineage_of`), or a
`failure` as one line. `text_table` prints tables.
"""
