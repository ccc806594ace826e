"""What the server knows.

`tables` describes a table, and `query_columns` the columns of a query. Both recognize `kinds` of types, and
`fitting_types` tells which types hold the values of which others. Of a table,
`unique_indexes` find rows by their keys, `row_triggers` may change rows or keep them out, `publications` include it,
and `relatives` are what a load of it locks, too. `same_table` tells whether one that is read is one that is written,
and `storage` whether its rows may be gone.

`own_tables` creates the tables of pgjobs. `capacity` counts free connections, `health` examines settings and
privileges, `encodings` tells which characters the database lacks, and `wal` says how far standbys have replayed.
"""
