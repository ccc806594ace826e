"""A load in the database: staging tables and the parts in them, and the transaction that publishes them.

`staging` creates the tables, and `parts` copies rows into them. `receipts` determines which attempts at parts count.
`publish` makes their rows part of the target in one transaction with the marker in the `ledger`; how, a module of
`move` describes. `direct` parts need no staging: each is copied straight into the target, in a transaction that also
records it. `verify` compares the table's rows with what Spark encoded, using `row_text`. `statistics` refreshes
the planner's statistics afterwards.
"""
