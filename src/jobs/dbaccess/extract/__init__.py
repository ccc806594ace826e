"""The database's side of an extract.

`snapshot` exports a snapshot, which all sessions of the extract adopt. `table_patterns` chooses many
tables by patterns. `selection` is what is read in the snapshot, and `partitioning` divides that into parts. For an
incremental extract, `watermark` records how far it has come, `window` is what is new since, and `attachments` adds the
partitions that were attached in between.
"""
