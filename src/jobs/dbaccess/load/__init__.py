"""A load in the database: staging tables and the parts in them, and the transaction that publishes them.

`definitions` are what the user says about the columns and indexes of a table. `staging` creates the tables of a load,
which have to have the `encoded_types`.
`copying` is what tasks do: attempts at parts copy rows, into staging or straight into the target. Staging that is
`kept` stays when a load fails, for a rerun.

`publish` takes a `publish_plan`. In one transaction, it records the load in the `ledger`, whose markers name tables
(`marker_targets`), makes the staged rows part of the target (`fill`), and runs the user's `scripts`. The staged table
becomes the target, or the statements of `move` move its rows, or `partitions` are replaced. `verify` compares the
table's rows with what Spark encoded, using `row_text`. `statistics` refreshes the planner's statistics afterwards.
`index_settings` lets builds of indexes use memory and workers. `publish_failures` says what to do about a failure.

If rows may be rejected, `rejects` puts those aside that the server refuses.
`identity` columns that the data has get its values, or the server's.

The tables of a release are published `together`. Tables that follow a source have a position, which is `followed`.

A `dry_run` lists the statements and locks of a load that is only planned.
"""
