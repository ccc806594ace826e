"""A load that follows a source by its changes: a lake's table, or the batches of a capture.

A `feed` tells the state of a source, its rows in a state, and what changed between two of them: `iceberg` and `delta`
do so for their tables, `batches` for the files of a capture. What a lake itself cannot tell is found by comparing two
`versions`.
`lake_table` is the name of a table in Spark's catalogs. `following` decides what a load reads, by the position that
is stored beside the ledger, and gives the load the step that it takes. `loads` are called by the job.
"""
