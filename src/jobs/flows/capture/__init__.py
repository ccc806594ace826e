"""Captures the changes of a table, and carries them to a target.

`job` says what to do, and for how long. `source_end` opens the session at the source, and `connections` the other one
for a target that is a table. `batch` is one step from a snapshot to the next, and `follow` carries out one after the
other until it is stopped. `files` has sessions and batches for a target that is a folder of files. `report` says what
was done. `manage` shows readers, forgets them, and removes a capture.
"""
