"""A load in the database: staging tables and the parts in them, and the transaction that publishes them.

`definitions` are what the user says about the columns and indexes of a table. `staging` creates the tables of a load,
and `parts` copies rows into them. `receipts` determines which attempts at parts count. Staging that is `kept` stays
when a load fails, for a rerun.

`publish` takes a `publish_plan`. In one transaction, it records the load in the `ledger`, makes the staged rows part of
the target, and runs the user's `scripts`. How the rows get there is described by `move`, and by `partitions` for tables
that replace partitions. `verify` compares the table's rows with what Spark encoded, using `row_text`. `statistics`
refreshes the planner's statistics afterwards. `index_settings` lets builds of indexes use memory and workers.

If rows may be rejected, `rejects` puts those aside that the server refuses.
`identity` columns that the data has get its values, or the server's.

The tables of a release are published `together`.

`direct` parts need no staging. Each is copied straight into the target, in a transaction that also records it: by the
marker if it is the only part, else by one of its `claims`.

`outline` lists the statements and locks of a load that is only planned.
"""
