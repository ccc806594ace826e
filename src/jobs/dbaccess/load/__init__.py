"""A load in the database: staging tables and the parts in them, and the transaction that publishes them.

`staging` creates the tables, and `parts` are copied into them. `receipts` says which attempts at parts count. `publish`
makes their rows part of the target as `modes` and `overwrite` say, in one transaction with the mark in the `ledger`.
`verify` compares what the table then holds with what Spark meant, by `row_text`. `statistics` are refreshed afterwards.
"""
