"""Access to PostgreSQL, using only pg8000 and the standard library.

`conninfo` determines the parameters of a connection, and `network` opens the socket and speaks the protocol.
`postgres_connectivity` opens every connection, as a `session`, and a `connector` opens those of a job and its tasks.
With a session, `catalog` describes tables, `load` stages and publishes rows, and `extract` reads them in one snapshot.
`query` runs a user's own SQL, and `rows` copies Python's values without Spark.
`locks` and `table_locks` keep concurrent runs apart.
"""
