"""Access to PostgreSQL, using only pg8000 and the standard library.

`conninfo` determines the parameters of a connection, and `network` opens the socket and speaks the protocol.
`postgres_connectivity` opens every connection, as a `session`, and a `connector` opens those of a job and its tasks.
`poolers` detects what may be in between, and `backends` terminates a server process of our own. `pool` is for programs
that use SQLAlchemy's pool.

With a session, `catalog` describes tables, `load` stages and publishes rows, `extract` reads them in one snapshot, and
`capture` records and follows changes. `query` runs a user's own SQL, and `rows` copies Python's values without Spark.
`locks` and `table_locks` keep concurrent runs apart.

`local_settings` apply within a block of a transaction. `sql` quotes names, and `copy_text` has NULL and the escapes of
COPY. `errors` are the errors of all jobs, by `sqlstates`; they also derive from the classes of pg8000 (`pep249`).
"""
