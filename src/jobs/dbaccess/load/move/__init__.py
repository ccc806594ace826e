"""How staged rows become rows of the table.

`modes` has the modes of a load, and `combinations` says what goes together with which. `order` is that of rows with the
same keys, which have to be such `keys` as a mode can do with. `fill` renames the staged table to a table that does not
exist, or else moves the rows by the statements of the mode: `overwrite`, `difference` (an overwrite that changes only
what differs), `upsert`, or a plain INSERT, in `slices` if their pace is limited. `merge` is an upsert by several
statements: for `changes` that delete rows or depend on `conditions`, and for keys without a unique index. `history`
makes each row one of the `versions` of its key. Whatever deletes rows asks `deletion` first what else that would do.
"""
