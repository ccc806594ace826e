"""Captures the changes of a table, and carries them to a target.

`job` says what to do, and for how long. `source_end` opens the session at the source. `follow` carries one batch after
the other to a target until it is stopped, and `report` says what was done. `table` is the target that is a table:
`connections` opens the other session, and `batch` is one step from a snapshot to the next. `files` has sessions and
batches for a target that is a folder of files. `manage` shows readers, forgets them, and removes a capture.
"""
