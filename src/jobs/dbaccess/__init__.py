"""PostgreSQL by pg8000 and the standard library alone.

`conninfo` says what a connection needs, and `network` opens the socket and speaks the protocol. The door is
`postgres_connectivity`: it opens every connection, as a `session`. On one, `catalog` asks what a table is, `load`
stages and publishes rows, and `extract` reads them as of one snapshot; `locks` and `table_locks` keep runs apart.
"""
