"""The table of a load, and how the data fits it.

`settle` looks up the table and returns the `target`: the table, which of its columns takes which of the data's, and how
rows are moved there. It is an `existing` table or a `new` one; `matching` is what both have in common.
"""
