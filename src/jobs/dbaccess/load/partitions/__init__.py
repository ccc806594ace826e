"""Partitions of a table that a load replaces or creates.

To replace partitions, `staged` makes a partitioned table with the key of the target, into which rows are copied. In the
publishing transaction, `replace` completes each of its partitions that got rows: it gets all that the partition has
which it replaces (`definition`, `rebuild`). `swap` exchanges them while the table is locked, in several `attempts` if
readers hold it. `suitability` says what cannot be replaced.

To create partitions, `missing` finds those that rows lack, and `new` makes them: for rows that are moved (`supply`), or
for rows that are staged for partitions (`place`). `catalog` lists the partitions that exist.
"""
