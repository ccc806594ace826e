"""The database's side of capturing changes: triggers that record changed keys, and readers that follow them.

`captured` is the table whose changes are captured. `objects` has the names and the SQL of what a capture creates beside
it. `install` creates and drops these objects, with `patience` for the locks that this needs. `readers` are registered
there. `position` says how far a reader is, and `positions` stores that in the target's database. `changes` finds what
is new since a position. `target` writes it into a table, and relies on `column_types`. For files, `file_keys`
determines what happened to each row.

A trigger records only the keys that a statement changed, in the writer's own transaction. A reader takes one snapshot,
and reads the keys that were recorded by transactions that this snapshot sees and the snapshot before did not, and the
current rows of these keys. So each batch leads from the state of one snapshot to that of the next one: a transaction
that commits late is in a later batch, and a key that was changed a hundred times is in a batch once.
"""
