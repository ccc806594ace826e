"""Captures the changes of a table, and carries them to a target.

`job` is what to do and for how long, `connections` what it uses, `batch` one step from a snapshot to the next, `follow`
one batch after another until it is stopped, and `report` what was done.
"""
