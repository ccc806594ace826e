"""What a query's plan and its RDDs say of its rows.

`part_sizes` merges tiny partitions before they are copied. `repeatable` says whether the end of a part can be believed,
and whether attempts at it read the same rows. `listed_files` are those that a query reads, and which of them were
overwritten since. `fingerprint` identifies the input of each part, for a later run.
`recomputed` detects, afterwards, whether parts may have read different results of one shuffle. `function_names` refuses
a session in which our expressions would mean other functions than Spark's, and `folders` notes numbers that stand for
other text in the names of folders. `lake_tables` says which version of a table of Iceberg or Delta a query reads,
and `filters` whether a query may leave out rows.
"""
