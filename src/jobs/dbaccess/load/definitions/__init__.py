"""What the user defines of a table: its columns and indexes; and what a load changes in an existing one.

`columns` parses definitions of columns, and creates or adds these. `indexes` does so for the indexes of a new table.
`shape` is how the table is partitioned, and what is said about its columns. Before anything is copied, a `trial` has
the server judge them.

`alterations` are columns that an existing table gets, and types that it widens, for the data. `alter` executes them.
"""
