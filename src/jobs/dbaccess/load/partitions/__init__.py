"""Partitions that are replaced by tables with the rows of a load, which were copied beside them.

`staged` makes a partitioned table with the key of the target, into which rows are copied. In the publishing
transaction, `build` completes each of its partitions that got rows, so that it has all that the partition has that it
replaces (`definition`, `rebuild`), and `swap` exchanges them while the table is locked. `suitability` says what cannot
be replaced.
"""
