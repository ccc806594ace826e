"""What the server knows.

`tables` describes a table, `relatives` what a load of it locks, too, and `query_columns` the columns of a query. Both
recognize `kinds` of types.
`own_tables` creates the tables of pgjobs. `capacity` counts free connections, `health` examines settings and rights,
`encodings` tells which characters the database lacks, and `wal` says how far standbys have replayed.
"""
