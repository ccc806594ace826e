"""The database's side of an extract: what is selected, its parts, and the snapshot that all sessions share.

`watermark` records the progress of an incremental extract, and `attachments` finds partitions attached since.
"""
