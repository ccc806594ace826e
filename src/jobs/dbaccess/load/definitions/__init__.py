"""What the user defines of a table: its columns and indexes.

`columns` parses definitions of columns, and creates or adds these. `indexes` does so for the indexes of a new table.
`shape` is how the table is partitioned, and what is said about its columns. Before anything is copied, a `trial` has
the server judge them.
"""
