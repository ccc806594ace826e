"""A load in the database: staging tables and the parts in them, and the transaction that publishes them.

`staging` holds parts until all are there, `receipts` says which attempts at them count, and `publish` makes their rows
part of the target as `modes` and `overwrite` say, in one transaction with the mark in the `ledger`. `verify` compares
what the table then holds with what Spark meant, by `row_text`. `statistics` has the planner told afterwards.
"""
