"""How staged rows become rows of the table.

`modes` has the modes of a load, and `combinations` says what goes together with which. `order` is that of rows with the
same keys, which have to be such `keys` as a mode can do with. `suitable` says whether an existing table suits the mode,
and `conversions` whether it still has the types of staging when the rows are in it.

The statements are those of the mode: `overwrite`, a plain INSERT, in `slices` if their pace is limited, or what changes
rows `by_keys`: by `changes` that may delete rows, under `conditions`. Whatever deletes rows asks `deletion` first what
else that would do.
"""
