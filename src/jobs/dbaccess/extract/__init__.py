"""An extract in the database: what is selected, cut into parts, and read by many sessions as of one snapshot.

`watermark` says how far an incremental extract has come, and `attachments` which partitions were attached since.
"""
