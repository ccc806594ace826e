"""The database's side of capturing changes: triggers that record changed keys, and readers that follow them.

`objects` names what a capture creates in the source's database and has its SQL, `install` creates and drops it.
`position` is how far a reader is, `changes` what is new for it, `readers` who reads, and `target` the table that is
kept equal to the source.

A trigger records only the keys that a statement changed, in the writer's own transaction. A reader takes one snapshot,
and reads the keys that were recorded by transactions that this snapshot sees and the snapshot before did not, and the
current rows of these keys. So each batch leads from the state of one snapshot to that of the next one: a transaction
that commits late is in a later batch, and a key that was changed a hundred times is in a batch once.
"""
