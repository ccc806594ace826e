"""Partitions of a table, replaced by tables that were loaded beside them: which, where rows are copied to, and the swap.

`staged` makes a partitioned table with the key of the target, into which rows are copied. In the publishing
transaction, `build` completes each of its partitions that got rows, so that it has all that the partition has that it
replaces (`definition`, `rebuild`), and `swap` exchanges them while the table is locked. `suitability` says what cannot
be replaced.
"""
