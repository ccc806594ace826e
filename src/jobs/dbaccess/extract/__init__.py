"""The database's side of an extract.

`snapshot` exports a snapshot, which all sessions of the extract adopt. `selection` is what is read in it, and
`partitioning` divides that into parts. For an incremental extract, `watermark` records how far it has come, `window` is
what is new since, and `attachments` adds the partitions that were attached in between.
"""
